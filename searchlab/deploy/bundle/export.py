"""Export: a point of a front as a folder with one model file, its staged form, weights, and a card.

Shape suffixes: N images.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from searchlab.artefacts import load_network
from searchlab.data.batches import Normaliser
from searchlab.data.splits import Dataset
from searchlab.deploy.bundle.card import (
    CARD,
    MODEL,
    QUANTISED,
    README,
    STAGED,
    WEIGHTS,
    Card,
    CardExit,
    CardFile,
    Int8,
    Promise,
    file_facts,
    read_card,
    write_card,
)  # fmt: skip
from searchlab.deploy.bundle.model_file import ModelFile, as_given
from searchlab.deploy.bundle.quantise import CALIBRATION_IMAGES, quantised
from searchlab.deploy.bundle.readme import readme
from searchlab.deploy.own_scores import use_scores
from searchlab.deploy.scores import OWN_FUNCTIONS
from searchlab.engines.onnx_graph import Pieces, Pixels, nested_model, pieces_of
from searchlab.engines.onnx_staged import staged_models
from searchlab.errors import UserError
from searchlab.front.points import doubt_of, exit_names, latency_estimate
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.operating_point import OperatingPoint, share_estimate
from searchlab.record import DataFacts, TrialRecord
from searchlab.study import Study
from searchlab.trial_files import disk_errors

OURS = {MODEL, QUANTISED, README, CARD, WEIGHTS, STAGED}


@dataclass(frozen=True, eq=False)
class Shipment:
    """What is exported: a trial's network under one of its rules, and how.

    Attributes:
        data: the facts of the data, complete.
        test: the point on the test split, where that was read before.
        command: the command line that made it.
        uint8: the model takes bytes, else fractions.
        calibration: where an int8 file is wanted, the data set: its training images calibrate, the validation images
            tell the accuracy.
    """

    study: Study
    record: TrialRecord
    point: OperatingPoint
    data: DataFacts
    test: OperatingPoint | None = None
    command: str = ""
    uint8: bool = True
    calibration: Dataset | None = None

    @property
    def pixels(self) -> Pixels:
        """Input of the models and its normalisation."""
        return Pixels(self.data.mean, self.data.std, uint8=self.uint8)


def export(shipment: Shipment, folder: Path) -> Card:
    """Writes a bundle, the card last: a folder with a card is complete. An export of the same point is replaced.

    Raises:
        UserError: the folder holds anything else or cannot be written, the weights are missing or damaged, or ONNX
            lacks an operator of the network.
    """
    record, rule = shipment.record, shipment.point.rule
    assert shipment.data.images is not None
    use_scores(shipment.study)
    check_free(folder, shipment)
    network = load_network(Path(record.directory), record.candidate, shipment.data.images)
    models, int8 = _models(network, shipment)
    batched = pieces_of(network, shipment.data.images, functions=OWN_FUNCTIONS, dynamic=True)
    staged = staged_models(batched, rule, pixels=shipment.pixels)
    models |= {f"{STAGED}/{name}.onnx": model for name, model in staged.items()}
    with disk_errors(folder, "--out"):
        _clear(folder)
        for name, model in models.items():
            onnx.save(model, folder / name)
        shutil.copyfile(Path(record.directory) / WEIGHTS, folder / WEIGHTS)
        card = _card(shipment, {name: file_facts(folder / name) for name in (*models, WEIGHTS)}, int8)
        # The name of a folder of images need not be valid text.
        (folder / README).write_text(readme(card), encoding="utf-8", errors="backslashreplace")
        write_card(folder, card)
    return card


def check_free(folder: Path, shipment: Shipment) -> None:
    """Checks that a folder is empty, missing, or an export of the same point.

    Raises:
        UserError: it is none of these.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError("export-exists", "not a folder", where="--out", value=str(folder), allowed="a new folder")
    held = {path.name for path in folder.iterdir()} if folder.exists() else set()
    allowed = "another folder; or remove that one"
    if held - OURS:
        other = ", ".join(sorted(held - OURS)[:3])
        raise UserError(
            "export-exists", "it holds other files", where="--out", value=str(folder), allowed=f"{other}: {allowed}"
        )
    if CARD in held:
        card = read_card(folder)
        if not card.is_of(shipment.study.name, shipment.record.number, shipment.point.rule):
            what, value = "it holds another model", f"{folder}: trial {card.trial} of study {card.study.name}"
            raise UserError("export-exists", what, where="--out", value=value, allowed=allowed)


