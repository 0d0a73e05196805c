"""Command `remove`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from searchlab.cli import options as opt
from searchlab.errors import UserError
from searchlab.report.runs import kept_lines, removal_lines
from searchlab.search.removal import planned
from searchlab.search.removal import remove as remove_study
from searchlab.search.storage import public
from searchlab.session.console import say


def remove(
    study: Annotated[str, typer.Argument(help="A study of the store; `searchlab runs` lists them.", metavar="STUDY")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    output: opt.Output = Path("runs"),
    storage: opt.Storage = "",
) -> None:
    """Remove a study: its trials in the store, its replicates, and its files in the output folder.

    Lists what is removed, and asks. Other files in the study's folder stay.
    """
    where = opt.kept_at(output, storage)
    plan = planned(study, where)
    for line in removal_lines(plan.study, public(where.storage_url), plan.megabytes, plan.folder):
        say(line)
    for line in kept_lines(plan.kept):
        say(line)
    if not yes and not _agreed(study):
        say("Nothing was removed.")
        raise typer.Exit(1)
    remove_study(study, where)
    say(f"Removed study {study}.")


def _agreed(study: str) -> bool:
    """Asks for confirmation; returns the answer.

    Raises:
        UserError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise UserError(
            "confirmation-needed",
            "confirmation is needed, and there is no terminal",
            where=f"study {study}",
            allowed="--yes",
        )
    return typer.confirm("Remove it permanently?")
