"""A data set as numpy arrays, which processes of a node can share: one copy, which every trial there reads in place.

Shape suffixes: N images, C channels, H and W pixels.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from searchlab.data.datasets import FOLDER, load
from searchlab.data.remote import check_url, is_url
from searchlab.data.splits import Dataset, Split, limited
from searchlab.errors import UserError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class SharedDataset:
    """A data set whose images are numpy arrays, which Ray shares without a copy; torch's tensors it would copy."""

    arrays: dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]
    rest: dict[str, Any]

    @classmethod
    def of(cls, dataset: Dataset) -> "SharedDataset":
        """What a worker needs of a data set, which is all of it."""
        arrays = {
            name: (split.images_NCHW.contiguous().numpy(), split.labels_N.numpy())
            for name, split in ((name, getattr(dataset, name)) for name in PARTS)
        }
        return cls(arrays, {name: value for name, value in vars(dataset).items() if name not in PARTS})

    def dataset(self) -> Dataset:
        """The data set, on the memory that the arrays are in, which may only be read."""
        with warnings.catch_warnings():
            # torch cannot mark tensors as read-only, and says so of every array that is. Nothing writes to a split.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            parts: dict[str, Any] = {
                name: Split(torch.from_numpy(images_NCHW), torch.from_numpy(labels_N))
                for name, (images_NCHW, labels_N) in self.arrays.items()
            }
        return Dataset(**parts, **self.rest)


def size_of(dataset: Dataset) -> int:
    """Bytes of a data set's images and labels."""
    splits = (dataset.train, dataset.validation, dataset.test)
    return sum(split.images_NCHW.nbytes + split.labels_N.nbytes for split in splits)


@dataclass(frozen=True)
class OnNode:
    """A data set that every process reads for itself, from the same path on every node, or a copy of the same URL."""

    name: str
    root: Path
    max_images: int | None
    hash: str

    def check(self) -> None:
        """Whether its files are here.

        Raises:
            UserError: they are not.
        """
        named = self.name.removeprefix(FOLDER)
        if is_url(named):
            check_url(named)
            return
        path = Path(named).expanduser() if self.name.startswith(FOLDER) else self.root
        if not path.is_dir():
            raise UserError("no data there", where=str(path), allowed="every node needs them at the same path")

    def dataset(self) -> Dataset:
        """The data set.

        Raises:
            UserError: its files are missing, corrupt, or others than the driver's.
        """
        self.check()
        dataset = load(self.name, self.root)
        dataset = dataset if self.max_images is None else limited(dataset, self.max_images)
        if dataset.hash != self.hash:
            raise UserError("other data than the driver's", where=self.name, value=dataset.hash, allowed=self.hash)
        return dataset
