"""Top-k accuracy and the confusion matrix against literal loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from searchlab.exits.table import ExitTable
from searchlab.exits.top_k import confusion_of, top_k_accuracy


@st.composite
def tables(draw):
    """Few different logits, so that many are equal."""
    samples, exits, classes = draw(st.integers(1, 12)), draw(st.integers(1, 3)), draw(st.integers(2, 6))
    logits = draw(arrays(np.float32, (samples, exits, classes), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])))
    labels = draw(arrays(np.int64, samples, elements=st.integers(0, classes - 1)))
    return ExitTable(logits, labels)


@given(tables(), st.integers(1, 7), st.data())
def test_top_k_is_a_literal_count(table, k, data):
    exit = data.draw(st.integers(0, table.exits - 1))
    hits = 0
    for row, label in zip(table.logits_NKC[:, exit].tolist(), table.labels_N.tolist(), strict=True):
        best_first = sorted(range(len(row)), key=lambda number: (-row[number], number))
        hits += label in best_first[:k]
    estimate = top_k_accuracy(table, exit, k)
    assert estimate.value == hits / table.samples
    assert estimate.low <= estimate.value <= estimate.high


@given(tables())
def test_top_1_is_the_accuracy(table):
    for exit in range(table.exits):
        assert top_k_accuracy(table, exit, 1).value == pytest.approx(table.correct_NK[:, exit].mean())


@given(tables())
def test_confusion_counts_pairs(table):
    classes = table.logits_NKC.shape[2]
    expected = np.zeros((classes, classes), dtype=int)
    for row, label in zip(table.logits_NKC[:, -1], table.labels_N, strict=True):
        expected[label, row.argmax()] += 1
    assert (confusion_of(table) == expected).all()


def test_confusion_of_another_exit():
    logits = np.zeros((1, 2, 3), dtype=np.float32)
    logits[0, 0, 2] = logits[0, 1, 1] = 1
    table = ExitTable(logits, np.zeros(1, dtype=np.int64))
    assert confusion_of(table, 0)[0].tolist() == [0, 0, 1]
    assert confusion_of(table)[0].tolist() == [0, 1, 0]
