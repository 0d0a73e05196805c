"""The output folders of a study: where the artefacts of its trials lie, wherever the folders were moved.

Every output folder has an id, noted in the study's folder within it. The store keeps the id with a trial, and the path
of the output folder as it was last seen, for it may be that of another driver.
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass as noun

from searchlab.errors import UserError
from searchlab.schema import divided
from searchlab.search.attributes import read_noun
from searchlab.serialization import NOUN, from_plain
from searchlab.trial_files import RECORD

FILE = "study.json"
"""The file in a study's folder that says which study it is."""

OUTPUT = "output "
"""What the names of a study's attributes begin with that hold an output folder as it was last seen; its id follows."""


@noun(frozen=True, config=NOUN)
class Owner:
    """Which study a folder belongs to; its store is named for people, without its password.

    `output` is the id of the output folder that holds the study's folder.
    """

    identity: str
    name: str
    store: str
    output: str = ""


@noun(frozen=True, config=NOUN)
class SeenOutput:
    """Where an output folder was when a driver last began to work with it."""

    path: str
    host: str

    @classmethod
    def now(cls, path: Path) -> "SeenOutput":
        """That folder, on this machine."""
        return cls(str(path.absolute()), socket.gethostname())


def owner_of(folder: Path) -> Owner | None:
    """The study that a folder belongs to; None where that is not noted.

    Raises:
        UserError: the file that notes it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return from_plain(Owner, json.loads(path.read_text()))
    except (OSError, ValueError, UserError) as error:
        mend = "delete it: `searchlab resume` writes it again"
        raise UserError(
            "artefact-unreadable", "does not say which study the folder belongs to", where=str(path), allowed=mend
        ) from error


@dataclass(frozen=True)
class Outputs:
    """The output folders of one study: the one that is `given` now, and those that its store has `seen`, by id."""

    study: str
    given: Path
    seen: Mapping[str, SeenOutput]
    _found: dict[str, Path | None] = field(default_factory=dict)

    @classmethod
    def of(cls, study: str, given: Path, attributes: Mapping[str, Any]) -> "Outputs":
        """Those that the user attributes of a study tell of."""
        names = [name for name in attributes if name.startswith(OUTPUT)]
        seen = {name.removeprefix(OUTPUT): read_noun(SeenOutput, attributes, name, f"study {study}") for name in names}
        return cls(study, given.absolute(), seen)

    def id_of(self, output: Path) -> str:
        """The id of an output folder; its path where it has none."""
        return self._noted(output) or str(output)

    def path_of(self, output: str, directory: str) -> Path:
        """The folder of a trial, by the id of its output folder and its path there; the likeliest one if it is gone.

        Folders without an id, of earlier versions, are known by what lies in them.
        """
        if output not in self._found:
            self._found[output] = next((each for each in self._likely(output) if self._noted(each) == output), None)
        if (exact := self._found[output]) is not None:
            return exact / directory
        likely = [each / directory for each in self._likely(output)]
        there = next((each for each in likely if (each / RECORD).is_file()), None)
        return there or next((each for each in likely if each.parent.is_dir()), likely[-1])

    def stored(self, directory: str, output: str = "") -> tuple[str, str]:
        """A trial's folder as it is stored: the id of its output folder, and its path there."""
        root, relative = divided(str(Path(directory).absolute()))
        return output or self.id_of(Path(root)), relative

    def below(self, path: str) -> str:
        """A path within the output folder that is given, relative to it; another path, and a URL, as it is."""
        absolute = Path(path)
        return absolute.relative_to(self.given).as_posix() if absolute.is_relative_to(self.given) else path

    def found(self, path: str) -> str:
        """What `below` made relative, where it is now."""
        if "://" in path or Path(path).is_absolute():
            return path
        roots = [self.given, *(Path(seen.path) for seen in self.seen.values())]
        return str(next((root / path for root in roots if (root / path).exists()), self.given / path))

    def _likely(self, output: str) -> list[Path]:
        """Where an output folder may be now: the given folder, and where it was last."""
        seen = self.seen.get(output)
        # Earlier versions kept the path in place of an id.
        before = [Path(output)] if Path(output).is_absolute() else []
        return [self.given, *([Path(seen.path)] if seen else before)]

    def _noted(self, output: Path) -> str:
        try:
            owner = owner_of(output / self.study)
        except (UserError, OSError):
            return ""
        return owner.output if owner else ""
