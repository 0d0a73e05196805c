"""Evaluation of a network with exits (paper 001): the sweep of alpha, rules, and the evaluations of section 6.

Shape suffixes: N images, C channels, H and W pixels, K exits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from searchlab import Findings, Objective, Subject, accuracy, latency_ms, macs
from searchlab.lab import (
    GATE,
    EarlyExitRuntime,
    ExitRule,
    ExitTable,
    FrontierSettings,
    Judged,
    Normaliser,
    OperatingPoint,
    Profile,
    Row,
    Run,
    available_scores,
    chosen_at,
    compare,
    difference_estimate,
    evaluate,
    exact,
    exit_cost_macs,
    exit_cost_ms,
    gained_and_lost,
    gate_at_zero,
    prepared,
    route,
    run_without_exits,
    scores_of,
    tabulate,
    to_plain,
)

from .found import BUDGETS, FRONTIER, LOSS, PLAIN, ZERO, AlphaFound, Both, ContenderFound, GatesFound, RuleFound
from .runtime import RuntimeOptions, SetRuntime, runtimes
from .sweep import Swept, sweep


def evaluate_gates(subject: Subject) -> Findings:
    """Evaluate a trial: `GatesFound` as plain data. All choices are made on the validation split.

    Raises:
        TrialFailure: gates diverged.
    """
    setup = _setup_of(subject)
    found: Findings = to_plain(_gated(subject, setup) if subject.record.candidate.gates else _ungated(subject, setup))
    return found


@dataclass(frozen=True)
class _GatesSetup:
    """Costs and settings that all rules share. `by` is the deciding cost, `full` that of the network without exits."""

    profile: Profile
    settings: FrontierSettings
    by: Objective
    full: float

    def both(self, rule: ExitRule, tables: Swept) -> Both:
        validation, test = (evaluate(table, rule, self.profile) for table in (tables.validation, tables.test))
        return Both(validation, test)

    def cost_of(self, point: OperatingPoint) -> float:
        return float(getattr(point, self.by.name))

    def cheapest(self, points: Sequence[OperatingPoint], tables: Sequence[ExitTable]) -> int:
        """Index of the cheapest point that is accurate enough on its table; else of the most accurate point."""
        for i in sorted(range(len(points)), key=lambda i: self.cost_of(points[i])):
            if accurate_enough(points[i], tables[i]):
                return i
        return max(range(len(points)), key=lambda i: (points[i].correct, -self.cost_of(points[i])))


def _setup_of(subject: Subject) -> _GatesSetup:
    record = subject.record
    assert record.cost is not None
    latency = record.latency.segments if record.latency else None
    by = latency_ms if latency else macs
    scores = available_scores(subject.study.scores, gated=bool(record.candidate.gates))
    # All points are kept: a frontier reduced to fifty could lose to rules that it contains.
    settings = FrontierSettings((accuracy, by), scores, subject.study.thresholds_per_exit, max_points=10_000)
    last = (len(record.cost.heads) - 1,)
    costs = (
        exit_cost_ms(record.cost, latency, last, scores[0]) if latency else exit_cost_macs(record.cost, last, scores[0])
    )
    return _GatesSetup(record.profile, settings, by, float(costs[0]))


def _ungated(subject: Subject, setup: _GatesSetup) -> GatesFound:
    """Evaluate a network without gates (BranchyNet): the rules that need none."""
    normaliser, dataset = Normaliser.of(subject.dataset, subject.device), subject.dataset
    splits = [split.to(subject.device) for split in (dataset.validation, dataset.test)]
    validation, test = (tabulate(subject.network, split, normaliser) for split in splits)
    return _found(setup, test, compare(validation, test, setup.profile, setup.settings))


def _gated(subject: Subject, setup: _GatesSetup) -> GatesFound:
    swept = sweep(subject)
    alphas = tuple(_alpha(setup, each) for each in swept)
    validations = [each.validation for each in swept]
    chosen = {
        ZERO: setup.cheapest([each.zero.validation for each in alphas], validations),
        FRONTIER: setup.cheapest([each.frontier.validation for each in alphas], validations),
    }
    gated = {
        ZERO: _Gated(swept[chosen[ZERO]], alphas[chosen[ZERO]].zero.test.rule),
        FRONTIER: _Gated(swept[chosen[FRONTIER]], alphas[chosen[FRONTIER]].frontier.test.rule),
    }
    order_N = np.random.default_rng(0).permutation(len(subject.dataset.test))
    sets = _timed(subject, gated, order_N)
    of_zero = gated[ZERO].swept
    return replace(
        _found(setup, of_zero.test, _rules(setup, of_zero, alphas)),
        alphas=alphas,
        chosen=chosen,
        contenders=_contenders(gated, [order_N[: each.images] for each in sets]),
        sets=sets,
    )


@dataclass(frozen=True)
class _Gated:
    """A contender with gates: those of one alpha, and the exit rule."""

    swept: Swept
    rule: ExitRule


def _alpha(setup: _GatesSetup, swept: Swept) -> AlphaFound:
    arguments = (swept.validation, setup.profile, replace(setup.settings, scores=(GATE,)))
    (zero,), frontier = gate_at_zero(*arguments), exact(*arguments)
    cheapest = frontier[setup.cheapest(frontier, [swept.validation] * len(frontier))]
    return AlphaFound(swept.alpha, setup.both(zero.rule, swept), setup.both(cheapest.rule, swept))


def _rules(setup: _GatesSetup, swept: Swept, alphas: Sequence[AlphaFound]) -> list[Row]:
    """Every rule on the table of one alpha; the rule "gate at 0" has one point for each alpha."""
    rows = compare(swept.validation, swept.test, setup.profile, setup.settings)
    gate_alone = replace(setup.settings, scores=(GATE,))
    frontier = [setup.both(point.rule, swept) for point in exact(swept.validation, setup.profile, gate_alone)]
    own = {ZERO: [each.zero for each in alphas], FRONTIER: frontier}
    return [
        *(row for row in rows if row.rule != "gate_at_zero"),
        *(Row(rule, tuple(Judged(b.test.rule, b.validation, b.test) for b in found)) for rule, found in own.items()),
    ]


def _found(setup: _GatesSetup, test: ExitTable, rows: Sequence[Row]) -> GatesFound:
    return GatesFound(
        samples=test.samples,
        exits=tuple(setup.profile.cost.stages[cut].name for cut in setup.profile.cost.cuts),
        correct=tuple(test.correct_NK.sum(axis=0).tolist()),
        by=setup.by.name,
        rules=tuple(_rule(setup, row) for row in rows),
    )


def _rule(setup: _GatesSetup, row: Row) -> RuleFound:
    chosen = [chosen_at(row.points, budget * setup.full, setup.by) for budget in BUDGETS]
    return RuleFound(
        row.rule,
        tuple(each.judged.accuracy_estimate if each else None for each in chosen),
        tuple(getattr(each.judged, setup.by.name) / setup.full if each else None for each in chosen),
        row.left_out,
    )


def _timed(subject: Subject, gated: Mapping[str, _Gated], order_N: NDArray[np.intp]) -> tuple[SetRuntime, ...]:
    """Measured runtimes: each contender with its gates and rule, and the network without exits."""
    networks, options = {name: each.swept.put_into(subject.network) for name, each in gated.items()}, RuntimeOptions()
    some_N = torch.from_numpy(order_N[: options.images])
    images_NCHW = Normaliser.of(subject.dataset, subject.device)(
        subject.dataset.test.images_NCHW[some_N].to(subject.device)
    )

    def prepare() -> dict[str, Run]:
        segments = {name: prepared(network, images_NCHW[:1].clone()) for name, network in networks.items()}
        return {PLAIN: run_without_exits(segments[ZERO])} | {
            name: EarlyExitRuntime(segments[name], each.rule).classify for name, each in gated.items()
        }

    return runtimes(prepare, images_NCHW, subject.threads, options)


def _contenders(gated: Mapping[str, _Gated], sets: Sequence[NDArray[np.intp]]) -> dict[str, ContenderFound]:
    plain_N = gated[ZERO].swept.test.correct_NK[:, -1]
    right = {PLAIN: plain_N} | {name: right_under(each.rule, each.swept.test) for name, each in gated.items()}
    return {
        name: ContenderFound(
            correct=int(right_N.sum()),
            correct_in_sets=tuple(int(right_N[chosen_N].sum()) for chosen_N in sets),
            gained=gained,
            lost=lost,
        )
        for name, right_N in right.items()
        for gained, lost in [gained_and_lost(right_N, plain_N)]
    }


def accurate_enough(point: OperatingPoint, table: ExitTable) -> bool:
    """Whether a point's accuracy is within LOSS of that of the final head alone, with 95 % confidence.

    Without the confidence, the cheapest of many points that just reach LOSS would do so by chance on these images.
    """
    plain_N = table.correct_NK[:, -1]
    if point.correct < plain_N.sum() - LOSS * table.samples:
        return False
    right_N = right_under(point.rule, table)
    return difference_estimate(*gained_and_lost(right_N, plain_N), table.samples).low >= -LOSS


def right_under(rule: ExitRule, table: ExitTable) -> NDArray[np.bool_]:
    """right_N: whether each sample is classified correctly at the exit that the rule assigns."""
    right_N = np.zeros(table.samples, dtype=np.bool_)
    for k, leaves_N in zip(rule.exits, route(scores_of(table, rule.score), rule), strict=True):
        right_N |= leaves_N & table.correct_NK[:, k]
    return right_N
