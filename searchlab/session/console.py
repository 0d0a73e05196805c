"""Standard output: as wide as the terminal; wide enough for every table elsewhere; plain text in a notebook."""

import os
import sys

from rich.console import Console

PIPED_WIDTH = 120
"""Number of columns without a terminal."""


def console() -> Console:
    """Returns standard output, as wide as the terminal, or wide enough for every table elsewhere."""
    made = Console(highlight=False, force_jupyter=False)
    if made.is_terminal or "COLUMNS" in os.environ:
        return made
    return Console(highlight=False, force_jupyter=False, width=PIPED_WIDTH)


def say(line: str, printer: Console | None = None, style: str = "") -> None:
    """Prints a sentence without markup: wrapped between words on a terminal, as one line elsewhere."""
    to = printer or console()
    to.print(line, style=style, markup=False, highlight=False, soft_wrap=not to.is_terminal)


def warn(line: str) -> None:
    """Prints a line to the current standard error: a notebook replaces the process's."""
    Console(file=sys.stderr, soft_wrap=True, highlight=False, force_jupyter=False).print(line, markup=False)
