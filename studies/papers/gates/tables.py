"""Paper 001, "Automatic Early Stopping" (EarlyExit, Sanie et al. 2023): the evaluations of section 6, alpha, rules.

The paper is a proposal and publishes no results. Known is the authors' own sweep of alpha, in their repository.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from searchlab import Cell, Finished, Paper, Table
from searchlab.lab import OperatingPoint, from_plain, percent, percent_of, points_above

from .evaluation import evaluate_gates
from .found import BUDGETS, FRONTIER, PLAIN, ZERO, GatesFound
from .runtime import SHARES, runtime_ratio, seconds, slope_ms, slope_ratio
from .sweep import ALPHAS

EARLY_EXIT, BRANCHY_NET = "EarlyExit", "BranchyNet"
"""Rows of a study: one backbone, with gates trained afterwards, or with all exits trained jointly."""

SWEPT = {0.8: 94.8, 0.85: 88.1}
"""Alpha to accuracy in percent, in the authors' own sweep, with ResNet50."""

RULE_LABELS = {
    ZERO: "gate at 0 (a training for each alpha)",
    FRONTIER: FRONTIER,
    "exact": "exact frontier, every score",
    "entropy_grid": "entropy grid (BranchyNet)",
    "class_wise": "thresholds by class, shrunk",
    "eenet": "budget, in EENet's manner",
    "msdnet_budgets": "budgets (MSDNet)",
    "shared_threshold": "one threshold for all exits",
    "let_in": "let-in (paper 000)",
    "patience": "patience",
}
"""Rules on EarlyExit's exit table, with their names in tables."""

JOINT_RULES = ("exact", "entropy_grid")
"""Rules on BranchyNet's exit table."""

THEIRS = "accuracy % (paper)"


def tables(studies: Sequence[Finished]) -> tuple[Table, ...]:
    """Gates against no exits, the sweep of alpha, the three evaluations of section 6, and the comparison of rules."""
    parts = [_part(finished) for finished in studies]
    return tuple(make(parts) for make in (_against_plain, _alphas, _by_size, _by_depth, _by_rule))


@dataclass(frozen=True)
class _Part:
    """A study's network and the findings about its two rows."""

    name: str
    gated: GatesFound | None
    joint: GatesFound | None
    paper_accuracy: dict[float, float]


def _part(finished: Finished) -> _Part:
    name = finished.study.name.removeprefix(f"{finished.study.paper}-")
    theirs = SWEPT if name.startswith("resnet50") else {}
    return _Part(name, _found(finished, EARLY_EXIT), _found(finished, BRANCHY_NET), theirs)


def _found(finished: Finished, row: str) -> GatesFound | None:
    findings = finished.found(row)
    return from_plain(GatesFound, findings, where=f"{finished.study.name}, {row}") if findings else None


def _against_plain(parts: Sequence[_Part]) -> Table:
    """Whether gated exits are within one point of the accuracy without exits, and faster."""
    columns = (
        *("network", "rule", "alpha", THEIRS, "accuracy %, without exits", "accuracy %", "difference, points"),
        *("ms an image, without exits", "ms an image", "runtime ratio", "within 1 point and faster"),
    )
    rows = [(part.name, rule, *_compared(part, rule)) for part in parts for rule in (ZERO, FRONTIER)]
    notes = (
        "test split; alpha and thresholds: the cheapest that on validation is within 1 point of the accuracy without "
        "exits, as far as 95 % of the difference's interval can say",
        "difference: of the same images, 95 % interval (Bonett and Price 2012); ms: the slope of the measured runtimes",
    )
    return Table("Gated exits against the same backbone without exits", columns, tuple(rows), notes)


def _compared(part: _Part, rule: str) -> tuple[Cell, ...]:
    found = part.gated
    if found is None or found.contenders is None:
        return (None,) * 9
    plain, other = found.contenders[PLAIN], found.contenders[rule]
    difference, ratio = points_above(other.gained, other.lost, found.samples), slope_ratio(found.sets, rule, PLAIN)
    alpha = found.alphas[found.chosen[rule]].alpha
    return (
        *(alpha, part.paper_accuracy.get(alpha), percent_of(plain.correct, found.samples)),
        *(percent_of(other.correct, found.samples), difference),
        *(slope_ms(found.sets, PLAIN), slope_ms(found.sets, rule), ratio),
        "yes" if difference.value >= -1 and ratio.high < 1 else "no",
    )


