import errno
import zipfile

import numpy as np
import pytest
import torch
from raises import raises_code
from safetensors import SafetensorError
from safetensors.torch import save_file
from tiny import IMAGES, made_record, tiny_candidate, tiny_study

from searchlab import artefacts
from searchlab.architecture import ImageSpec, Partitioned, ResNet, Torchvision
from searchlab.artefacts import load_network, save_artefacts, versions
from searchlab.candidate import Candidate
from searchlab.exits.table import ExitTable, load_table
from searchlab.model.early_exit import build
from searchlab.record import TrialRecord
from searchlab.serialization import from_plain
from searchlab.study import TrialSpec
from searchlab.trial_files import TABLE, WEIGHTS, read_record

RECORD = made_record(TrialSpec(0, tiny_candidate(3), tiny_study(), seed=5))


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = build(RECORD.candidate, IMAGES)
    made(torch.randn(32, 1, 8, 8))  # Running statistics are no longer what they begin with.
    return made.eval()


@pytest.fixture
def table():
    generator = np.random.default_rng(0)
    return ExitTable(generator.normal(size=(20, 3, 10)).astype(np.float32), generator.integers(0, 10, 20))


@pytest.fixture
def folder(tmp_path, network, table):
    save_artefacts(tmp_path / "runs" / "trial-00000", network, table, RECORD)
    return tmp_path / "runs" / "trial-00000"


def test_the_metadata_of_libraries_is_not_read_for_every_record(monkeypatch):
    before = versions()
    monkeypatch.setattr("importlib.metadata.Distribution.from_name", lambda name: pytest.fail(f"reads {name} again"))
    assert before == versions()


def test_everything_is_there_and_comes_back(folder, network, table):
    assert {path.name for path in folder.iterdir()} == {"record.json", WEIGHTS, TABLE}
    assert from_plain(TrialRecord, read_record(folder)) == RECORD
    loaded = load_table(folder / TABLE)
    assert np.array_equal(loaded.logits_NKC, table.logits_NKC) and np.array_equal(loaded.labels_N, table.labels_N)
    images_NCHW = torch.randn(4, 1, 8, 8)
    again = load_network(folder, RECORD.candidate, IMAGES)
    assert not again.training
    with torch.inference_mode():
        assert torch.equal(again(images_NCHW), network(images_NCHW))


def test_nothing_is_pickled(folder):
    for path in folder.iterdir():
        assert b"__reduce__" not in path.read_bytes() and path.read_bytes()[:1] != b"\x80"
    with zipfile.ZipFile(folder / TABLE) as archive:
        assert sorted(archive.namelist()) == ["labels_N.npy", "logits_NKC.npy"]
    with np.load(folder / TABLE, allow_pickle=False) as arrays:
        assert not any(arrays[name].dtype.hasobject for name in arrays)


def test_a_second_run_of_a_trial_replaces_what_the_first_left(folder, network, table):
    (folder / "record.json").write_text("half a rec")
    save_artefacts(folder, network, table, RECORD)
    assert from_plain(TrialRecord, read_record(folder)) == RECORD


def test_the_record_is_written_last(tmp_path, network, table, monkeypatch):
    """So that a folder with a record is whole, whenever the process died."""
    there = []
    write = artefacts._write_json
    monkeypatch.setattr(
        artefacts, "_write_json", lambda *given: there.append({p.name for p in tmp_path.iterdir()}) or write(*given)
    )
    save_artefacts(tmp_path, network, table, RECORD)
    whole = {path.name for path in tmp_path.iterdir()}
    assert there[-1] == whole - {"record.json"}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk(tmp_path, network, table, monkeypatch, error):
    def full(*given):
        raise error

    monkeypatch.setattr(artefacts, "save_file", full)
    with raises_code("cannot-write", mentions=["No space left on device", str(tmp_path / "trial")]):
        save_artefacts(tmp_path / "trial", network, table, RECORD)


def test_a_folder_that_cannot_be_made(tmp_path, network, table):
    (tmp_path / "file").touch()
    with raises_code("cannot-write"):
        save_artefacts(tmp_path / "file" / "trial", network, table, RECORD)


def test_missing_damaged_and_foreign_weights_are_named(folder):
    weights = folder / WEIGHTS
    with raises_code("weights-mismatch"):
        load_network(folder, tiny_candidate(5), IMAGES)
    whole = weights.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"nonsense" * 50):
        weights.write_bytes(damaged)
        with raises_code("artefact-unreadable") as raised:
            load_network(folder, RECORD.candidate, IMAGES)
        assert str(weights) in str(raised.value)
    weights.unlink()
    with raises_code("artefact-unreadable"):
        load_network(folder, RECORD.candidate, IMAGES)


def test_foreign_weights_are_told_in_a_line_that_can_be_read(folder):
    with raises_code("weights-mismatch") as raised:
        load_network(folder, tiny_candidate(5), IMAGES)
    assert len(str(raised.value)) < 400


def test_versions_name_what_it_ran_with():
    assert versions()["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_a_trained_partition_is_loaded_without_the_initial_weights_of_its_parts(tmp_path):
    images = ImageSpec(3, 32, 32, 3)

    def candidate(weights):
        published = Torchvision("shufflenet_v2_x0_5", weights=weights)
        return Candidate(Partitioned(((0, 1), (2,)), published, (published, ResNet((1,), 4))))

    network = build(candidate(""), images)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, tmp_path / WEIGHTS)
    loaded = load_network(tmp_path, candidate("/gone/begin.safetensors"), images)
    assert loaded.state_dict().keys() == network.state_dict().keys()
