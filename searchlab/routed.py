"""A trained network under one of its rules, end to end: whether the additive latency holds.

Shape suffixes: N images, C channels, H and W pixels.
"""

import torch

from searchlab.data.batches import Normaliser
from searchlab.data.splits import Split
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.deploy.scores import score_functions
from searchlab.exits.evaluate import evaluate
from searchlab.exits.table import ExitTable
from searchlab.measure.end_to_end import check_latency
from searchlab.measure.latency import LatencyOptions, prepared
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.operating_point import Frontier, OperatingPoint
from searchlab.record import LatencyCheck, SegmentLatency, TrialRecord

CHECKED_IMAGES = 40
CHECK_OPTIONS = LatencyOptions(budget_s=0.6)


def typical_point(frontier: Frontier) -> OperatingPoint:
    """The point to check a latency at: of those that use most exits, the one whose exits are used most evenly."""
    return max(frontier.points, key=lambda point: (len(point.rule.exits), min(point.shares)))


def check_point(
    record: TrialRecord, network: EarlyExitNetwork, table: ExitTable, split: Split, normaliser: Normaliser
) -> LatencyCheck:
    """The additive latency of the record's typical point against the routed network, over the same real images.

    `table` is the split's; the images are spread evenly over it, so that they leave in their real mix.
    """
    assert record.frontier is not None
    assert record.cost is not None
    cost, rule = record.cost, typical_point(record.frontier).rule
    chosen_N = torch.linspace(0, len(split) - 1, min(CHECKED_IMAGES, len(split))).long()
    images_NCHW = normaliser(split.images(chosen_N))
    few = table.part(chosen_N.numpy())

    def additive(segments: SegmentLatency) -> float:
        found = evaluate(few, rule, cost, segments).latency_ms
        assert found is not None
        return found

    segments = prepared(network, images_NCHW[:1].clone(), CHECK_OPTIONS)
    runtime = EarlyExitRuntime(segments, rule)
    scores = score_functions([rule.score])
    return check_latency(segments, runtime.classify, images_NCHW, additive, scores, CHECK_OPTIONS)
