"""What Optuna's own dashboard and tables show of a study: its objectives by name, plain figures of every trial."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.exceptions import ExperimentalWarning

from searchlab.objective import Objective
from searchlab.record import TrialRecord

LONGEST = 300
"""Characters of a state in words."""


def name_objectives(study: optuna.Study, objectives: Sequence[Objective]) -> None:
    """Names the values that trials are told with; a study of an earlier version gets its names when it is resumed."""
    names = [objective.name for objective in objectives]
    if study.metric_names != names and len(study.directions) == len(names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(names)


def shown(record: TrialRecord) -> dict[str, str | float]:
    """User attributes of a trial for people who look at it with Optuna's tools; searchlab itself reads none of them.

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
