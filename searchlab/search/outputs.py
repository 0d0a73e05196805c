"""The output folders of a study: finds the artefacts of its trials, even if folders were moved.

Every output folder has an id, stored in the study's folder within it. The store keeps the id for every trial, and the
last known path of every output folder, which may be that of another driver.
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
"""The file in a study's folder that identifies the study."""

OUTPUT = "output "
"""Prefix of the study's attributes with the last known path of an output folder; the folder's id follows."""


@noun(frozen=True, config=NOUN)
class Owner:
    """The study that a folder belongs to; `store` is shown in messages, without its password.

    `output` is the id of the output folder that holds the study's folder.
    """

    identity: str
    name: str
    store: str
    output: str = ""


@noun(frozen=True, config=NOUN)
class SeenOutput:
    """Place of an output folder when a driver last used it."""

    path: str
    host: str

    @classmethod
    def now(cls, path: Path) -> "SeenOutput":
        """Returns the place of a folder on this machine."""
        return cls(str(path.absolute()), socket.gethostname())


def owner_of(folder: Path) -> Owner | None:
    """Returns the study that a folder belongs to; None if unknown.

    Raises:
        UserError: the file that identifies the study is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return from_plain(Owner, json.loads(path.read_text()))
    except (OSError, ValueError, UserError) as error:
        mend = "delete it: `searchlab resume` writes it again"
        raise UserError(
            "artefact-unreadable",
            "invalid content: the id of the folder's study is missing",
            where=str(path),
            allowed=mend,
        ) from error


@dataclass(frozen=True)
class Outputs:
    """The output folders of one study: the `given` one, and the ones that its store has `seen`, by id."""

    study: str
    given: Path
    seen: Mapping[str, SeenOutput]
    _found: dict[str, Path | None] = field(default_factory=dict)

    @classmethod
    def of(cls, study: str, given: Path, attributes: Mapping[str, Any]) -> "Outputs":
        """Reads the output folders from the user attributes of a study."""
        names = [name for name in attributes if name.startswith(OUTPUT)]
        seen = {name.removeprefix(OUTPUT): read_noun(SeenOutput, attributes, name, f"study {study}") for name in names}
        return cls(study, given.absolute(), seen)

    def id_of(self, output: Path) -> str:
        """Returns the id of an output folder; its path if it has no id."""
        return self._noted(output) or str(output)

    def path_of(self, output: str, directory: str) -> Path:
        """Returns a trial's folder from the id of its output folder and its path there; a likely path if it is missing.

        Folders of earlier versions have no id; they are recognised by their content.
        """
        if output not in self._found:
            self._found[output] = next((each for each in self._likely(output) if self._noted(each) == output), None)
        if (exact := self._found[output]) is not None:
            return exact / directory
        likely = [each / directory for each in self._likely(output)]
        there = next((each for each in likely if (each / RECORD).is_file()), None)
        return there or next((each for each in likely if each.parent.is_dir()), likely[-1])

    def stored(self, directory: str, output: str = "") -> tuple[str, str]:
        """Returns the stored form of a trial's folder: the id of its output folder, and its path there."""
        root, relative = divided(str(Path(directory).absolute()))
        return output or self.id_of(Path(root)), relative

    def below(self, path: str) -> str:
        """Makes a path within the given output folder relative to it; other paths and URLs stay unchanged."""
        absolute = Path(path)
        return absolute.relative_to(self.given).as_posix() if absolute.is_relative_to(self.given) else path

    def found(self, path: str) -> str:
        """Inverse of `below`: returns the current path."""
        if "://" in path or Path(path).is_absolute():
            return path
        roots = [self.given, *(Path(seen.path) for seen in self.seen.values())]
        return str(next((root / path for root in roots if (root / path).exists()), self.given / path))

    def _likely(self, output: str) -> list[Path]:
        """Returns possible paths of an output folder: the given folder, and its last known path."""
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
