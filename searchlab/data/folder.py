"""Folders of images as data sets: a folder per class, split by searchlab or by the user.

Shape suffixes: N images.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from searchlab.data.folder_spec import DEFAULT_SIZE
from searchlab.data.image_files import SUFFIXES, shown
from searchlab.data.prepared import HOME, About, LoadHooks, Wanted, prepared
from searchlab.data.splits import Dataset, assemble, three_way_rows, with_validation_rows
from searchlab.errors import UserError

ROLES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
"""Names of the folders of each split, in any case."""

Files = list[tuple[Path, int]]
"""Images and their labels."""


@dataclass(frozen=True)
class Listed:
    """Contents of a folder of images: the files of every split, in order, and notes for the user."""

    class_names: tuple[str, ...]
    train: Files
    validation: Files
    test: Files
    notes: tuple[str, ...]


def load_folder(
    path: Path, size: int | None = None, root: Path | None = None, hooks: LoadHooks | None = None
) -> Dataset:
    """Loads the images below `path` at `size` x `size` pixels: shorter side resized, centre cropped.

    Either `path` holds a folder per class and is split here, or it holds `train`, `test` and perhaps `validation` (or
    `val`, or `valid`), each with a folder per class. Classes are sorted by name. One channel if every image is grey,
    else three. Decoded images are kept below `root`.

    Raises:
        UserError: the folder is missing or has another layout, only one class, an empty class, unreadable images, or
            different classes in its splits.
        Interrupted: `hooks.interrupted` returned True.
    """
    listed, hooks = _listed(path), hooks or LoadHooks()
    parts = (listed.train, listed.validation, listed.test)
    files, labels = zip(*(file for part in parts for file in part), strict=True)
    counts = (len(listed.train), len(listed.validation), len(listed.test))
    wanted = Wanted(path, listed.class_names, files, labels, counts, size or DEFAULT_SIZE)
    splits, about = prepared(wanted, root, hooks)
    name, digest = f"folder:{path}", about.hash
    dataset = assemble(name, splits, listed.class_names, statistics=about.statistics, digest=digest)
    notes = (*listed.notes, *_absent(dataset), *about.notes, *_shrunk(about, size))
    resized = about.sides != (dataset.spec.height, dataset.spec.height)
    return replace(dataset, resized_from=about.sides if resized else None, notes=notes, scales=about.scales)


def _listed(path: Path) -> Listed:
    if not path.is_dir():
        allowed = "the only option of a folder is ?size=N" if "?" in str(path) else ""
        raise UserError("path-not-found", "image folder not found", where="data", value=shown(path), allowed=allowed)
    ignored: Counter[str] = Counter()
    folders = _split_folders(path, ignored)
    first = folders["train"] if folders else path
    class_names = _class_names(first, ignored)
    for folder in folders.values():
        _refuse_other_classes(first, class_names, folder)
    found = {role: _files(folder, class_names, ignored) for role, folder in (folders or {"": path}).items()}
    try:
        train, validation, test = _split(found, class_names)
    except UserError as error:
        raise error.at(shown(path)) from error
    return Listed(tuple(class_names), train, validation, test, (*_how_split(folders), *_passed_over(ignored)))


def _split(found: Mapping[str, Files], class_names: Sequence[str]) -> tuple[Files, Files, Files]:
    if "validation" in found:
        return found["train"], found["validation"], found["test"]
    everything = found["train"] if "train" in found else found[""]
    labels_N = np.array([label for _, label in everything], dtype=np.int64)
    if "train" in found:
        kept, held = ([everything[row] for row in rows] for rows in with_validation_rows(labels_N, class_names))
        return kept, held, found["test"]
    train, validation, test = ([everything[row] for row in rows] for rows in three_way_rows(labels_N, class_names))
    return train, validation, test


def _split_folders(path: Path, ignored: Counter[str]) -> dict[str, Path]:
    """Returns the folders of train, validation (if any) and test; empty if the folder is not split."""
    # A class may be called "train": only a folder of folders is a split.
    named = [(role, entry) for entry in _folders(path, Counter()) if (role := _role(entry.name))]
    found: dict[str, list[Path]] = {}
    for role, entry in named:
        if _folders(entry, Counter()):
            found.setdefault(role, []).append(entry)
    if not found:
        return {}
    given = [folder.name for folders in found.values() for folder in folders]
    if not {"train", "test"} <= found.keys():
        raise UserError(
            "invalid-image-folder",
            "incomplete splits of an image folder",
            where=shown(path),
            value=", ".join(given),
            allowed="class folders in train and test (validation may be added), or class folders alone",
        )
    if twice := next((folders for folders in found.values() if len(folders) > 1), None):
        names = ", ".join(folder.name for folder in twice)
        raise UserError(
            "invalid-image-folder",
            "several folders for one split",
            where=shown(path),
            value=names,
            allowed="keep one of them",
        )
    others = [entry.name for entry in _folders(path, ignored) if entry.name not in given]
    ignored.update(f"folder {name!r} beside the splits" for name in others)
    return {role: folders[0] for role, folders in found.items()}


def _role(name: str) -> str:
    """Returns the split of a folder's name; "" if it is none."""
    return next((role for role, names in ROLES.items() if name.lower() in names), "")


