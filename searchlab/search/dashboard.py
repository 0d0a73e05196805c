"""Attributes for Optuna's dashboard and tables: names of objectives, plain figures of every trial."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.exceptions import ExperimentalWarning

from searchlab.objective import Objective
from searchlab.record import TrialRecord

LONGEST = 300
"""Maximum length of a state in words."""


def name_objectives(study: optuna.Study, objectives: Sequence[Objective]) -> None:
    """Names the objectives of the Optuna study; a study of an earlier version gets names when it is resumed."""
    names = [objective.name for objective in objectives]
    if study.metric_names != names and len(study.directions) == len(names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(names)


def shown(record: TrialRecord) -> dict[str, str | float]:
    """Returns user attributes of a trial for Optuna's tools; searchlab never reads them.

    The costs are those of the whole network. Each is a write to the store, so there are few.
    """
    state = f"{record.state}: {record.reason}" if record.reason else record.state
    found: dict[str, str | float] = {"state": state if len(state) <= LONGEST else f"{state[:LONGEST]} ..."}
    if record.frontier is not None and record.frontier.points:
        found["best_accuracy"] = max(point.accuracy for point in record.frontier.points)
    if record.cost is not None:
        found |= {"parameters": record.cost.params, "macs": record.cost.macs}
    if record.latency is not None:
        found["latency_ms"] = record.latency.whole.p50
    return found
