"""Exit table: the logits of a network for every sample of a split at every exit, and the gates' logits.

Shapes: N samples, K exits (the final head last), C classes, G gates (one fewer than exits).
"""

import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchlab.errors import TrialFailure, UserError

UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, AttributeError, TypeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""Exceptions of numpy and zipfile for a damaged file or a file of another type."""


@dataclass(frozen=True)
class ExitTable:
    """Logits of every sample at every exit, the true classes, and the logit of every learned gate, if any.

    Raises:
        TrialFailure: a logit is not finite, so that scores are undefined.
    """

    logits_NKC: NDArray[np.float32]
    labels_N: NDArray[np.int64]
    gates_NG: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        assert self.logits_NKC.dtype == np.float32 and self.labels_N.dtype == np.int64
        assert self.logits_NKC.ndim == 3 and min(self.logits_NKC.shape) > 0, self.logits_NKC.shape
        assert self.labels_N.shape == self.logits_NKC.shape[:1], (self.labels_N.shape, self.logits_NKC.shape)
        if not np.isfinite(self.logits_NKC).all():
            raise TrialFailure("training-diverged", "logits of the exit table are not finite")
        if self.gates_NG is not None:
            assert self.gates_NG.dtype == np.float32
            assert self.gates_NG.shape == (self.samples, self.exits - 1), (self.gates_NG.shape, self.logits_NKC.shape)
            if not np.isfinite(self.gates_NG).all():
                raise TrialFailure("training-diverged", "gates of the exit table are not finite")

    @property
    def samples(self) -> int:
        """N, the number of samples."""
        return len(self.labels_N)

    @property
    def exits(self) -> int:
        """K, the number of exits, the final head included."""
        return int(self.logits_NKC.shape[1])

    @cached_property
    def correct_NK(self) -> NDArray[np.bool_]:
        """Whether each exit predicts the true class of each sample; of equal logits the first counts."""
        return np.asarray(self.logits_NKC.argmax(axis=2) == self.labels_N[:, None])

    def part(self, chosen_N: NDArray[np.integer] | NDArray[np.bool_]) -> "ExitTable":
        """Returns the table of some samples, by position or by mask."""
        gates_NG = None if self.gates_NG is None else self.gates_NG[chosen_N]
        return ExitTable(self.logits_NKC[chosen_N], self.labels_N[chosen_N], gates_NG)


def save_table(table: ExitTable, path: Path) -> None:
    """Writes a table as a compressed npz file, at exactly this path."""
    arrays: dict[str, Any] = {"logits_NKC": table.logits_NKC, "labels_N": table.labels_N}
    if table.gates_NG is not None:
        arrays["gates_NG"] = table.gates_NG
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_table(path: Path) -> ExitTable:
    """Reads a file of `save_table`. Nothing is unpickled.

    Raises:
        UserError: the file is missing, truncated, corrupt, or holds something else.
    """
    allowed = "an exit table written by searchlab"
    try:
        # numpy leaves a file open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            logits, labels, gates = arrays["logits_NKC"], arrays["labels_N"], arrays.get("gates_NG")
    except FileNotFoundError as error:
        raise UserError("artefact-unreadable", "exit table not found", where=str(path)) from error
    except UNREADABLE as error:
        raise UserError(
            "artefact-unreadable", "unreadable exit table", where=str(path), value=str(error), allowed=allowed
        ) from error
    right_kinds = logits.dtype == np.float32 and labels.dtype == np.int64
    if not right_kinds or logits.ndim != 3 or 0 in logits.shape or labels.shape != logits.shape[:1]:
        found = f"logits {logits.dtype}{logits.shape}, labels {labels.dtype}{labels.shape}"
        raise UserError("artefact-unreadable", "invalid exit table", where=str(path), value=found, allowed=allowed)
    fitting = (len(logits), logits.shape[1] - 1)
    if gates is not None and (gates.dtype != np.float32 or gates.shape != fitting):
        found = f"gates {gates.dtype}{gates.shape}, logits {logits.dtype}{logits.shape}"
        raise UserError("artefact-unreadable", "invalid exit table", where=str(path), value=found, allowed=allowed)
    if not np.isfinite(logits).all() or (gates is not None and not np.isfinite(gates).all()):
        raise UserError("artefact-unreadable", "logits are not finite", where=str(path), allowed=allowed)
    return ExitTable(logits, labels, gates)
