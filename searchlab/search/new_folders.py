"""Folders that a run makes, and that are removed again if the run is refused."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def new_folders(folder: Path) -> list[Path]:
    """Returns those of a folder and its parents that do not exist yet, the innermost first."""
    whole = folder.absolute()
    return [each for each in (whole, *whole.parents) if not os.path.exists(each)]


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders, the innermost first, up to the first that is not empty."""
    with suppress(OSError):
        for each in folders:
            each.rmdir()
