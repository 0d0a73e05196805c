"""Whether others took the cores away: how long threads of this process were ready to run and had none."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

_TASKS = Path("/proc/self/task")


@dataclass
class Load:
    """The share of a block's time, 0 to 1, that a thread waited for a core; 0 where the system does not say."""

    waited: float = 0.0


@contextmanager
def load(threads: int) -> Iterator[Load]:
    """Around a block that computes with so many threads; the figure is there when it has ended."""
    found = Load()
    waited_ns, begun_ns = _waited_ns(), perf_counter_ns()
    yield found
    passed_ns = max(1, perf_counter_ns() - begun_ns)
    found.waited = min(1.0, max(0.0, (_waited_ns() - waited_ns) / passed_ns / threads))


def _waited_ns() -> int:
    """Nanoseconds that threads of this process spent in the scheduler's queues (Linux's `schedstat`, second figure)."""
    total = 0
    with suppress(OSError):
        for task in _TASKS.iterdir():
            # A thread may end meanwhile.
            with suppress(OSError, IndexError, ValueError):
                total += int((task / "schedstat").read_text().split()[1])
    return total
