"""Catalog: spaces and studies by name or path, from the user's folders first, then those of searchlab."""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from searchlab.candidate import Space
from searchlab.data.folder_spec import is_folder, parse_folder
from searchlab.errors import UserError, unknown
from searchlab.search.places import (
    FOLDERS,
    Kind,
    brought,
    every_path,
    folders,
    in_words,
    name_of,
    paper_folders,
    paths_of,
)
from searchlab.search.space_function import SpaceFunction, space_function
from searchlab.study import Study
from searchlab.user_file import (
    FUNCTIONS,
    UserFile,
    blamed,
    defines,
    file_named,
    function_of,
    is_file_name,
    parsed,
    path_named,
    place_of,
    read_file,
)

SPACE_DEFAULTS: dict[str, Any] = {"max_params": 300_000, "epochs": 30}
"""Fields of the study that searches a space on a user's images."""


@dataclass(frozen=True)
class SourceFile:
    """A file that defines a space or a study."""

    name: str
    path: Path

    @property
    def file(self) -> UserFile:
        """Reads the file.

        Raises:
            UserError: it cannot be read, or it is in another encoding.
        """
        return read_file(self.name, self.path)

    @property
    def text(self) -> str:
        """Current text of the file."""
        return self.file.text

    def parsed(self) -> ast.Module:
        """Parses the file without running it.

        Raises:
            UserError: it cannot be read, or it does not parse.
        """
        return parsed(self.file)

    @property
    def summary(self) -> str:
        """First line of the file's docstring, or "".

        Raises:
            UserError: it cannot be read, or it does not parse.
        """
        said = (ast.get_docstring(self.parsed()) or "").splitlines()
        return said[0].rstrip(".") if said else ""

    @property
    def is_brought(self) -> bool:
        """Whether the file belongs to searchlab and not to the user."""
        return self.path.resolve().is_relative_to(brought().resolve())


def source_at(path: Path) -> SourceFile:
    """Returns the file at a path, with the name that follows from its place."""
    return SourceFile(name_of(path), path)


def places(kind: Kind, beside: Path | None = None) -> str:
    """Describes the folders that are searched for files of that kind."""
    # The folders of studies include those of papers.
    return in_words([*folders(kind, beside), *(paper_folders() if kind == "space" else [])])


def available(kind: Kind) -> list[SourceFile]:
    """Lists every file of that kind by name; a file of the user hides one of searchlab with the same name.

    A file beside studies that defines a data set, a score or a sampler, and no study, is left out.
    """
    found = [SourceFile(name, path) for name, path in every_path(kind).items()]
    return [source for source in found if kind != "study" or not _is_for_studies(source)]


def _is_for_studies(source: SourceFile) -> bool:
    """Whether a file in a folder of studies defines a data set, score or sampler; False if it does not parse."""
    try:
        tree = source.parsed()
    except UserError:
        return False
    return any(defines(tree, name) for name in FUNCTIONS.values()) and not defines(tree, "study")


def find(kind: Kind, name: str, beside: Path | None = None) -> SourceFile:
    """Returns the file of that name, or at that path if it ends in ".py".

    Raises:
        UserError: the name is unknown; the error lists the known ones.
    """
    if is_file_name(name):
        return source_at(path_named(kind, name, beside))
    for path in paths_of(kind, name, beside):
        if path.is_file():
            return SourceFile(name, path)
    error = unknown(kind, name, [source.name for source in available(kind)])
    looked = f"{error.allowed}; searched in {places(kind, beside)}"
    raise UserError(error.code, error.what, where=error.where, value=error.value, allowed=looked)


def load_studies(source: SourceFile) -> tuple[Study, ...]:
    """Calls the file's `study()`; it returns a study, or a tuple of them. Nameless ones get the file's name.

    Those of a tuple are named after the file and their data ("mine-digits") where they have no name.

    Raises:
        UserError: the file does not parse or run, lacks the function, or returns something else or duplicate names; or
            a file that it names is missing.
    """
    file = source.file
    function = function_of(file, "study")
    with blamed(file, "study()"):
        returned = function()
    studies = returned if isinstance(returned, tuple) else (returned,)
    wrong = [study for study in studies if not isinstance(study, Study)] or ([] if studies else [()])
    if wrong:
        kind, allowed = type(wrong[0]).__name__, "a Study, or a tuple of them"
        raise UserError(
            "wrong-return-type", "study() must return a Study", where=place_of(source.path), value=kind, allowed=allowed
        )
    return tuple(with_files(study, source.path) for study in named_after(source, studies))


