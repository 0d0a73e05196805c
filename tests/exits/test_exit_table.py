from pathlib import Path

import numpy as np
import pytest
from raises import raises_code

from searchlab.errors import TrialFailure
from searchlab.exits.evaluate import scores_of
from searchlab.exits.scores import GATE
from searchlab.exits.table import ExitTable, load_table, save_table

LOGITS_NKC = np.asarray([[[1, 2], [3, 0]], [[0, 0], [0, 5]]], dtype=np.float32)
LABELS_N = np.asarray([1, 0], dtype=np.int64)
GATES_NG = np.asarray([[-0.5], [0.25]], dtype=np.float32)


def test_correct_counts_the_first_of_equal_logits():
    table = ExitTable(LOGITS_NKC, LABELS_N)
    assert table.correct_NK.tolist() == [[True, False], [True, False]]
    assert (table.samples, table.exits) == (2, 2)


def test_round_trip_at_exactly_the_path_given(tmp_path: Path):
    path = tmp_path / "table.validation"
    save_table(ExitTable(LOGITS_NKC, LABELS_N), path)
    loaded = load_table(path)
    np.testing.assert_array_equal(loaded.logits_NKC, LOGITS_NKC)
    np.testing.assert_array_equal(loaded.labels_N, LABELS_N)


def test_not_finite_is_a_trial_failure():
    with raises_code("training-diverged", mentions="logits", kind=TrialFailure):
        ExitTable(np.full((2, 2, 2), np.nan, dtype=np.float32), LABELS_N)
    with raises_code("training-diverged", mentions="gates", kind=TrialFailure):
        ExitTable(LOGITS_NKC, LABELS_N, GATES_NG * np.float32(np.inf))


def test_gates_are_a_score_and_the_last_exit_takes_whoever_comes():
    score_NK = scores_of(ExitTable(LOGITS_NKC, LABELS_N, GATES_NG), GATE)
    assert score_NK.dtype == np.float64
    assert score_NK.tolist() == [[-0.5, np.inf], [0.25, np.inf]]
    with raises_code("no-gates", where="score", value="gate", mentions="max_softmax"):
        scores_of(ExitTable(LOGITS_NKC, LABELS_N), GATE)


def test_a_part_keeps_samples_labels_and_gates_together():
    part = ExitTable(LOGITS_NKC, LABELS_N, GATES_NG).part(np.asarray([1]))
    assert part.logits_NKC.tolist() == LOGITS_NKC[1:].tolist()
    assert (part.labels_N.tolist(), part.gates_NG.tolist()) == ([0], [[0.25]])
    assert ExitTable(LOGITS_NKC, LABELS_N).part(np.asarray([True, False])).gates_NG is None


def test_gates_are_saved_where_there_are_any(tmp_path: Path):
    path = tmp_path / "table.npz"
    save_table(ExitTable(LOGITS_NKC, LABELS_N), path)
    assert load_table(path).gates_NG is None
    save_table(ExitTable(LOGITS_NKC, LABELS_N, GATES_NG), path)
    np.testing.assert_array_equal(load_table(path).gates_NG, GATES_NG)


def write_truncated(path: Path) -> None:
    save_table(ExitTable(LOGITS_NKC, LABELS_N), path)
    path.write_bytes(path.read_bytes()[:-40])


def write_flipped(path: Path) -> None:
    save_table(ExitTable(LOGITS_NKC, LABELS_N), path)
    content = bytearray(path.read_bytes())
    content[60:90] = b"\xff" * 30
    path.write_bytes(bytes(content))


def write_objects(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, logits_NKC=np.asarray([{}], dtype=object), labels_N=LABELS_N)


def write_plain_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, LOGITS_NKC)


def write_other_names(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, logits=LOGITS_NKC)


def write_other_shape(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, logits_NKC=LOGITS_NKC, labels_N=LABELS_N[:1])


def write_infinite(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, logits_NKC=LOGITS_NKC * np.float32(np.inf), labels_N=LABELS_N)


def write_other_gates(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, logits_NKC=LOGITS_NKC, labels_N=LABELS_N, gates_NG=GATES_NG[:1])


def write_infinite_gates(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, logits_NKC=LOGITS_NKC, labels_N=LABELS_N, gates_NG=GATES_NG * np.float32(np.inf))


@pytest.mark.parametrize(
    "write",
    [
        write_truncated,
        write_flipped,
        write_objects,
        write_plain_array,
        write_other_names,
        write_other_shape,
        write_infinite,
        write_other_gates,
        write_infinite_gates,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a table"),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_not_a_table_is_named(tmp_path: Path, write):
    path = tmp_path / "table.npz"
    write(path)
    with raises_code("artefact-unreadable", mentions="table.npz"):
        load_table(path)
