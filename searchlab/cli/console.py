"""Output of tables for people and JSON for programs."""

import json
from typing import Any

from rich.console import RenderableType

from searchlab.session.console import console


def show(view: RenderableType) -> None:
    """Prints a table or text."""
    to = console()
    to.print(view, crop=to.is_terminal)


def show_json(payload: Any) -> None:
    """Prints one JSON document."""
    print(json.dumps(payload, indent=2, allow_nan=False))
