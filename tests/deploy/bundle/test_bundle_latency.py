from dataclasses import replace

import pytest
import torch
from onnx_examples import network_of
from shipments import data_of, shipment_of

from searchlab.data.batches import Normaliser
from searchlab.deploy.bundle.card import Promise
from searchlab.deploy.bundle.export import export
from searchlab.deploy.bundle.latency import ENGINE, WITHIN, FileLatency, file_latency
from searchlab.deploy.scores import score_functions
from searchlab.exits.evaluate import evaluate
from searchlab.exits.tabulate import tabulate
from searchlab.measure.latency import LatencyOptions, measure_latency


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """An export whose latency was measured here, in the engine that runs files."""
    home, data = tmp_path_factory.mktemp("latency"), data_of("plain")
    shipment, (network, images) = shipment_of("plain", home), network_of("plain")
    options = LatencyOptions(engine=ENGINE, budget_s=0.1, threads=1)
    report = measure_latency(network, "resnet8", images, score_functions(["margin"]), torch.device("cpu"), options)
    record = replace(shipment.record, latency=report)
    table = tabulate(network, data.validation, Normaliser.of(data, "cpu"))
    point = evaluate(table, shipment.point.rule, record.profile)
    return home / "out", export(replace(shipment, record=record, point=point), home / "out")


def test_a_file_is_compared_with_the_promise_of_the_same_machine_and_engine(bundle):
    folder, card = bundle
    assert card.latency.machine.engine == "onnxruntime" and card.latency.reference_name == "resnet8"
    found = file_latency(folder, card, data_of("plain"), budget_s=0.1)
    assert found.promised_ms == card.latency.ms.value == card.point.latency_ms and found.why_not == ""
    assert found.error == found.ms / found.promised_ms - 1
    assert f"{card.latency.ms.value:.4g} ms" in (folder / "README.md").read_text()


@pytest.mark.parametrize("change", [{"name": "Another CPU"}, {"engine": "torch", "engine_version": "2.15.0"}])
def test_a_promise_of_another_machine_or_engine_is_not_compared(change, bundle):
    folder, card = bundle
    machine = replace(card.latency.machine, **change)
    other = replace(card, latency=replace(card.latency, machine=machine))
    found = file_latency(folder, other, data_of("plain"), budget_s=0.05)
    assert found.promised_ms is None and found.error is None and found.ms > 0
    assert found.why_not.endswith(machine.in_full)


def test_without_a_promise_the_file_is_timed(bundle):
    folder, card = bundle
    assert isinstance(card.latency, Promise)
    found = file_latency(folder, replace(card, latency=None), data_of("plain"), budget_s=0.05)
    assert found.ms > 0 and found.holds and found.promised_ms is None


def test_what_was_disturbed_is_in_doubt_and_what_differs_does_not_hold():
    assert FileLatency(1.0, 10, 1.0).holds and not FileLatency(1.0, 10, 1.0).doubt
    assert not FileLatency(1.0 + 1.1 * WITHIN, 10, 1.0).holds and not FileLatency(1.0 - 1.1 * WITHIN, 10, 1.0).holds
    assert "50%" in FileLatency(1.0, 10, 1.0, waited=0.5).doubt
