"""The one truth about a study: an Optuna storage, our records in the user attributes of its trials."""

import difflib
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy.event
import sqlalchemy.exc
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from searchlab.candidate import Candidate
from searchlab.errors import UserError, unknown
from searchlab.plain import from_plain, to_plain
from searchlab.record import TestLook, TrialRecord
from searchlab.search.early_stopping import RungReport
from searchlab.study import BUDGET_FIELDS, RunOptions, Study

STATES = {
    "complete": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
"""How a record's state is told to Optuna. An infeasible trial also carries its constraints, a stopped one none."""

RUNG = "rung "
"""What the names of user attributes begin with that hold a RungReport; its epoch follows."""

WAITS_FOR_LOCK_S = 20.0
"""So long a SQLite store that another process is writing to is waited for."""


@dataclass(frozen=True)
class Definition:
    """What a study is: as it runs, as its file (at `path`) wrote it before overrides, and the text of its space."""

    study: Study
    written: Study
    space_text: str
    path: str = ""

    def changes(self, other: "Definition") -> list[str]:
        """Lines of a diff from this definition to another, budgets left out; empty where they are the same study."""
        here, there = _comparable(self), _comparable(other)
        return [
            line
            for line in difflib.unified_diff(here, there, "stored", "now", lineterm="", n=1)
            if not line.startswith("@@")
        ]


def _comparable(definition: Definition) -> list[str]:
    plain = to_plain(definition.written)
    kept = {key: value for key, value in plain.items() if key not in BUDGET_FIELDS}
    return [*(f"{key} = {json.dumps(value)}" for key, value in kept.items()), *definition.space_text.splitlines()]


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turns what a database complains about into one line for the user."""
    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        text = str(getattr(cause, "orig", cause)).splitlines()[0]
        hints = {
            "locked": "another process is writing to it: wait for it, or end it",
            "not a database": "the file is damaged or no SQLite file: move it away, or restore it",
            "malformed": "the file is damaged: restore it, or try `sqlite3 FILE .recover`",
            "unable to open": "does the folder exist, and may you write there?",
            "full": "the disk is full: make room, then resume",
            "readonly": "you may not write there",
        }
        hint = next((mend for word, mend in hints.items() if word in text), "is the URL right, and the server up?")
        raise UserError(f"cannot use the store: {text}", where=public(url), allowed=hint) from error


def public(url: str) -> str:
    """A storage URL without its password, to be shown."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def open_storage(url: str, *, create: bool) -> BaseStorage:
    """Optuna's storage at a URL.

    Raises:
        UserError: the store is absent (and not to be created), corrupt, locked, or no storage URL.
    """
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        if not create and not path.is_file():
            raise UserError(
                "no store", where=str(path), allowed="`searchlab run STUDY` makes one; see --output, --storage"
            )
        if create:
            _make_folder(path.parent)
    with storage_errors(url):
        try:
            waits = {"connect_args": {"timeout": WAITS_FOR_LOCK_S}} if url.startswith("sqlite") else {}
            return _committing_fast(RDBStorage(url, engine_kwargs=waits))
        except ImportError as error:
            mend = "pip install 'searchlab[postgresql]', or the driver of your database"
            raise UserError(
                "its driver is not installed", where="--storage", value=public(url), allowed=mend
            ) from error
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            allowed = "such as sqlite:///FILE.db"
            raise UserError("no storage URL", where="--storage", value=public(url), allowed=allowed) from error
        except RuntimeError as error:
            raise UserError(str(error), where=public(url), allowed="it is of another version of Optuna") from error


def _committing_fast(storage: RDBStorage) -> RDBStorage:
    """On SQLite, a log beside the file instead of two disk flushes for each of a trial's twenty commits.

    A process that dies loses nothing; a power cut may take the last commits, never the file.
    """

    def prepare(connection: Any, _: object) -> None:
        # A store that may only be read, or is locked just now, stays as it is.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    if storage.engine.dialect.name == "sqlite":
        sqlalchemy.event.listen(storage.engine, "connect", prepare)
        # Connections made so far are not prepared.
        storage.remove_session()
        storage.engine.dispose()
    return storage


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder: {error.strerror}", where=str(folder)) from error


class StudyStore:
    """One study in a storage: its definition, its records, and Optuna's view of its trials."""

    def __init__(self, study: optuna.Study, storage: BaseStorage, url: str) -> None:
        self.optuna = study
        self.storage = storage
        self.url = url

    @classmethod
    def create(cls, definition: Definition, storage: BaseStorage, url: str) -> "StudyStore":
        """A new study.

        Raises:
            UserError: the storage holds a study of that name already.
        """
        study = definition.study
        with storage_errors(url):
            try:
                made = optuna.create_study(
                    storage=storage, study_name=study.name, directions=[o.direction for o in study.objectives]
                )
            except optuna.exceptions.DuplicatedStudyError as error:
                raise UserError(
                    f"the store holds a study {study.name!r} already",
                    where=public(url),
                    allowed=f"`searchlab resume {study.name}` goes on with it, --name NAME starts another",
                ) from error
            store = cls(made, storage, url)
            store.redefine(definition)
            return store

    @classmethod
    def load(cls, name: str, storage: BaseStorage, url: str) -> "StudyStore":
        """A study that is there.

        Raises:
            UserError: the storage holds no study of that name, or one that searchlab did not make.
        """
        with storage_errors(url):
            names = optuna.get_all_study_names(storage)
            if name not in names:
                raise unknown("study", name, names, where=public(url))
            store = cls(optuna.load_study(study_name=name, storage=storage), storage, url)
            if "searchlab" not in store.optuna.user_attrs:
                raise UserError(
                    f"study {name!r} was not made by searchlab", where=public(url), allowed="--name another"
                )
            return store

    @classmethod
    def discard(cls, name: str, storage: BaseStorage, url: str) -> None:
        """Forgets a study, where the storage holds one of that name.

        Raises:
            UserError: it is one that searchlab did not make.
        """
        with storage_errors(url):
            if name in optuna.get_all_study_names(storage):
                cls.load(name, storage, url)
                optuna.delete_study(study_name=name, storage=storage)

    @property
    def definition(self) -> Definition:
        """What the study is, as it was stored."""
        stored = self.optuna.user_attrs["searchlab"]
        return Definition(
            from_plain(Study, stored["study"], where=public(self.url)),
            from_plain(Study, stored["written"], where=public(self.url)),
            stored["space_text"],
            stored["path"],
        )

    def redefine(self, definition: Definition) -> None:
        """Stores a definition in place of the one before."""
        stored = {f.name: getattr(definition, f.name) for f in fields(definition)}
        stored = {key: value if isinstance(value, str) else to_plain(value) for key, value in stored.items()}
        with storage_errors(self.url):
            self.optuna.set_user_attr("searchlab", stored)

    def looks(self) -> list[TestLook]:
        """What was seen of the test split so far."""
        with storage_errors(self.url):
            stored = self.optuna.user_attrs.get("test_looks", [])
        return [from_plain(TestLook, look, where=public(self.url)) for look in stored]

    def add_looks(self, looks: Sequence[TestLook]) -> None:
        """Records that the test split was read."""
        plain = [to_plain(look) for look in (*self.looks(), *looks)]
        with storage_errors(self.url):
            self.optuna.set_user_attr("test_looks", plain)

    def trials(self) -> list[FrozenTrial]:
        """Optuna's trials, in order of their numbers."""
        with storage_errors(self.url):
            return self.optuna.get_trials(deepcopy=False)

    def records(self) -> list[TrialRecord]:
        """What is known of every trial, running ones included once their candidate is known."""
        found = [record_of(trial) for trial in self.trials()]
        # SQLAlchemy would go through all rows of this reading again at every later commit: 2 ms each at 1,000 trials.
        self.storage.remove_session()
        return [record for record in found if record is not None]

    def unfinished(self) -> list[int]:
        """Numbers of the trials that were begun and not told: those of a driver that died."""
        return [trial.number for trial in self.trials() if trial.state == TrialState.RUNNING]

    def again(self, number: int, sampler: BaseSampler) -> Trial:
        """An unfinished trial, to be gone on with; the sampler suggests what it had not been suggested yet."""
        self.optuna.sampler = sampler
        with storage_errors(self.url):
            return Trial(self.optuna, self.trials()[number]._trial_id)

    def begin(self, trial: Trial, candidate: Candidate, seed: int) -> None:
        """Notes what a trial is about to train."""
        with storage_errors(self.url):
            trial.set_user_attr("candidate", {"candidate": to_plain(candidate), "seed": seed})

    def rung_reports(self) -> list[RungReport]:
        """What trials showed at rungs, but for those that failed."""
        return [
            from_plain(RungReport, value, where=f"trial {trial.number}")
            for trial in self.trials()
            if trial.state != TrialState.FAIL
            for name, value in trial.user_attrs.items()
            if name.startswith(RUNG)
        ]

    def keep_rung(self, trial: Trial, report: RungReport) -> None:
        """Notes what a running trial showed at a rung, and what was decided."""
        with storage_errors(self.url):
            trial.set_user_attr(f"{RUNG}{report.epoch}", to_plain(report))

    def finish(self, trial: Trial, record: TrialRecord, values: list[float] | None) -> None:
        """Writes a record and tells Optuna, the state last: a trial that is not RUNNING has its whole record."""
        with storage_errors(self.url):
            trial.set_user_attr("record", to_plain(record))
            trial.set_user_attr("artefacts", record.directory)
            for name, excess in record.excess.items():
                # A driver may have died just after setting it; a constraint is set only once.
                if name not in trial.constraints:
                    trial.set_constraint(name, excess)
            self.optuna.tell(trial, values, state=STATES[record.state])


def record_of(trial: FrozenTrial | Trial) -> TrialRecord | None:
    """The record in a trial's user attributes; one in state "running" before there is any result."""
    attributes: dict[str, Any] = trial.user_attrs
    if "record" in attributes:
        return from_plain(TrialRecord, attributes["record"], where=f"trial {trial.number}")
    if "candidate" not in attributes:
        return None
    begun = attributes["candidate"]
    candidate = from_plain(Candidate, begun["candidate"], where=f"trial {trial.number}")
    return TrialRecord(trial.number, "running", candidate, begun["seed"])


def stored_names(options: RunOptions) -> list[str]:
    """The studies that the store holds; none where there is no store yet.

    Raises:
        UserError: the store is damaged or cannot be reached.
    """
    url = options.storage_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        return []
    with storage_errors(url):
        return list(optuna.get_all_study_names(open_storage(url, create=False)))


def stored_study(name: str | None, options: RunOptions) -> StudyStore:
    """The study of that name; the one begun last where none is named.

    Raises:
        UserError: there is no store, or no such study in it.
    """
    url = options.storage_url
    storage = open_storage(url, create=False)
    if name is None:
        with storage_errors(url):
            known = optuna.get_all_study_summaries(storage)
        if not known:
            raise UserError("the store holds no study", where=public(url), allowed="`searchlab run STUDY` begins one")
        began = {one.study_name: one.datetime_start.timestamp() if one.datetime_start else 0.0 for one in known}
        name = max(began, key=lambda one: began[one])
    return StudyStore.load(name, storage, url)
