"""Paper 002: its configurations are points of the space, each is trained once; its tables are filled from curves."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from paper_parts import names
from tiny import made_record, tiny_candidate

from searchlab.architecture import VGG, GoogLeNet, ImageSpec, ResNet
from searchlab.candidate import Augmentation
from searchlab.cli.main import main
from searchlab.model.cost import network_cost
from searchlab.papers.paper import Finished
from searchlab.record import Epoch, Seconds
from searchlab.search.catalog import find, load_space, load_studies
from searchlab.search.spaces import enqueued_candidates
from searchlab.study import TrialSpec

AUXILIARY, DEEPER, FILTERS, PARAMS, PATIENCE, best_of = names(
    "deeper", "tables", "AUXILIARY", "PAPER", "FILTERS", "PARAMS", "PATIENCE", "best_of"
)

SOURCE = find("study", "paper_deeper")
MNIST, CIFAR = load_studies(SOURCE)
IMAGES = {"mnist": ImageSpec(1, 28, 28, 10), "cifar10": ImageSpec(3, 32, 32, 10)}
SPACE = load_space(find("space", "deeper", beside=SOURCE.path))


def candidates(study, images=None):
    found = enqueued_candidates(SPACE, images or IMAGES[study.data], study)
    return dict(zip(study.rows, found, strict=True))


# -- the study


@pytest.mark.parametrize("study", [MNIST, CIFAR], ids=lambda study: study.data)
def test_the_three_networks_have_the_papers_recipes(study):
    found = candidates(study)
    vgg, googlenet, resnet = (found[name] for name in PARAMS)
    assert vgg.architecture == VGG((2, 2, 4, 4, 4), 64, batch_norm=False)
    assert vgg.final.hidden == (4096, 4096)
    assert googlenet.architecture == GoogLeNet(64, 3, residual=False, stem="large")
    assert [exit.loss_weight for exit in googlenet.exits] == [0.3, 0.3]
    assert resnet.architecture == ResNet((2, 2, 2, 2), 64, stem_kernel=7, stem_stride=2, stem_pool=True)
    plateau = [(each.training.learning_rate, each.training.decay.patience) for each in (vgg, resnet)]
    assert plateau == [(0.01, 5), (0.1, 1)]
    assert all(each.training.schedule == "plateau" and each.training.decay.factor == 0.1 for each in (vgg, resnet))
    every = googlenet.training
    assert (every.schedule, every.learning_rate, every.decay.factor, every.decay.every) == ("every", 0.1, 0.96, 8)
    for training in (each.training for each in found.values()):
        assert (training.batch_size, training.momentum, training.nesterov, training.ema) == (256, 0.9, False, 0)
        assert training.weight_decay == pytest.approx(5e-4 * training.learning_rate)


def test_colour_images_alone_are_augmented():
    assert {each.training.augmentation for each in candidates(MNIST).values()} == {Augmentation()}
    (recipe,) = {each.training.augmentation for each in candidates(CIFAR).values()}
    assert recipe.flip == "random" and recipe.rotation_degrees and recipe.colour and recipe.zoom < 1


def test_every_row_of_the_tables_is_trained_once():
    assert MNIST.rows == tuple(PARAMS)
    assert set(CIFAR.rows) == {*PARAMS, *PATIENCE, *FILTERS, *AUXILIARY}
    for study in (MNIST, CIFAR):
        assert len(set(candidates(study).values())) == len(study.rows) == study.trials
        assert study.curves and study.paper == "paper_deeper"


def test_the_rows_are_what_the_paper_says_they_are():
    found = candidates(CIFAR)
    for row, (patience, *_) in PATIENCE.items():
        assert found[row].training.decay.patience == patience and found[row].architecture == found["VGG19"].architecture
    for row, (variant, _) in FILTERS.items():
        architecture = found[row].architecture
        assert architecture.residual == variant.startswith("Residuals")
        assert f"{architecture.large_kernel}x{architecture.large_kernel} filters" in variant
        assert len(found[row].exits) == 2 and found[row].training == found["GoogLeNet"].training
    with_them, without = (found[row] for row in AUXILIARY)
    assert without == replace(with_them, exits=())


@pytest.mark.parametrize("side", [2, 8, 14, 15, 16, 31, 32, 47, 64])
def test_the_papers_networks_can_be_built_for_images_of_any_size(side):
    images = ImageSpec(1, side, side, 10)
    for candidate in candidates(MNIST, images).values():
        assert network_cost(candidate, images).params > 5_000_000
        stem = getattr(candidate.architecture, "stem", "none")
        assert stem == "none" or stem == ("large" if side >= 15 else "small")


# -- the tables


def record(row, accuracies, *, study=CIFAR, state="complete", rates=None):
    """A trial of `study` with the given validation accuracies of an early exit (always 0.99) and the final head."""
    curve = tuple(
        Epoch(epoch, 1.0, (rates or {}).get(epoch, 0.01), (0.99, accuracy) if accuracy is not None else ())
        for epoch, accuracy in enumerate(accuracies, start=1)
    )
    made = made_record(TrialSpec(study.rows.index(row), tiny_candidate(4), study, row=row), state)
    return replace(made, curve=curve, epochs=len(curve), seconds=Seconds(train=321.0))


def found_with(correct):
    """Findings of a network with an exit that is right on fewer of 1,000 test images."""
    return {"samples": 1000, "exits": [{"correct": 1, "correct_of_3": 2}, {"correct": correct, "correct_of_3": 999}]}


def filled(*records, study=CIFAR, **test):
    findings = {study.rows.index(row): found_with(correct) for row, correct in test.items()}
    assert findings.keys() <= {each.number for each in records}
    tables = DEEPER.tables([Finished(study, records, findings)])
    return [{row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows} for table in tables]


def test_what_was_not_run_is_empty_beside_the_papers_figures():
    five, six, patience, filters, auxiliary = DEEPER.tables([Finished(MNIST), Finished(CIFAR)])
    assert [row[0] for row in five.rows] == list(PARAMS)
    assert [row[:3] for row in six.rows[:3]] == [
        ("VGG19", 6.73, 70),
        ("GoogLeNet", 14.56, 81),
        ("ResNet18", None, 9),
    ]
    assert [row[:7:2] for row in patience.rows] == [(0, None, None, None)] + [
        (p, None, None, None) for p in (1, 5, 10, 15)
    ]
    assert [row[1:6:2] for row in patience.rows] == [row[1:] for row in PATIENCE.values()]
    assert [row[:2] for row in filters.rows] == list(FILTERS.values())
    assert [row[:2] for row in auxiliary.rows] == list(AUXILIARY.values())
    for table in (filters, auxiliary):
        assert all(cell is None for row in table.rows for cell in row[2:])


def test_the_patience_table_takes_the_best_epoch_of_the_validation_curve():
    row = "VGG19, patience 10"
    _, patience, _, _ = filled(record(row, (0.5, 0.8, 0.8, 0.7), rates={2: 0.001, 3: 1e-4}), **{row: 790})
    ours = patience[10]
    assert ours["LR at best validation error"] == 0.001 and ours["achieved at epoch"] == 2
    assert ours["best validation error %"] == pytest.approx(20)
    assert ours["test error % at the end"].value == pytest.approx(21)
    assert (ours["epochs"], ours["training s"]) == (4, 321.0)
    assert patience[15]["achieved at epoch"] is None


def test_a_row_that_tables_share_stands_in_each_of_them():
    six, _, filters, auxiliary = filled(record("GoogLeNet", (0.25, 0.75)), GoogLeNet=740)
    shown = [six["GoogLeNet"], filters["No residuals, 3x3 filters"], auxiliary["With auxiliary classifiers"]]
    assert [(row["best validation error %"], row["at epoch"]) for row in shown] == [(25, 2)] * 3
    assert [row["test error % at the end"].value for row in shown] == [pytest.approx(26)] * 3
    assert six["GoogLeNet"]["validation error % after epoch 1"] == 75


def test_the_gap_is_that_of_the_test_errors_once_both_are_known():
    resnet, googlenet = record("ResNet18", (0.6,)), record("GoogLeNet", (0.7,))
    (gap,) = {table["ResNet18 less GoogLeNet"]["test error % at the end"] for table in filled(resnet, ResNet18=600)[:1]}
    assert gap is None
    known = filled(resnet, googlenet, ResNet18=600, GoogLeNet=850)[0]["ResNet18 less GoogLeNet"]
    assert known["test error % at the end"] == pytest.approx(25) and known["best test error % (paper)"] == 10.73


def test_mnist_has_the_first_epoch_and_no_tables_of_variants():
    (five,) = filled(record("ResNet18", (0.98, 0.99), study=MNIST), study=MNIST)
    assert five["ResNet18"]["test error % after epoch 1 (paper)"] == 1.82
    assert five["ResNet18"]["validation error % after epoch 1"] == pytest.approx(2)


def test_a_trial_that_did_not_end_well_fills_nothing():
    six, *_ = filled(record("VGG19", (0.1, 0.1), state="stopped"))
    assert six["VGG19"]["at epoch"] is None and six["VGG19"]["epochs"] is None


def test_notes_say_what_differs():
    study = replace(CIFAR, name="paper_deeper-cifar10-smoke", data="digits_32x32")
    run = replace(record("VGG19", (0.5,)), candidate=candidates(CIFAR)["VGG19"])
    table = DEEPER.tables([Finished(study, (run,))])[0]
    notes = " ".join(table.notes)
    assert "digits_32x32, which stands in for cifar10" in notes and "validation error" in notes
    assert "up to 15 degrees, colours times 1 ± 0.2, crops of at least 50% of the area" in notes
    plain = " ".join(DEEPER.tables([Finished(CIFAR)])[0].notes)
    assert "stands in" not in plain and "augmentation" not in plain


@pytest.mark.slow
@given(st.lists(st.none() | st.integers(0, 5), max_size=12))
def test_the_best_epoch_is_the_first_of_the_highest(hits):
    curve = [Epoch(i, 1.0, 0.1 * i, (1.0, hit / 5) if hit is not None else ()) for i, hit in enumerate(hits, start=1)]
    best, expected = best_of(curve), None
    for row, hit in zip(curve, hits, strict=True):
        if hit is not None and (expected is None or hit > expected[0]):
            expected = (hit, row.epoch, row.learning_rate)
    assert (best is None) == (expected is None)
    if best and expected:
        assert best.error == pytest.approx(100 - 20 * expected[0])
        assert (best.epoch, best.learning_rate) == expected[1:]


# -- all of it, small

TINY = '''"""The three networks, narrow, on digits."""

from dataclasses import replace

from searchlab.search.catalog import find, load_studies


def study():
    mnist, _ = load_studies(find("study", "paper_deeper"))
    enqueue = {row: known | {"width": 8} for row, known in mnist.enqueue.items()}
    return replace(mnist, name="narrow", data="digits", max_images=200, epochs=2, enqueue=enqueue)
'''


@pytest.mark.slow
def test_a_narrow_run_fills_its_table_and_is_drawn(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("narrow.py").write_text(TINY)
    assert main(["run", "narrow.py", "--device", "cpu"]) == 0
    assert "Figure 5" in capfd.readouterr().out
    assert main(["table", "narrow", "--csv", "table.csv"]) == 0
    head, *rows = Path("table.csv").read_text().splitlines()
    assert "best validation error %" in head and len(rows) == 3 and ",,,," not in rows[0]
    assert main(["plot", "narrow"]) == 0
    for name in ("front.html", "front.png", "convergence.html", "convergence.png"):
        assert (tmp_path / "runs" / "narrow" / name).is_file()
    assert imread(tmp_path / "runs" / "narrow" / "convergence.png").shape[:2] == (1000, 2200)
