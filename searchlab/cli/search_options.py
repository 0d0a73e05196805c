"""Options whose help texts list the names in dicts of extensions.

They are apart from `cli.options`, because these dicts import torch and Optuna, which most commands do not need.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from searchlab.cli.options import LIMITS
from searchlab.data.augment import STEPS
from searchlab.data.datasets import DATASETS
from searchlab.engines.catalog import ENGINES
from searchlab.exits.scores import SCORES
from searchlab.measure.references import REFERENCES
from searchlab.model.stages import BACKBONES
from searchlab.objective import OBJECTIVES
from searchlab.search.early_stopping import EARLY_STOPPING
from searchlab.search.launch import RUNNERS
from searchlab.search.samplers import SAMPLERS
from searchlab.train.regimes import REGIMES
from searchlab.train.schedules import SCHEDULES

FOR_FILES: dict[str, Mapping[str, object]] = {
    "data sets": DATASETS,
    "scores": SCORES,
    "references": REFERENCES,
    "backbones": BACKBONES,
    "training regimes": REGIMES,
    "schedules": SCHEDULES,
    "augmentation steps": STEPS,
}
"""What the files of studies and spaces may name."""


def listed(names: Iterable[str]) -> str:
    """Returns "a, b or c"."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def explained(functions: Mapping[str, object]) -> str:
    """Returns "name: first line of the docstring" of every function or engine."""
    lines = {name: (function.__doc__ or "").strip().splitlines() for name, function in functions.items()}
    return " ".join(
        f"{name}: {text[0][:1].lower()}{text[0][1:]}" if text else f"{name}." for name, text in lines.items()
    )


def names_for_files() -> str:
    """Returns the names that files of studies and spaces may use, by kind."""
    kinds = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in FOR_FILES.items())
    return f"Names for files of studies and spaces: {kinds}."


Sampler = Annotated[
    str | None,
    typer.Option(help=f"{listed(SAMPLERS)}; or a .py file of your own.", rich_help_panel=LIMITS),
]
Engine = Annotated[
    str | None,
    typer.Option(
        help=f"What executes the networks whose latency is measured. {explained(ENGINES)}", rich_help_panel=LIMITS
    ),
]
EarlyStopping = Annotated[
    str | None,
    typer.Option(help=f"Rule that stops weak trials: {listed(EARLY_STOPPING)}.", rich_help_panel=LIMITS),
]
Objectives = Annotated[
    str | None,
    typer.Option(help=f"Two or three of {','.join(OBJECTIVES)}.", metavar="A,B", rich_help_panel=LIMITS),
]
Runner = Annotated[str, typer.Option(help=explained(RUNNERS))]
