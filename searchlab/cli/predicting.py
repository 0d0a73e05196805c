"""The command `predict`. It loads no torch: a file classifies images without it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from searchlab.cli import options as opt
from searchlab.cli.console import show
from searchlab.deploy.bundle.card import check_files, read_card
from searchlab.deploy.bundle.predict import FilePrediction, images_in, predictions
from searchlab.errors import UserError
from searchlab.report.frames import write_csv
from searchlab.report.predictions import file_predictions_frame, predictions_view
from searchlab.serialization import to_plain


def predict(
    folder: opt.Bundle,
    images: Annotated[list[Path], typer.Argument(help="Image files, and folders of them.", metavar="IMAGES...")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per image and line.")] = False,
    csv: opt.Csv = None,
) -> None:
    """Classify images with an exported file: class, confidence, score, the exit where each left, and what it took.

    Images are read as those of the training were: upright, the middle cut out, resized.
    """
    card = read_card(folder)
    check_files(folder, card)
    found: list[FilePrediction] = []
    unreadable: list[UserError] = []
    for each in predictions(folder, card, images_in(images)):
        if isinstance(each, UserError):
            unreadable.append(each)
            continue
        found.append(each)
        if as_json:
            print(json.dumps(to_plain(each)), flush=True)
    if csv is not None:
        write_csv(csv, file_predictions_frame(found))
    if found and not as_json:
        show(predictions_view(found))
    if unreadable:
        first, *more = unreadable
        raise (
            first
            if not more
            else UserError(
                "invalid-images",
                f"{len(unreadable)} images are unreadable, the first",
                where="predict",
                value=first.value,
                allowed="the others are classified",
            )
        )
