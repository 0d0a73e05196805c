"""The exact frontier's speed and its claim to be exact, on an exit table of a made-up network.

The table: 10,000 samples, 4 exits, 10 classes. Every sample has a difficulty, and noise on its logits that all exits
share; later exits raise the true class's logit more, so they are right more often and their scores mean more, as in a
trained network. Costs: four stages of growing cost, four equal heads, a decision at every exit but the last.

Timed, for all 101^3 threshold vectors of all four exits with one score: one pass (levels, histograms, all accuracies
and all latencies), the same with the front picked from them, and the evaluation of one vector directly with boolean
masks, as lean as we could write it. All start from the scores and from who is right, and are timed in turns.
"""

import time
from collections.abc import Sequence

import numpy as np
from common import arguments, median_seconds, report
from numpy.typing import NDArray

from searchlab.baselines.rules import RULE_FAMILIES, thresholds_in
from searchlab.exits.costs import exit_cost_ms, total_cost
from searchlab.exits.dominance_filter import Axis, Sieve
from searchlab.exits.evaluate import scores_of
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.scores import SCORES
from searchlab.exits.table import ExitTable
from searchlab.exits.threshold_vectors import Tally, blocks, tally
from searchlab.exits.thresholds import Grid, make_grid
from searchlab.front.pareto import values_of
from searchlab.objective import accuracy, latency_ms
from searchlab.record import NetworkCost, Profile, SegmentCost, SegmentLatency

SAMPLES, EXITS, CLASSES, LEVELS = 10_000, 4, 10, 101
SCORE = "margin"


def make_table(samples: int, seed: int = 0) -> ExitTable:
    rng = np.random.default_rng(seed)
    labels_N = rng.integers(0, CLASSES, samples)
    difficulty_N1 = rng.normal(size=(samples, 1))
    logits_NKC = 1.6 * rng.normal(size=(samples, 1, CLASSES)) + rng.normal(size=(samples, EXITS, CLASSES))
    skill_K = np.linspace(1.2, 3.2, EXITS)
    logits_NKC[np.arange(samples), :, labels_N] += 2.4 * (skill_K - 1.2 * difficulty_N1)
    return ExitTable(logits_NKC.astype(np.float32), labels_N.astype(np.int64))


def make_costs() -> tuple[NetworkCost, SegmentLatency]:
    stages = tuple(SegmentCost(f"stage {i}", 10_000 * 2**i, 1_000_000 + 170_000 * i) for i in range(EXITS))
    heads = tuple(SegmentCost(f"head {i}", 650, 1_300) for i in range(EXITS))
    stages_ms = tuple(0.1 + 0.037 * i for i in range(EXITS))
    latency = SegmentLatency(stages_ms, (0.021,) * EXITS, dict.fromkeys(SCORES, 0.0053))
    return NetworkCost(stages, heads, tuple(range(EXITS))), latency


def direct(
    score_KN: Sequence[NDArray[np.float64]], correct_KN: Sequence[NDArray[np.bool_]], thresholds: Sequence[float]
) -> tuple[int, list[int]]:
    """How many samples are right under one vector, and how many stay past each exit: as lean as masks get."""
    staying, right, stayed = np.ones(len(score_KN[0]), dtype=np.bool_), 0, []
    for score_N, correct_N, threshold in zip(score_KN, correct_KN, thresholds, strict=False):
        leaves = score_N >= threshold
        leaves &= staying
        staying ^= leaves
        leaves &= correct_N
        right += int(np.count_nonzero(leaves))
        stayed.append(int(np.count_nonzero(staying)))
    return right + int(np.count_nonzero(staying & correct_KN[-1])), stayed


