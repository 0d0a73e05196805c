"""Paper 002, "Deeper Networks for Image Classification" (Wyatt 2021): its tables, and figures 5 and 6 as numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searchlab import Augmentation, Cell, Finished, Paper, Table
from searchlab.lab import Epoch, TrialRecord, evaluate_exits, percent_wrong

PATIENCE = {
    "VGG19, patience 0": (0, 1e-8, 14.05, 26),
    "VGG19, patience 1": (1, 1e-7, 9.58, 44),
    "VGG19": (5, 1e-5, 6.73, 88),
    "VGG19, patience 10": (10, 1e-3, 5.96, 97),
    "VGG19, patience 15": (15, 1e-3, 6.12, 99),
}
"""Row to patience, learning rate at the best test error, that error in percent, and its epoch (section 2.2.1)."""

FILTERS = {
    "GoogLeNet": ("No residuals, 3x3 filters", 14.56),
    "GoogLeNet, 5x5": ("No residuals, 5x5 filters", 14.33),
    "GoogLeNet, residual": ("Residuals, 3x3 filters", 13.73),
    "GoogLeNet, residual, 5x5": ("Residuals, 5x5 filters", 13.39),
}
"""Row to variant and best test error in percent (section 3.2.3)."""

AUXILIARY = {
    "GoogLeNet": ("With auxiliary classifiers", 14.56),
    "GoogLeNet, no auxiliary": ("Without auxiliary classifiers", 14.69),
}
"""Likewise (section 3.2.4)."""

PARAMS = {"VGG19": "144 M", "GoogLeNet": "~10 M", "ResNet18": "~11 M"}
"""Parameter counts of section 2.1, for the 1,000 classes of ImageNet."""

GAP = 10.73
"""Points between the test errors of ResNet18 and GoogLeNet on CIFAR-10, the latter being better (section 3.2.2)."""

MNIST: Mapping[str, Mapping[str, Cell]] = {"test error % after epoch 1 (paper)": {"ResNet18": 1.82}}
CIFAR: Mapping[str, Mapping[str, Cell]] = {
    "best test error % (paper)": {"VGG19": 6.73, "GoogLeNet": 14.56},
    "converged at epoch (paper)": {"VGG19": 70, "GoogLeNet": 81, "ResNet18": 9},
}
"""Figures that the text gives for figures 5 and 6: column to row to cell."""

STEMS = "stems as in torchvision's code, which the paper ran"

BEST = ("best validation error %", "at epoch")
TEST = "test error % at the end"
TIME = ("epochs", "training s")


@dataclass(frozen=True)
class Best:
    """Best epoch of a curve: validation error of the final head in percent, epoch, learning rate."""

    error: float
    epoch: int
    learning_rate: float


def best_of(curve: Sequence[Epoch]) -> Best | None:
    """The first of the best epochs; None where no epoch has a validation accuracy."""
    looked = [row for row in curve if row.accuracy]
    if not looked:
        return None
    best = max(looked, key=lambda row: row.accuracy[-1])
    return Best(100 * (1 - best.accuracy[-1]), best.epoch, best.learning_rate)


def tables(studies: Sequence[Finished]) -> tuple[Table, ...]:
    """The comparison of the three networks for every study, and the tables of the variants where a study has them."""
    found: list[Table] = []
    for finished in studies:
        varied = FILTERS.keys() <= set(finished.study.rows)
        found.append(_comparison(finished, varied=varied))
        if varied:
            found.append(_patience(finished))
            found.append(_variants("Section 3.2.3: residuals and filters of GoogLeNet", finished, FILTERS))
            found.append(_variants("Section 3.2.4: auxiliary classifiers of GoogLeNet", finished, AUXILIARY))
    return tuple(found)


def _comparison(finished: Finished, *, varied: bool) -> Table:
    figure, data, theirs = (6, "cifar10", CIFAR) if varied else (5, "mnist", MNIST)
    columns = ("network", *theirs, "validation error % after epoch 1", *BEST, TEST, *TIME)
    rows: list[tuple[Cell, ...]] = []
    for name in PARAMS:
        record = finished.trial(name)
        said = (column.get(name) for column in theirs.values())
        first, _ = _best(record, epochs=1)
        rows.append((name, *said, first, *_best(record), _test(finished, name), *_time(record)))
    if varied:
        rows.append(("ResNet18 less GoogLeNet", GAP, *[None] * 4, _gap(finished), None, None))
    title = f"Figure {figure}: VGG19, ResNet18 and GoogLeNet on {finished.study.data}"
    return Table(title, columns, tuple(rows), _notes(finished, data))


def _gap(finished: Finished) -> Cell:
    """Points between the test errors of ResNet18 and GoogLeNet."""
    found = [finished.found(name) for name in ("ResNet18", "GoogLeNet")]
    errors = [percent_wrong(each).value for each in found if each]
    return errors[0] - errors[1] if len(errors) == 2 else None


def _patience(finished: Finished) -> Table:
    columns = (
        *("patience", "LR at best test error (paper)", "LR at best validation error"),
        *("best test error % (paper)", "best validation error %", "achieved at epoch (paper)", "achieved at epoch"),
        *(TEST, *TIME),
    )
    rows: list[tuple[Cell, ...]] = []
    for name, (patience, rate, error, epoch) in PATIENCE.items():
        record = finished.trial(name)
        ours = best_of(record.curve) if record else None
        best = (ours.learning_rate, ours.error, ours.epoch) if ours else (None, None, None)
        pairs = (cell for pair in zip((rate, error, epoch), best, strict=True) for cell in pair)
        rows.append((patience, *pairs, _test(finished, name), *_time(record)))
    return Table("Section 2.2.1: patience of VGG19's schedule", columns, tuple(rows))


def _variants(title: str, finished: Finished, published: Mapping[str, tuple[str, float]]) -> Table:
    columns = ("variant", "best top 1 error % (paper)", *BEST, TEST, *TIME)
    rows: list[tuple[Cell, ...]] = []
    for name, (variant, error) in published.items():
        record = finished.trial(name)
        rows.append((variant, error, *_best(record), _test(finished, name), *_time(record)))
    return Table(title, columns, tuple(rows))


def _best(record: TrialRecord | None, epochs: int | None = None) -> tuple[Cell, Cell]:
    """The least error and its epoch, of the first `epochs` epochs or of all."""
    best = best_of(record.curve[:epochs]) if record else None
    return (best.error, best.epoch) if best else (None, None)


def _test(finished: Finished, name: str) -> Cell:
    found = finished.found(name)
    return percent_wrong(found) if found else None


def _time(record: TrialRecord | None) -> tuple[Cell, Cell]:
    return (record.epochs, record.seconds.train) if record else (None, None)


def _notes(finished: Finished, data: str) -> tuple[str, ...]:
    selection = "the paper picks its best epochs by test error; ours are picked by validation error, and the test split"
    notes = [f"{selection} is read once, after the last epoch", STEMS]
    if finished.study.data != data:
        notes.append(f"ours: {finished.study.data}, which stands in for {data}")
    recipes = [r.candidate.training.augmentation for r in finished.records]
    if recipes and isinstance(recipes[0], Augmentation) and recipes[0] != Augmentation():
        notes.append(_augmentation(recipes[0]))
    return tuple(notes)


def _augmentation(recipe: Augmentation) -> str:
    turned = f"flips, turns of up to {recipe.rotation_degrees:g} degrees, colours times 1 ± {recipe.colour:g}"
    return f"augmentation: {turned}, crops of at least {recipe.zoom:.0%} of the area; the paper gives no strengths"


PAPER = Paper("Deeper Networks for Image Classification", tables, evaluate_exits, PARAMS)
