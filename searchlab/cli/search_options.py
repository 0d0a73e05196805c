"""Options whose help texts list the names in dicts of extensions.

They are apart from `cli.options`, because these dicts import torch and Optuna, which most commands do not need.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import typer

from searchlab.cli.options import LIMITS
from searchlab.objective import OBJECTIVES
from searchlab.search.early_stopping import EARLY_STOPPING
from searchlab.search.launch import RUNNERS
from searchlab.search.samplers import SAMPLERS


def listed(names: Iterable[str]) -> str:
    """Returns "a, b or c"."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def explained(functions: Mapping[str, Callable[..., Any]]) -> str:
    """Returns "name: first line of the docstring" of every function."""
    lines = {name: (function.__doc__ or "").strip().splitlines() for name, function in functions.items()}
    return " ".join(
        f"{name}: {text[0][:1].lower()}{text[0][1:]}" if text else f"{name}." for name, text in lines.items()
    )


Sampler = Annotated[
    str | None,
    typer.Option(help=f"{listed(SAMPLERS)}; or a .py file of your own.", rich_help_panel=LIMITS),
]
EarlyStopping = Annotated[
    str | None,
    typer.Option(help=f"Rule that ends weak trials: {listed(EARLY_STOPPING)}.", rich_help_panel=LIMITS),
]
Objectives = Annotated[
    str | None,
    typer.Option(help=f"Two or three of {','.join(OBJECTIVES)}.", metavar="A,B", rich_help_panel=LIMITS),
]
Runner = Annotated[str, typer.Option(help=explained(RUNNERS))]