class Pass:
    """All vectors of all exits with one score, on one table."""

    def __init__(self, table: ExitTable) -> None:
        cost, latency = make_costs()
        self.samples = table.samples
        self.score_NK = scores_of(table, SCORE)
        self.score_KN = [np.ascontiguousarray(score_N) for score_N in self.score_NK.T]
        self.correct_KN = [np.ascontiguousarray(correct_N) for correct_N in table.correct_NK.T]
        self.cost_K = exit_cost_ms(cost, latency, range(EXITS), SCORE)
        self.grid = make_grid(self.score_NK, LEVELS)

    def count(self, grid: Grid) -> Tally:
        return tally(list(grid.levels_KN[:-1]), self.correct_KN, grid.sizes(range(EXITS - 1)))

    def evaluate(self) -> int:
        """Levels, histograms, and every vector's errors and latency."""
        return sum(
            len(wrong_P) for _, (wrong_P, _) in blocks(self.count(make_grid(self.score_NK, LEVELS)), [self.cost_K])
        )

    def search(self) -> int:
        """The same, with the candidates for the front sifted out."""
        sieve = Sieve([Axis(0, self.samples, self.samples + 1, exact=True)])
        counts = self.count(make_grid(self.score_NK, LEVELS))
        return sum(len(sieve.let_through(values)) for _, values in blocks(counts, [self.cost_K]))

    def ladders(self) -> list[list[float]]:
        return [[*thresholds.tolist(), np.inf] for thresholds in self.grid.thresholds[:-1]]

    def largest_difference(self, positions: NDArray[np.intp]) -> tuple[float, float]:
        """Largest difference from direct evaluation: in samples that are wrong, and in ms of all samples together."""
        ladders = self.ladders()
        at_PK = np.column_stack(np.unravel_index(positions, [len(ladder) for ladder in ladders])).tolist()
        every = list(blocks_copied(self.count(self.grid), self.cost_K))
        wrong_P = np.concatenate([wrong for wrong, _ in every])[positions].tolist()
        total_P = np.concatenate([total for _, total in every])[positions].tolist()
        worst_count, worst_ms = 0, 0.0
        for at, wrong, total in zip(at_PK, wrong_P, total_P, strict=True):
            thresholds = [ladder[i] for ladder, i in zip(ladders, at, strict=True)]
            right, stayed = direct(self.score_KN, self.correct_KN, thresholds)
            worst_count = max(worst_count, abs(self.samples - right - wrong))
            worst_ms = max(worst_ms, abs(total_cost(self.cost_K, self.samples, stayed) - total))
        return worst_count, worst_ms


def blocks_copied(counts: Tally, cost_K: NDArray[np.float64]) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    return [(wrong_P.copy(), total_P.copy()) for _, (wrong_P, total_P) in blocks(counts, [cost_K])]


def dominated_shares(table: ExitTable, max_vectors: int) -> dict[str, float]:
    """Which share of each family's points the exact frontier weakly dominates, with their thresholds in its grid."""
    cost, latency = make_costs()
    objectives = (accuracy, latency_ms)
    families = {
        name: RULE_FAMILIES[name](
            table, Profile(cost, latency), FrontierSettings(scores=(SCORE,), thresholds_per_exit=21)
        )
        for name in ("msdnet_budgets", "shared_threshold")
    }
    shares = {}
    for name, points in families.items():
        extra = thresholds_in(points, EXITS)
        settings = FrontierSettings(scores=(SCORE,), max_points=10**9, max_vectors=max_vectors, extra=extra)
        front_FM = values_of(exact_frontier(table, Profile(cost, latency), settings).points, objectives)
        covered = [bool(np.any(np.all(front_FM <= row_M, axis=1))) for row_M in values_of(points, objectives)]
        shares[name] = sum(covered) / len(covered)
    return shares


def timings(every: Pass, repeats: int) -> dict[str, float]:
    """Seconds of a pass, of a pass with selection, and of one vector directly."""
    rng = np.random.default_rng(1)
    ladders = every.ladders()
    sample = [[float(rng.choice(ladder)) for ladder in ladders] for _ in range(500)]
    runs = {
        "pass": every.evaluate,
        "selection": every.search,
        "direct": lambda: [direct(every.score_KN, every.correct_KN, thresholds) for thresholds in sample],
    }
    seconds = median_seconds(runs, repeats)
    return {**seconds, "direct": seconds["direct"] / len(sample)}


def main() -> None:
    options = arguments(__doc__ or "")
    table = make_table(SAMPLES)
    every = Pass(table)
    vectors = every.count(every.grid).vectors
    seconds = timings(every, 7 if options.quick else 41)
    compared = np.arange(vectors)
    if options.quick:
        compared = np.sort(np.random.default_rng(2).choice(vectors, 20_000, replace=False))
    worst_count, worst_ms = every.largest_difference(compared)
    begin = time.perf_counter()
    points = exact_frontier(table, Profile(*make_costs())).points
    whole_s = time.perf_counter() - begin
    shares = dominated_shares(table, 8_000_000)
    figures = {
        "samples": SAMPLES,
        "exits": EXITS,
        "accuracy_per_exit": [float(round(share, 4)) for share in table.correct_NK.mean(axis=0)],
        "vectors": vectors,
        "direct_us_per_vector": seconds["direct"] * 1e6,
        "pass_ms": seconds["pass"] * 1e3,
        "pass_and_selection_ms": seconds["selection"] * 1e3,
        "times_faster_with_selection": seconds["direct"] * vectors / seconds["selection"],
        "vectors_compared": len(compared),
        "all_scores_all_subsets_s": whole_s,
        "points_kept": len(points),
    }
    bars = {
        "times_faster_per_vector": (seconds["direct"] * vectors / seconds["pass"], 1000.0, "min"),
        "largest_difference_in_samples": (float(worst_count), 0.0, "max"),
        "largest_difference_in_ms": (worst_ms, 0.0, "max"),
        "msdnet_weakly_dominated": (shares["msdnet_budgets"], 1.0, "min"),
        "shared_threshold_weakly_dominated": (shares["shared_threshold"], 1.0, "min"),
    }
    report("frontier", figures, bars)


if __name__ == "__main__":
    main()
