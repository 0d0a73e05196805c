"""Data sets shared between the processes of a node: one copy, read in place by every trial.

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
    """A data set with images as numpy arrays, which Ray shares without a copy; it would copy torch's tensors."""

    arrays: dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]
    rest: dict[str, Any]

    @classmethod
    def of(cls, dataset: Dataset) -> "SharedDataset":
        """Makes the shared form of a data set."""
        arrays = {
            name: (split.images_NCHW.contiguous().numpy(), split.labels_N.numpy())
            for name, split in ((name, getattr(dataset, name)) for name in PARTS)
        }
        return cls(arrays, {name: value for name, value in vars(dataset).items() if name not in PARTS})

    def dataset(self) -> Dataset:
        """Returns the data set on the arrays' memory, which is read-only."""
        parts: dict[str, Any] = {
            name: Split(unwritable(images_NCHW), unwritable(labels_N))
            for name, (images_NCHW, labels_N) in self.arrays.items()
        }
        return Dataset(**parts, **self.rest)


def size_of(dataset: Dataset) -> int:
    """Returns the bytes of a data set's images and labels."""
    splits = (dataset.train, dataset.validation, dataset.test)
    return sum(split.images_NCHW.nbytes + split.labels_N.nbytes for split in splits)


@dataclass(frozen=True)
class OnNode:
    """A data set that every process reads itself, from the same path on every node, or from a copy of a URL."""

    name: str
    root: Path
    max_images: int | None
    hash: str
    files: tuple[UserFile, ...] = ()

    def check(self) -> None:
        """Checks that its files are on this node.

        Raises:
            UserError: they are not.
        """
        if is_file_name(self.name):
            # A user's file decides itself where its images are.
            return
        path = self.root
        if is_folder(self.name):
            named = parse_folder(self.name)
            if named.is_url:
                check_url(named.place)
                return
            path = Path(named.place).expanduser()
        if not path.is_dir():
            raise UserError(
                "data-missing", "data not found", where=str(path), allowed="every node needs them at the same path"
            )

    def dataset(self) -> Dataset:
        """Loads the data set.

        Raises:
            UserError: its files are missing, corrupt, or others than the driver's.
        """
        self.check()
        dataset = load(self.name, self.root, files=self.files)
        dataset = dataset if self.max_images is None else limited(dataset, self.max_images)
        if dataset.hash != self.hash:
            raise UserError(
                "data-differ", "data differ from the driver's", where=self.name, value=dataset.hash, allowed=self.hash
            )
        return dataset
