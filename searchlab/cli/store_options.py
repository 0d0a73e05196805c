"""Options of a study's place, for the next command in messages."""

import shlex

from searchlab.search.storage import public
from searchlab.study import RunOptions


def kept_words(where: RunOptions, profile: str = "") -> str:
    """Returns the options of a study's place and profile, to append to a command: " --output demo"; "" by default."""
    words = [*(["--output", str(where.output)] if where.output != RunOptions().output else [])]
    words += ["--storage", public(where.storage)] if where.storage else []
    words += ["--profile", profile] if profile else []
    return f" {shlex.join(words)}" if words else ""
