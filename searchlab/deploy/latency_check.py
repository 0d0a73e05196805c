"""Latency check: compares the additive latency of a rule with the routed network, end to end.

Shape suffixes: N images, C channels, H and W pixels.
"""

from dataclasses import replace

import torch

from searchlab.architecture import ImageSpec
from searchlab.data.batches import Normaliser
from searchlab.data.splits import Split
from searchlab.deploy.scores import score_functions
from searchlab.engines.catalog import engine_named
from searchlab.exits.evaluate import evaluate
from searchlab.exits.table import ExitTable
from searchlab.measure.end_to_end import routed_ms, taken
from searchlab.measure.isolation import PATIENT, Waiting, measuring
from searchlab.measure.latency import LatencyOptions, fastest
from searchlab.measure.references import reference_network
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.operating_point import Frontier, OperatingPoint
from searchlab.record import LatencyCheck, TrialRecord

CHECKED_IMAGES = 40
CHECK_OPTIONS = LatencyOptions(budget_s=0.6)


def typical_point(frontier: Frontier) -> OperatingPoint:
    """Selects the point to check: of those with most exits in use, the one with the most even shares."""
    return max(frontier.points, key=lambda point: (len(point.rule.exits), min(point.shares)))


def checked(
    record: TrialRecord,
    network: EarlyExitNetwork,
    table: ExitTable,
    split: Split,
    normaliser: Normaliser,
    waiting: Waiting = PATIENT,
) -> TrialRecord:
    """Adds a latency check to the record (see `check_point`), measured while no trial trains on this node."""
    assert record.latency is not None
    with measuring(waiting):
        check = check_point(record, network, table, split, normaliser)
    return replace(record, latency=replace(record.latency, check=check))


def check_point(
    record: TrialRecord, network: EarlyExitNetwork, table: ExitTable, split: Split, normaliser: Normaliser
) -> LatencyCheck:
    """Compares the recorded additive latency of the typical point with the routed network measured now.

    Both use the same real images and the record's unit of time. `table` is the exit table of the split; the images are
    spread evenly over it, so that their exits have the real mix.
    """
    assert record.frontier is not None
    assert record.cost is not None
    assert record.latency is not None
    latency, rule = record.latency, typical_point(record.frontier).rule
    chosen_N = torch.linspace(0, len(split) - 1, min(CHECKED_IMAGES, len(split))).long()
    images_NCHW = normaliser(split.images(chosen_N))
    additive_ms = evaluate(table.part(chosen_N.numpy()), rule, record.profile).latency_ms
    assert additive_ms is not None
    machine = latency.machine
    mean, std = (tuple(values_C.flatten().tolist()) for values_C in (normaliser.mean_C, normaliser.std_C))
    options = replace(CHECK_OPTIONS, engine=machine.engine, threads=machine.threads, mean=mean, std=std)
    images_NCHW = images_NCHW.to(engine_named(machine.engine, images_NCHW.device)[1])
    image_1CHW = images_NCHW[:1].clone()
    own = fastest(network, image_1CHW, score_functions([rule.score]), options)
    _, channels, height, width = image_1CHW.shape
    images = ImageSpec(channels, height, width, table.logits_NKC.shape[-1])
    reference = fastest(reference_network(latency.reference_name, images), image_1CHW, {}, options)
    end_to_end_ms = routed_ms(own.routed(rule), taken(own, images_NCHW), reference, latency.reference.p50, options)
    return LatencyCheck(additive_ms, end_to_end_ms, rule, len(chosen_N))
