"""Top-k accuracy of an exit, and what it confuses with what.

Shapes: N samples, C classes.
"""

import numpy as np
from numpy.typing import NDArray

from searchlab.exits.table import ExitTable
from searchlab.operating_point import Estimate, share_estimate


def top_k_accuracy(table: ExitTable, exit: int, k: int) -> Estimate:
    """Share of samples whose true class is among the k highest logits of an exit, with its 95 % interval.

    Of equal logits the first counts, as in `ExitTable.correct_NK`: k = 1 gives that accuracy.
    """
    assert k >= 1, k
    logits_NC = table.logits_NKC[:, exit]
    true_N1 = np.take_along_axis(logits_NC, table.labels_N[:, None], axis=1)
    earlier_NC = np.arange(logits_NC.shape[1]) < table.labels_N[:, None]
    ahead_N = ((logits_NC > true_N1) | ((logits_NC == true_N1) & earlier_NC)).sum(axis=1)
    return share_estimate(int((ahead_N < k).sum()), table.samples)


def confusion_of(table: ExitTable, exit: int = -1) -> NDArray[np.int64]:
    """confusion_CC: how many samples of a true class (row) an exit names as a class (column)."""
    logits_NC = table.logits_NKC[:, exit]
    classes = logits_NC.shape[1]
    pairs_N = table.labels_N * classes + logits_NC.argmax(axis=1)
    return np.bincount(pairs_N, minlength=classes**2).reshape(classes, classes)
