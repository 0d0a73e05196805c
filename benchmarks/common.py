"""Shared parts of benchmarks: arguments, interleaved timing, and the final report."""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Bar = tuple[float | None, float, str]
"""A measured value (None where it was not reached), the bar, and "min" (at least) or "max" (at most)."""


def arguments(description: str) -> argparse.Namespace:
    """Makes the options `--quick` (a run under a minute), `--data` (folder with the data sets) and `--engine`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a run under a minute")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the data sets, where any is read")
    parser.add_argument("--engine", default="auto", help="engine of latencies, where any is measured")
    return parser.parse_args()


def machine() -> str:
    """Describes the processor, the usable cores, and the version of Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {cores} cores, Python {platform.python_version()}"


def median_seconds(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Measures the median wall-clock seconds of each run; runs take turns, and the first turn is discarded."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def report(
    name: str,
    figures: Mapping[str, Any],
    bars: Mapping[str, Bar],
    *,
    where: str = "",
    more: Mapping[str, Any] | None = None,
) -> None:
    """Prints a table and one line of JSON; exits with 1 if a bar is missed. `where` replaces the machine.

    Figures in `more` are only in the JSON line.
    """
    checked = {
        key: {"value": value, "bar": bar, "ok": _holds(value, bar, side)} for key, (value, bar, side) in bars.items()
    }
    table = Table("figure", "value", "bar", title=name)
    for key in (*(key for key in figures if key not in bars), *bars):
        value, bar = figures.get(key), ""
        if key in bars:
            value, limit, side = bars[key]
            bar = f"{'≥' if side == 'min' else '≤'} {limit:g} {'ok' if checked[key]['ok'] else 'MISSED'}"
        shown = "not reached" if value is None else value
        table.add_row(key, f"{shown:,.4g}" if isinstance(shown, float) else str(shown), bar)
    Console(width=max(100, Console().width)).print(table)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    line = {"benchmark": name, "machine": where or machine(), "date": date, "bars": checked}
    line["figures"] = {**figures, **(more or {})}
    print(json.dumps(line))
    if not all(entry["ok"] for entry in checked.values()):
        sys.exit(1)


def _holds(value: float | None, bar: float, side: str) -> bool:
    return value is not None and bool(value >= bar if side == "min" else value <= bar)
