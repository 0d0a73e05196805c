"""TrialHooks: callbacks of a running trial, and the separation of their errors from the candidate's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from searchlab.errors import TrialFailure
from searchlab.measure.isolation import PATIENT, Waiting
from searchlab.operating_point import Frontier
from searchlab.record import Epoch, LatencyReport
from searchlab.study import TrialSpec
from searchlab.train.progress import Progress

P = ParamSpec("P")
T = TypeVar("T")


def _never() -> bool:
    return False


def _ignore(epoch: Epoch) -> None:
    pass


def _silent(phase: str) -> None:
    pass


def _go_on(epoch: int, frontier: Frontier) -> bool:
    return True


def _as_measured(report: LatencyReport) -> LatencyReport:
    return report


@dataclass(frozen=True)
class TrialHooks:
    """Callbacks of a running trial.

    Attributes:
        interrupted: called after every training step; True ends the trial.
        on_epoch: receives every finished epoch.
        on_rung: receives the frontier at each of the study's rungs; returns whether to continue.
        progress: progress of the training. A trial of another process continues from a snapshot that was made at a
            rung, and calls `on_rung` there again.
        measure: measures the latency elsewhere, if given.
        in_unit: converts a latency to the study's unit of time; raises UserError for another machine's.
        say: receives messages, for example that the trial waits for a lock.
        on_phase: receives the name of every phase that begins (see `phases`).

    An exception of a hook ends the trial without a record, except a TrialFailure of `measure`.
    """

    interrupted: Callable[[], bool] = _never
    on_epoch: Callable[[Epoch], None] = _ignore
    on_rung: Callable[[int, Frontier], bool] = _go_on
    progress: Progress = field(default_factory=Progress)
    measure: Callable[[TrialSpec, Waiting], LatencyReport] | None = None
    in_unit: Callable[[LatencyReport], LatencyReport] = _as_measured
    say: Callable[[str], None] = PATIENT.say
    on_phase: Callable[[str], None] = _silent


class HookError(Exception):
    """An exception of a hook."""

    def __init__(self, raised: Exception) -> None:
        super().__init__(raised)
        self.raised = raised


@contextmanager
def hook() -> Iterator[None]:
    """Marks exceptions of a hook: they belong to the caller and do not fail the candidate."""
    try:
        yield
    except (TrialFailure, HookError):
        raise
    except Exception as error:  # of any type: it is raised again as it is
        raise HookError(error) from error


def as_hook(call: Callable[P, T]) -> Callable[P, T]:
    """Wraps a callback so that its exceptions are marked as a hook's."""

    def called(*args: P.args, **named: P.kwargs) -> T:
        with hook():
            return call(*args, **named)

    return called
