"""Regimes: the phases in which the parts of an early-exit network are trained, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from searchlab.candidate import Candidate
from searchlab.errors import unknown

Learns = Literal["all", "heads", "gates"]


@dataclass(frozen=True)
class Phase:
    """A phase: some epochs in which some parts are trained; the others are frozen, statistics included.

    "all" is stages and heads, "heads" heads on the frozen stages, "gates" gates with all else frozen. `loss_weights`
    has one weight per exit, the final head's last (for gates, the samples that reach an exit weight it instead).
    `exit_costs` are the costs of leaving at each exit, from 0 to 1; only gates learn from them.
    """

    epochs: int
    learns: Learns
    loss_weights: tuple[float, ...]
    exit_costs: tuple[float, ...] = ()


def _all_weights(candidate: Candidate) -> tuple[float, ...]:
    return (*(exit.loss_weight for exit in candidate.exits), candidate.training.final_loss_weight)


def _final_only(candidate: Candidate) -> tuple[float, ...]:
    return (*(0.0 for _ in candidate.exits), 1.0)


def _joint(candidate: Candidate, epochs: int) -> tuple[Phase, ...]:
    """Trains everything at once."""
    return (Phase(epochs, "all", _all_weights(candidate)),)


def _frozen(candidate: Candidate, epochs: int) -> tuple[Phase, ...]:
    """Trains the backbone with its final head, then the other heads on the frozen backbone."""
    return _backbone_then_heads(candidate, epochs, _later(candidate, epochs, epochs // 4))


def _mixed(candidate: Candidate, epochs: int) -> tuple[Phase, ...]:
    """Trains the backbone with its final head, then everything (the best of the three in the literature)."""
    if not candidate.exits or epochs < 2:
        return _joint(candidate, epochs)
    first = epochs // 2
    return (Phase(first, "all", _final_only(candidate)), Phase(epochs - first, "all", _all_weights(candidate)))


def _gates(candidate: Candidate, epochs: int) -> tuple[Phase, ...]:
    """Trains backbone, heads, then gates (paper 001, section 4). With two epochs: everything, then gates."""
    later = min(epochs - 1, max(2, _later(candidate, epochs, epochs // 2)))
    if later == 0:
        return _joint(candidate, epochs)
    gates = max(1, later // 2)
    before = _backbone_then_heads(candidate, epochs - gates, later - gates)
    return (*before, Phase(gates, "gates", _all_weights(candidate)))


def _later(candidate: Candidate, epochs: int, usual: int) -> int:
    """Returns the epochs after the backbone's: the share in the heads' recipe, at least 1 of two or more."""
    heads = candidate.training.heads
    return usual if heads is None else min(epochs - 1, max(1, round(heads.epochs * epochs)))


def _backbone_then_heads(candidate: Candidate, epochs: int, heads: int) -> tuple[Phase, ...]:
    if not candidate.exits or heads == 0:
        return _joint(candidate, epochs)
    weights = (*(exit.loss_weight for exit in candidate.exits), 0.0)
    return (Phase(epochs - heads, "all", _final_only(candidate)), Phase(heads, "heads", weights))


REGIMES: dict[str, Callable[[Candidate, int], tuple[Phase, ...]]] = {
    "joint": _joint,
    "frozen": _frozen,
    "mixed": _mixed,
    "gates": _gates,
}


def check_regime(regime: str) -> None:
    """Raises UserError if no regime has that name."""
    if regime not in REGIMES:
        raise unknown("regime", regime, REGIMES, where="Training.regime")


def phases(candidate: Candidate, epochs: int) -> tuple[Phase, ...]:
    """Returns the phases of a candidate's regime; their epochs add up to `epochs`.

    Raises:
        UserError: no regime has that name.
    """
    regime = candidate.training.regime
    check_regime(regime)
    return REGIMES[regime](candidate, epochs)
