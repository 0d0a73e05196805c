"""Paper 003, "CIFAR 100 ATNN Project" (Popescu 2024): its tables, and partitions beside one network of their size."""

from collections.abc import Sequence
from dataclasses import dataclass

from searchlab import Cell, Finished, Paper, Table
from searchlab.lab import Estimate, deciding_score, from_plain, gained_and_lost, percent_of, points_above

from .evaluation import PartitionFound, evaluate_partitions, unpacked


@dataclass(frozen=True)
class Published:
    """A row of the paper's: top-1 and top-3 accuracy in percent, minutes of training, MB of memory."""

    expert: str
    top_1: float
    top_3: float
    epochs: int
    minutes: int
    megabytes: int


THREE = {
    "3 groups, ResNet-34": Published("ResNet-34", 42.87, 64.36, 120, 37, 293),
    "3 groups, ResNet-18": Published("ResNet-18", 42.82, 63.23, 120, 25, 175),
    "3 groups, PreResNet": Published("PreResNet", 46.92, 69.98, 120, 39, 51),
}
"""Section 3.1."""

FOUR = {
    "4 groups, ResNet-34": Published("ResNet-34", 41.85, 62.91, 120, 39, 376),
    "4 groups, ResNet-18": Published("ResNet-18", 43.04, 66.87, 120, 26, 218),
    "4 groups, PreResNet": Published("PreResNet", 44.48, 68.46, 120, 40, 54),
}
"""Section 3.2."""

CPU = {"4 groups, ResNet-18, on a CPU": Published("ResNet-18", 42.09, 66.33, 85, 90, 218)}
"""Section 3.2, last table."""

THEIRS = (
    ("Section 3.1: three coarse classes", 3, THREE),
    ("Section 3.2: four coarse classes", 4, FOUR),
    ("Section 3.2: four coarse classes, on a CPU", 4, CPU),
)

ROUTER = "ResNet-18"
"""The router of every row. The introduction mentions a ResNet-34 as router, right on 83 %."""

ALONE = "one network"
"""The row with which the other rows of its study are compared."""

MEASURES = ("top 1 %", "top 3 %", "epochs", "training min", "memory MB")
PAIRS = tuple(name for measure in MEASURES for name in (f"{measure} (paper)", measure))
ORDINALS = ("first", "second", "third", "fourth")

OURS = (
    *("partition", "groups", "sizes of groups", "top 1 %", "top 3 %", "points above one network", "router right %"),
    *("sent to each expert %", "soft less hard routing, points", "parameters", "MACs", "memory MB"),
    *("training T MACs", "training s"),
)

POINTS = ("partition", "score", "threshold", "experts answer %", "validation %", "top 1 %", "MACs")

NOTES = (
    "epochs: passes over the training images; the paper shares them out at 35 to the router and 40 to the experts",
    "memory: ours is 1,000,000 bytes a MB; the paper's ResNets fit 1,024,000. The paper does not say which PreResNet:"
    " what its tables leave for each, 2.45 to 2.60 of these MB, is PreResNet-44 (662,641 parameters, 2.59)",
    "the paper trained on an RTX 3080 or, where it says so, on a CPU, on 50,000 images; ours holds 5,000 of them out",
)

SMALL_NOTES = (
    "training T MACs: of all forward passes; every row has about as many of them, and as many parameters, as the one"
    " network",
    "points above one network: same test images, 95 % interval of the difference (Bonett and Price 2012). Intervals"
    " hold for other images, not for other seeds: each row is one training",
    "soft less hard routing: of the same trained networks, a generalist aside",
    "MACs: of an image on average. With a generalist: at the point of the frontier that was best on validation images",
)


def tables(studies: Sequence[Finished]) -> tuple[Table, ...]:
    """The paper's tables and our comparison, as far as the studies have their rows."""
    found: list[Table] = []
    for finished in studies:
        rows = set(finished.study.rows)
        found += [
            _published(finished, title, groups, theirs) for title, groups, theirs in THEIRS if theirs.keys() <= rows
        ]
        if ALONE in rows:
            found += [_compared(finished), *_frontiers(finished)]
    return tuple(found)


