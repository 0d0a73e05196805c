"""Top-k accuracy and the confusion matrix against literal loops."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from searchlab.exits.table import ExitTable
from searchlab.exits.top_k import confusion_of, correct_among


@st.composite
def tables(draw):
    """Few different logits, so that many are equal."""
    samples, exits, classes = draw(st.integers(1, 12)), draw(st.integers(1, 3)), draw(st.integers(2, 6))
    logits = draw(arrays(np.float32, (samples, exits, classes), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])))
    labels = draw(arrays(np.int64, samples, elements=st.integers(0, classes - 1)))
    return ExitTable(logits, labels)


@given(tables(), st.integers(1, 7))
def test_top_k_is_a_literal_count(table, k):
    hits = [0] * table.exits
    for rows, label in zip(table.logits_NKC.tolist(), table.labels_N.tolist(), strict=True):
        for exit, row in enumerate(rows):
            best_first = sorted(range(len(row)), key=lambda number: (-row[number], number))
            hits[exit] += label in best_first[:k]
    assert correct_among(table, k) == hits


@given(tables())
def test_top_1_is_the_accuracy(table):
    assert correct_among(table, 1) == table.correct_NK.sum(axis=0).tolist()


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
