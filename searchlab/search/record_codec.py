"""How a trial's record lies in a store: its folder relative to the output folder, the facts of the data once a study.

A trial's record.json has those facts in it, so that it says all by itself.
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
"""What the names of a study's attributes begin with that hold the facts of a data set; its hash follows."""


@dataclass(frozen=True)
class RecordCodec:
    """Records of one study to plain data and back."""

    outputs: Outputs
    facts: Mapping[str, DataFacts]

    @classmethod
    def of(cls, study: str, output: Path, attributes: Mapping[str, Any]) -> "RecordCodec":
        """The codec of a study with these user attributes, looked at with this output folder.

        Raises:
            UserError: an attribute is damaged.
        """
        names = [name for name in attributes if name.startswith(FACTS)]
        facts = {name.removeprefix(FACTS): read_noun(DataFacts, attributes, name, f"study {study}") for name in names}
        return cls(Outputs.of(study, output, attributes), facts)

    def stored(self, record: TrialRecord) -> Plain:
        """A record as the store keeps it."""
        plain: Plain = to_plain(record)
        if record.directory:
            plain["output"], plain["directory"] = self.outputs.stored(record.directory, record.output)
        if self.facts.get(record.data.hash) == record.data:
            plain["data"] = {"hash": record.data.hash}
        return versioned(plain)

    def record(self, plain: Any, where: str) -> TrialRecord:
        """A record of the store, with the facts of its data, and its folder where it is today.

        Raises:
            UserError: it is damaged, or of a newer searchlab.
        """
        if not isinstance(plain, dict):
            raise damaged(where, "record", "it is no dict")
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