def _clear(folder: Path) -> None:
    """Removes an earlier export, its card first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    for name in OURS - {STAGED}:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / STAGED, ignore_errors=True)
    (folder / STAGED).mkdir()


def _models(network: EarlyExitNetwork, shipment: Shipment) -> tuple[dict[str, ModelProto], Int8 | None]:
    assert shipment.data.images is not None
    pieces = pieces_of(network, shipment.data.images, functions=OWN_FUNCTIONS)
    model = nested_model(pieces, shipment.point.rule, pixels=shipment.pixels)
    if shipment.calibration is None:
        return {MODEL: model}, None
    small = nested_model(_quantised(pieces, shipment.calibration), shipment.point.rule, pixels=shipment.pixels)
    return {MODEL: model, QUANTISED: small}, _compared(model, small, shipment)


def _quantised(pieces: Pieces, dataset: Dataset) -> Pieces:
    chosen_N = np.linspace(0, len(dataset.train) - 1, min(CALIBRATION_IMAGES, len(dataset.train))).astype(np.int64)
    images_NCHW = dataset.train.images_NCHW.numpy()[chosen_N]
    normaliser = Normaliser.of(dataset, "cpu")
    return quantised(pieces, normaliser(dataset.train.images_NCHW.new_tensor(images_NCHW)).contiguous().numpy())


def _compared(model: ModelProto, small: ModelProto, shipment: Shipment) -> Int8:
    """The accuracy of the int8 file on the validation images, and where it differs from the float file."""
    assert shipment.calibration is not None
    split, rule = shipment.calibration.validation, shipment.point.rule
    pixels_NCHW = as_given(split.images_NCHW.numpy(), "uint8" if shipment.uint8 else "float32")
    given, found = ModelFile(model).answers(pixels_NCHW), ModelFile(small).answers(pixels_NCHW)
    same_N = (given.class_N == found.class_N) & (given.exit_N == found.exit_N)
    return Int8(
        accuracy=share_estimate(int((found.class_N == split.labels_N.numpy()).sum()), len(split)),
        shares=tuple(float((found.exit_N == exit).mean()) for exit in rule.exits),
        agree=float(same_N.mean()),
        calibration_images=min(CALIBRATION_IMAGES, len(shipment.calibration.train)),
    )


def _card(shipment: Shipment, files: Mapping[str, CardFile], int8: Int8 | None) -> Card:
    record, point = shipment.record, shipment.point
    libraries = {name: version(name) for name in ("onnx", "onnxruntime")}
    return Card(
        command=shipment.command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        study=shipment.study,
        trial=record.number,
        seed=record.seed,
        candidate=record.candidate,
        data=shipment.data,
        input="uint8" if shipment.uint8 else "float32",
        point=point,
        exits=_exits(record, point),
        files=dict(files),
        versions=record.versions | libraries,
        test=shipment.test,
        latency=_promise(record, point),
        int8=int8,
    )


def _promise(record: TrialRecord, point: OperatingPoint) -> Promise | None:
    estimate, report = latency_estimate(record, point), record.latency
    if estimate is None or report is None:
        return None
    return Promise(estimate, report.machine, report.reference_name, report.reference.p50, doubt_of(record))


def _exits(record: TrialRecord, point: OperatingPoint) -> tuple[CardExit, ...]:
    rule, names = point.rule, exit_names(record.candidate, point.rule)
    left = [round(share * point.samples) for share in point.shares]
    return tuple(
        CardExit(exit, name, threshold, share, share_estimate(right, here) if here else None)
        for exit, name, threshold, share, right, here in zip(
            rule.exits, names, (*rule.thresholds, None), point.shares, point.correct_per_exit, left, strict=True
        )
    )
