"""Clocks for the pieces of a pass, on the host or in the GPU's stream, and a stopwatch for trials."""

import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import torch

from searchlab.record import Seconds


class Clock(Protocol):
    """Times the pieces of a pass: `start`, a `stamp` after each piece, then `intervals_ms`."""

    def start(self) -> None: ...
    def stamp(self) -> None: ...
    def intervals_ms(self) -> list[float]:
        """Returns the milliseconds of every piece, in order; their sum is the host's time for the pass."""


class CpuClock:
    """Clock of the host (monotonic); a stamp takes about 0.1 microseconds."""

    def __init__(self) -> None:
        self._stamps_ns: list[int] = []

    def start(self) -> None:
        self._stamps_ns = [time.perf_counter_ns()]

    def stamp(self) -> None:
        self._stamps_ns.append(time.perf_counter_ns())

    def intervals_ms(self) -> list[float]:
        return [(end - begin) / 1e6 for begin, end in pairwise(self._stamps_ns)]


class CudaClock:
    """Clock with CUDA events between the pieces and the host's clock around the pass.

    Launches are asynchronous, so the time of a piece is measured in the stream. Time outside the events (the first
    launch, the last wait) occurs once per pass and is counted with the first piece.
    """

    def __init__(self) -> None:
        self._spare: list[torch.cuda.Event] = []
        self._used: list[torch.cuda.Event] = []
        self._start_ns = 0

    def start(self) -> None:
        torch.cuda.synchronize()
        self._spare, self._used = [*self._spare, *self._used], []
        self._start_ns = time.perf_counter_ns()
        self.stamp()

    def stamp(self) -> None:
        event = self._spare.pop() if self._spare else torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._used.append(event)

    def intervals_ms(self) -> list[float]:
        torch.cuda.synchronize()
        host_ms = (time.perf_counter_ns() - self._start_ns) / 1e6
        pieces = [float(begin.elapsed_time(end)) for begin, end in pairwise(self._used)]
        return [pieces[0] + host_ms - sum(pieces), *pieces[1:]]


def clock_for(device: torch.device) -> Clock:
    """Returns the clock for work on `device`."""
    return CudaClock() if device.type == "cuda" else CpuClock()


@dataclass
class Stopwatch:
    """Stopwatch for the parts of a trial."""

    started: float = field(default_factory=time.perf_counter)
    parts: dict[str, float] = field(default_factory=dict)

    def lap(self, part: str, since: float) -> None:
        """Adds the time since `begun` to a part."""
        self.parts[part] = self.parts.get(part, 0.0) + time.perf_counter() - since

    def seconds(self) -> Seconds:
        """Returns the seconds of all parts, and the time since the beginning."""
        return Seconds(**self.parts, total=time.perf_counter() - self.started)
