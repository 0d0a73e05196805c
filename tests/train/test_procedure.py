"""Standard procedure on images that are learned in seconds: order of phases, and features on disk."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from quick_part import quick_part
from raises import raises_code

from searchlab.architecture import Architecture, ImageSpec, ResNet
from searchlab.candidate import Augmentation, Candidate, Decay, Exit, Gate, Head, HeadTraining, SixCopies, Training
from searchlab.data.batches import Normaliser, TrainBatches
from searchlab.data.six_copies import SixCopiesBatches
from searchlab.data.splits import Split
from searchlab.model.early_exit import build
from searchlab.train.context import TrainingContext, batches_for
from searchlab.train.loop import Hooks
from searchlab.train.procedure import PROCEDURES, procedure_of
from searchlab.train.standard import standard_procedure
from searchlab.train.stored_features import StoredNetwork, stored_features

IMAGES = ImageSpec(1, 8, 8, 4)
NORMALISER = Normaliser(torch.tensor([0.3]), torch.tensor([0.3]))
STORED = HeadTraining("adam", learning_rate=0.02, batch_size=16, epochs=0.5, stored=True)
RECIPE = Training("frozen", batch_size=32, ema=0.9)
CANDIDATE = Candidate(ResNet((1, 1), 4), (Exit(0, Head(2)), Exit(1, Head(2))), training=RECIPE)
GATED = replace(CANDIDATE, exits=tuple(replace(exit, gate=Gate(2)) for exit in CANDIDATE.exits))


def split(count, seed):
    """Images whose class is the bright quarter."""
    generator = torch.Generator().manual_seed(seed)
    labels_N = torch.randint(4, (count,), generator=generator)
    images_NCHW = torch.randint(0, 120, (count, 1, 8, 8), generator=generator)
    for image_HW, label in zip(images_NCHW[:, 0], labels_N.tolist(), strict=True):
        row, column = divmod(label, 2)
        image_HW[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 100
    return Split(images_NCHW.to(torch.uint8), labels_N)


TRAIN, VALIDATION = split(150, 0), split(40, 1)


def context(epochs=8, scratch=None, hooks=None, **fields):
    given = {"exit_costs": (1.0, 2.0, 4.0), "scratch": scratch, "hooks": hooks or Hooks()}
    common = {"images": IMAGES, "epochs": epochs, "seed": 0, "bf16": False}
    return TrainingContext(TRAIN, VALIDATION, NORMALISER, **common | given | fields)


def trained(candidate=CANDIDATE, **fields):
    torch.manual_seed(0)
    return procedure_of(candidate)(build(candidate, IMAGES), candidate, context(**fields))


def recipe(candidate=CANDIDATE, **fields):
    return replace(candidate, training=replace(candidate.training, **fields))


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def accuracy(network):
    with torch.no_grad():
        logits_NKC = network(NORMALISER(VALIDATION.images_NCHW))
    return (logits_NKC.argmax(dim=2) == VALIDATION.labels_N[:, None]).float().mean(dim=0)


def test_courses_are_for_kinds_that_there_are():
    kinds = {kind.__dataclass_fields__["kind"].default for kind in get_args(get_args(Architecture)[0])}
    assert set(PROCEDURES) <= kinds and all(map(callable, PROCEDURES.values()))
    assert procedure_of(CANDIDATE) is standard_procedure


@pytest.mark.parametrize("candidate", quick_part([GATED, recipe(heads=STORED), recipe(GATED, heads=STORED)], [GATED]))
@pytest.mark.parametrize("regime", quick_part(["frozen", "gates"], ["gates"]))
def test_every_exit_learns_and_every_epoch_is_in_the_curve(candidate, regime, tmp_path):
    candidate = recipe(candidate, regime=regime if candidate.gates else "frozen")
    seen = []
    hooks = Hooks(on_epoch=lambda epoch, network: seen.append((epoch, network(torch.zeros(1, 1, 8, 8)).shape)) or True)
    result = trained(candidate, epochs=16, scratch=tmp_path, hooks=hooks)
    assert accuracy(result.network).min() > 0.9
    assert [row.epoch for row in result.curve] == list(range(1, 17))
    assert [epoch for epoch, _ in seen] == list(result.curve)
    assert {tuple(shape) for _, shape in seen} == {(1, 3, 4)}
    assert not result.stopped and not result.network.training
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("heads", "backbone"), [(None, 4), (HeadTraining("sgd", learning_rate=0.1, epochs=0.25), 6), (STORED, 4)]
)
def test_heads_and_gates_learn_on_the_backbone_that_is_judged(heads, backbone):
    """The averaged one, as it was after its last epoch, to the last bit."""
    seen = []
    hooks = Hooks(on_epoch=lambda epoch, network: seen.append(weights(network)) or True)
    candidate = recipe(GATED, regime="gates", heads=heads)
    result = trained(candidate, epochs=8, hooks=hooks)
    frozen = {name for name in seen[0] if name.startswith(("stages", "heads.2"))}
    for state in seen[backbone:]:
        assert all(torch.equal(state[name], seen[backbone - 1][name]) for name in frozen)
    assert not torch.equal(seen[0]["stages.0.0.weight"], seen[backbone - 1]["stages.0.0.weight"])
    assert same(weights(result.network), seen[-1])
    early = [name for name in seen[0] if name.startswith(("heads.0", "heads.1"))]
    assert all(torch.equal(seen[-1][name], seen[-2][name]) for name in early), "heads learn no more beside gates"
    assert not torch.equal(seen[-1]["gates.0.unit.linear.weight"], seen[0]["gates.0.unit.linear.weight"])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights():
    candidate = recipe(heads=STORED)
    one, again, other = trained(candidate), trained(candidate), trained(candidate, seed=1)
    assert same(weights(one.network), weights(again.network)) and one.curve == again.curve
    assert not same(weights(one.network), weights(other.network))


@pytest.mark.parametrize("last", [2, 7])
def test_on_epoch_may_end_any_phase(last, tmp_path):
    hooks = Hooks(on_epoch=lambda epoch, network: epoch.epoch < last)
    result = trained(recipe(heads=STORED), hooks=hooks, scratch=tmp_path)
    assert result.stopped and len(result.curve) == last
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_plateau_goes_by_the_final_heads_error_on_validation():
    errors = []
    hooks = Hooks(on_epoch=lambda epoch, network: errors.append(1 - float(accuracy(network)[-1])) or True)
    candidate = recipe(regime="joint", schedule="plateau", learning_rate=0.1, decay=Decay(patience=0, factor=0.5))
    rates = [row.learning_rate for row in trained(candidate, epochs=14, hooks=hooks).curve]
    falls = [error < min([1.0, *errors[:epoch]]) for epoch, error in enumerate(errors)]
    assert 0 < sum(falls[:-1]) < 13, "this test needs epochs of both kinds"
    assert rates == pytest.approx([0.1 * 0.5 ** falls[:epoch].count(False) for epoch in range(14)])


def test_costs_are_shares_of_the_largest():
    assert context(exit_costs=(5.0, 10.0, 20.0)).scaled_costs == (0.25, 0.5, 1.0)


def test_the_augmentation_decides_which_batches():
    one, six = (
        batches_for(TRAIN, NORMALISER, replace(RECIPE, augmentation=kind), 0) for kind in (Augmentation(), SixCopies())
    )
    assert isinstance(one, TrainBatches) and isinstance(six, SixCopiesBatches)
    assert (one.steps, six.steps) == (5, 29)
    result = trained(recipe(regime="joint", augmentation=SixCopies()), epochs=1)
    assert len(result.curve) == 1


@pytest.fixture
def network():
    torch.manual_seed(2)
    return build(GATED, IMAGES).eval()


def stored(network, scratch, on_step=lambda: None):
    return stored_features(network, TRAIN, NORMALISER, scratch, on_step)


def test_stored_features_are_the_maps_at_the_cuts_without_augmentation(network, tmp_path):
    whole = NORMALISER(TRAIN.images_NCHW)
    with stored(network, tmp_path) as features, torch.no_grad():
        heads = StoredNetwork(network, features.shapes)
        batches = list(features.batches(0, 40, seed=0))
        for features_NF, labels_N in batches:
            assert features_NF.dtype == torch.float16
            # Labels alone do not say which image it is: the logits do.
            logits_NKC, gates_NG = heads(features_NF), heads.gate_logits(heads.maps(features_NF))
            expected_NKC, expected_NG = network(whole), network.gate_logits(network.maps(whole))
            nearest_N = (logits_NKC[:, None] - expected_NKC[None]).abs().amax((2, 3)).argmin(dim=1)
            torch.testing.assert_close(logits_NKC, expected_NKC[nearest_N], atol=0.01, rtol=0.01)
            torch.testing.assert_close(gates_NG, expected_NG[nearest_N], atol=0.01, rtol=0.01)
            assert torch.equal(labels_N, TRAIN.labels_N[nearest_N])
        assert len(list(next(tmp_path.iterdir()).iterdir())) == 3, "a file per cut"
        assert all(isinstance(cut, np.memmap) for cut in features.features)
    assert not list(tmp_path.iterdir())


def test_stored_batches_hold_every_image_in_batches_of_one_size(network, tmp_path):
    with stored(network, tmp_path) as features:
        found = [list(features.batches(epoch, 40, seed=0)) for epoch in (0, 0, 1)]
        assert [len(labels_N) for _, labels_N in found[0]] == [40] * features.steps(40)
    orders = [[row.tobytes() for features_NF, _ in batches for row in features_NF.numpy()] for batches in found]
    assert orders[0] == orders[1] != orders[2]
    assert len(set(orders[0])) == 150 == len(set(orders[2]))


def test_learning_from_stored_features_is_learning_in_the_network_itself(network, tmp_path):
    with stored(network, tmp_path) as features:
        heads = StoredNetwork(network, features.shapes)
        assert {id(parameter) for parameter in heads.parameters()} == {
            id(parameter) for part in (network.heads, network.gates) for parameter in part.parameters()
        }


def test_stored_features_are_removed_whatever_happens(network, tmp_path):
    class Enough(Exception):
        pass

    def enough():
        raise Enough

    with pytest.raises(Enough), stored(network, tmp_path):
        enough()
    with pytest.raises(Enough), stored(network, tmp_path, enough):
        pytest.fail("it was to end while features are written")
    assert not list(tmp_path.iterdir())


def test_a_scratch_that_is_no_folder_is_the_users_mistake(network, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with raises_code("cannot-write"), stored(network, file):
        pytest.fail("there is no folder to write to")


def test_an_error_of_what_learns_is_not_one_of_storing(network, tmp_path):
    with pytest.raises(OSError, match="other"), stored(network, tmp_path):
        raise OSError("other")
