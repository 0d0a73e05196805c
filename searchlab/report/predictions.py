"""Predictions of a model file as a table and as a frame. Without torch, which the model file does not need either."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from rich.console import RenderableType

from searchlab.deploy.bundle.predict import FilePrediction
from searchlab.report import units
from searchlab.report.layout import figures, plain_table, words

if TYPE_CHECKING:
    import pandas as pd


def predictions_view(predictions: Sequence[FilePrediction]) -> RenderableType:
    """Returns a table with one row per image."""
    columns = [words("image"), words("class"), *map(figures, ("confidence", "score", "exit after", "latency"))]
    rows = [
        [
            each.image,
            each.class_name,
            units.percent(each.confidence),
            units.NOTHING if each.score is None else units.threshold(each.score),
            each.after_stage,
            units.milliseconds(each.ms),
        ]
        for each in predictions
    ]
    return plain_table(columns, rows)


def file_predictions_frame(predictions: Sequence[FilePrediction]) -> "pd.DataFrame":
    """Returns one row per image."""
    import pandas as pd

    return pd.DataFrame([vars(each) for each in predictions], columns=[each.name for each in fields(FilePrediction)])
