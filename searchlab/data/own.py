"""Data sets from a user's file: one function `dataset(root, download) -> Dataset`."""

from dataclasses import replace
from pathlib import Path

from searchlab.data.splits import Dataset
from searchlab.errors import UserError
from searchlab.user_file import FUNCTIONS, UserFile, blamed, function_of

FUNCTION = FUNCTIONS["data set"]


def load_own(file: UserFile, root: Path, *, download: bool) -> Dataset:
    """Calls the file's `dataset` with the data root and whether missing files may be downloaded.

    Raises:
        UserError: the file does not run, lacks the function, or returns an invalid data set.
    """
    function = function_of(file, FUNCTION)
    with blamed(file, f"{FUNCTION}()"):
        found = function(root, download)
    if not isinstance(found, Dataset):
        allowed = "a Dataset: see searchlab.data.splits.assemble"
        raise UserError(
            "wrong-return-type",
            f"{FUNCTION}() must return a Dataset",
            where=file.place,
            value=type(found).__name__,
            allowed=allowed,
        )
    _check(found, file.place)
    return replace(found, name=file.name)


def _check(dataset: Dataset, where: str) -> None:
    """Raises UserError if a split is empty, of another shape, or has labels without a class."""
    spec = dataset.spec
    shape = (spec.channels, spec.height, spec.width)
    for name in ("train", "validation", "test"):
        part = getattr(dataset, name)
        if not len(part):
            raise UserError("invalid-data-set", f"the {name} split is empty", where=where, allowed="at least one image")
        if tuple(part.images_NCHW.shape[1:]) != shape:
            value = "x".join(map(str, part.images_NCHW.shape[1:]))
            allowed = f"channels x height x width of the training images: {'x'.join(map(str, shape))}"
            raise UserError(
                "invalid-data-set",
                f"images of the {name} split have another shape",
                where=where,
                value=value,
                allowed=allowed,
            )
        low, high = int(part.labels_N.min()), int(part.labels_N.max())
        if low < 0 or high >= spec.classes:
            wrong, allowed = low if low < 0 else high, f"0 to {spec.classes - 1}: there are {spec.classes} class names"
            raise UserError(
                "invalid-data-set", f"invalid label in the {name} split", where=where, value=wrong, allowed=allowed
            )
