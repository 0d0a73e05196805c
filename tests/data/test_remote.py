from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from raises import raises_code

from searchlab.data import remote
from searchlab.data.datasets import load
from searchlab.data.remote import check_url, fetched
from searchlab.data.shared import OnNode


@pytest.fixture
def there(tmp_path) -> Path:
    """A folder of images of two classes, as another machine has it."""
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        folder = tmp_path / "there" / name
        folder.mkdir(parents=True)
        for number in range(10):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "there"


def test_a_folder_behind_a_url_is_the_same_data_set(there, tmp_path):
    url, root = there.as_uri(), tmp_path / "root"
    here, copied = load(f"folder:{there}", root), load(f"folder:{url}", root)
    assert copied.name == f"folder:{url}" and copied.hash == here.hash
    assert torch.equal(copied.train.images_NCHW, here.train.images_NCHW)
    assert OnNode(f"folder:{url}", root, None, here.hash).dataset().hash == here.hash


def test_it_is_copied_once_however_many_ask(there, tmp_path, monkeypatch):
    copied = []

    def counting(source, *rest, **more):
        copied.append(source)
        return copy(source, *rest, **more)

    copy = remote.copy_files
    monkeypatch.setattr(remote, "copy_files", counting)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: fetched(there.as_uri(), tmp_path / "root"), range(8)))
    assert len(folders) == len(copied) == 1
    assert len(list(folders.pop().glob("*/*.png"))) == 20


def test_half_a_copy_is_made_again(there, tmp_path, monkeypatch):
    def breaks(source, target, **_):
        (Path(target) / "half").touch()
        raise OSError("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(remote, "copy_files", breaks)
        with raises_code("download-failed", where="data", mentions="the line is cut"):
            fetched(there.as_uri(), tmp_path)
    folder = fetched(there.as_uri(), tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["cats", "dogs"]


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("file:///no/such/folder", raises_code("path-not-found", where="data", value="file:///no/such/folder")),
        ("gopher://host/folder", raises_code("download-failed", where="data", value="gopher://host/folder")),
    ],
)
def test_what_is_not_there_is_one_line(url, refused, tmp_path):
    for attempt in (lambda: check_url(url), lambda: load(f"folder:{url}", tmp_path)):
        with refused as raised:
            attempt()
        assert url in str(raised.value) and "\n" not in str(raised.value)
