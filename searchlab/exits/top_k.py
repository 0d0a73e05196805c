"""Top-k accuracy of exits, and confusion matrices.

Shapes: N samples, K exits, C classes, k of them.
"""

import numpy as np
from numpy.typing import NDArray

from searchlab.exits.table import ExitTable


def correct_among(table: ExitTable, k: int) -> list[int]:
    """Returns, per exit, for how many samples the true class is among the k highest logits.

    Of equal logits the first counts, as in `ExitTable.correct_NK`: k = 1 counts those.
    """
    assert k >= 1, k
    likeliest_NKk = np.argsort(-table.logits_NKC, axis=2, kind="stable")[:, :, :k]
    hits: list[int] = (likeliest_NKk == table.labels_N[:, None, None]).any(axis=2).sum(axis=0).tolist()
    return hits


def confusion_of(table: ExitTable, exit: int = -1) -> NDArray[np.int64]:
    """Returns confusion_CC: samples of a true class (row) that an exit assigns to a class (column)."""
    logits_NC = table.logits_NKC[:, exit]
    classes = logits_NC.shape[1]
    pairs_N = table.labels_N * classes + logits_NC.argmax(axis=1)
    return np.bincount(pairs_N, minlength=classes**2).reshape(classes, classes)
