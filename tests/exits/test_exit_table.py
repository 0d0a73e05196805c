from pathlib import Path

import numpy as np
import pytest

from searchlab.errors import TrialFailure, UserError
from searchlab.exits.table import ExitTable, load_table, save_table

LOGITS_NKC = np.asarray([[[1, 2], [3, 0]], [[0, 0], [0, 5]]], dtype=np.float32)
LABELS_N = np.asarray([1, 0], dtype=np.int64)


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
    with pytest.raises(TrialFailure, match="not finite"):
        ExitTable(np.full((2, 2, 2), np.nan, dtype=np.float32), LABELS_N)


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
    with pytest.raises(UserError, match=r"table\.npz"):
        load_table(path)
