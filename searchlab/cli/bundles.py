"""Commands about files that leave the tool: `export` and `verify`."""

from pathlib import Path
from typing import Annotated

import typer

from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.cli.store_options import kept_words
from searchlab.deploy.bundle.card import read_card
from searchlab.errors import UserError
from searchlab.report.bundles import export_view, verify_payload, verify_view
from searchlab.serialization import to_plain
from searchlab.session.bundles import ExportOptions, Wanted, export_point, verify_bundle, wanted_point
from searchlab.session.console import say
from searchlab.session.data_options import root_of
from searchlab.session.found import Found
from searchlab.study import RunOptions


def export(
    study: opt.StoredStudy = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the files: new, empty, or an earlier export of the same point.")
    ] = ...,  # type: ignore[assignment]
    point: Annotated[
        str | None,
        typer.Option(
            help="best, cheapest, knee, the number of a front point, or TRIAL:K, point K of a trial, cheapest first; "
            "default: knee.",
            metavar="POINT",
        ),
    ] = None,
    max_latency: Annotated[
        float | None, typer.Option("--max-latency", help="The most accurate point of at most so many ms.", metavar="MS")
    ] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(help="The cheapest point of at least this accuracy, 0 to 1.", metavar="SHARE")
    ] = None,
    pixels: Annotated[str, typer.Option(help="What the file takes: uint8 (0 to 255) or float32 (0 to 1).")] = "uint8",
    int8: Annotated[
        bool, typer.Option("--int8", help="Write a file of 8-bit integers beside it, and measure its accuracy.")
    ] = False,
    as_json: opt.AsJson = False,
    data: opt.DataRoot = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Write a point of the front as one ONNX file with real exits, its staged form, weights, and a card.

    The knee is the point farthest above the line from the cheapest to the most accurate point. Images are normalised
    in the file. README.md in the folder has the lines of Python that load it; they need no searchlab.
    """
    where = RunOptions(output=output, storage=storage)
    found = Found.of(study, where)
    if data is not None:
        where = RunOptions(data_root=root_of(data, [found.study]), output=output, storage=storage)
    entry = wanted_point(found, Wanted(point, max_latency, min_accuracy))
    options = ExportOptions("float32" if pixels == "float32" else pixels, int8)  # type: ignore[arg-type]
    card = export_point(found, where, entry, out, options)
    if as_json:
        show_json({"folder": str(out), **to_plain(card)})
    else:
        show(export_view(card, out, kept_words(where)))


def verify(
    folder: opt.Bundle,
    as_json: opt.AsJson = False,
    data: opt.DataRoot = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Compare an export with its network on every test image: exits, classes, logits; its latency with the card.

    The model file, the staged files and PyTorch must take every image to the exit and class of the exit table. This
    reads the test split: the study records it, as `front --test` does.
    """
    root = root_of(data, [read_card(folder).study] if data is not None else [])
    where = RunOptions(data_root=root, output=output, storage=storage)
    found = verify_bundle(folder, where, None if as_json else say)
    if as_json:
        show_json(verify_payload(folder, found.card, found.verification, found.latency))
    else:
        show(verify_view(found.card, found.verification, found.latency))
    for each in found.verification.agreements:
        if not each.holds:
            value = f"{len(each.differing)} of {each.images} images, logits within {each.logits_error:.1e}"
            allowed = "every image takes the same exit and class, ties aside, and logits are within 1e-4"
            raise UserError(
                "export-differs",
                f"{each.name} differs from the exit table",
                where=str(folder),
                value=value,
                allowed=allowed,
            )
