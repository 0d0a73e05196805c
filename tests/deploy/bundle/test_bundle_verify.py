import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx_examples import EXAMPLES, network_of
from raises import raises_code
from safetensors.torch import load_file, save_file
from shipments import data_of, shipment_of

from searchlab.data.batches import Normaliser
from searchlab.deploy.bundle.card import read_card
from searchlab.deploy.bundle.export import export
from searchlab.deploy.bundle.verify import LOGITS, verify
from searchlab.exits.evaluate import scores_of
from searchlab.exits.scores import GATE
from searchlab.exits.tabulate import tabulate

CASES = [
    ("plain", "max_softmax"),
    ("plain", "entropy"),
    ("gated", GATE),
    ("hard", "margin"),
    ("hard, generalist", "margin"),
    pytest.param("soft, generalist", "max_logit", marks=pytest.mark.slow),
    pytest.param("torchvision", "margin", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "score"), CASES)
def test_every_form_of_an_export_takes_every_test_image_where_the_exit_table_says(name, score, tmp_path):
    assert name in EXAMPLES
    data, folder = data_of(name), tmp_path / "out"
    card = export(shipment_of(name, tmp_path, score), folder)
    found = verify(folder, card, data)
    assert found.holds and found.images == len(data.test) == 360
    assert [each.name for each in found.agreements] == ["model.onnx", "staged/", "torch runtime"]
    for each in found.agreements:
        assert each.differing == () and each.logits_error <= LOGITS and set(each.tied) <= set(found.ties)


def test_a_file_whose_threshold_was_edited_differs_and_the_images_are_listed(tmp_path):
    data, folder = data_of("plain"), tmp_path / "out"
    card = export(shipment_of("plain", tmp_path), folder)
    model = onnx.load(folder / "model.onnx")
    (first,) = [each for each in model.graph.initializer if each.name == "threshold_0"]
    first.CopyFrom(numpy_helper.from_array(np.array([np.inf]), "threshold_0"))
    onnx.save(model, folder / "model.onnx")
    found = verify(folder, card, data)
    file, *others = found.agreements
    assert not found.holds and not file.holds and all(each.holds for each in others)
    share = len(file.differing) / len(data.test)
    assert 0.2 < share < 0.8 and max(file.differing) < len(data.test)


def test_an_image_at_its_threshold_is_a_tie_and_no_difference(tmp_path):
    """A threshold is the score of a test image: float32 and float64, one image or many, may fall on either side."""
    data = data_of("plain")
    shipment = shipment_of("plain", tmp_path)
    network, _ = network_of("plain")
    table = tabulate(network, data.test, Normaliser(torch.tensor(data.mean), torch.tensor(data.std)))
    score, rule = float(scores_of(table, "margin")[17, 0]), shipment.point.rule
    rule = replace(rule, thresholds=(score, *rule.thresholds[1:]))
    near = replace(shipment, point=replace(shipment.point, rule=rule))
    found = verify(tmp_path / "near", export(near, tmp_path / "near"), data)
    assert 17 in found.ties and found.holds
    for each in found.agreements:
        assert set(each.tied) <= set(found.ties)


def test_an_exit_that_no_image_takes_makes_no_ties(tmp_path):
    """Its threshold is infinite: every score is as near to it as any other."""
    data, shipment = data_of("plain"), shipment_of("plain", tmp_path)
    rule = shipment.point.rule
    rule = replace(rule, thresholds=(math.inf, *rule.thresholds[1:]))
    never = replace(shipment, point=replace(shipment.point, rule=rule))
    found = verify(tmp_path / "out", export(never, tmp_path / "out"), data)
    assert found.holds and len(found.ties) < 5


def test_weights_of_another_network_are_found(tmp_path):
    data, folder = data_of("plain"), tmp_path / "out"
    export(shipment_of("plain", tmp_path), folder)
    weights = load_file(folder / "weights.safetensors")
    name = next(name for name in weights if name.endswith("weight"))
    save_file(weights | {name: weights[name] * 1.5}, folder / "weights.safetensors")
    assert not verify(folder, read_card(folder), data).holds
    save_file({name: weights[name]}, folder / "weights.safetensors")
    with raises_code("weights-mismatch"):
        verify(folder, read_card(folder), data)