def named_after(source: SourceFile, studies: tuple[Study, ...]) -> tuple[Study, ...]:
    """Fills in missing names and descriptions of the studies of a file.

    Raises:
        UserError: two have the same name.
    """
    several = len(studies) > 1
    named = tuple(
        replace(
            study,
            name=study.name or (f"{source.name}-{label_of(study.data)}" if several else source.name),
            description=study.description or source.summary,
        )
        for study in studies
    )
    names = [study.name for study in named]
    if len(set(names)) < len(names):
        raise UserError(
            "duplicate-name",
            "several studies have the same name",
            where=place_of(source.path),
            value=names,
            allowed="give each its own name",
        )
    return named


def label_of(data: str) -> str:
    """Returns a word for a data set in the name of a study: the name of a file or folder without its path."""
    if is_folder(data):
        folder = parse_folder(data)
        name = folder.place.partition("?")[0].rstrip("/") if folder.is_url else str(Path(folder.place).resolve())
        return re.sub(r"[^\w.+-]+", "-", Path(name).name).strip("-.") or "images"
    return Path(data).stem if is_file_name(data) else data


def with_files(study: Study, beside: Path | None = None, known: Iterable[UserFile] = ()) -> Study:
    """Reads the files that a study names; a missing one is taken from the `known`.

    Raises:
        UserError: a file is neither found nor known, is unreadable, or not text.
    """
    stored = {file.name: file for file in known}
    files = []
    for kind, name in study.named_files:
        try:
            files.append(file_named(kind, name, beside=beside))
        except UserError:
            if name not in stored:
                raise
            files.append(stored[name])
    return replace(study, files=tuple(files))


def named_studies(name: str) -> tuple[SourceFile, tuple[Study, ...]]:
    """Returns the file of that name or path with all its studies, or the file of the one study of that name.

    Raises:
        UserError: neither exists, or the file is invalid.
    """
    try:
        source = find("study", name)
    except UserError:
        for other in available("study"):
            if name.startswith(f"{other.name}-"):
                parts = tuple(study for study in load_studies(other) if study.name == name)
                if parts:
                    return other, parts
        raise
    return source, load_studies(source)


def studies_on(name: str, data: str | None) -> tuple[SourceFile | None, tuple[Study, ...]]:
    """Returns the studies of that name, else a study that searches the space of that name on some data.

    A path may be that of a study's or a space's file. For a space, the study is made from `SPACE_DEFAULTS`.

    Raises:
        UserError: neither exists, it is a space without data, or the file is invalid.
    """
    space = _space_meant(name)
    if space is None:
        try:
            return named_studies(name)
        except UserError as error:
            if data is None or error.code != "unknown-study":
                raise
            known = {source.name for kind in FOLDERS for source in available(kind)}
            raise unknown("study or space", name, known) from error
    if data is None:
        allowed = f"`searchlab run {name} --images FOLDER` searches it on your own images"
        raise UserError("not-a-study", "the name of a space, not of a study", value=name, allowed=allowed)
    # Files of searchlab are found by name on every machine.
    known_as = space.name if space.is_brought and not is_file_name(name) else str(space.path.absolute())
    description = f"The space {space.name} on {data}"
    study = Study(known_as, data, name=f"{space.name}-{label_of(data)}", description=description, **SPACE_DEFAULTS)
    return None, (with_files(study),)


def _space_meant(name: str) -> SourceFile | None:
    """Returns the space of that name or path, if there is no such study."""
    if is_file_name(name):
        source = find("study", name)
        defined = {node.name for node in source.parsed().body if isinstance(node, ast.FunctionDef)}
        return source if "space" in defined and "study" not in defined else None
    there = {kind: any(path.is_file() for path in paths_of(kind, name)) for kind in FOLDERS}
    return find("space", name) if there["space"] and not there["study"] else None


def space_of(study: Study, beside: Path | None = None) -> SourceFile | SpaceFunction:
    """Returns where the space of a study is defined; `beside` is the study's file.

    Raises:
        UserError: the file is missing, or the source of a function is unknown.
    """
    if isinstance(study.space, str):
        return find("space", study.space, beside)
    return space_function(study.space)


def load_space(source: SourceFile | SpaceFunction) -> Space:
    """Returns a space that is a function, or the file's `space` function, without calling it.

    Raises:
        UserError: the file does not parse or run, or lacks the function.
    """
    return source.load() if isinstance(source, SpaceFunction) else function_of(source.file, "space")
