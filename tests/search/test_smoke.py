import pytest
from raises import raises_code
from tiny import tiny_study

from searchlab.data.datasets import DATASETS, SHAPES, load
from searchlab.data.official import SOURCES, MissingFiles
from searchlab.search.smoke import STAND_INS, on_what_is_there, smoke_of
from searchlab.study import RunOptions


def test_a_smoke_run_is_small_and_else_the_study():
    study = tiny_study(epochs=30, rungs=(5, 9), trials=40, min_accuracy=0.8, max_params=9000, hours=2.0)
    small = smoke_of(study)
    assert (small.name, small.epochs, small.rungs, small.trials, small.max_images) == ("tiny-smoke", 1, (), 3, 400)
    assert (small.max_params, small.space, small.data, small.min_accuracy) == (9000, "tiny", "digits", 0.0)


@pytest.mark.parametrize(("enqueued", "trials", "expected"), [(5, 40, 5), (0, 2, 2), (5, 4, 4), (1, 9, 1)])
def test_it_runs_what_is_enqueued_or_three(enqueued, trials, expected):
    enqueue = tuple({"width": 2 + i} for i in range(enqueued))
    assert smoke_of(tiny_study(trials=trials, enqueue=enqueue)).trials == expected


@pytest.mark.parametrize(("asked", "expected"), [(50, 50), (9000, 400)])
def test_it_takes_fewer_images_where_the_study_does(asked, expected):
    assert smoke_of(tiny_study(max_images=asked)).max_images == expected


@pytest.mark.parametrize("data", SHAPES)
def test_digits_of_the_same_shape_stand_in_for_files_that_are_missing(data, tmp_path):
    found = on_what_is_there(tiny_study(data=data), RunOptions(data_root=tmp_path))
    spec = load(found.data, tmp_path).spec
    assert found.data in STAND_INS.values()
    assert (spec.channels, spec.height, spec.width) == (
        *(SHAPES[data].channels, SHAPES[data].height),
        SHAPES[data].width,
    )


def test_only_missing_files_of_known_data_sets_are_replaced_by_digits(tmp_path):
    options = RunOptions(data_root=tmp_path)
    assert on_what_is_there(tiny_study(), options) == tiny_study()
    for data, code in (("cifra10", "unknown-data-set"), ("folder:/nowhere", "path-not-found")):
        with raises_code(code):
            on_what_is_there(tiny_study(data=data), options)


def test_shapes_are_known_of_all_that_has_official_files():
    assert set(SHAPES) == {name for name in DATASETS if name.removesuffix("_coarse") in SOURCES}


def test_nothing_stands_in_for_files_of_a_data_set_of_ones_own(tmp_path):
    (tmp_path / "own.py").write_text("from searchlab.data.datasets import cifar10 as dataset")
    with raises_code("data-missing", kind=MissingFiles):
        on_what_is_there(tiny_study(data=str(tmp_path / "own.py")), RunOptions(data_root=tmp_path))
