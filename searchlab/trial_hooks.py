"""What a trial asks and tells while it runs, and whose fault it is where that raises."""

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
    """What a trial asks and tells while it runs.

    `on_rung` gets the frontier at each of the study's rungs and says whether to go on; `interrupted` is looked at after
    every training step. `progress` is where the training is: a snapshot of it at a rung, given to another process's
    trial, goes on from there and asks at that rung again. `measure`, if there is one, measures the latency elsewhere.
    `in_unit` gives a latency in the study's unit of time, and raises UserError where it is of another machine.
    What a hook raises ends the trial without a record, but for a TrialFailure of `measure`.
    `say` gets a line where there is something to be told: that the trial waits, and for whom. `on_phase` gets the name
    of what begins now (see `phases`), also where that is done in a moment.
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
    """What a hook raised."""

    def __init__(self, raised: Exception) -> None:
        super().__init__(raised)
        self.raised = raised


@contextmanager
def hook() -> Iterator[None]:
    """Around a hook: what it raises is the caller's, and says nothing of the candidate."""
    try:
        yield
    except (TrialFailure, HookError):
        raise
    except Exception as error:  # of any type: it is raised again as it is
        raise HookError(error) from error


def as_hook(call: Callable[P, T]) -> Callable[P, T]:
    """The same call for whoever does not know that it is a hook."""

    def called(*args: P.args, **named: P.kwargs) -> T:
        with hook():
            return call(*args, **named)

    return called
