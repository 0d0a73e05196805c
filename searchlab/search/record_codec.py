"""Stored form of a trial's record: its folder is relative to the output folder; facts about the data are in the study.

A trial's record.json contains these facts, so that it is self-contained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchlab.errors import UserError
from searchlab.record import DataFacts, TrialRecord
from searchlab.schema import Plain, upgraded, versioned
from searchlab.search.attributes import damaged, read_noun
from searchlab.search.outputs import Outputs
from searchlab.serialization import from_plain, to_plain

FACTS = "data facts "
"""Prefix of the study's attributes with the facts about a data set; the data hash follows."""


@dataclass(frozen=True)
class RecordCodec:
    """Converts records of one study to plain data and back."""

    outputs: Outputs
    facts: Mapping[str, DataFacts]

    @classmethod
    def of(cls, study: str, output: Path, attributes: Mapping[str, Any]) -> "RecordCodec":
        """Makes the codec of a study from its user attributes, for this output folder.

        Raises:
            UserError: an attribute is damaged.
        """
        names = [name for name in attributes if name.startswith(FACTS)]
        facts = {name.removeprefix(FACTS): read_noun(DataFacts, attributes, name, f"study {study}") for name in names}
        return cls(Outputs.of(study, output, attributes), facts)

    def stored(self, record: TrialRecord) -> Plain:
        """Returns the stored form of a record."""
        plain: Plain = to_plain(record)
        if record.directory:
            plain["output"], plain["directory"] = self.outputs.stored(record.directory, record.output)
        if self.facts.get(record.data.hash) == record.data:
            plain["data"] = {"hash": record.data.hash}
        return versioned(plain)

    def record(self, plain: Any, where: str) -> TrialRecord:
        """Returns a record from its stored form, with the facts about its data and the current path of its folder.

        Raises:
            UserError: it is damaged, or a newer searchlab wrote it.
        """
        if not isinstance(plain, dict):
            raise damaged(where, "record", "not a dict")
        found = upgraded("TrialRecord", plain, where)
        known = found.get("data")
        if isinstance(known, dict) and known.get("hash") in self.facts:
            found["data"] = self.facts[known["hash"]]
        if found.get("directory"):
            found["directory"] = str(self.outputs.path_of(found.get("output", ""), found["directory"]))
        try:
            return from_plain(TrialRecord, found)
        except UserError as error:
            raise damaged(where, "record", str(error)) from error
