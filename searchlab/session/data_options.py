"""Meaning of `--data` and `--images`: the folder of data sets, and a user's images."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from searchlab.data.folder_spec import FOLDER, is_folder, parse_folder
from searchlab.errors import UserError
from searchlab.study import RunOptions, Study
from searchlab.user_file import is_file_name


def is_data_set(given: str) -> bool:
    """Whether the value of `--data` is a data set that replaces the study's."""
    return is_folder(given) or is_file_name(given)


def root_of(given: str | None, studies: Sequence[Study] = (), *, download: bool = False) -> Path:
    """Returns the data root of some studies (of which none need be known).

    Raises:
        UserError: the folder is missing, names a data set, is not read by any of the studies, or is among images.
    """
    root = RunOptions().data_root if given is None else _given_root(given, studies, download=download)
    for study in studies:
        _check_apart(study, root, "--data")
    return root


def check_output(output: Path, studies: Iterable[Study]) -> None:
    """Raises UserError if the store and the artefacts would be among the images of a study."""
    for study in studies:
        _check_apart(study, output, "--output")


def _given_root(given: str, studies: Iterable[Study], *, download: bool) -> Path:
    from searchlab.data.datasets import EMBEDDED

    if is_data_set(given):
        allowed = "the study names its images: omit it, or see `searchlab run --images`"
        raise UserError(
            "invalid-usage", "invalid folder of data set files", where="--data", value=given, allowed=allowed
        )
    names = {study.data for study in studies}
    if names and names <= EMBEDDED:
        what = f"the study reads no data set files, as {', '.join(sorted(names))} comes with searchlab"
        raise UserError(
            "invalid-usage", what, where="--data", value=given, allowed="omit it, or see `searchlab run --images`"
        )
    root = Path(given).expanduser()
    if not root.is_dir() and not (download and not root.exists()):
        allowed = "the folder that holds the files of data sets; --download makes it"
        raise UserError("path-not-found", "folder not found", where="--data", value=given, allowed=allowed)
    return root


def _check_apart(study: Study, folder: Path, option: str) -> None:
    """Raises UserError if an output folder is among a study's images: it would become a class."""
    if not is_folder(study.data) or (images := parse_folder(study.data)).is_url:
        return
    if folder.resolve().is_relative_to(Path(images.place).expanduser().resolve()):
        allowed = f"run from another folder, or name one elsewhere with {option}"
        raise UserError(
            "folder-among-images",
            "the folder is among the images of the study",
            where=option,
            value=str(folder),
            allowed=allowed,
        )


def images_of(given: str | None, data: str | None) -> str | None:
    """Returns the data set of `--images`, or of `--data`; None if neither names one.

    Paths are made absolute, so that the study finds its images from other folders.

    Raises:
        UserError: both name one, or the folder or file is missing.
    """
    option = "--images"
    if data is not None and is_data_set(data):
        if given is not None:
            raise UserError(
                "conflicting-options",
                "two data sets are given",
                where="--data",
                value=data,
                allowed="omit --data or --images",
            )
        given, option = data, "--data"
    if given is None:
        return None
    if is_file_name(given):
        path = Path(given).expanduser().absolute()
        if not path.is_file():
            raise UserError(
                "path-not-found", "data set file not found", where=option, value=given, allowed="a path to a .py file"
            )
        return str(path)
    folder = parse_folder(given if is_folder(given) else f"{FOLDER}{given}")
    if folder.is_url:
        return given if is_folder(given) else f"{FOLDER}{given}"
    spec = f"{FOLDER}{Path(given.removeprefix(FOLDER)).expanduser().resolve()}"
    if not Path(parse_folder(spec).place).is_dir():
        allowed = "a folder with a folder per class, perhaps with ?size=N; or a .py file"
        raise UserError("path-not-found", "image folder not found", where=option, value=given, allowed=allowed)
    return spec
