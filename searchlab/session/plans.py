"""Plans: from a user's request to a study with overrides, its space, and its place; new or resumed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from searchlab.data.folder_spec import is_folder, parse_folder
from searchlab.errors import UserError
from searchlab.search.catalog import (
    SourceFile,
    find,
    label_of,
    load_studies,
    named_studies,
    source_at,
    space_of,
    studies_on,
    with_files,
)
from searchlab.search.definition import Definition, check_objectives
from searchlab.search.driver import Driver
from searchlab.search.early_stopping import with_rungs
from searchlab.search.launch import Launch, check_total, start, start_afresh
from searchlab.search.launch import resume as resume_study
from searchlab.search.smoke import on_what_is_there, smoke_of
from searchlab.search.space_function import SpaceFunction, is_function_space
from searchlab.search.store import StudyStore, stored_study
from searchlab.session.data_options import check_output, images_of, is_data_set, root_of
from searchlab.study import BUDGET_FIELDS, OTHER_BUDGETS, RunOptions, Study, with_more
from searchlab.user_file import place_of


def _silent(line: str) -> None:
    pass


@dataclass(frozen=True)
class Request:
    """A user's request for a search.

    Attributes:
        study: its name, the path of its file, or the study itself; for a resume, its name in the store.
        overrides: fields of the study with their new values; None keeps a field.
        data: folder with the files of data sets, None: the default.
        images: the user's own images, which replace the study's.
        where: where it runs and is stored; its `data_root` is set from `data`.
        smoke: test run on a few hundred images.
        warm_start: a study of the same store whose front is tried first.
        say: receives messages about automatic choices.
    """

    study: str | Study | None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    images: str | None = None
    where: RunOptions = field(default_factory=RunOptions)
    runner: str = "local"
    smoke: bool = False
    warm_start: str | None = None
    say: Callable[[str], None] = _silent


@dataclass(frozen=True)
class Plan:
    """A study to search, and how it begins: `start`, `start_afresh` or `resume`."""

    definition: Definition
    space: SourceFile | SpaceFunction
    where: RunOptions
    begin: Callable[[Launch], Driver]
    runner: str = "local"

    @property
    def study(self) -> Study:
        """The study, overrides included."""
        return self.definition.study


class DefinitionChanged(UserError):
    """Error: the study's file or space has changed since the study was begun.

    Attributes:
        diff: the lines of a diff from the stored definition to the current one.
    """

    diff: tuple[str, ...] = ()


def plans_for(request: Request) -> list[Plan]:
    """Plans new searches: one, or one for every study of a file.

    Raises:
        UserError: the study, an override, the data or the place is invalid; nothing was written.
    """
    spec = images_of(request.images, request.data)
    source, studies = _studies(request.study, spec)
    _check_name(request.overrides.get("name"), studies)
    changed = [(written, with_rungs(_overridden(_on(written, spec), request.overrides))) for written in studies]
    effective = [study for _, study in changed]
    given = None if request.data is None or is_data_set(request.data) else request.data
    root = root_of(given, effective, download=request.where.download)
    check_output(request.where.output, effective)
    where = replace(request.where, data_root=root)
    if request.smoke:
        changed = [(written, _smoke(study, where, request.say)) for written, study in changed]
    begin = start_afresh if request.smoke else start
    if request.warm_start is not None:
        begin = partial(_warmly, begin, _earlier(request.warm_start, where))
    return [_plan(source, written, study, replace(request, where=where), begin) for written, study in changed]


def resume_plan(request: Request, *, force: bool = False) -> Plan:
    """Plans the resumption of a stored study, with a new budget if given.

    Raises:
        DefinitionChanged: its file or space has changed since it was begun, without `force`.
        UserError: the study is unknown, its objectives have changed, or the data or the place is invalid.
    """
    store = stored_study(_stored_name(request.study), request.where)
    before = store.definition
    root = root_of(request.data, [before.study], download=request.where.download)
    written, source = _as_written_now(request.study, before)
    beside = source.path if source else None
    space = _space_now(written, beside, before)
    written = replace(written, space=written.space_name)
    effective = _overridden(_carried_over(before, written), request.overrides)
    check_objectives(before.study, effective, store.optuna.directions)
    check_total(store, effective)
    effective = with_files(effective, beside or (Path(before.path) if before.path else None), known=before.study.files)
    now = Definition(effective, written, space.text, str(source.path.absolute()) if source else before.path)
    changes = before.changes(now)
    if changes and not force:
        what, where_it_is = "the definition has changed since the study was begun", f"study {effective.name}"
        error = DefinitionChanged("definition-changed", what, where=where_it_is, allowed="--force resumes anyway")
        error.diff = tuple(changes)
        raise error
    where = replace(request.where, data_root=root)
    return Plan(now, space, where, partial(resume_study, store=store), request.runner)


def check_kept(store: StudyStore, overrides: Mapping[str, Any]) -> None:
    """Checks that overrides equal the fields of a stored study; its budget may change.

    Raises:
        UserError: a field has another value.
    """
    study = store.definition.study
    for name, value in overrides.items():
        if (
            value is not None
            and name not in BUDGET_FIELDS
            and getattr(replace(study, **{name: value}), name) != (kept := getattr(study, name))
        ):
            what = f"{name} cannot change after the study was begun"
            allowed = f"so far {kept!r}; --name NAME begins another study"
            raise UserError("definition-changed", what, where=f"study {study.name}", value=value, allowed=allowed)


def _studies(study: str | Study | None, spec: str | None) -> tuple[SourceFile | None, tuple[Study, ...]]:
    if isinstance(study, str):
        return studies_on(study, spec)
    assert study is not None
    return None, (named(study),)


def named(study: Study) -> Study:
    """Names a study without a file after its space and its data."""
    space = study.space_name.removesuffix("()")
    return with_files(replace(study, name=study.name or f"{label_of(space)}-{label_of(study.data)}"))


def _check_name(name: str | None, studies: Sequence[Study]) -> None:
    if name is not None and len(studies) > 1:
        known = ", ".join(each.name for each in studies)
        raise UserError(
            "several-studies",
            "one name is given for several studies",
            where="--name",
            value=name,
            allowed=f"run one: {known}",
        )


def _earlier(name: str, where: RunOptions) -> StudyStore:
    """Returns the study to warm-start from.

    Raises:
        UserError: the store holds no such study, or there is no store.
    """
    try:
        return stored_study(name, where)
    except UserError as error:
        raise error.at(f"--warm-start: {error.where}" if error.value is None else "--warm-start") from error


def _warmly(begin: Callable[[Launch], Driver], earlier: StudyStore, launch: Launch) -> Driver:
    return begin(replace(launch, warm_start=earlier))


def _smoke(study: Study, where: RunOptions, say: Callable[[str], None]) -> Study:
    small = on_what_is_there(smoke_of(study), where)
    if small.data != study.data:
        say(f"data set {study.data} not found in {where.data_root}: {small.data} (built into searchlab) replaces it")
    return small


def _on(study: Study, spec: str | None) -> Study:
    """Replaces the data of a study, if other data are given; the study's name then says so."""
    if spec is None or study.data == spec:
        return study
    size = parse_folder(spec).size if is_folder(spec) else None
    return replace(study, data=spec, image_size=size or study.image_size, name=f"{study.name}-{label_of(spec)}")