def _published(finished: Finished, title: str, groups: int, theirs: dict[str, Published]) -> Table:
    columns = ("coarse model", *(f"{nth} category model" for nth in ORDINALS[:groups]), *PAIRS, "router right %")
    rows = []
    for name, published in theirs.items():
        said = (published.top_1, published.top_3, published.epochs, published.minutes, published.megabytes)
        found = _found(finished, name)
        ours: tuple[Cell, ...] = (None,) * 5
        if found:
            minutes = found.train_seconds / 60
            ours = (*_top(found), found.passes, minutes, found.megabytes)
        pairs = (cell for pair in zip(said, ours, strict=True) for cell in pair)
        rows.append((ROUTER, *(published.expert,) * groups, *pairs, _router(found)))
    return Table(title, columns, tuple(rows), (*NOTES, *_machines(finished)))


def _compared(finished: Finished) -> Table:
    alone = _found(finished, ALONE)
    rows = tuple((name, *_ours(_found(finished, name), alone)) for name in finished.study.rows)
    title = f"Partitions and one network of the same size on {finished.study.data}"
    return Table(title, OURS, rows, (*SMALL_NOTES, *_machines(finished)))


def _ours(found: PartitionFound | None, alone: PartitionFound | None) -> tuple[Cell, ...]:
    if found is None:
        return (None,) * (len(OURS) - 1)
    routed, above = found.routed, None
    if alone is not None and found != alone:
        right_N, alone_N = (unpacked(each.right, each.samples) for each in (found, alone))
        above = points_above(*gained_and_lost(right_N, alone_N), found.samples)
    sizes = ", ".join(str(size) for size in routed.sizes) if routed else None
    sent = ", ".join(f"{100 * count / found.samples:.0f}" for count in routed.sent) if routed else None
    soft = points_above(routed.soft_alone, routed.hard_alone, found.samples) if routed else None
    return (
        *(len(routed.sizes) if routed else None, sizes, *_top(found), above, _router(found), sent, soft),
        *(found.params, round(found.macs), found.megabytes, found.training_macs / 1e12, found.train_seconds),
    )


def _frontiers(finished: Finished) -> tuple[Table, ...]:
    """Frontiers of networks with a generalist: at which confidence the experts answer, and not the generalist."""
    rows: list[tuple[Cell, ...]] = []
    for name in finished.study.rows:
        found = _found(finished, name)
        if found is None or len(found.frontier) == 1:
            continue
        for validation, test in found.frontier:
            rule = test.rule
            threshold = rule.thresholds[0] if rule.thresholds else None
            experts = 100 * test.shares[0] if rule.exits[0] == 0 else 0.0
            accuracies = (100 * validation.accuracy, percent_of(test.correct, test.samples))
            rows.append((name, deciding_score(rule), threshold, experts, *accuracies, round(test.macs)))
    note = "where the experts' score reaches the threshold they answer, else the generalist does"
    return (Table("Experts or generalist: the frontier", POINTS, tuple(rows), (note,)),) if rows else ()


def _found(finished: Finished, row: str) -> PartitionFound | None:
    findings = finished.found(row)
    return from_plain(PartitionFound, findings, where=f"{finished.study.name}, {row}") if findings else None


def _top(found: PartitionFound) -> tuple[Estimate, Estimate]:
    return percent_of(found.correct, found.samples), percent_of(found.correct_of_3, found.samples)


def _router(found: PartitionFound | None) -> Estimate | None:
    return percent_of(found.routed.router_correct, found.samples) if found and found.routed else None


def _machines(finished: Finished) -> tuple[str, ...]:
    """Notes: machine and data of our training."""
    found = [each for row in finished.study.rows if (each := _found(finished, row))]
    images = sorted({each.train_images for each in found})
    where = " or ".join(sorted({each.machine for each in found}))
    counts = " or ".join(f"{count:,}" for count in images)
    return (f"ours: {counts} training images of {finished.study.data}, {where}",) if found else ()


PAPER = Paper("CIFAR 100 ATNN Project", tables, evaluate_partitions)
