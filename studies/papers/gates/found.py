"""Findings about a network with exits (paper 001), as plain data: the content of its tables."""

from dataclasses import field

from pydantic.dataclasses import dataclass as noun

from searchlab.lab import NOUN, Estimate, OperatingPoint

from .runtime import SetRuntime

PLAIN, ZERO, FRONTIER = "without exits", "gate at 0", "gate, exact frontier"
"""Contenders: the final head alone; the paper's rule; fitted thresholds on the gates' score. One backbone."""

LOSS = 0.01
"""Loss of validation accuracy, against the network without exits, at which a point may still be chosen."""

BUDGETS = (0.5, 0.75)
"""Costs at which rules are compared, as shares of the cost without exits."""


@noun(frozen=True, config=NOUN)
class Both:
    """One rule on the validation split, where it was chosen, and on the test split."""

    validation: OperatingPoint
    test: OperatingPoint


@noun(frozen=True, config=NOUN)
class AlphaFound:
    """Gates of one alpha: with threshold 0, and with the cheapest rule of their frontier that is accurate enough."""

    alpha: float
    zero: Both
    frontier: Both


@noun(frozen=True, config=NOUN)
class RuleFound:
    """The test accuracy of a family of rules at each of BUDGETS, and the cost there as a share of that without exits.

    None if no rule is cheap enough; `left_out` is the reason if a family could not be evaluated.
    """

    rule: str
    accuracy: tuple[Estimate | None, ...]
    cost: tuple[float | None, ...]
    left_out: str = ""


@noun(frozen=True, config=NOUN)
class ContenderFound:
    """A contender on the test split and on each of the timed sets.

    Of all test images, `gained` are right with it and wrong without exits, `lost` the other way round.
    """

    correct: int
    correct_in_sets: tuple[int, ...]
    gained: int
    lost: int


@noun(frozen=True, config=NOUN)
class GatesFound:
    """All that the tables need about one network.

    `exits` are the names of the stages that exits come after; `correct` counts test images right at each exit if all
    left there. `by` names the cost that choices went by. Without gates there is nothing of `alphas`, `chosen` (the
    position among them of each gated contender's), `contenders` and `sets`.
    """

    samples: int
    exits: tuple[str, ...]
    correct: tuple[int, ...]
    by: str
    rules: tuple[RuleFound, ...]
    alphas: tuple[AlphaFound, ...] = ()
    chosen: dict[str, int] = field(default_factory=dict)
    contenders: dict[str, ContenderFound] | None = None
    sets: tuple[SetRuntime, ...] = ()
