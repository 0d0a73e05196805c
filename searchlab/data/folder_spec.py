"""Parser of `folder:PATH?size=N`, the name of a folder of images as a data set."""

import re
from dataclasses import dataclass
from pathlib import Path

from searchlab.errors import UserError

FOLDER = "folder:"

DEFAULT_SIZE = 32
"""Default side in pixels: that of CIFAR's images, for which the spaces are made."""

SMALLEST, LARGEST = 8, 1024

ALLOWED = f"folder:PATH?size=N, N from {SMALLEST} to {LARGEST} pixels"

_AT_THE_END = re.compile(r"\?size=([^/?&]*)$")


@dataclass(frozen=True)
class FolderSpec:
    """A folder of images: a path or a URL, and the side of its images in pixels (None: the default)."""

    place: str
    size: int | None = None

    @property
    def is_url(self) -> bool:
        """Whether the place is a URL."""
        return is_url(self.place)

    @property
    def pixels(self) -> int:
        """Side of the images in pixels."""
        return self.size or DEFAULT_SIZE


def is_url(place: str) -> bool:
    """Whether a path is a URL."""
    return "://" in place


def is_folder(data: str) -> bool:
    """Whether the name of a data set is that of a folder of images."""
    return data.startswith(FOLDER)


def parse_folder(data: str) -> FolderSpec:
    """Parses `folder:PATH` or `folder:URL`, with an optional `?size=N`.

    Of a path, `?size=N` at its end is the size, and any other "?" is part of the path. Of a URL, `size` is taken out of
    the query, and the rest of the query stays.

    Raises:
        UserError: no place is named, the size is invalid, or the path is not UTF-8.
    """
    assert is_folder(data), data
    try:
        data.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            "invalid-encoding", "path is not UTF-8", where="data", value=data, allowed="rename the folder"
        ) from error
    rest = data.removeprefix(FOLDER)
    place, sizes = _of_url(rest) if is_url(rest) else _of_path(rest)
    if not place:
        raise UserError(
            "invalid-data-spec", "missing folder", where="data", value=data, allowed="folder:PATH or folder:URL"
        )
    if len(sizes) > 1:
        raise UserError("invalid-data-spec", "the image size is given twice", where="data", value=data, allowed=ALLOWED)
    return FolderSpec(place, _pixels(sizes[0]) if sizes else None)


def with_size(data: str, image_size: int | None) -> str:
    """Adds a study's image size to the name of a data set.

    Raises:
        UserError: the name has another size, or names no folder of images.
    """
    if image_size is None:
        return data
    where = "Study.image_size"
    if not is_folder(data):
        what = f"the images of {data} have a fixed size"
        raise UserError(
            "invalid-data-spec", what, where=where, value=image_size, allowed="only folder:PATH takes a size"
        )
    spec = parse_folder(data)
    if spec.size not in (None, image_size):
        what = f"differs from the size in {data!r}"
        raise UserError("invalid-data-spec", what, where=where, value=image_size, allowed="omit one of the two")
    if not SMALLEST <= image_size <= LARGEST:
        raise UserError(
            "invalid-data-spec",
            "invalid image size",
            where=where,
            value=image_size,
            allowed=f"{SMALLEST} to {LARGEST} pixels",
        )
    if spec.size is not None:
        return data
    return f"{data}{'&' if spec.is_url and '?' in data else '?'}size={image_size}"


def anywhere(data: str) -> str:
    """Makes the path in the name of a data set absolute, for processes with another working folder."""
    if not is_folder(data) or parse_folder(data).is_url:
        return data
    return f"{FOLDER}{Path(data.removeprefix(FOLDER)).expanduser().absolute()}"


def _of_path(rest: str) -> tuple[str, list[str]]:
    found = _AT_THE_END.search(rest)
    return (rest[: found.start()], [found.group(1)]) if found else (rest, [])


def _of_url(rest: str) -> tuple[str, list[str]]:
    place, _, query = rest.partition("?")
    items = query.split("&") if query else []
    others = [item for item in items if not item.startswith("size=")]
    sizes = [item.removeprefix("size=") for item in items if item.startswith("size=")]
    return f"{place}?{'&'.join(others)}" if others else place, sizes


def _pixels(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or not SMALLEST <= int(text) <= LARGEST:
        raise UserError("invalid-data-spec", "invalid image size", where="data", value=text, allowed=ALLOWED)
    return int(text)
