from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from raises import raises_code

from searchlab.data.splits import (
    Split,
    assemble,
    channel_statistics,
    chunks,
    data_hash,
    described,
    held_out_count,
    limited,
    three_way,
    three_way_rows,
    with_validation,
    with_validation_rows,
)


def numbered(per_class):
    """A split whose image i is the number i in its first four bytes, with that many images of each class, mixed."""
    labels = np.repeat(np.arange(len(per_class)), per_class)
    labels = np.random.default_rng(0).permutation(labels).astype(np.int64)
    pixels = np.arange(len(labels), dtype=">u4").view(np.uint8).reshape(-1, 1, 2, 2).copy()
    return Split(torch.from_numpy(pixels), torch.from_numpy(labels))


def numbers(split):
    return split.images_NCHW.numpy().reshape(-1).view(">u4").tolist()


def names(per_class):
    return [f"class {i}" for i in range(len(per_class))]


@given(st.lists(st.integers(5, 40), min_size=2, max_size=6))
def test_three_ways_are_disjoint_complete_stratified_and_keep_labels(per_class):
    everything = numbered(per_class)
    parts = three_way(everything, names(per_class))
    assert sorted(i for part in parts for i in numbers(part)) == list(range(len(everything)))
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert torch.equal(part.labels_N, everything.labels_N[numbers(part)])
        counts = np.bincount(part.labels_N.numpy(), minlength=len(per_class))
        # Each of the two cuts may round a class by one, and rounds the total up by less than one.
        assert np.all(np.abs(counts - share * np.asarray(per_class)) < 3)


def test_split_is_the_same_every_time_and_keeps_order():
    first, second = (three_way(numbered([30, 20]), names("ab")) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert numbers(one) == numbers(other) == sorted(numbers(one))


def test_global_random_state_does_not_touch_the_split():
    np.random.seed(1)
    first = numbers(three_way(numbered([30, 20]), names("ab"))[0])
    np.random.seed(2)
    assert numbers(three_way(numbered([30, 20]), names("ab"))[0]) == first


@pytest.mark.parametrize(
    ("images", "held"), [(10, 2), (1797, 360), (24_999, 5_000), (50_000, 5_000), (60_000, 5_000), (1_000_000, 5_000)]
)
def test_validation_is_a_fifth_or_five_thousand(images, held):
    assert held_out_count(images) == held


def test_own_test_set_stays_as_it_is():
    train, test = numbered([50, 50]), numbered([7, 3])
    kept, validation, same = with_validation(train, test, names("ab"))
    assert same is test
    assert sorted(numbers(kept) + numbers(validation)) == list(range(100))
    assert np.bincount(validation.labels_N.numpy()).tolist() == [10, 10]


@pytest.mark.parametrize("per_class", [[20, 4], [20, 0]])
def test_scarce_class_is_named(per_class):
    with raises_code("too-few-images", value=per_class[1], mentions=["'class 1'", "at least 5"]):
        three_way(numbered(per_class), names(per_class))


def test_channel_statistics_against_numpy():
    images = torch.randint(0, 256, (5000, 3, 4, 5), dtype=torch.uint8)
    images[:, 2] = 7
    mean, std = channel_statistics(images)
    scaled = images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std[:2], scaled.std(axis=(0, 2, 3))[:2], rtol=1e-12)
    assert std[2] == 1 / 255


def test_hash_names_pixels_labels_splits_and_classes():
    parts = three_way(numbered([10, 10]), names("ab"))
    train, validation, test = parts
    pixel = Split(train.images_NCHW.clone(), train.labels_N)
    pixel.images_NCHW[3, 0, 1, 1] += 1
    label = Split(train.images_NCHW, train.labels_N.clone())
    label.labels_N[3] = 1 - label.labels_N[3]
    joined = [
        torch.cat(pair) for pair in ((train.images_NCHW, validation.images_NCHW), (train.labels_N, validation.labels_N))
    ]
    empty = Split(test.images_NCHW[:0], test.labels_N[:0])
    variants = [
        data_hash(parts, names("ab")),
        data_hash((pixel, validation, test), names("ab")),
        data_hash((label, validation, test), names("ab")),
        data_hash((Split(train.images_NCHW.view(-1, 1, 1, 4), train.labels_N), validation, test), names("ab")),
        data_hash((validation, train, test), names("ab")),
        data_hash((Split(*joined), empty, test), names("ab")),
        data_hash(parts, ["one", "other"]),
    ]
    assert len(set(variants)) == len(variants)
    assert variants[0] == data_hash(three_way(numbered([10, 10]), names("ab")), names("ab"))