def _alphas(parts: Sequence[_Part]) -> Table:
    point = ("accuracy %", "latency ms", "MACs", "leave at each exit %")
    frontier = tuple(f"{name}, frontier" for name in point)
    columns = ("network", "alpha", "validation accuracy %", THEIRS, *point, *frontier)
    rows = []
    for part in parts:
        for i, alpha in enumerate(ALPHAS):
            cells: tuple[Cell, ...] = (None, part.paper_accuracy.get(alpha), *[None] * 8)
            if part.gated:
                found = part.gated.alphas[i]
                validation = percent_of(found.zero.validation.correct, found.zero.validation.samples)
                exits = len(part.gated.exits)
                both = (*_point(found.zero.test, exits), *_point(found.frontier.test, exits))
                cells = (validation, part.paper_accuracy.get(alpha), *both)
            rows.append((part.name, alpha, *cells))
    notes = (
        "leave where the gate is at least 0; frontier: by the gate's score, the cheapest on validation within 1 point",
        "latency and MACs: expected, from measured parts and who leaves where; the paper's: the authors' own sweep",
    )
    return Table("Alpha: a training of the gates each, backbone and classifiers shared", columns, tuple(rows), notes)


def _point(point: OperatingPoint, exits: int) -> tuple[Cell, ...]:
    share = dict(zip(point.rule.exits, point.shares, strict=True))
    shares = " ".join(f"{100 * share.get(k, 0):.0f}" for k in range(exits))
    return (percent_of(point.correct, point.samples), point.latency_ms, round(point.macs), shares)


def _by_size(parts: Sequence[_Part]) -> Table:
    """Evaluations 1 and 2."""
    columns = ("network", "images", "rule", "runtime s (paper)", "runtime s", "ratio to without exits", "accuracy %")
    rows: list[tuple[Cell, ...]] = []
    for part in parts:
        for size in range(len(SHARES) + 1):
            rows += [(part.name, *_of_size(part.gated, size, rule)) for rule in (PLAIN, ZERO, FRONTIER)]
    notes = (
        "measured one image after the other, in turns; the last size is the whole test split, which is not timed",
        "how fast runtime grows with size: see ms an image above",
    )
    return Table(
        "Evaluations 1 and 2: runtime and accuracy on test sets of increasing sizes", columns, tuple(rows), notes
    )


def _of_size(found: GatesFound | None, size: int, rule: str) -> tuple[Cell, ...]:
    if found is None or found.contenders is None:
        return (None, rule, None, None, None, None)
    contender = found.contenders[rule]
    if size == len(found.sets):
        return (found.samples, rule, None, None, None, percent_of(contender.correct, found.samples))
    timed = found.sets[size]
    ratio = None if rule == PLAIN else runtime_ratio(timed, rule, PLAIN)
    right = percent_of(contender.correct_in_sets[size], timed.images)
    return (timed.images, rule, None, seconds(timed, rule), ratio, right)


def _by_depth(parts: Sequence[_Part]) -> Table:
    """Evaluation 3."""
    columns = ("network", "exit after", "leave here %", THEIRS, "accuracy % of those", "accuracy % if all left here")
    rows: list[tuple[Cell, ...]] = []
    for part in parts:
        found = part.gated
        if found is None:
            rows.append((part.name, *[None] * 5))
            continue
        point = found.alphas[found.chosen[ZERO]].zero.test
        taken = {k: i for i, k in enumerate(point.rule.exits)}
        for k, name in enumerate(found.exits):
            share = point.shares[taken[k]] if k in taken else 0.0
            left = round(share * point.samples)
            of_those = percent_of(point.correct_per_exit[taken[k]], left) if left else None
            rows.append((part.name, name, 100 * share, None, of_those, percent_of(found.correct[k], found.samples)))
    notes = ("gates of the alpha chosen for leaving at 0; test split",)
    return Table("Evaluation 3: accuracy by the depth at which images leave", columns, tuple(rows), notes)


def _by_rule(parts: Sequence[_Part]) -> Table:
    columns = ["network", "trained as", "rule", THEIRS]
    for budget in BUDGETS:
        columns += [f"accuracy % at {100 * budget:.0f} % of the cost", f"cost % there, of {100 * budget:.0f}"]
    rows: list[tuple[Cell, ...]] = []
    notes = ["cost: that without exits, in latency where it was measured, else in MACs; fitted on validation"]
    for part in parts:
        for manner, found, keys in ((EARLY_EXIT, part.gated, RULE_LABELS), (BRANCHY_NET, part.joint, JOINT_RULES)):
            by_name = {rule.rule: rule for rule in found.rules} if found else {}
            for key in keys:
                rule = by_name.get(key)
                cells: list[Cell] = []
                for i in range(len(BUDGETS)):
                    accuracy, cost = (rule.accuracy[i], rule.cost[i]) if rule else (None, None)
                    cells += [accuracy and percent(accuracy), None if cost is None else 100 * cost]
                rows.append((part.name, manner, RULE_LABELS[key], None, *cells))
                if rule and rule.left_out:
                    notes.append(f"{part.name}, {manner}, {RULE_LABELS[key]}: left out, {rule.left_out}")
    return Table(
        "Rules on the same exit table, the gates of the alpha chosen for leaving at 0",
        tuple(columns),
        tuple(rows),
        tuple(notes),
    )


PAPER = Paper(
    "Automatic Early Stopping for Improving the Efficiency of Pre-Trained Image Classification Models",
    tables,
    evaluate_gates,
)