def _plan(
    source: SourceFile | None, written: Study, effective: Study, request: Request, begin: Callable[[Launch], Driver]
) -> Plan:
    beside = source.path if source else None
    space, effective = space_of(written, beside), with_files(effective, beside)
    path = str(source.path.absolute()) if source else ""
    known_as = written.space_name
    definition = Definition(replace(effective, space=known_as), replace(written, space=known_as), space.text, path)
    return Plan(definition, space, request.where, begin, request.runner)


def _stored_name(study: str | Study | None) -> str | None:
    """Returns the name in the store of a study given by name or by path."""
    if isinstance(study, Study):
        return named(study).name
    if study is None or not study.endswith(".py"):
        return study
    names = [each.name for each in load_studies(find("study", study))]
    if len(names) > 1:
        raise UserError(
            "several-studies", "the file holds several studies", value=study, allowed=f"resume one: {', '.join(names)}"
        )
    return names[0]


def _as_written_now(study: str | Study | None, before: Definition) -> tuple[Study, SourceFile | None]:
    """Returns the study as in its file today; as stored if there is no file."""
    name = before.written.name
    if isinstance(study, Study):
        return named(study), None
    if study is not None and study.endswith(".py"):
        source = find("study", study)
    elif not before.path:
        # A space on a user's images, or a `Study` from Python, has no file.
        return before.written, None
    elif Path(before.path).is_file():
        source = source_at(Path(before.path))
    else:
        try:
            source, _ = named_studies(name)
        except UserError:
            return before.written, None
    studies = load_studies(source)
    found = studies if len(studies) == 1 else [each for each in studies if each.name == name]
    if not found:
        known = ", ".join(each.name for each in studies)
        raise UserError(
            "unknown-study",
            "study not found in its file",
            where=place_of(source.path),
            value=name,
            allowed=f"it has {known}",
        )
    return found[0], source


def _space_now(written: Study, beside: Path | None, before: Definition) -> SourceFile | SpaceFunction:
    """Returns the current space; of an absent function, the stored source."""
    if isinstance(written.space, str) and is_function_space(written.space):
        return SpaceFunction(written.space, before.space_text)
    return space_of(written, beside)


def _carried_over(before: Definition, written: Study) -> Study:
    """Applies the overrides that the study was begun with to today's file."""
    fields = vars(before.study)
    ours = {name: value for name, value in fields.items() if name != "files"}
    overridden = {name: value for name, value in ours.items() if value != getattr(before.written, name)}
    if "enqueue" in overridden:
        # A warm start added to the file's configurations; the file may have more today.
        had = before.written.enqueue
        added = {name: params for name, params in before.study.enqueue.items() if name not in had}
        overridden["enqueue"] = with_more(written.enqueue, added)
    return replace(written, **overridden)


def _overridden(study: Study, overrides: Mapping[str, Any]) -> Study:
    given = {name: value for name, value in overrides.items() if value is not None}
    # Another limit replaces the number of trials in the study's file, except in studies that only train what they
    # enqueue.
    searches = study.trials is None or study.trials > len(study.enqueue)
    lifted = {"trials": None} if OTHER_BUDGETS & given.keys() and searches else {}
    return replace(study, **lifted | given)
