import re
from dataclasses import FrozenInstanceError, replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from raises import raises_code

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Augmentation, Candidate, Exit, Head, Training
from searchlab.errors import from_validation
from searchlab.serialization import from_plain, to_plain

SHARE = st.floats(0, 1)
BELOW_ONE = st.floats(0, 1, exclude_max=True)
POSITIVE_REAL = st.floats(0, exclude_min=True, allow_infinity=False)
KERNEL = st.sampled_from([1, 3, 5, 7])
HEADS = st.builds(Head, st.integers(1, 9), st.lists(st.integers(1, 99), max_size=3).map(tuple), BELOW_ONE)
RESNETS = st.builds(
    ResNet,
    blocks=st.lists(st.integers(1, 5), min_size=1, max_size=6).map(tuple),
    width=st.integers(1, 999),
    growth=st.floats(1, 4),
    first_kernel=KERNEL,
    second_kernel=KERNEL,
    skip_kernel=KERNEL,
    stem_kernel=KERNEL,
    stem_stride=st.sampled_from([1, 2]),
    stem_pool=st.booleans(),
)
AUGMENTATIONS = st.builds(
    Augmentation,
    flip=st.sampled_from(["none", "random", "alternating"]),
    crop_pixels=st.integers(0, 9),
    cutout_pixels=st.integers(0, 9),
    colour=SHARE,
    rotation_degrees=st.floats(0, 180),
)
TRAININGS = st.builds(
    Training,
    regime=st.text(),
    schedule=st.text(),
    batch_size=st.integers(1, 999),
    learning_rate=POSITIVE_REAL,
    momentum=BELOW_ONE,
    weight_decay=BELOW_ONE,
    label_smoothing=BELOW_ONE,
    ema=BELOW_ONE,
    final_loss_weight=POSITIVE_REAL,
    augmentation=AUGMENTATIONS,
)


@st.composite
def candidates(draw):
    architecture = draw(RESNETS)
    cuts = sorted(draw(st.sets(st.integers(0, architecture.stages - 2), max_size=4)))
    exits = tuple(Exit(cut, draw(HEADS), draw(POSITIVE_REAL)) for cut in cuts)
    return Candidate(architecture, exits, draw(HEADS), draw(TRAININGS))


SMALL = Candidate(ResNet((1, 1), 8), (Exit(0), Exit(1, Head(2, (8,), 0.5), 0.3)))


@given(candidates())
def test_candidates_survive_json(candidate):
    again = from_plain(Candidate, to_plain(candidate))
    assert again == candidate
    assert again.id == candidate.id


@pytest.mark.slow
@given(candidates(), candidates())
def test_candidates_are_equal_exactly_where_their_ids_are(one, other):
    assert (one.id == other.id) == (one == other)


def test_the_id_is_the_same_in_every_process():
    assert SMALL.id == "4d015f2f2a"


@pytest.mark.parametrize(
    "changed",
    [
        replace(SMALL, architecture=ResNet((1, 1), 9)),
        replace(SMALL, architecture=ResNet((1, 1), 8, growth=1.5)),
        replace(SMALL, exits=SMALL.exits[:1]),
        replace(SMALL, exits=(Exit(0, loss_weight=0.5), SMALL.exits[1])),
        replace(SMALL, final=Head(dropout=0.1)),
        replace(SMALL, training=Training(augmentation=Augmentation(flip="random"))),
    ],
)
def test_any_change_changes_the_id(changed):
    assert changed.id != SMALL.id


def test_the_id_does_not_depend_on_how_a_candidate_was_written():
    written = Candidate(ResNet([1, 1], 8, growth=2), [Exit(0), Exit(1, Head(2, [8], 0.5), 0.3)])
    assert written == SMALL
    assert written.id == SMALL.id


def test_cuts_and_heads_end_with_the_final_one():
    assert SMALL.cuts == (0, 1, 2)
    assert tuple(SMALL.heads.values()) == (Head(), Head(2, (8,), 0.5), Head())
    assert ResNet((3, 5, 3), 64).stages == 12


def test_candidates_are_frozen():
    with pytest.raises(FrozenInstanceError):
        SMALL.final = Head()


