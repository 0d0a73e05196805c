"""Cuts at even distances, and the usual augmentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import searchlab
from searchlab import Augmentation, ImageSpec, even_cuts, flip_and_crop, standard_augmentation

SMALL, LARGE = ImageSpec(1, 8, 8, 10), ImageSpec(3, 32, 32, 10)


@pytest.mark.parametrize(
    ("given", "cuts"),
    [
        ((17, 3), (0, 5, 10)),
        ((17, 3, 0.4), (6, 9, 12)),
        ((17, 3, 0.4, 0.95), (6, 10, 14)),
        ((17, 1, 0.4, 0.95), (6,)),
        ((17, 0), ()),
        ((4, 3), (0, 1)),
        ((2, 3), (0,)),
        ((2, 1, 0.5, 1.0), (0,)),
    ],
)
def test_cuts_are_spread_evenly_and_fall_together_on_a_short_backbone(given, cuts):
    assert even_cuts(*given) == cuts


@given(st.integers(2, 60), st.integers(0, 9), st.floats(0, 1), st.none() | st.floats(0, 1))
def test_cuts_are_always_those_of_a_candidate(stages, exits, first, last):
    """Ascending, none twice, none after the last cut before the final head."""
    cuts = even_cuts(stages, exits, first, last if last is None else max(first, last))
    assert list(cuts) == sorted(set(cuts)) and len(cuts) <= exits
    assert all(0 <= cut <= stages - 2 for cut in cuts)


def test_small_images_are_cropped_by_a_pixel_and_turned_but_not_flipped():
    assert standard_augmentation(SMALL) == Augmentation(crop_pixels=1, rotation_degrees=10)
    assert standard_augmentation(LARGE) == Augmentation(flip="alternating", crop_pixels=4)


def test_flips_may_be_left_out():
    assert flip_and_crop(LARGE) == Augmentation(flip="random", crop_pixels=4)
    assert flip_and_crop(SMALL, "none") == Augmentation(crop_pixels=1)


def test_what_a_space_needs_is_public():
    names = ("Limits", "fit", "widest", "excess_over", "network_cost", "even_cuts", "standard_augmentation")
    assert all(callable(getattr(searchlab, name)) for name in names)
