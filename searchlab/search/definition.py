"""What a study is, as it is kept: what of it may change, and what makes of it another study."""

import difflib
import json
from dataclasses import dataclass

from searchlab.plain import to_plain
from searchlab.study import BUDGET_FIELDS, Study


@dataclass(frozen=True)
class Definition:
    """What a study is: as it runs, as its file (at `path`) wrote it before overrides, and the text of its space."""

    study: Study
    written: Study
    space_text: str
    path: str = ""

    def changes(self, other: "Definition") -> list[str]:
        """Lines of a diff from this definition to another, budgets left out; empty where they are the same study."""
        here, there = _comparable(self), _comparable(other)
        return [
            line
            for line in difflib.unified_diff(here, there, "stored", "now", lineterm="", n=1)
            if not line.startswith("@@")
        ]


def _comparable(definition: Definition) -> list[str]:
    plain = to_plain(definition.written)
    kept = {key: value for key, value in plain.items() if key not in BUDGET_FIELDS}
    return [*(f"{key} = {json.dumps(value)}" for key, value in kept.items()), *definition.space_text.splitlines()]
