"""Partitions name every class once, whatever they come from; the induced ones find groups that are there."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from property_tests import examples
from raises import raises_code

from searchlab.data.cifar100 import CLASSES, COARSE, SUPERCLASSES
from searchlab.data.cifar100_partitions import BY_PIXEL_MEANS, FOUR_GROUPS, KINDRED, THREE_GROUPS
from searchlab.data.datasets import load
from searchlab.data.partitions import (
    PARTITIONS,
    balanced,
    by_name,
    check_partition,
    induced_by_confusion,
    induced_by_means,
    merged_superclasses,
    origins,
    pooled_pixels,
)
from searchlab.data.splits import Split

NAMES = ("ant", "bee", "cat", "dog", "elk")


def assert_covers(groups, classes):
    assert sorted(number for group in groups for number in group) == list(range(classes))
    assert all(groups)
    assert all(list(group) == sorted(group) for group in groups)


def test_the_papers_tables():
    """Sizes as in the paper, and its text: names with spaces, separated by commas, a line break within one or two."""
    assert [len(group) for group in THREE_GROUPS] == [20, 49, 31]
    assert [len(group) for group in FOUR_GROUPS] == [27, 29, 31, 13]
    for groups in PARTITIONS.values():
        check_partition(groups, CLASSES)
    aquatic = [CLASSES[number] for number in PARTITIONS["paper_4"][3]]
    assert aquatic == [
        *("aquarium_fish", "crab", "crocodile", "dolphin", "flatfish", "lobster", "otter", "ray", "seal", "shark"),
        *("trout", "turtle", "whale"),
    ]
    assert PARTITIONS["paper_3"][2] == PARTITIONS["paper_4"][2]


@pytest.mark.parametrize("classes", [2, 3, 10, 100, 101])
def test_every_origin_covers_the_classes(classes):
    for name, groups_of in origins(classes).items():
        for count in range(2, min(8, classes) + 1):
            groups = groups_of(count)
            assert_covers(groups, classes)
            assert len(groups) == (int(name[-1]) if name.startswith("paper") else count)


def test_only_cifar100_has_the_papers():
    assert set(origins(10)) == {"by_number"} and {"by_number", "paper_3", "paper_4", "superclasses"} < set(origins(100))


def test_a_number_of_groups_that_is_in_no_table_is_refused():
    with raises_code("invalid-partition", where="partition", value=9, mentions="(2, 3"):
        origins(100)["pixel_means"](9)


@given(st.integers(2, 40), st.data())
def test_balanced_groups_are_neighbours_of_equal_size(classes, data):
    count = data.draw(st.integers(2, classes))
    groups = balanced(classes, count)
    assert_covers(groups, classes)
    assert len(groups) == count
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
    assert [number for group in groups for number in group] == list(range(classes))


@pytest.mark.parametrize("count", range(2, 21))
def test_superclasses_stay_whole(count):
    groups = origins(100)["superclasses"](count)
    assert_covers(groups, 100)
    assert len(groups) == count
    merged = [{COARSE[number] for number in group} for group in groups]
    assert sum(map(len, merged)) == 20, "a superclass was divided"
    assert max(map(len, merged)) - min(map(len, merged)) <= 1


def test_kindred_superclasses():
    assert sorted(KINDRED) == sorted(SUPERCLASSES)
    people_and_mammals = origins(100)["superclasses"](4)[0]
    names = {list(SUPERCLASSES)[COARSE[number]] for number in people_and_mammals}
    assert names == {"people", "large_carnivores", "large_omnivores_and_herbivores", "medium_mammals", "small_mammals"}


def test_superclasses_in_the_order_of_their_numbers():
    assert merged_superclasses((2, 0, 1, 0, 2, 3), 2) == ((1, 2, 3), (0, 4, 5))


@pytest.mark.parametrize(
    ("make", "groups", "most"),
    [
        (lambda: balanced(10, 11), 11, 10),
        (lambda: balanced(10, 1), 1, 10),
        (lambda: merged_superclasses(COARSE, 21), 21, 20),
        (lambda: induced_by_confusion(np.eye(5), 6, 0), 6, 5),
    ],
)
def test_too_many_or_too_few_groups(make, groups, most):
    with raises_code("invalid-partition", where="partition", value=groups, mentions=f"(2 to {most}"):
        make()


@pytest.mark.parametrize(
    ("groups", "refused"),
    [
        (
            ((0, 1), (2, 4)),
            raises_code(
                "invalid-partition", where="partition", value="dog", mentions="every one of the 5 classes in one group"
            ),
        ),
        (((0, 1, 2), (2, 3, 4, 1)), raises_code("invalid-partition", where="partition", value="bee, cat")),
        (((0, 1, 2), (3, 4, 5)), raises_code("invalid-partition", where="partition", value="number 5")),
    ],
)
def test_a_partition_that_does_not_cover_is_refused_by_name(groups, refused):
    with refused:
        check_partition(groups, NAMES)


def test_names_become_numbers():
    assert by_name((("elk", "ant"), ("dog", "bee", "cat")), NAMES) == ((0, 4), (1, 2, 3))
    with raises_code("invalid-partition", where="partition", value="ant"):
        by_name((("elk",), ("dog", "bee", "cat")), NAMES)
    with raises_code("invalid-partition", where="partition", value="emu"):
        by_name((("elk", "emu"), ("dog", "bee", "cat")), NAMES)


@pytest.mark.slow
@examples(40)
@given(st.data())
def test_a_confusion_of_any_kind_gives_a_partition(data):
    classes = data.draw(st.integers(3, 9))
    counts = data.draw(arrays(np.int64, (classes, classes), elements=st.integers(0, 3)))
    count = data.draw(st.integers(2, classes))
    groups = induced_by_confusion(counts, count, seed=0)
    assert_covers(groups, classes)
    assert len(groups) == count
    assert groups == induced_by_confusion(counts, count, seed=0)


PLANTED = ((0, 3, 6, 9), (1, 4, 7), (2, 5, 8))


@pytest.mark.parametrize("seed", range(3))
def test_classes_that_are_confused_go_together(seed):
    """Within a planted group 5 to 9 confusions of a pair, across groups 0 to 2; most images are named rightly."""
    random = np.random.default_rng(seed)
    of = np.array([number % 3 for number in range(10)])
    within = of[:, None] == of
    confusion_CC = np.where(within, random.integers(5, 10, (10, 10)), random.integers(0, 3, (10, 10)))
    np.fill_diagonal(confusion_CC, random.integers(20, 90, 10))
    assert induced_by_confusion(confusion_CC, 3, seed) == PLANTED


def test_the_confusion_is_not_changed():
    confusion_CC = np.arange(9.0).reshape(3, 3)
    induced_by_confusion(confusion_CC, 2, 0)
    assert confusion_CC[1, 1] == 4


@pytest.mark.parametrize("seed", range(3))
def test_classes_with_near_means_go_together(seed):
    random = np.random.default_rng(seed)
    labels_N = np.arange(600) % 10
    centres = np.array([[0, 0], [8, 0], [0, 8]])[labels_N % 3]
    features_NF = centres + random.normal(0, 1, (600, 2)) + random.normal(0, 0.5, (10, 2))[labels_N]
    assert induced_by_means(features_NF, labels_N, 3, seed) == PLANTED


def test_equal_means_give_a_partition_too():
    groups = induced_by_means(np.zeros((12, 3)), np.arange(12) % 6, 4, 0)
    assert_covers(groups, 6)
    assert len(groups) == 4


def test_a_class_without_images_has_no_mean():
    with raises_code("too-few-images", where="partition", value=1):
        induced_by_means(np.zeros((2, 3)), np.array([0, 2]), 2, 0)


def test_pixels_are_pooled_to_means():
    images = torch.arange(2 * 16, dtype=torch.uint8).reshape(2, 1, 4, 4)
    split = Split(images, torch.zeros(2, dtype=torch.int64))
    by_hand = images.float().reshape(2, 2, 2, 2, 2).mean(dim=(2, 4)).flatten(1) / 255
    np.testing.assert_allclose(pooled_pixels(split, 2), by_hand.numpy(), rtol=1e-6)
    np.testing.assert_allclose(pooled_pixels(split), images.flatten(1).numpy() / 255, rtol=1e-6)


@pytest.mark.skipif("SEARCHLAB_DATA" not in os.environ, reason="SEARCHLAB_DATA names no folder with CIFAR-100")
def test_the_table_of_pixel_means_is_what_the_images_give():
    train = load("cifar100", Path(os.environ["SEARCHLAB_DATA"])).train
    pixels, labels_N = pooled_pixels(train), train.labels_N.numpy()
    for count in BY_PIXEL_MEANS:
        assert origins(100)["pixel_means"](count) == induced_by_means(pixels, labels_N, count, seed=0)
