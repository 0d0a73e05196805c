"""Modules of the papers, imported as searchlab imports them."""

from types import ModuleType
from typing import Any

from searchlab.search.paper_packages import import_part


def part(paper: str, module: str) -> ModuleType:
    """A module of a paper: `part("gates", "sweep")`."""
    return import_part(f"paper_{paper}", module)


def names(paper: str, module: str, *wanted: str) -> list[Any]:
    """Names of a module of a paper."""
    return [getattr(part(paper, module), name) for name in wanted]
