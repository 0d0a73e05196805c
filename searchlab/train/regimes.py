"""In which order the parts of an early-exit network learn: name to phases."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from searchlab.candidate import Candidate
from searchlab.errors import unknown


@dataclass(frozen=True)
class Phase:
    """Some epochs in which some parts learn. `loss_weights` has one weight per exit, the final head's last."""

    epochs: int
    learns: Literal["all", "heads"]
    loss_weights: tuple[float, ...]


def _all_weights(candidate: Candidate) -> tuple[float, ...]:
    return (*(exit.loss_weight for exit in candidate.exits), candidate.training.final_loss_weight)


def _final_only(candidate: Candidate) -> tuple[float, ...]:
    return (*(0.0 for _ in candidate.exits), 1.0)


def _joint(candidate: Candidate, epochs: int) -> tuple[Phase, ...]:
    """Everything at once."""
    return (Phase(epochs, "all", _all_weights(candidate)),)


def _frozen(candidate: Candidate, epochs: int) -> tuple[Phase, ...]:
    """The backbone with its final head first, then the other heads on the frozen backbone."""
    heads = epochs // 4
    if not candidate.exits or heads == 0:
        return _joint(candidate, epochs)
    weights = (*(exit.loss_weight for exit in candidate.exits), 0.0)
    return (Phase(epochs - heads, "all", _final_only(candidate)), Phase(heads, "heads", weights))


def _mixed(candidate: Candidate, epochs: int) -> tuple[Phase, ...]:
    """The backbone with its final head first, then everything (the best of the three in the literature)."""
    if not candidate.exits or epochs < 2:
        return _joint(candidate, epochs)
    first = epochs // 2
    return (Phase(first, "all", _final_only(candidate)), Phase(epochs - first, "all", _all_weights(candidate)))


REGIMES: dict[str, Callable[[Candidate, int], tuple[Phase, ...]]] = {
    "joint": _joint,
    "frozen": _frozen,
    "mixed": _mixed,
}


def phases(candidate: Candidate, epochs: int) -> tuple[Phase, ...]:
    """The phases of a candidate's regime; their epochs add up to `epochs`.

    Raises:
        UserError: no regime has that name.
    """
    regime = candidate.training.regime
    if regime not in REGIMES:
        raise unknown("regime", regime, REGIMES, where="Training.regime")
    return REGIMES[regime](candidate, epochs)