def _folders(path: Path, ignored: Counter[str]) -> list[Path]:
    """Lists the folders in a folder; counts hidden ones, archive leftovers and images there."""
    if not path.is_dir():
        return []
    folders = []
    for entry in sorted(path.iterdir()):
        if entry.is_dir():
            if not _is_hidden(entry.name):
                folders.append(entry)
            elif entry.name != HOME:
                ignored[_hidden(entry.name)] += 1
        elif entry.suffix.lower() in SUFFIXES:
            ignored["images outside of any class folder"] += 1
    return folders


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _hidden(name: str) -> str:
    return "hidden folders" if name.startswith(".") and name != ".ipynb_checkpoints" else f"{name} folders"


def _class_names(folder: Path, ignored: Counter[str]) -> list[str]:
    names = [entry.name for entry in _folders(folder, ignored)]
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            what = "name of a class folder is not UTF-8"
            raise UserError("invalid-encoding", what, where=shown(folder), value=name, allowed="rename it") from error
    if len(names) < 2:
        raise UserError(
            "invalid-image-folder",
            "too few classes in an image folder",
            where=shown(folder),
            value=", ".join(names) or "none",
            allowed="at least two folders, each with the images of one class",
        )
    return names


def _refuse_other_classes(first: Path, class_names: list[str], other: Path) -> None:
    difference = sorted(set(class_names) ^ {entry.name for entry in _folders(other, Counter())})
    if difference:
        raise UserError(
            "invalid-image-folder",
            f"classes differ from those of {first.name}",
            where=shown(other),
            value=", ".join(difference),
            allowed="the same class folders in every split",
        )


def _files(folder: Path, class_names: Sequence[str], ignored: Counter[str]) -> Files:
    listed: Files = []
    for label, name in enumerate(class_names):
        files = sorted(_images(folder / name, ignored))
        if not files:
            allowed = f"files in {', '.join(sorted(SUFFIXES))}"
            raise UserError("too-few-images", "class without images", where=shown(folder), value=name, allowed=allowed)
        listed += [(file, label) for file in files]
    return listed


def _images(folder: Path, ignored: Counter[str]) -> list[Path]:
    """Lists the image files below a class folder; counts hidden files, links and other types."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        for name in list(folders):
            if _is_hidden(name):
                ignored[_hidden(name)] += 1
                folders.remove(name)
            elif os.path.islink(os.path.join(place, name)):
                ignored["linked folders inside of classes"] += 1
        for name in files:
            suffix = os.path.splitext(name)[1].lower()
            if suffix not in SUFFIXES:
                if not _is_hidden(name):
                    ignored[f"{suffix or 'other'} files"] += 1
            elif _is_hidden(name):
                ignored["hidden files"] += 1
            else:
                found.append(Path(place, name))
    return found


def _passed_over(ignored: Counter[str]) -> tuple[str, ...]:
    if not ignored:
        return ()
    most, rest = ignored.most_common(5), len(ignored) - 5
    named = ", ".join(what if what.startswith("folder ") else _counted(count, what) for what, count in most)
    return (f"not read: {shown(named)}{f' and {rest} other kinds' if rest > 0 else ''}",)


def _counted(count: int, what: str) -> str:
    """ "2 hidden files", "1 hidden file"."""
    one = re.sub("(file|folder|image)s", r"\1", what, count=1)
    return f"{count:,} {what if count > 1 else one}"


def _how_split(folders: Mapping[str, Path]) -> tuple[str, ...]:
    if not folders:
        return ("the folder has no splits: validation and test are held out, by a fixed seed",)
    if "validation" in folders:
        return (f"validation: the folder {folders['validation'].name!r}",)
    return ("validation is held out of train, by a fixed seed",)


def _absent(dataset: Dataset) -> tuple[str, ...]:
    """Lists classes without an image in a held-out split, which happens to small classes beside very large ones."""
    notes = []
    for split in ("validation", "test"):
        labels_N = getattr(dataset, split).labels_N.numpy()
        counts = np.bincount(labels_N, minlength=dataset.spec.classes)
        if names := [dataset.class_names[n] for n in np.flatnonzero(counts == 0)]:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            notes.append(f"WARNING: no {split} image of {', '.join(map(repr, names[:3]))}{more}: too few images")
    return tuple(notes)


def _shrunk(about: About, size: int | None) -> tuple[str, ...]:
    """Notes that the images are larger than the default size, if no size was requested."""
    if size is not None or about.shorter_side < 2 * DEFAULT_SIZE:
        return ()
    usual = f"{DEFAULT_SIZE}x{DEFAULT_SIZE} is the default size"
    return (f"{usual}; the median of the shorter sides is {about.shorter_side}: folder:PATH?size=96 keeps more of it",)
