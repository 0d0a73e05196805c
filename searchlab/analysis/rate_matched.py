"""Re-evaluates operating points on a replicate at equal exit rates.

A replicate has another network, so a rule's thresholds select other images there. The re-evaluated rule has the same
score, the same exits, and thresholds at which the same shares of the replicate's validation images leave. This uses no
labels, so the replicate's accuracy is not selected on either split, and the MACs stay the same.

Alternatives are worse. The point of the replicate's own frontier with the nearest cost is again selected by accuracy,
which biases it. The original thresholds change the cost, and measure the drift of scores.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from searchlab.artefacts import load_network
from searchlab.data.batches import Normaliser
from searchlab.data.splits import Dataset
from searchlab.exits.budgets import surest_first
from searchlab.exits.evaluate import operating_point, scores_of
from searchlab.exits.scores import Scores
from searchlab.exits.table import load_table
from searchlab.exits.tabulate import tabulate
from searchlab.front.replicates import Reading
from searchlab.measure.device import resolve_device
from searchlab.operating_point import ExitRule, OperatingPoint
from searchlab.record import TrialRecord
from searchlab.trial_files import TABLE


def readings_of(
    record: TrialRecord, trials: Sequence[TrialRecord], dataset: Dataset, device_name: str
) -> tuple[Reading, ...]:
    """Re-evaluates the frontiers of trials on a replicate of their candidate, at the validation split's exit rates.

    Raises:
        UserError: the replicate's weights or exit table are missing or damaged.
    """
    assert record.cost is not None
    folder, device = Path(record.directory), resolve_device(device_name)
    network = load_network(folder, record.candidate, dataset.spec).to(device)
    test = tabulate(network, dataset.test.to(device), Normaliser.of(dataset, device))
    tables = (load_table(folder / TABLE), test)
    points = [(trial.number, point) for trial in trials if trial.frontier for point in trial.frontier.points]
    scores = {name: [scores_of(table, name) for table in tables] for name in {point.rule.score for _, point in points}}
    found = []
    for number, point in points:
        rule = at_same_shares(scores[point.rule.score][0], point)
        both = zip(tables, scores[point.rule.score], strict=True)
        seen = [operating_point(table.correct_NK, score_NK, rule, record.profile) for table, score_NK in both]
        found.append(Reading(number, point.rule, *seen))
    return tuple(found)


def at_same_shares(score_NK: Scores, point: OperatingPoint) -> ExitRule:
    """Returns the point's rule with thresholds at which as many samples leave at each exit (more if scores tie).

    Shapes: N samples, as many as the point has; K exits of the table.
    """
    assert len(score_NK) == point.samples, (len(score_NK), point.samples)
    counts = np.asarray(point.shares) * point.samples
    # Shares are whole numbers of samples; half a sample more protects against rounding down.
    thresholds = surest_first(score_NK[:, point.rule.exits], (counts + 0.5) / point.samples)
    return ExitRule(point.rule.score, point.rule.exits, thresholds)
