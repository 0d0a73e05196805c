"""Standard output: as wide as the terminal, or wide enough for every table; plain text in a notebook."""

import os
import sys

from rich.console import Console

PIPED_WIDTH = 120
"""Columns where there is no terminal to ask."""


def console() -> Console:
    """Standard output, as wide as the terminal, or wide enough for every table where it is none."""
    made = Console(highlight=False, force_jupyter=False)
    if made.is_terminal or "COLUMNS" in os.environ:
        return made
    return Console(highlight=False, force_jupyter=False, width=PIPED_WIDTH)


def say(line: str) -> None:
    """Prints a sentence, taken literally: wrapped between words on a terminal, as one line elsewhere."""
    to = console()
    to.print(line, markup=False, soft_wrap=not to.is_terminal)


def warn(line: str) -> None:
    """Prints a line to standard error, as it is now: a notebook's is another than the process's."""
    Console(file=sys.stderr, soft_wrap=True, highlight=False, force_jupyter=False).print(line, markup=False)