def test_assemble_fills_in_what_is_known():
    parts = three_way(numbered([10, 10, 10]), names("abc"))
    dataset = assemble("numbers", parts, names("abc"))
    assert (dataset.spec.channels, dataset.spec.height, dataset.spec.width, dataset.spec.classes) == (1, 2, 2, 3)
    assert (dataset.mean, dataset.std) == channel_statistics(parts[0].images_NCHW)
    fixed = assemble("numbers", parts, names("abc"), statistics=((0.5,), (0.25,)), coarse=(0, 0, 1))
    assert (fixed.mean, fixed.std, fixed.coarse) == ((0.5,), (0.25,), (0, 0, 1))
    assert fixed.hash == dataset.hash


def data_of(per_class):
    everything = numbered(per_class)
    return assemble("made up", three_way(everything, names(per_class)), names(per_class), coarse=(0,) * len(per_class))


@given(st.lists(st.integers(5, 60), min_size=2, max_size=5), st.integers(0, 100))
def test_a_limited_data_set_is_a_stratified_part_in_the_same_roles(per_class, more):
    whole, classes = data_of(per_class), len(per_class)
    images = classes + more
    part = limited(whole, images)
    share = min(1.0, images / len(whole.train))
    assert len(part.train) == min(images, len(whole.train))
    for less, all_of_it in ((getattr(part, role), getattr(whole, role)) for role in ("train", "validation", "test")):
        assert len(less) == min(len(all_of_it), max(classes, round(share * len(all_of_it))))
        assert set(numbers(less)) <= set(numbers(all_of_it)) and numbers(less) == sorted(numbers(less))
        counts = np.bincount(less.labels_N.numpy(), minlength=classes)
        fair = np.bincount(all_of_it.labels_N.numpy()) / len(all_of_it)
        assert counts.min() >= 1
        # One of each class comes first: a class has at most one too many, and the others share what that takes.
        over = counts - fair * len(less)
        assert np.all(over < 1 + 1e-9) and np.all(over > -classes * fair - 1e-9)
    assert (part.mean, part.std, part.coarse, part.class_names) == (
        whole.mean,
        whole.std,
        whole.coarse,
        whole.class_names,
    )


def test_a_part_is_another_data_set_and_a_larger_one_holds_it():
    whole = data_of([60, 40, 90])
    small, large = limited(whole, 20), limited(whole, 50)
    assert len({data.hash for data in (whole, small, large)}) == 3
    assert limited(whole, 20).hash == small.hash
    assert set(numbers(small.train)) < set(numbers(large.train))
    assert limited(whole, 10_000) is whole


def test_fewer_images_than_classes_are_refused():
    with raises_code("too-few-images", where="max_images", value=2, mentions="3 classes"):
        limited(data_of([9, 9, 9]), 2)


def test_more_than_5000_classes_are_split():
    labels_N = np.repeat(np.arange(6_000), 5)
    train, validation, test = three_way_rows(labels_N, names("a") * 6_000)
    assert (len(train), len(validation), len(test)) == (18_000, 6_000, 6_000)
    kept, held = with_validation_rows(labels_N, names("a") * 6_000)
    assert len(np.unique(labels_N[held])) == 6_000 and len(kept) == 24_000


def test_a_data_set_in_a_line(digits):
    assert described(digits) == "1,077 train / 360 validation / 360 test, 10 classes, 8x8 grey"
    resized = replace(digits, resized_from=(28, 640))
    assert described(limited(resized, 100)).endswith("10 classes, 8x8 grey, resized from 28..640")


def test_large_images_are_worked_on_a_few_at_a_time():
    small, large = (torch.zeros(100, 1, side, side, dtype=torch.uint8) for side in (8, 96))
    assert [len(chunk) for chunk in chunks(small, 64)] == [64, 36]
    assert max(len(chunk) for chunk in chunks(large, 64)) == 7
