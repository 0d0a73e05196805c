"""Numbers for people: 4.1 M, 98.6 %, 0.412 ms, [97.4, 99.3]."""

import math

from searchlab.architecture import ImageSpec
from searchlab.operating_point import Estimate

NOTHING = "–"
"""Placeholder of a missing figure."""

DOUBTFUL = "~"
"""Mark before a doubtful figure."""


def marked(text: str, doubt: str) -> str:
    """Returns the figure, marked if it is doubtful."""
    return f"{DOUBTFUL}{text}" if doubt else text


def count(value: float | None) -> str:
    """Formats parameters or MACs with a decimal prefix: "912", "4.1 M", "151 k"."""
    if value is None:
        return NOTHING
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        # Without this, 999,600 would be "1000 k".
        if value >= 0.9995 * scale:
            scaled = value / scale
            return f"{scaled:.1f} {prefix}" if scaled < 99.95 else f"{scaled:.0f} {prefix}"
    return f"{value:.0f}"


def counted(number: int, noun: str) -> str:
    """Formats "1 trial", "3 trials"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def images(spec: ImageSpec) -> str:
    """Formats the shape of images: "96x96, 3 channels, 5 classes"."""
    return f"{spec.width}x{spec.height}, {counted(spec.channels, 'channel')}, {spec.classes:,} classes"


def percent(share: float | None) -> str:
    """Formats a share of 0 to 1 as "98.6 %"."""
    return NOTHING if share is None else f"{100 * share:.1f} %"


def number(value: float) -> str:
    """Formats three significant digits, at most four decimals, never scientific: "0.412", "14.4", "1440"."""
    return f"{value:.{_decimals(value)}f}"


def milliseconds(value_ms: float | None) -> str:
    """Formats a latency as "0.412 ms"."""
    return NOTHING if value_ms is None else f"{number(value_ms)} ms"


def ratio(value: float | None) -> str:
    """Formats a multiple with two decimals."""
    return NOTHING if value is None else f"{value:.2f}"


def percent_interval(estimate: Estimate) -> str:
    """Formats the interval of a share as "[97.4, 99.3]"."""
    return f"[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def latency_interval(estimate: Estimate) -> str:
    """Formats the interval of a latency with the decimals of its value: "[.405, .419]"."""
    decimals = _decimals(estimate.value)
    low, high = (f"{end:.{decimals}f}" for end in (estimate.low, estimate.high))
    return f"[{_bare(low)}, {_bare(high)}]"


def ratio_interval(estimate: Estimate) -> str:
    """Formats the interval of a multiple as "[0.61, 0.64]"."""
    return f"[{estimate.low:.2f}, {estimate.high:.2f}]"


def seconds(value_s: float) -> str:
    """Formats a duration as "4.2 s", "85 s", "3.4 min" or "2.1 h"."""
    if value_s < 120:
        return f"{value_s:.1f} s" if value_s < 10 else f"{value_s:.0f} s"
    return f"{value_s / 60:.1f} min" if value_s < 7200 else f"{value_s / 3600:.1f} h"


def threshold(value: float) -> str:
    """Formats a threshold with four significant digits; "never" for an infinite one."""
    return ("never" if value > 0 else "always") if math.isinf(value) else f"{value:.4g}"


def _bare(text: str) -> str:
    return text[1:] if text.startswith("0.") else text


def _decimals(value: float) -> int:
    if value <= 0 or not math.isfinite(value):
        return 0
    # Small networks take hundredths of a millisecond. Clocks resolve less than a microsecond, so four decimals at most.
    return min(4, max(0, 2 - math.floor(math.log10(value))))
