"""Commands: name, function and help line of each.

The file of a command is imported when it is called: help need not wait for torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

SEARCH, FOUND, THERE = "Search", "Look at what was found", "What there is"


@dataclass(frozen=True)
class Command:
    """`function` is "module.name" below `searchlab.cli`; `line` is the first paragraph of its docstring.

    `epilog` is a function, written likewise, that returns the last paragraph of the command's help.
    """

    function: str
    panel: str
    line: str
    epilog: str = ""

    def load(self) -> Callable[..., None]:
        """The function, its file imported."""
        function: Callable[..., None] = _imported(self.function)
        return function

    def last_words(self) -> str | None:
        """The last paragraph of the help, if there is one."""
        return _imported(self.epilog)() if self.epilog else None


def _imported(function: str) -> Any:
    module, name = function.split(".")
    return getattr(import_module(f"searchlab.cli.{module}"), name)


COMMANDS = {
    "run": Command(
        "running.run",
        SEARCH,
        "Search: train and measure candidates until the budget is spent, then show the front (or the paper's table).",
        "search_options.names_for_files",
    ),
    "resume": Command(
        "running.resume",
        SEARCH,
        "Go on with a study: first the trials that were begun and not finished, then new ones up to its budget.",
    ),
    "replicate": Command(
        "replicating.replicate",
        SEARCH,
        "Train the front's candidates again with fresh seeds, and show the front with means and 95 % intervals.",
    ),
    "runs": Command(
        "runs.runs",
        FOUND,
        "List the studies of the store: how each stands, its trials, its front in a few figures, when it changed.",
    ),
    "front": Command(
        "inspecting.front",
        FOUND,
        "The Pareto front: which network, under which exit rule, gives which accuracy at which cost.",
    ),
    "trials": Command(
        "inspecting.trials",
        FOUND,
        "Every trial: how it ended, its most accurate point and what that costs, and why it stopped or failed.",
    ),
    "show": Command(
        "inspecting.show_one",
        FOUND,
        "One point of the front in full: candidate, costs per stage and head, exits, thresholds, latency, machine.",
    ),
    "plot": Command(
        "plotting.plot",
        FOUND,
        "Write an interactive page and a PNG of the front, with every trial's frontier behind it.",
    ),
    "table": Command(
        "papers.table",
        FOUND,
        "The table of a paper's study, ours beside the paper's; what was not run is \"–\".",
    ),
    "remove": Command(
        "removing.remove",
        FOUND,
        "Forget a study: its trials in the store, its replicates, and its files in the output folder.",
    ),
    "studies": Command(
        "listing.studies",
        THERE,
        "List the studies that `searchlab run` knows: those in ./studies, then those that searchlab brings.",
    ),
    "spaces": Command(
        "listing.spaces",
        THERE,
        "List the spaces that studies may name: those in ./spaces, then those that searchlab brings.",
    ),
}


def add_commands(app: typer.Typer, called: str) -> None:
    """Adds the command that is `called` as it is, and of the others what help says of them."""
    for name, command in COMMANDS.items():
        if name == called:
            app.command(name, epilog=command.last_words())(command.load())
        else:
            app.command(name, help=command.line, rich_help_panel=command.panel)(_not_called)


def _not_called() -> None:
    raise AssertionError("only the command that is called is run")
