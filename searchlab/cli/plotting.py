"""Drawing what was found: `plot`."""

from pathlib import Path

import typer

from searchlab.artefacts import disk_errors
from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.report.plots import write_html, write_png
from searchlab.search.final import looked_at
from searchlab.search.store import stored_study


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel="Look at what was found")(plot)


def plot(
    study: opt.StoredStudy = None,
    as_json: opt.AsJson = False,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Write an interactive page and a PNG of the front, with every trial's frontier behind it."""
    where = opt.kept_at(output, storage)
    store = stored_study(study, where)
    definition, records = store.definition, store.records()
    _, tests = looked_at(records, store.looks())
    folder = output / definition.study.name
    page, picture = folder / "front.html", folder / "front.png"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_html(page, definition.study, records, tests=tests)
        write_png(picture, definition.study, records)
    if as_json:
        show_json({"study": definition.study.name, "html": str(page), "png": str(picture)})
    else:
        show(f"{page}\n{picture}")