SPEC, RESNET = partial(ImageSpec, 3, 32, 32), partial(ResNet, blocks=(1, 1), width=8)
INFINITE, NOT_A_NUMBER = float("inf"), float("nan")
RULES = [
    (partial(ImageSpec, 0, 8, 8, 10), "ImageSpec.channels", 0, "1"),
    (partial(ImageSpec, 1, 0, 8, 10), "ImageSpec.height", 0, "1"),
    (partial(ImageSpec, 1, 8, 0, 10), "ImageSpec.width", 0, "1"),
    (partial(SPEC, classes=1), "ImageSpec.classes", 1, "2"),
    (partial(RESNET, blocks=()), "ResNet.blocks", (), "at least 1"),
    (partial(RESNET, blocks=(1,) * 7), "ResNet.blocks", (1,) * 7, "at most 6"),
    (partial(RESNET, blocks=(1, 0)), "ResNet.blocks.1", 0, "1"),
    (partial(RESNET, width=0), "ResNet.width", 0, "1"),
    (partial(RESNET, width=8.5), "ResNet.width", 8.5, "integer"),
    (partial(RESNET, growth=0.5), "ResNet.growth", 0.5, "1"),
    (partial(RESNET, growth=4.1), "ResNet.growth", 4.1, "4"),
    (partial(RESNET, first_kernel=2), "ResNet.first_kernel", 2, "1, 3, 5 or 7"),
    (partial(RESNET, second_kernel=9), "ResNet.second_kernel", 9, "1, 3, 5 or 7"),
    (partial(RESNET, skip_kernel=0), "ResNet.skip_kernel", 0, "1, 3, 5 or 7"),
    (partial(RESNET, stem_kernel=4), "ResNet.stem_kernel", 4, "1, 3, 5 or 7"),
    (partial(RESNET, stem_stride=3), "ResNet.stem_stride", 3, "1 or 2"),
    (partial(Head, pool=0), "Head.pool", 0, "1"),
    (partial(Head, hidden=(4, 0)), "Head.hidden.1", 0, "1"),
    (partial(Head, dropout=1.0), "Head.dropout", 1.0, "less than 1"),
    (partial(Head, dropout=-0.1), "Head.dropout", -0.1, "0"),
    (partial(Exit, -1), "Exit.cut", -1, "0"),
    (partial(Exit, 0, loss_weight=0.0), "Exit.loss_weight", 0.0, "greater than 0"),
    (partial(Exit, 0, loss_weight=INFINITE), "Exit.loss_weight", INFINITE, "finite"),
    (partial(Augmentation, flip="up"), "Augmentation.flip", "up", "'none', 'random' or 'alternating'"),
    (partial(Augmentation, crop_pixels=-1), "Augmentation.crop_pixels", -1, "0"),
    (partial(Augmentation, cutout_pixels=-1), "Augmentation.cutout_pixels", -1, "0"),
    (partial(Augmentation, colour=1.5), "Augmentation.colour", 1.5, "1"),
    (partial(Augmentation, rotation_degrees=181), "Augmentation.rotation_degrees", 181, "180"),
    (partial(Training, batch_size=0), "Training.batch_size", 0, "1"),
    (partial(Training, learning_rate=0.0), "Training.learning_rate", 0.0, "greater than 0"),
    (partial(Training, learning_rate=NOT_A_NUMBER), "Training.learning_rate", NOT_A_NUMBER, "finite"),
    (partial(Training, momentum=1.0), "Training.momentum", 1.0, "less than 1"),
    (partial(Training, weight_decay=1.0), "Training.weight_decay", 1.0, "less than 1"),
    (partial(Training, label_smoothing=1.0), "Training.label_smoothing", 1.0, "less than 1"),
    (partial(Training, ema=1.0), "Training.ema", 1.0, "less than 1"),
    (partial(Training, final_loss_weight=0.0), "Training.final_loss_weight", 0.0, "greater than 0"),
]


@pytest.mark.parametrize(("make", "field", "value", "allowed"), RULES, ids=[f"{r[1]}={r[2]}" for r in RULES])
def test_every_rule_names_field_value_and_what_is_allowed(make, field, value, allowed):
    with pytest.raises(ValidationError) as caught:
        make()
    error = from_validation(caught.value, "space s")
    assert error.code == "invalid-field" and error.what == f"invalid {field}"
    assert repr(error.value) == repr(value)
    assert allowed in error.allowed


@pytest.mark.parametrize(
    ("exits", "said"),
    [
        ((Exit(1), Exit(0)), "exits must be ascending by cut, without repetition, not [1, 0]"),
        ((Exit(1), Exit(1)), "exits must be ascending by cut, without repetition, not [1, 1]"),
        ((Exit(2),), "exit at cut 2: the last cut before the final head is 1"),
    ],
)
def test_exits_lie_on_cuts_of_the_architecture_in_order(exits, said):
    with pytest.raises(ValidationError, match=re.escape(said)):
        Candidate(ResNet((1, 1), 8), exits)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"depth": 3}, "unknown-field", "Candidate.depth"),
        ({"exits": [{"cut": -1}]}, "invalid-field", "Candidate.exits.0.cut"),
    ],
)
def test_data_that_are_no_candidate_are_refused_with_their_file(change, code, field):
    with raises_code(code, where="candidate.json", mentions=field):
        from_plain(Candidate, {**to_plain(SMALL), **change}, where="candidate.json")
