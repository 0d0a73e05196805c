"""Command `runs`."""

from pathlib import Path

from searchlab.cli import options as opt
from searchlab.cli.console import show, show_json
from searchlab.cli.store_options import kept_words
from searchlab.report.runs import runs_payload, runs_view
from searchlab.search.runs import stored


def runs(
    as_json: opt.AsJson = False,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """List the studies of the store: status, trials, key figures of the front, time of the last change."""
    where = opt.kept_at(output, storage)
    found = stored(where)
    if as_json:
        show_json(runs_payload(found))
    else:
        show(runs_view(found, kept_words(where)))
