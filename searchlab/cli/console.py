"""Printing: tables for people, JSON for programs."""

import json
import os
from typing import Any

from rich.console import Console, RenderableType

PIPED_WIDTH = 120
"""Columns where there is no terminal to ask."""


def console() -> Console:
    """Standard output, as wide as the terminal, or wide enough for every table where it is none."""
    made = Console(highlight=False)
    if made.is_terminal or "COLUMNS" in os.environ:
        return made
    return Console(highlight=False, width=PIPED_WIDTH)


def show(view: RenderableType) -> None:
    """Prints a table or text."""
    to = console()
    to.print(view, crop=to.is_terminal)


def say(line: str) -> None:
    """Prints a sentence, taken literally: wrapped between words on a terminal, as one line elsewhere."""
    to = console()
    to.print(line, markup=False, soft_wrap=not to.is_terminal)


def warn(line: str) -> None:
    """Prints a line to standard error."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(line, markup=False)


def show_json(payload: Any) -> None:
    """Prints one JSON document."""
    print(json.dumps(payload, indent=2, allow_nan=False))
