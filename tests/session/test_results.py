"""Classifiers of stored studies on image files that are not plain bytes."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import searchlab
from searchlab.data.batches import Normaliser
from searchlab.data.datasets import load
from searchlab.data.splits import Dataset
from searchlab.record import Scales
from searchlab.session.bundles import complete_facts


def scan(value: int) -> Image.Image:
    """12 bits in 16, no value above 1,000."""
    values_HW = np.full((8, 8), value, np.uint16)
    values_HW[:, 4:] = 1000
    return Image.fromarray(values_HW)


def glyph(value: int) -> Image.Image:
    """Light ink on a transparent ground: laid on black."""
    grey = Image.new("L", (8, 8), 245 + value % 11)
    return Image.merge("LA", (grey, Image.fromarray(np.eye(8, dtype=np.uint8) * np.uint8(255))))


def write(root: Path, make) -> Path:
    """Images in splits of their own, so that the order of files is that of the data set."""
    for part in ("train", "val", "test"):
        for label, name in enumerate(("cats", "dogs")):
            (root / part / name).mkdir(parents=True)
            for number in range(4):
                make(400 * label + 20 * number).save(root / part / name / f"{number}.png")
    return root


def space(choose: searchlab.Choose) -> searchlab.Candidate:
    width = choose.suggest_int("width", 2, 4)
    return searchlab.Candidate(
        searchlab.ResNet((1,), width), (searchlab.Exit(0),), training=searchlab.Training(batch_size=8)
    )


def searched(images: Path, tmp_path: Path) -> searchlab.Results:
    study = searchlab.Study(space, "digits", objectives=("accuracy", "macs"), epochs=1, trials=1, name="scans")
    where = {"output": tmp_path / "runs", "progress": False}
    return searchlab.run(study, images=f"{images}?size=8", **where)


def seen(results: searchlab.Results, files: list[Path]) -> torch.Tensor:
    """What the network of a classifier gets for some files."""
    classifier, inputs = results.best().classifier("cpu"), []
    classifier.network.stages[0].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    classifier.predict(files)
    return torch.cat(inputs)


def trained_on(dataset: Dataset) -> torch.Tensor:
    return Normaliser.of(dataset, torch.device("cpu"))(dataset.test.images_NCHW)


@pytest.mark.parametrize(("make", "scales"), [(scan, Scales(integers=1023)), (glyph, Scales(background=0))])
def test_a_classifier_sees_the_pixels_that_the_training_saw(make, scales, tmp_path):
    images = write(tmp_path / "images", make)
    results = searched(images, tmp_path)
    dataset = load(results.study.data, tmp_path)
    assert results.records[0].data.scales == scales == dataset.scales
    files = sorted((images / "test").rglob("*.png"))
    torch.testing.assert_close(seen(results, files), trained_on(dataset), rtol=0, atol=0)


def test_a_record_of_an_earlier_version_takes_its_scales_from_the_images_or_warns(tmp_path, capsys):
    images = write(tmp_path / "images", scan)
    results = searched(images, tmp_path)
    old = replace(results.records[0], data=replace(results.records[0].data, scales=None))
    assert (
        complete_facts(results._found, results._where, old).scales == Scales(integers=1023)
        and capsys.readouterr().err == ""
    )
    shutil.rmtree(images)
    assert complete_facts(results._found, results._where, old) == old.data
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("WARNING: images of more than 8 bits") and "image folder not found" in line
