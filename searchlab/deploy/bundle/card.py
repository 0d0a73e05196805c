"""The card of a bundle: what the model is, where it comes from, what it promises, and the hashes of its files."""

import hashlib
import json
from pathlib import Path

from pydantic.dataclasses import dataclass

from searchlab.candidate import Candidate
from searchlab.errors import UserError
from searchlab.operating_point import Estimate, ExitRule, OperatingPoint
from searchlab.record import DataFacts, Machine
from searchlab.schema import upgraded, versioned
from searchlab.serialization import NOUN, from_plain, to_plain
from searchlab.study import Study
from searchlab.trial_files import WEIGHTS

CARD, README, MODEL, QUANTISED, STAGED = "card.json", "README.md", "model.onnx", "model.int8.onnx", "staged"
"""Names in a bundle; STAGED is a folder."""


@dataclass(frozen=True, config=NOUN)
class CardExit:
    """An exit in use. `exit` is what the model returns; `after_stage` a stage, or "final"; the last has no threshold.

    `share` of the validation images leave there, of which `accuracy` are right (None: none leaves).
    """

    exit: int
    after_stage: str
    threshold: float | None
    share: float
    accuracy: Estimate | None


@dataclass(frozen=True, config=NOUN)
class Promise:
    """The latency that the front promises, and what it is relative to: the reference's, measured by the same engine."""

    ms: Estimate
    machine: Machine
    reference_name: str
    reference_ms: float
    doubt: str = ""


@dataclass(frozen=True, config=NOUN)
class Int8:
    """The quantised file: its accuracy and shares per exit on the validation images, and how many calibrated it.

    `agree` is the share of images that leave at the same exit with the same class as in the float file.
    """

    accuracy: Estimate
    shares: tuple[float, ...]
    agree: float
    calibration_images: int


@dataclass(frozen=True, config=NOUN)
class CardFile:
    """A file of a bundle: its hash and its size."""

    sha256: str
    bytes: int


@dataclass(frozen=True, config=NOUN)
class Card:
    """All that is known of a bundle.

    `point` is the exit rule with its figures on the validation split, `test` the same on the test split, where that was
    read before the export. `input` is the type of the pixels that the model takes: uint8 of 0 to 255, or float32 of 0
    to 1. `files` are all others by their path in the bundle.
    """

    command: str
    created: str
    study: Study
    trial: int
    seed: int
    candidate: Candidate
    data: DataFacts
    input: str
    point: OperatingPoint
    exits: tuple[CardExit, ...]
    files: dict[str, CardFile]
    versions: dict[str, str]
    test: OperatingPoint | None = None
    latency: Promise | None = None
    int8: Int8 | None = None

    def is_of(self, study: str, trial: int, rule: ExitRule) -> bool:
        """Whether it is the card of this rule of this trial."""
        return (self.study.name, self.trial, self.point.rule) == (study, trial, rule)


def file_facts(path: Path) -> CardFile:
    """Returns the hash and the size of a file."""
    content = path.read_bytes()
    return CardFile(hashlib.sha256(content).hexdigest(), len(content))


def write_card(folder: Path, card: Card) -> None:
    """Writes the card: the last file of a bundle, so that a folder with a card is complete."""
    (folder / CARD).write_text(json.dumps(versioned(to_plain(card)), indent=1))


def read_card(folder: Path) -> Card:
    """Reads the card of a bundle.

    Raises:
        UserError: the folder is none, or its card is missing, damaged, or of a newer searchlab.
    """
    path = folder / CARD
    if not folder.is_dir():
        allowed = "a folder of `searchlab export`"
        raise UserError("path-not-found", "folder not found", where="DIR", value=str(folder), allowed=allowed)
    try:
        plain = json.loads(path.read_text())
        if not isinstance(plain, dict):
            raise ValueError("a card is a JSON object")
    except FileNotFoundError as error:
        allowed = "a folder that `searchlab export` wrote to its end; export again"
        raise UserError("path-not-found", "no card in this folder", where=str(path), allowed=allowed) from error
    except (OSError, ValueError) as error:
        raise UserError("artefact-unreadable", "no readable card", where=str(path), allowed=str(error)) from error
    return from_plain(Card, upgraded("Card", plain, str(path)), where=str(path))


def check_files(folder: Path, card: Card) -> None:
    """Checks that the files of a bundle are those of its card.

    Raises:
        UserError: one is missing, or was changed since the export.
    """
    for name, facts in card.files.items():
        path = folder / name
        if not path.is_file():
            raise UserError("path-not-found", "missing file of the card", where=str(path), allowed="export again")
        found = file_facts(path)
        if found != facts:
            raise UserError(
                "export-differs",
                "the file is not the card's",
                where=str(path),
                value=f"sha256 {found.sha256[:12]}, {found.bytes:,} bytes",
                allowed=f"the card has {facts.sha256[:12]}, {facts.bytes:,} bytes: export again, or restore the file",
            )


__all__ = [
    "CARD", "MODEL", "QUANTISED", "README", "STAGED", "WEIGHTS",
    "Card", "CardExit", "CardFile", "Int8", "Promise", "check_files", "file_facts", "read_card", "write_card",
]  # fmt: skip
