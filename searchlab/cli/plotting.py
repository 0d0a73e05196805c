"""Drawing what was found: `plot`."""

from pathlib import Path

from searchlab.artefacts import disk_errors
from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.report.convergence import write_convergence_html, write_convergence_png
from searchlab.report.plots import write_html, write_png
from searchlab.search.final import looked_at
from searchlab.search.store import stored_study


def plot(
    study: opt.StoredStudy = None,
    as_json: opt.AsJson = False,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Write an interactive page and a PNG of the front, with every trial's frontier behind it.

    A study with curves gets a page and a PNG of how its trials converged, too.
    """
    where = opt.kept_at(output, storage)
    store = stored_study(study, where)
    definition, records = store.definition, store.records()
    _, tests = looked_at(records, store.looks())
    folder = output / definition.study.name
    written = {"html": folder / "front.html", "png": folder / "front.png"}
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_html(written["html"], definition.study, records, tests=tests)
        write_png(written["png"], definition.study, records)
        if definition.study.curves:
            written |= {f"convergence_{kind}": folder / f"convergence.{kind}" for kind in ("html", "png")}
            write_convergence_html(written["convergence_html"], definition.study, records)
            write_convergence_png(written["convergence_png"], definition.study, records)
    if as_json:
        show_json({"study": definition.study.name} | {kind: str(path) for kind, path in written.items()})
    else:
        show("\n".join(str(path) for path in written.values()))
