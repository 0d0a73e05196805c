"""A trial with a network of `onnx_examples`, as it lies in an output folder, and its shipment for an export."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from onnx_examples import EXAMPLES, network_of, rules_for
from tiny import tiny_study

from searchlab.artefacts import save_artefacts
from searchlab.data.batches import Normaliser
from searchlab.data.datasets import load
from searchlab.deploy.bundle.export import Shipment
from searchlab.exits.evaluate import evaluate
from searchlab.exits.tabulate import tabulate
from searchlab.model.cost import network_cost
from searchlab.operating_point import Frontier
from searchlab.record import Profile, TrialRecord


@cache
def data_of(name):
    """Digits of the size that the network takes."""
    return load("digits" if EXAMPLES[name][1].channels == 1 else "digits_32x32", None)


def shipment_of(name, folder, score="margin", **more):
    """The point of a rule with all exits in use, of a trial in a folder."""
    (candidate, images), (network, _), data = EXAMPLES[name], network_of(name), data_of(name)
    normaliser = Normaliser(torch.tensor(data.mean), torch.tensor(data.std))
    rule = rules_for(name, score, normaliser(data.validation.images_NCHW[:64]))[0]
    table = tabulate(network, data.validation, normaliser)
    point = evaluate(table, rule, Profile(network_cost(candidate, images)))
    record = TrialRecord(
        3, "complete", candidate, seed=7, data=data.facts, cost=network_cost(candidate, images),
        frontier=Frontier("validation", (point,)), directory=str(folder / "trial-00003"),
    )  # fmt: skip
    save_artefacts(folder / "trial-00003", network, table, record)
    study = tiny_study(data=data.name)
    return replace(Shipment(study, record, point, data.facts, command="searchlab export tiny"), **more)


def as_images(data, count):
    """Test images as uint8 arrays of H,W or H,W,C."""
    return [np.squeeze(image.numpy().transpose(1, 2, 0)) for image in data.test.images_NCHW[:count]]
