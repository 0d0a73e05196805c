"""Export of a point of a study, and verification of a bundle against its study and its data."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from searchlab.data.folder_spec import is_folder
from searchlab.data.prepared import LoadHooks
from searchlab.data.splits import Dataset
from searchlab.deploy.bundle.card import Card, check_files, read_card
from searchlab.deploy.bundle.export import Shipment, export
from searchlab.deploy.bundle.latency import FileLatency, file_latency
from searchlab.deploy.bundle.verify import Verification, verify
from searchlab.errors import UserError
from searchlab.front.points import FrontPoint, entries_of
from searchlab.record import DataFacts, TrialRecord
from searchlab.search.launch import load_data
from searchlab.search.storage import check_writable
from searchlab.search.study_facts import same_data
from searchlab.search.study_folder import check_artefacts, check_present
from searchlab.session.choosing import point_named, within
from searchlab.session.console import warn
from searchlab.session.found import Found, Say, look_at, unseen
from searchlab.study import RunOptions

DEFAULT_POINT = "knee"

UNKNOWN_SCALES = (
    "WARNING: images of more than 8 bits and transparent images may be classified wrongly: the study is of an earlier "
    "version, which did not record how to convert them, and its images cannot be read"
)


@dataclass(frozen=True)
class Wanted:
    """Which point: by name or number, or the best within limits. Nothing given: the knee of the front."""

    point: str | None = None
    max_latency_ms: float | None = None
    min_accuracy: float | None = None

    @property
    def limits(self) -> dict[str, float]:
        """The limits that were given."""
        found = {"max_latency_ms": self.max_latency_ms, "min_accuracy": self.min_accuracy}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def words(self) -> list[str]:
        """The choice as options of the command line."""
        if self.point is not None:
            return ["--point", self.point]
        options = {"max_latency_ms": "--max-latency", "min_accuracy": "--min-accuracy"}
        return [word for name, value in self.limits.items() for word in (options[name], f"{value:g}")]


@dataclass(frozen=True)
class ExportOptions:
    """How a point is exported: the pixels that the file takes, and whether a quantised file is written beside it."""

    pixels: Literal["uint8", "float32"] = "uint8"
    int8: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.pixels not in ("uint8", "float32"):
            allowed = "uint8 (0 to 255) or float32 (0 to 1)"
            raise UserError(
                "invalid-usage", "unknown type of pixels", where="--pixels", value=self.pixels, allowed=allowed
            )


@dataclass(frozen=True)
class Verified:
    """A bundle that was compared: its card, what differs, and its latency now."""

    card: Card
    verification: Verification
    latency: FileLatency


def wanted_point(found: Found, wanted: Wanted) -> FrontPoint:
    """Returns the point that is wanted.

    Raises:
        UserError: a name and limits are given, or there is no such point; the nearest is named.
    """
    if wanted.point is not None and wanted.limits:
        value, allowed = wanted.point, "a point, or limits that choose one"
        raise UserError("conflicting-options", "a point and limits", where="--point", value=value, allowed=allowed)
    if wanted.limits:
        return within(found, wanted.limits)
    return point_named(found, wanted.point or DEFAULT_POINT)


def export_point(found: Found, where: RunOptions, entry: FrontPoint, folder: Path, options: ExportOptions) -> Card:
    """Exports a point of a study to a folder.

    Raises:
        UserError: as `deploy.bundle.export`; or, with int8, the data are missing or others.
    """
    record = entry.record
    check_artefacts(found.store, [record])
    check_present(found.store, [record])
    data = complete_facts(found, where, record)
    calibration = _data_of(found, where) if options.int8 else None
    tests = {(seen.trial, point.rule): point for seen in found.store.looks() for point in seen.test}
    shipment = Shipment(
        study=found.study,
        record=record,
        point=entry.point,
        data=data,
        test=tests.get((record.number, entry.point.rule)),
        command=options.command or _command(found, entry, folder),
        uint8=options.pixels == "uint8",
        calibration=calibration,
    )
    return export(shipment, folder)


def _command(found: Found, entry: FrontPoint, folder: Path) -> str:
    """The command that makes the same export again: a point of a trial has the same number for ever."""
    own = [point.rule for _, point in entries_of(entry.record, found.study)]
    point, out = f"{entry.record.number}:{own.index(entry.point.rule) + 1}", folder.resolve().name
    words = ["searchlab", "export", found.study.name, "--point", point, "--out", out]
    return shlex.join(words)


def complete_facts(found: Found, where: RunOptions, record: TrialRecord) -> DataFacts:
    """Returns the record's facts of the data; for an old record without them, reads the data set.

    Raises:
        UserError: the data set is needed, and is missing or another one.
    """
    data = record.data
    if data.images is None or not (data.mean and data.std and data.class_names):
        return _data_of(found, where).facts
    if data.scales is None and is_folder(found.study.data):
        try:
            return _data_of(found, where).facts
        except UserError as error:
            warn(f"{UNKNOWN_SCALES}: {error}")
    return data


def _data_of(found: Found, where: RunOptions, say: Say | None = None) -> Dataset:
    dataset = load_data(found.study, where, LoadHooks(say) if say else None)
    same_data(found.store, found.records, dataset)
    return dataset


def verify_bundle(folder: Path, where: RunOptions, say: Say | None = None) -> Verified:
    """Compares a bundle with its network on the test images, and records in the study that the test split was read.

    Raises:
        UserError: a file is missing or not the card's, or the data are missing or others.
    """
    card = read_card(folder)
    check_files(folder, card)
    dataset = load_data(card.study, where, LoadHooks(say) if say else None)
    if dataset.hash != card.data.hash:
        allowed = f"the card has {card.data.hash}: restore the images (see --data)"
        raise UserError(
            "data-differ", "the data are not those of the card", where=dataset.name, value=dataset.hash, allowed=allowed
        )
    _record_look(card, where, dataset, say)
    if say:
        say(f"Comparing {folder} with its network on {len(dataset.test):,} test images ...")
    found = verify(folder, card, dataset)
    return Verified(card, found, file_latency(folder, card, dataset))


def _record_look(card: Card, where: RunOptions, dataset: Dataset, say: Say | None) -> None:
    """Reads the point on the test split as `front --test` does, once; warns where the study is not to be found."""
    try:
        found = Found.of(card.study.name, where)
        entries = [entry for record in found.records for entry in entries_of(record, found.study)]
        points = [
            FrontPoint(0, 0, record, point)
            for record, point in entries
            if card.is_of(found.study.name, record.number, point.rule) and record.candidate == card.candidate
        ]
        if not points:
            what, allowed = "the study has no such point", "see --output and --storage"
            raise UserError("unknown-point", what, where=f"study {card.study.name}", allowed=allowed)
        new = unseen(found, points)
        if new:
            check_writable(found.store.storage, found.store.url)
            check_present(found.store, [point.record for point in new])
            same_data(found.store, found.records, dataset)
            look_at(found, where, new, dataset, say)
    except UserError as error:
        warn(f"the study does not record that the test split was read: {error}")


__all__ = ["ExportOptions", "Verified", "Wanted", "complete_facts", "export_point", "verify_bundle", "wanted_point"]
