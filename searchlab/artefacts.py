"""Artefacts in a trial's folder: weights, exit table, record.

Weights are safetensors, tables npz, everything else JSON. Nothing is unpickled.
"""

import json
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from searchlab.architecture import ImageSpec, with_weights
from searchlab.candidate import Candidate
from searchlab.errors import UserError
from searchlab.exits.table import ExitTable, save_table
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.record import TrialRecord
from searchlab.schema import divided, versioned
from searchlab.serialization import to_plain
from searchlab.trial_files import RECORD, STATE, TABLE, WEIGHTS, disk_errors

_version = cache(version)
"""The version of an installed library: its metadata is read and parsed once per process, not once per record."""


def versions() -> dict[str, str]:
    """Returns the versions of searchlab and its main libraries."""
    return {name: _version(name) for name in ("searchlab", "torch", "torchvision", "numpy", "optuna")}


def save_artefacts(folder: Path, network: EarlyExitNetwork, table: ExitTable, record: TrialRecord) -> None:
    """Writes all artefacts; the record last, so that a folder with a record is complete.

    Raises:
        UserError: the disk is full, or the folder cannot be written.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
        save_file(tensors, folder / WEIGHTS)
        save_table(table, folder / TABLE)
        write_record(folder, record)


def save_checkpoint(folder: Path, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
    """Writes a checkpoint; its JSON last, so that a folder with it is complete.

    Raises:
        UserError: the disk is full, or the folder cannot be written.
    """
    with disk_errors(folder):
        save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, folder / WEIGHTS)
        _write_json(folder / STATE, plain)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads a checkpoint of `save_checkpoint`, on the CPU.

    Raises:
        UserError: it is incomplete.
    """
    try:
        return load_file(folder / WEIGHTS), json.loads((folder / STATE).read_text())
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError("artefact-unreadable", "unreadable checkpoint", where=str(folder), value=str(error)) from error


def packed(folder: Path) -> dict[str, bytes]:
    """Reads the files of `save_artefacts` to send them from a node, except the record, which names its folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != RECORD}


def unpack(folder: Path, files: dict[str, bytes], record: TrialRecord) -> TrialRecord:
    """Writes the files of `packed` to a folder, the record last; returns the record with the folder in it.

    Raises:
        UserError: the disk is full, or the folder cannot be written.
    """
    record = replace(record, directory=str(folder.absolute()))
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        write_record(folder, record)
    return record


def write_record(folder: Path, record: TrialRecord) -> None:
    """Writes a self-contained record; its folder is relative to the output folder."""
    directory = divided(record.directory)[1] if record.directory else ""
    _write_json(folder / RECORD, versioned(to_plain(replace(record, directory=directory))))


def _write_json(path: Path, plain: object) -> None:
    path.write_text(json.dumps(plain, indent=1))


def load_network(folder: Path, candidate: Candidate, images: ImageSpec) -> EarlyExitNetwork:
    """Loads the trained network of a trial, in eval mode on the CPU.

    Raises:
        UserError: the weights are missing, damaged, or of another network.
    """
    path = folder / WEIGHTS
    network = build(_from_scratch(candidate), images)
    try:
        network.load_state_dict(load_file(path))
    except (FileNotFoundError, SafetensorError) as error:
        raise UserError(
            "artefact-unreadable", "unreadable weights", where=str(path), allowed="the file that the trial wrote"
        ) from error
    except RuntimeError as error:
        # torch lists every tensor on a line of its own, after a heading.
        first, *more = str(error).splitlines()[1:]
        allowed = f"{first.strip()}{f'; and {len(more)} more' if more else ''}"
        raise UserError("weights-mismatch", "weights of another network", where=str(path), allowed=allowed) from error
    return network.eval()


def untrained_network(candidate: Candidate, images: ImageSpec) -> EarlyExitNetwork:
    """Builds the network of a trial with random weights, in eval mode on the CPU: its latency is as trained."""
    # Drawing weights must not change anybody's random numbers.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(_from_scratch(candidate), images).eval()


def _from_scratch(candidate: Candidate) -> Candidate:
    """Returns the candidate without initial weights, which may no longer be available."""
    return replace(candidate, architecture=with_weights(candidate.architecture, lambda _: ""))
