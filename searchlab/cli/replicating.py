"""Command `replicate`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from searchlab.analysis.stored_replicates import replicates_of
from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.errors import Interrupted
from searchlab.report.frames import write_csv
from searchlab.report.replicates import replicates_frame, replicates_payload, replicates_view
from searchlab.search.store import StudyStore, stored_study
from searchlab.session.console import console
from searchlab.session.data_options import root_of
from searchlab.session.replicated import replicated
from searchlab.session.replicating import train_again
from searchlab.study import RunOptions


def replicate(
    study: opt.StoredStudy = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of fresh seeds per candidate of the front.")] = 3,
    points: opt.Points = 12,
    as_json: opt.AsJson = False,
    csv: opt.Csv = None,
    data: opt.DataRoot = None,
    download: opt.Download = False,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Train the front's candidates again with fresh seeds, and show the front with means and 95 % intervals.

    The front's accuracies are optimistic, because they are the best of many. Those of fresh seeds are not selected. The
    search and its front stay unchanged. Ctrl-C ends after the current step; the same command continues, and a larger
    --seeds adds seeds. `searchlab front STUDY --replicates` shows the table again.
    """
    store = stored_study(study, opt.kept_at(output, storage))
    root = root_of(data, [store.definition.study], download=download)
    where = RunOptions(root, download, output, storage, device, threads)
    printer = Console(stderr=True, highlight=False) if as_json else console()
    try:
        train_again(store, where, printer, seeds, points)
    except Interrupted:
        printer.print("Stopped. All results are kept. To continue, repeat the command.", soft_wrap=True)
        raise
    show_replicated(store, points, as_json=as_json, csv=csv)


def show_replicated(store: StudyStore, points: int, *, as_json: bool, csv: Path | None) -> None:
    """Shows the front with its replicates.

    Raises:
        UserError: the study has no replicates, or the file cannot be written.
    """
    study, found, front = store.definition.study, replicates_of(store), replicated(store, points)
    if csv is not None:
        write_csv(csv, replicates_frame(study, front))
    if as_json:
        show_json(replicates_payload(study, front, found))
    else:
        show(replicates_view(study, front, found))
