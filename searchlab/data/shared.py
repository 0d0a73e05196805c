"""A data set as numpy arrays, which processes of a node can share: one copy, which every trial there reads in place.

Shape suffixes: N images, C channels, H and W pixels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchlab.data.datasets import load
from searchlab.data.folder_spec import is_folder, parse_folder
from searchlab.data.remote import check_url
from searchlab.data.splits import Dataset, Split, limited, unwritable
from searchlab.errors import UserError
from searchlab.user_file import UserFile, is_file_name

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
        parts: dict[str, Any] = {
            name: Split(unwritable(images_NCHW), unwritable(labels_N))
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
    files: tuple[UserFile, ...] = ()

    def check(self) -> None:
        """Whether its files are here.

        Raises:
            UserError: they are not.
        """
        if is_file_name(self.name):
            # Where it reads its images is the file's own affair.
            return
        path = self.root
        if is_folder(self.name):
            named = parse_folder(self.name)
            if named.is_url:
                check_url(named.place)
                return
            path = Path(named.place).expanduser()
        if not path.is_dir():
            raise UserError("no data there", where=str(path), allowed="every node needs them at the same path")

    def dataset(self) -> Dataset:
        """The data set.

        Raises:
            UserError: its files are missing, corrupt, or others than the driver's.
        """
        self.check()
        dataset = load(self.name, self.root, files=self.files)
        dataset = dataset if self.max_images is None else limited(dataset, self.max_images)
        if dataset.hash != self.hash:
            raise UserError("other data than the driver's", where=self.name, value=dataset.hash, allowed=self.hash)
        return dataset
