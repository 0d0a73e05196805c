"""Paper 000, "Checkpoint Classifier for CNN Image Classification" (Paul and Digh 2023): tables 1 to 3 and figure 3."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from searchlab import Cell, Finished, Paper, Table
from searchlab.lab import Estimate, from_plain

from .evaluation import CheckpointFound, NetworkFound, evaluate_checkpoints

Change = tuple[float, float | None, float | None]
"""Share let in, change of accuracy in points, change of runtime in percent (positive: faster)."""

BASE = {
    "AlexNet": (82.47, 48.24),
    "VGG-16": (92.28, 69.34),
    "ResNet34": (82.25, 52.47),
    "ResNet50": (84.46, 56.78),
    "InceptionV1": (86.00, 61.62),
}
"""Table 1: test accuracy in percent on CIFAR-10 and CIFAR-100."""

TABLE_2: Mapping[str, Sequence[Change]] = {
    "AlexNet on CIFAR-10": (
        *((0.600, 0.480, -4.19), (0.700, 0.310, -0.91), (0.800, 0.190, 1.70), (0.900, -0.060, 4.63)),
        (1.000, -1.080, 7.84),
    ),
    "VGG-16 on CIFAR-10": (
        *((0.200, -0.180, -0.60), (0.300, -0.580, 3.46), (0.400, -1.010, 6.90), (0.502, -1.710, 11.16)),
        (0.601, -2.800, 15.36),
    ),
    "ResNet50 on CIFAR-10": (
        *((0.102, -0.020, -0.36), (0.201, -0.190, 5.54), (0.300, -0.590, 10.66), (0.400, -1.010, 15.80)),
        (0.501, -1.760, 20.68),
    ),
    "AlexNet on CIFAR-100": (
        *((0.600, 0.880, -6.75), (0.700, 1.040, -3.56), (0.800, 1.220, -0.32), (0.901, 0.920, 3.50)),
        (1.000, 0.240, 7.60),
    ),
    "VGG-16 on CIFAR-100": (
        *((0.200, -1.610, -1.04), (0.300, -2.890, 2.76), (0.400, -4.520, 6.60), (0.500, -6.640, 10.88)),
        (0.600, -9.110, 15.54),
    ),
    "ResNet50 on CIFAR-100": (
        *((0.102, -1.070, -0.71), (0.200, -2.830, 4.72), (0.300, -5.110, 10.22), (0.401, -7.680, 15.23)),
        (0.501, -10.81, 20.74),
    ),
}
"""The header calls the column groups layers 14, 20 and 26; by the text they are these three networks."""

TABLE_3: Mapping[str, Sequence[Change]] = {
    "14": (
        *((0.000, 0.000, -7.76), (0.136, 0.070, -3.87), (0.218, 0.180, -1.02), (0.301, 0.160, 2.38)),
        *((0.416, 0.170, 5.783), (0.501, 0.300, 7.21), (0.604, 0.430, 11.46), (0.701, 0.480, 14.75)),
        *((0.801, 0.740, 18.83), (0.901, 0.640, 24.33), (1.000, -0.680, 36.52)),
    ),
    "20": (
        *((0.000, 0.000, -7.12), (0.135, -0.040, -4.02), (0.203, -0.100, -2.42), (0.303, -0.060, -1.22)),
        *((0.408, 0.000, 0.059), (0.505, -0.060, 2.43), (0.601, -0.070, 3.57), (0.701, -0.130, 3.79)),
        *((0.800, -0.080, 7.44), (0.900, -0.070, 9.54), (1.000, -0.380, 21.60)),
    ),
    "26": (
        *((0.000, 0.000, -8.99), (0.102, -0.010, -6.27), (0.255, 0.030, -6.00), (0.348, 0.050, -4.49)),
        *((0.415, 0.020, -3.94), (0.514, 0.020, -2.00), (0.612, 0.060, -2.18), (0.701, 0.010, -0.09)),
        *((0.801, 0.160, 0.02), (0.901, 0.180, 1.93), (1.000, -0.290, 10.43)),
    ),
}

NAMED = {("4a", 7): (-0.5, 25.0), ("4c", 8): (-0.5, 15.0), ("4e", 9): (-0.5, 6.0)}
"""The three points of figure 3 that the text gives ("around 0.5 % of accuracy loss"), by block and tenths let in."""

FIGURE_3: Mapping[str, Sequence[Change]] = {
    block: tuple((tenths / 10, *NAMED.get((block, tenths), (None, None))) for tenths in range(11))
    for block in ("4a", "4c", "4e")
}

CHANGES = (
    *("let-in (paper)", "let-in", "accuracy change, points (paper)", "accuracy change, points"),
    *("runtime change % (paper)", "runtime change %"),
)

POSITIVE = "changes against the network without checkpoint: positive is more accurate, and saves so much of its time"
PLACES = "the paper does not say which layers; ours: convolution 3 of AlexNet, 7 of VGG-16, block 8 of ResNet50"
COUNTED = "layers are the paper's convolutions, the stem not counted: ours are residual blocks 7, 10 and 13"
DRAWN = "the figure's values are not in the text, but for three"


def tables(studies: Sequence[Finished]) -> tuple[Table, ...]:
    """Tables 1 to 3 and figure 3, from both data sets."""
    found = {row: _found(each, row) for each in studies for row in each.study.rows}
    return (_table_1(found), _table_2(found), _table_3(found), _figure_3(found), *_others(found))


Found = Mapping[str, NetworkFound | None]


def _found(finished: Finished, row: str) -> NetworkFound | None:
    plain = finished.found(row)
    return None if plain is None else from_plain(NetworkFound, plain, where=row)


def _table_1(found: Found) -> Table:
    columns = ("network", "CIFAR-10 % (paper)", "CIFAR-10 %", "CIFAR-100 % (paper)", "CIFAR-100 %")
    rows: list[tuple[Cell, ...]] = []
    for name, (first, second) in BASE.items():
        ten, hundred = (found.get(f"{name} on {data}") for data in ("CIFAR-10", "CIFAR-100"))
        rows.append((name, first, ten.accuracy if ten else None, second, hundred.accuracy if hundred else None))
    return Table("Table 1: Base model testset accuracies", columns, tuple(rows), _trained(found))


def _table_2(found: Found) -> Table:
    title = "Table 2: Runtime and accuracy changes with AlexNet, VGG-16 and ResNet50"
    rows = [row for name, published in TABLE_2.items() for row in _rows(name, published, _at(found.get(name), 0))]
    return Table(title, ("network", *CHANGES), tuple(rows), (POSITIVE, PLACES, *_measured(found, TABLE_2)))


def _table_3(found: Found) -> Table:
    name = "ResNet34 on CIFAR-100"
    rows = _by_checkpoint(TABLE_3, found.get(name))
    notes = (POSITIVE, COUNTED, *_measured(found, [name]))
    return Table("Table 3: ResNet34 CIFAR100 Results Per Layer", ("layer", *CHANGES), rows, notes)


def _figure_3(found: Found) -> Table:
    name = "InceptionV1 on CIFAR-100"
    rows = _by_checkpoint(FIGURE_3, found.get(name))
    notes = (POSITIVE, DRAWN, *_measured(found, [name]))
    return Table("Figure 3: InceptionV1 CIFAR100 Results", ("after block", *CHANGES), rows, notes)


def _others(found: Found) -> Iterator[Table]:
    """A table for every evaluated network that is not in the paper."""
    for name, network in found.items():
        if network and name.partition(" on ")[0] not in BASE:
            title = f"{name}: {network.accuracy.value:.1f} % without a checkpoint"
            columns = ("checkpoint", *(column for column in CHANGES if "paper" not in column))
            rows = [
                (number, each.let_in, _cell(each.accuracy_change), _cell(each.runtime_change))
                for number, checkpoint in enumerate(network.checkpoints, start=1)
                for each in checkpoint.targets
            ]
            yield Table(title, columns, tuple(rows), (POSITIVE, *_measured(found, [name])))


def _by_checkpoint(
    published: Mapping[str, Sequence[Change]], network: NetworkFound | None
) -> tuple[tuple[Cell, ...], ...]:
    """Rows of the paper's layers; its n-th layer is our n-th checkpoint."""
    named = enumerate(published.items())
    return tuple(row for i, (layer, changes) in named for row in _rows(layer, changes, _at(network, i)))


