"""Commands: name, function and help line of each.

The file of a command is imported when it is called: help need not wait for torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

SEARCH, FOUND, SHIP, THERE = "Search", "Results", "Deployment", "Available studies and spaces"


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
        "Resume a study: first its unfinished trials, then new ones until the budget is spent.",
    ),
    "replicate": Command(
        "replicating.replicate",
        SEARCH,
        "Train the front's candidates again with fresh seeds, and show the front with means and 95 % intervals.",
    ),
    "profile": Command(
        "profiling.profile",
        SEARCH,
        "Measure a study's networks in another engine or on another machine, without training, and show their front.",
    ),
    "runs": Command(
        "runs.runs",
        FOUND,
        "List the studies of the store: status, trials, key figures of the front, time of the last change.",
    ),
    "front": Command(
        "inspecting.front",
        FOUND,
        "Show the Pareto front: accuracy and cost of its networks, each with an exit rule.",
    ),
    "trials": Command(
        "inspecting.trials",
        FOUND,
        "Show every trial: its state, its most accurate point with costs, and why it stopped or failed.",
    ),
    "show": Command(
        "inspecting.show_one",
        FOUND,
        "Show one point of the front: candidate, costs per stage and head, exits, thresholds, latency, machine.",
    ),
    "plot": Command(
        "plotting.plot",
        FOUND,
        "Write an interactive page and a PNG of the front, with every trial's frontier behind it.",
    ),
    "table": Command(
        "papers.table",
        FOUND,
        "Show the tables of a paper's study, ours beside the paper's; \"–\" marks what was not run.",
    ),
    "remove": Command(
        "removing.remove",
        FOUND,
        "Remove a study: its trials in the store, its replicates, and its files in the output folder.",
    ),
    "export": Command(
        "bundles.export",
        SHIP,
        "Write a point of the front as one ONNX file with real exits, its staged form, weights, and a card.",
    ),
    "verify": Command(
        "bundles.verify",
        SHIP,
        "Compare an export with its network on every test image: exits, classes, logits; its latency with the card.",
    ),
    "predict": Command(
        "predicting.predict",
        SHIP,
        "Classify images with an exported file: class, confidence, score, the exit where each left, and what it took.",
    ),
    "studies": Command(
        "listing.studies",
        THERE,
        "List the studies that `searchlab run` knows: those in ./studies, then those of searchlab.",
    ),
    "spaces": Command(
        "listing.spaces",
        THERE,
        "List the spaces that studies may name: those in ./spaces, then those of searchlab.",
    ),
}


def add_commands(app: typer.Typer, called: str) -> None:
    """Adds the `called` command itself, and stubs with the help line of the other commands."""
    for name, command in COMMANDS.items():
        if name == called:
            app.command(name, epilog=command.last_words())(command.load())
        else:
            app.command(name, help=command.line, rich_help_panel=command.panel)(_not_called)


def _not_called() -> None:
    raise AssertionError("only the command that is called is run")
