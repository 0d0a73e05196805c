"""CPU contention: how long threads of this process were runnable but had no core."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

_TASKS = Path("/proc/self/task")


@dataclass
class Load:
    """Share of a block's time, 0 to 1, that a thread waited for a core; 0 if the system does not report it."""

    waited: float = 0.0


@contextmanager
def load(threads: int) -> Iterator[Load]:
    """Measures contention around a block that computes with this many threads; the result is set at its end."""
    found = Load()
    waited_ns, begun_ns = _waited_ns(), perf_counter_ns()
    yield found
    passed_ns = max(1, perf_counter_ns() - begun_ns)
    found.waited = min(1.0, max(0.0, (_waited_ns() - waited_ns) / passed_ns / threads))


def _waited_ns() -> int:
    """Returns the nanoseconds that this process's threads waited in run queues (Linux's `schedstat`, field 2)."""
    total = 0
    with suppress(OSError):
        for task in _TASKS.iterdir():
            # A thread may end during the loop.
            with suppress(OSError, IndexError, ValueError):
                total += int((task / "schedstat").read_text().split()[1])
    return total