def _at(network: NetworkFound | None, position: int) -> CheckpointFound | None:
    return network.checkpoints[position] if network and position < len(network.checkpoints) else None


def _rows(name: str, published: Sequence[Change], ours: CheckpointFound | None) -> list[tuple[Cell, ...]]:
    """Rows of one layer. The paper lets in up to a tenth more than its target: row 0.255 has the target 0.2."""
    by_tenths = {round(10 * each.target): each for each in ours.targets} if ours else {}
    rows: list[tuple[Cell, ...]] = []
    for let_in, accuracy, runtime in published:
        found = by_tenths.get(int(10 * let_in + 1e-6))
        here = (found.let_in, found.accuracy_change, found.runtime_change) if found else (None, None, None)
        rows.append((name, let_in, here[0], accuracy, _cell(here[1]), runtime, _cell(here[2])))
    return rows


def _cell(change: Estimate | None) -> Cell:
    """A change as a cell, without its interval where that is empty (one epoch, or no image let in)."""
    return change.value if change and change.low == change.high else change


def _trained(found: Found) -> tuple[str, ...]:
    """Notes: the number of training images."""
    counts = sorted({each.train_images for row, each in found.items() if each and row.partition(" on ")[0] in BASE})
    return tuple(
        f"ours: {count:,} training images, without the validation split; the paper's: 50,000" for count in counts
    )


def _measured(found: Found, names: Iterable[str]) -> tuple[str, ...]:
    """Notes: on which images thresholds were chosen, and how time was measured."""
    lines = []
    for each in (found.get(name) for name in names):
        if each:
            timing = each.timing
            lines.append(
                f"ours: thresholds chosen on {each.validation_images:,} validation images; timed on {timing.images} of "
                f"{each.test_images:,} test images, spread over their scores, one at a time: warm-up {timing.warm_up}, "
                f"then {timing.sets} x {timing.epochs} epochs of each network in turns; {timing.machine}"
            )
    return tuple(dict.fromkeys(lines))


PAPER = Paper("Checkpoint Classifier for CNN Image Classification", tables, evaluate_checkpoints)
"""Base networks, and the change by a checkpoint."""
