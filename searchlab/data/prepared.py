"""Prepared images: a folder's images decoded once into a file; large files are memory-mapped, small ones read.

The file is below the data root; its name contains a hash of everything that determines its content. A second process
waits for the first and reads its file. An incomplete file of a killed process is replaced. If the data root is not
writable, a temporary file is used, which is removed when the process ends.
Shape suffixes: N images, C channels, H height, W width.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import IO

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from searchlab.data.image_files import Look, look, notes_on, read, scales_of, shown
from searchlab.data.one_process import one_process
from searchlab.data.splits import Parts, Split, Statistics, channel_statistics, data_hash, unwritable
from searchlab.errors import Interrupted, UserError
from searchlab.record import Scales
from searchlab.serialization import to_plain

HOME = ".prepared"
"""Name of the folder below the data root. It may be deleted while no process reads from it."""

FORMAT = 1
"""Version of the file format and of the preparation: a new number causes a new preparation."""

IN_MEMORY_BYTES = 256 * 2**20
"""Largest size in bytes of images that are read into memory."""

BLOCK = 512
"""Files that are decoded before their pixels are written."""

IMAGES, ABOUT = "images.uint8", "about.json"

WAITS = "another process is preparing these images: waiting for it"


def _silent(line: str) -> None:
    pass


def _never() -> bool:
    return False


@dataclass(frozen=True)
class LoadHooks:
    """Hooks of a long preparation: progress messages, and whether to end."""

    say: Callable[[str], None] = _silent
    interrupted: Callable[[], bool] = _never


@dataclass(frozen=True)
class Wanted:
    """Images to prepare: files in the order of their splits, `parts` of them in each, below `folder`."""

    folder: Path
    class_names: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]
    parts: tuple[int, int, int]
    size: int

    @property
    def bytes(self) -> int:
        """Upper bound of their size in bytes."""
        return len(self.files) * 3 * self.size**2

    @property
    def key(self) -> str:
        """Returns 16 hex digits of all inputs of the preparation: names, sizes and times of files, not content."""
        decisive = (FORMAT, self.size, self.class_names, self.parts, self.labels)
        digest = hashlib.blake2b(repr(decisive).encode(), digest_size=8)
        for file in self.files:
            digest.update(os.fsencode(file.relative_to(self.folder)) + b"\0" + repr(_stamp(file)).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class About:
    """Facts about prepared images.

    `sides` are the shortest and the longest side of the original images in pixels; `shorter_side` is the median of
    their shorter sides. `notes` describe conversions. Statistics, hash and scales are those of the data set.
    """

    shape: tuple[int, int, int, int]
    sides: tuple[int, int]
    shorter_side: int
    notes: tuple[str, ...]
    statistics: Statistics
    hash: str
    scales: Scales


def prepared(wanted: Wanted, root: Path | None, hooks: LoadHooks) -> tuple[Parts, About]:
    """Returns three splits of images (uint8; one channel if all are grey), and facts about them.

    Raises:
        UserError: images are unreadable or have invalid values, or disk space is missing.
        Interrupted: the user asked to end.
    """
    home = _home(root)
    place = home / f"{wanted.folder.name or 'images'}-{wanted.size}-{wanted.key}" if home else None
    try:
        if place is None:
            with tempfile.TemporaryFile() as file:
                about = _prepare(wanted, file, Path(tempfile.gettempdir()), hooks)
                return _parts(wanted, file, about.shape), about
        if (found := _found(wanted, place)) is not None:
            return found
        with one_process(place, lambda: hooks.say(WAITS)):
            _add_scales(wanted, place, hooks)
            return _found(wanted, place) or _made(wanted, place, hooks)
    except OSError as error:
        where, allowed = shown(place.parent if place else Path(tempfile.gettempdir())), "see --data"
        raise UserError(
            "cannot-write", f"cannot write prepared images: {error.strerror}", where=where, allowed=allowed
        ) from error


def _home(root: Path | None) -> Path | None:
    """Returns the folder for prepared images; None if it cannot be created."""
    if root is None:
        return None
    home = root / HOME
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return home if os.access(home, os.W_OK | os.X_OK) else None


def _found(wanted: Wanted, place: Path) -> tuple[Parts, About] | None:
    """Loads existing prepared images; None if absent or damaged."""
    try:
        about = TypeAdapter(About).validate_json((place / ABOUT).read_bytes())
        with (place / IMAGES).open("rb") as file:
            whole = os.fstat(file.fileno()).st_size == math.prod(about.shape) and about.shape[0] == len(wanted.files)
            return (_parts(wanted, file, about.shape), about) if whole else None
    except (FileNotFoundError, ValidationError):
        return None


def _add_scales(wanted: Wanted, place: Path, hooks: LoadHooks) -> None:
    """Adds the scales to a manifest of an earlier version; the pixels stay, so that the data set has the same hash."""
    try:
        manifest = json.loads((place / ABOUT).read_bytes())
    except (FileNotFoundError, ValueError):
        return
    if not isinstance(manifest, dict) or "hash" not in manifest or "scales" in manifest:
        return
    hooks.say("prepared images of an earlier version: inspecting the images again for the range of their values")
    with _workers() as pool:
        _, scales = _inspected(wanted, pool, hooks)
    half = place / f"{ABOUT}.part"
    half.write_text(json.dumps(manifest | {"scales": to_plain(scales)}))
    half.replace(place / ABOUT)


def _made(wanted: Wanted, place: Path, hooks: LoadHooks) -> tuple[Parts, About]:
    half = place.with_name(f"{place.name}.part")
    for leftover in (half, place):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        half.mkdir()
        with (half / IMAGES).open("w+b") as file:
            about = _prepare(wanted, file, half, hooks)
            parts = _parts(wanted, file, about.shape)
        (half / ABOUT).write_bytes(TypeAdapter(About).dump_json(about))
        half.rename(place)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    hooks.say(f"prepared images are kept in {shown(place)} ({_bytes(math.prod(about.shape))})")
    return parts, about


def _parts(wanted: Wanted, file: IO[bytes], shape: tuple[int, int, int, int]) -> Parts:
    images_NCHW = _mapped(file, shape)
    labels_N = torch.tensor(wanted.labels, dtype=torch.int64)
    splits = zip(*(torch.split(tensor_N, list(wanted.parts)) for tensor_N in (images_NCHW, labels_N)), strict=True)
    train, validation, test = (Split(*split) for split in splits)
    return train, validation, test


def _mapped(file: IO[bytes], shape: tuple[int, int, int, int]) -> Tensor:
    if math.prod(shape) <= IN_MEMORY_BYTES:
        file.seek(0)
        return unwritable(np.frombuffer(file.read(), np.uint8).reshape(shape))
    return unwritable(np.memmap(file, np.uint8, "r", shape=shape))


def _prepare(wanted: Wanted, file: IO[bytes], disk: Path, hooks: LoadHooks) -> About:
    """Inspects all images, then decodes them into the file."""
    _check_room(wanted, disk)
    with _workers() as pool:
        looks, scales = _inspected(wanted, pool, hooks)
        marks, brightest, is_grey = _decode(wanted, scales, file, pool, hooks)
    if is_grey:
        _drop_colour(file, len(wanted.files), wanted.size)
    file.flush()
    shape = (len(wanted.files), 1 if is_grey else 3, wanted.size, wanted.size)
    parts = _parts(wanted, file, shape)
    sides = [side for seen in looks for side in (seen.width, seen.height)]
    return About(
        shape=shape,
        sides=(min(sides), max(sides)),
        shorter_side=int(np.median([min(seen.width, seen.height) for seen in looks])),
        notes=(*notes_on(looks, scales), *_dark(brightest), *_copies(wanted, marks)),
        statistics=channel_statistics(parts[0].images_NCHW),
        hash=data_hash(parts, wanted.class_names),
        scales=scales,
    )


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    # Pillow warns of large images, odd EXIF data and more; the relevant facts are in our notes.
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        yield pool


def _inspected(wanted: Wanted, pool: ThreadPoolExecutor, hooks: LoadHooks) -> tuple[list[Look], Scales]:
    """Returns the properties of the readable images, and the scales that they share."""
    seen = [seen for block in _blocks(wanted, "images inspected", hooks) for seen in pool.map(look, block)]
    readable = [(file, each) for file, each in zip(wanted.files, seen, strict=True) if each is not None]
    files, looks = [file for file, _ in readable], [each for _, each in readable]
    return looks, scales_of(files, looks)


def _decode(
    wanted: Wanted, scales: Scales, file: IO[bytes], pool: ThreadPoolExecutor, hooks: LoadHooks
) -> tuple[list[bytes], int, bool]:
    """Writes all images; returns a digest of each, the largest value, and whether all are grey."""
    marks: list[bytes] = []
    unreadable, brightest, is_grey = [], 0, True
    for block in _blocks(wanted, "images prepared", hooks):
        images = list(pool.map(partial(read, size=wanted.size, scales=scales), block))
        unreadable += [image is None for image in images]
        for image_HWC in (image for image in images if image is not None):
            brightest = max(brightest, int(image_HWC.max()))
            is_grey = is_grey and bool((image_HWC == image_HWC[..., :1]).all())
            pixels = np.ascontiguousarray(image_HWC.transpose(2, 0, 1)).tobytes()
            marks.append(hashlib.blake2b(pixels, digest_size=16).digest())
            file.write(pixels)
    _refuse_unreadable(wanted, unreadable)
    return marks, brightest, is_grey


def _blocks(wanted: Wanted, what: str, hooks: LoadHooks) -> Iterator[Sequence[Path]]:
    """Yields the files in groups of some hundreds, and reports progress.

    Raises:
        Interrupted: the user asked to end.
    """
    begun, said, total = monotonic(), monotonic() - 8.0, len(wanted.files)
    for first in range(0, total, BLOCK):
        if hooks.interrupted():
            raise Interrupted
        if first and monotonic() - said > 10.0:
            said = monotonic()
            left_s = (said - begun) * (total / first - 1)
            left = f"{left_s:.0f} s" if left_s < 100 else f"{left_s / 60:.0f} min"
            hooks.say(f"{what}: {first:,} of {total:,}, about {left} left")
        yield wanted.files[first : first + BLOCK]


def _refuse_unreadable(wanted: Wanted, unreadable: Sequence[bool]) -> None:
    if not any(unreadable):
        return
    names = [shown(file.relative_to(wanted.folder)) for file, bad in zip(wanted.files, unreadable, strict=True) if bad]
    raise UserError(
        "invalid-images",
        f"{len(names)} of {len(wanted.files)} images cannot be read",
        where=shown(wanted.folder),
        value=", ".join(sorted(names)[:3]) + (", …" if len(names) > 3 else ""),
        allowed="remove or replace them",
    )


def _check_room(wanted: Wanted, disk: Path) -> None:
    free = shutil.disk_usage(disk).free
    if free < wanted.bytes:
        what = f"not enough disk space for prepared images, which take up to {_bytes(wanted.bytes)}"
        mend = "free disk space, choose another folder with --data, or a smaller image size"
        raise UserError("cannot-write", what, where=shown(disk.parent), value=f"{_bytes(free)} free", allowed=mend)


def _drop_colour(file: IO[bytes], images: int, size: int) -> None:
    """Keeps one of three equal channels of every image, in place."""
    file.flush()
    for number in range(images):
        file.seek(number * 3 * size**2)
        pixels = file.read(size**2)
        file.seek(number * size**2)
        file.write(pixels)
    file.truncate(images * size**2)


def _dark(brightest: int) -> tuple[str, ...]:
    if brightest >= 32:
        return ()
    return (f"WARNING: no pixel of any image is brighter than {brightest} of 255: check the range of their values",)


def _copies(wanted: Wanted, marks: Sequence[bytes]) -> tuple[str, ...]:
    """Counts images that are both in training and held out, and images with two labels, by equal pixels."""
    notes, of_train = [], set(marks[: wanted.parts[0]])
    first = wanted.parts[0]
    for name, count in zip(("validation", "test"), wanted.parts[1:], strict=True):
        if again := sum(mark in of_train for mark in marks[first : first + count]):
            notes.append(f"WARNING: {again:,} of {count:,} {name} images are copies of training images (equal pixels)")
        first += count
    label_of: dict[bytes, int] = {}
    two = {mark for mark, label in zip(marks, wanted.labels, strict=True) if label_of.setdefault(mark, label) != label}
    if two:
        notes.append(f"WARNING: {len(two):,} images are in several classes at once (equal pixels)")
    return tuple(notes)


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
