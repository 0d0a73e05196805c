"""The exact frontier of one network: all scores, sets of exits, and threshold vectors on a grid.

Shapes: N samples, K exits of the table, P points, M objectives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from searchlab.errors import UserError
from searchlab.exits.costs import Costs, deployed_params, exit_cost_macs, exit_cost_ms
from searchlab.exits.dominance_filter import Axis, Sieve
from searchlab.exits.evaluate import normalised, operating_point, scores_of
from searchlab.exits.scores import SCORES, Scores
from searchlab.exits.table import ExitTable
from searchlab.exits.threshold_vectors import blocks, tally
from searchlab.exits.thresholds import Grid, grids_by_size, make_grid
from searchlab.front.pareto import non_dominated, thin, values_of
from searchlab.objective import Objective, accuracy, latency_ms, macs, params
from searchlab.operating_point import ExitRule, Frontier, OperatingPoint
from searchlab.record import Profile

CELLS = 256
"""Cells per axis of the dominance filter if three values vary with the thresholds."""

FINE_CELLS = 2048
"""The same for a second filter behind the first."""


@dataclass(frozen=True)
class FrontierSettings:
    """Settings of the frontier search: scores, objectives, sizes, and the number of points to keep.

    `thresholds_per_exit` includes "never". Rules with more than `max_exits` exits are not tried. If a set of exits has
    more than `max_vectors` threshold vectors, its thresholds are thinned evenly. The search is exact over the remaining
    vectors. `extra` adds thresholds: for a score, those per exit.
    """

    objectives: tuple[Objective, ...] = (accuracy, latency_ms)
    scores: tuple[str, ...] = tuple(SCORES)
    thresholds_per_exit: int = 101
    max_points: int = 50
    max_exits: int = 5
    max_vectors: int = 2_000_000
    min_accuracy: float = 0.0
    extra: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.scores, "a search needs a score"
        for name, least in {
            "thresholds_per_exit": 2,
            "max_points": len(self.objectives),
            "max_exits": 1,
            "max_vectors": 2,
        }.items():
            if getattr(self, name) < least:
                raise UserError(
                    "invalid-field",
                    "invalid value",
                    where=f"frontier {name}",
                    value=getattr(self, name),
                    allowed=f"from {least}",
                )


@dataclass(frozen=True)
class _Sweep:
    """All rules with one score on one set of exits, with the exit costs in every cost that varies."""

    score: str
    exits: tuple[int, ...]
    grid: Grid
    params: int
    costs: tuple[Costs, ...]

    def rule(self, position: int) -> ExitRule:
        """Returns the rule at a position among the threshold vectors in C order."""
        ladders = [(*self.grid.thresholds[k].tolist(), np.inf) for k in self.exits[:-1]]
        at = np.unravel_index(position, [len(ladder) for ladder in ladders]) if ladders else ()
        return ExitRule(self.score, self.exits, tuple(ladder[i] for ladder, i in zip(ladders, at, strict=True)))


def exact_frontier(
    table: ExitTable,
    profile: Profile,
    settings: FrontierSettings | None = None,
    split: str = "validation",
) -> Frontier:
    """Returns the non-dominated operating points over all scores, sets of exits and vectors, cheapest first.

    Exact over the grid of thresholds, then thinned to `max_points` by hypervolume. Returned rules contain no
    exit without samples. Cheapest is by the first objective that is not accuracy.

    Raises:
        UserError: an unknown score, one whose decision latency was not measured, or "gate" without gates.
    """
    settings = settings or FrontierSettings()
    assert table.exits == len(profile.cost.heads), (table.exits, len(profile.cost.heads))
    measured = profile.latency is not None
    assert measured or latency_ms not in settings.objectives, "latency is an objective, but was not measured"
    scores = {name: scores_of(table, name) for name in settings.scores}
    sweeps = _sweeps(scores, profile, settings)
    found_P2, values_PM = _candidates(table, sweeps, settings.objectives)
    if accuracy in settings.objectives and settings.min_accuracy > 0:
        good = _good_enough(values_PM[:, 0], (1 - settings.min_accuracy) * table.samples)
        found_P2, values_PM = found_P2[good], values_PM[good]
    points = []
    for number, position in found_P2[thin(values_PM, settings.max_points)].tolist():
        rule = sweeps[number].rule(position)
        # The same rule without unused exits is in another sweep at equal cost, but rounding could rank it second.
        rule = normalised(scores[rule.score], rule)
        points.append(operating_point(table.correct_NK, scores[rule.score], rule, profile))
    return Frontier(split, _cheapest_first(points, settings.objectives))


def _good_enough(wrong_P: NDArray[np.float64], most: float) -> NDArray[np.bool_]:
    """Selects points with at most this many errors; if there are none, those with the fewest."""
    return np.asarray(wrong_P <= max(most, wrong_P.min()) + 1e-6)


def _sweeps(scores: Mapping[str, Scores], profile: Profile, settings: FrontierSettings) -> list[_Sweep]:
    """Yields every score with every set of exits."""
    exits_in_all = len(profile.cost.heads)
    sweeps: list[_Sweep] = []
    for name, score_NK in scores.items():
        finest = make_grid(score_NK, settings.thresholds_per_exit, settings.extra.get(name, ()))
        grids = grids_by_size(finest, min(settings.max_exits, exits_in_all), settings.max_vectors)
        for size, grid in enumerate(grids, start=1):
            for exits in combinations(range(exits_in_all), size):
                varying = _leaving(settings.objectives, profile, exits, name)
                sweeps.append(_Sweep(name, exits, grid, deployed_params(profile.cost, exits, name), varying))
    # Fewest parameters first: no earlier point has more, so the filter needs no axis for parameters.
    return sorted(sweeps, key=lambda sweep: sweep.params)


def _leaving(
    objectives: Sequence[Objective],
    profile: Profile,
    exits: tuple[int, ...],
    score: str,
) -> tuple[Costs, ...]:
    """Returns the costs of leaving in every objective that is a cost and varies with the thresholds."""
    costs = []
    if profile.latency is not None and latency_ms in objectives:
        costs.append(exit_cost_ms(profile.cost, profile.latency, exits, score))
    if macs in objectives:
        costs.append(exit_cost_macs(profile.cost, exits, score))
    return tuple(costs)


def _candidates(
    table: ExitTable, sweeps: Sequence[_Sweep], objectives: Sequence[Objective]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Returns candidates for the front: the number of the sweep, the position in it, and values_PM.

    They contain every rule of the front. Values are minimised and are totals over all samples: wrong samples, latency,
    MACs.
    """
    correct = tuple(np.ascontiguousarray(table.correct_NK.T))
    sieve = _sieve(table.samples, sweeps, objectives, CELLS)
    found, found_values = [], []
    for number, sweep in enumerate(sweeps):
        early = sweep.exits[:-1]
        levels = [sweep.grid.levels_KN[k] for k in early]
        counts = tally(levels, [correct[k] for k in sweep.exits], sweep.grid.sizes(early))
        for start, (wrong_P, *totals) in blocks(counts, sweep.costs):
            values = [wrong_P, *totals] if accuracy in objectives else totals
            new = sieve.let_through(values)
            if len(new):
                fixed = [np.full(len(new), sweep.params)] if params in objectives else []
                found_values.append(np.column_stack([*(value[new] for value in values), *fixed]).astype(np.float64))
                found.append(np.column_stack((np.full(len(new), number), start + new)))
    found_P2, values_PM = np.concatenate(found), np.concatenate(found_values)
    if params in objectives:
        return found_P2, values_PM
    again = _sieve(table.samples, sweeps, objectives, FINE_CELLS).let_through(list(values_PM.T))
    return found_P2[again], values_PM[again]


def _sieve(samples: int, sweeps: Sequence[_Sweep], objectives: Sequence[Objective], cells: int) -> Sieve:
    costs = len(sweeps[0].costs)
    wide = costs == 2 and accuracy in objectives and samples >= cells
    axes = [Axis(0, samples, cells) if wide else Axis(0, samples, samples + 1, exact=True)]
    for i in range(costs):
        low = min(sweep.costs[i].min() for sweep in sweeps)
        high = max(sweep.costs[i].max() for sweep in sweeps)
        axes.append(Axis(float(low) * samples, float(high) * samples, cells))
    # The filter has an axis for every value but the last.
    return Sieve((axes if accuracy in objectives else axes[1:])[:-1])


def _cheapest_first(points: Sequence[OperatingPoint], objectives: Sequence[Objective]) -> tuple[OperatingPoint, ...]:
    by_cost = [*(o for o in objectives if o != accuracy), *(o for o in objectives if o == accuracy)]
    return tuple(points[i] for i in non_dominated(values_of(points, by_cost)))
