"""Trials and fronts as pandas frames. An estimate becomes three columns: x, x_low, x_high."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import UserError
from searchlab.front.points import FrontPoint
from searchlab.operating_point import Prediction
from searchlab.record import TrialRecord
from searchlab.report.payloads import Plain, point_payload, trial_row

if TYPE_CHECKING:
    import pandas as pd

ESTIMATES = ("accuracy", "test_accuracy", "latency_ms", "times_reference", "network_latency_ms")
TRIAL_COLUMNS = (
    *("trial", "state", "accuracy", "accuracy_low", "accuracy_high", "latency_ms", "latency_ms_low", "latency_ms_high"),
    *("latency_doubt", "engine", "macs", "params"),
    *("network_latency_ms", "network_latency_ms_low", "network_latency_ms_high", "network_params"),
    *("epochs", "seconds", "reason", "candidate", "directory"),
)
FRONT_COLUMNS = (
    *("point", "trial", "accuracy", "accuracy_low", "accuracy_high"),
    *("test_accuracy", "test_accuracy_low", "test_accuracy_high"),
    *("latency_ms", "latency_ms_low", "latency_ms_high", "latency_doubt", "engine"),
    *("times_reference", "times_reference_low", "times_reference_high"),
    *("macs", "params", "score", "exits", "cuts", "thresholds", "shares", "candidate", "directory"),
)


def trials_frame(records: Sequence[TrialRecord]) -> "pd.DataFrame":
    """Returns one row per trial: state, most accurate point, costs of the whole network, epochs, seconds, reason."""
    import pandas as pd

    rows = [_flat(trial_row(record)) for record in sorted(records, key=lambda record: record.number)]
    return pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))


def front_frame(points: Sequence[FrontPoint]) -> "pd.DataFrame":
    """Returns one row per point of a front (from `study_front`), in its order."""
    import pandas as pd

    return pd.DataFrame([_flat(point_payload(point)) for point in points], columns=list(FRONT_COLUMNS))


def points_frame(points: Sequence[FrontPoint]) -> "pd.DataFrame":
    """Returns one row per operating point of any trial; those with the number 0 are not on the front, and have none."""
    frame = front_frame(points)
    on_front = frame.point > 0
    frame["point"] = frame.point.where(on_front).astype("Int64")
    frame.insert(1, "on_front", on_front)
    return frame


def predictions_frame(predictions: Sequence[Prediction]) -> "pd.DataFrame":
    """Returns one row per image: its class, the confidence, and the exit where it left."""
    import pandas as pd

    return pd.DataFrame([vars(each) for each in predictions], columns=[each.name for each in fields(Prediction)])


def write_csv(path: Path, frame: "pd.DataFrame") -> None:
    """Writes a frame as CSV; creates the folder if it is missing.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path, index=False)
    except OSError as error:
        raise UserError(
            "cannot-write", f"cannot write: {error.strerror or error}", where=str(path), allowed="see --csv"
        ) from error


def _flat(row: Plain) -> Plain:
    flat: Plain = {}
    for name, value in row.items():
        if name in ESTIMATES:
            parts = value or {"value": None, "low": None, "high": None}
            flat |= {name: parts["value"], f"{name}_low": parts["low"], f"{name}_high": parts["high"]}
        else:
            flat[name] = value
    return flat
