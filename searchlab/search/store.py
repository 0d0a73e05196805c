"""Store of a study: an Optuna storage with searchlab's records in the user attributes of its trials."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from searchlab.candidate import Candidate
from searchlab.errors import UserError, unknown
from searchlab.record import TestLook, TrialRecord
from searchlab.schema import versioned
from searchlab.search.attributes import read_noun, write, write_noun
from searchlab.search.dashboard import name_objectives, shown
from searchlab.search.definition import DEFINED, Definition, check_attributes
from searchlab.search.early_stopping import RungReport
from searchlab.search.enqueued import Enqueued, Mark, by_parameters, marked, unmarked
from searchlab.search.heartbeat import is_left, living
from searchlab.search.record_codec import RecordCodec
from searchlab.search.storage import is_absent, open_storage, public, storage_errors
from searchlab.search.trial_attributes import CANDIDATE, CHECKPOINT, RECORD, Begun, record_of
from searchlab.search.unfinished import discard_stub, is_stub
from searchlab.serialization import to_plain
from searchlab.study import RunOptions

STATES = {
    "complete": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
"""Record state to Optuna's trial state. An infeasible trial also has constraints, a stopped one has none."""

ENDED = "ended"
"""User attribute of a study with the reason why it ended; "" while it may continue."""

RUNG = "rung "
"""Prefix of the user attributes with a RungReport; its epoch follows."""

LOOK, LOOKS = "look ", "test_looks"
"""Prefix of the study's attributes with a test look; the attribute of old stores with a list of them."""

COMPANION = "/replicates"
"""Suffix of the Optuna study with a study's replicates; names of studies contain no slash."""


class StudyStore:
    """One study in a storage: its definition, its records, and Optuna's view of its trials.

    `output` is the output folder that is searched first for artefacts. `parent` is the study of a companion.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: BaseStorage,
        url: str,
        output: Path = Path("runs"),
        parent: optuna.Study | None = None,
    ) -> None:
        self.optuna = study
        self.storage = storage
        self.url = url
        self.output = output
        self.parent = parent or study

    @classmethod
    def create(
        cls, definition: Definition, storage: BaseStorage, url: str, output: Path = Path("runs")
    ) -> "StudyStore":
        """Creates a study.

        Raises:
            UserError: the storage already holds a study of that name.
        """
        name, directions = definition.study.name, [o.direction for o in definition.study.objectives]
        with storage_errors(url):
            if name in optuna.get_all_study_names(storage):
                discard_stub(name, storage, directions)
            try:
                made = optuna.create_study(storage=storage, study_name=name, directions=directions)
            except optuna.exceptions.DuplicatedStudyError as error:
                made = optuna.load_study(study_name=name, storage=storage)
                if not is_stub(made.user_attrs, made.get_trials(deepcopy=False)):
                    mend = f"`searchlab resume {name}` continues it, --name NAME begins another"
                    what = f"the store already holds a study {name!r}"
                    raise UserError("study-exists", what, where=public(url), allowed=mend) from error
            store = cls(made, storage, url, output)
            store.redefine(definition)
            return store

    @classmethod
    def load(cls, name: str, storage: BaseStorage, url: str, output: Path = Path("runs")) -> "StudyStore":
        """Loads an existing study.

        Raises:
            UserError: the storage holds no study of that name, or one that searchlab did not create.
        """
        with storage_errors(url):
            names = _names(storage)
            if name not in names:
                raise unknown("study", name, names, where=public(url))
            store = cls(optuna.load_study(study_name=name, storage=storage), storage, url, output)
            if DEFINED in store.optuna.user_attrs:
                check_attributes(store.optuna.user_attrs, store.where)
                return store
            if is_stub(store.optuna.user_attrs, store.trials()):
                what, mend = (
                    f"study {name!r} was not started: its process ended first",
                    f"`searchlab run {name}` begins it",
                )
                raise UserError("study-not-started", what, where=public(url), allowed=mend)
            what, mend = f"study {name!r} was not created by searchlab", "--name another"
            raise UserError("foreign-study", what, where=public(url), allowed=mend)

    @classmethod
    def discard(cls, name: str, storage: BaseStorage, url: str) -> None:
        """Deletes a study from the storage, if it exists.

        Raises:
            UserError: searchlab did not create it.
        """
        with storage_errors(url):
            if name in _names(storage):
                discard_stub(name, storage)
            if name in _names(storage):
                known = cls.load(name, storage, url).companion()
                for each in [*([known.optuna.study_name] if known else []), name]:
                    optuna.delete_study(study_name=each, storage=storage)

    def companion(self, *, create: bool = False) -> "StudyStore | None":
        """Returns the companion study with the study's replicates; it has no definition.

        None if it does not exist and `create` is false.
        """
        name, random = self.optuna.study_name + COMPANION, RandomSampler()
        with storage_errors(self.url):
            if name in optuna.get_all_study_names(self.storage):
                found = optuna.load_study(study_name=name, storage=self.storage, sampler=random)
            elif create:
                directions = self.optuna.directions
                found = optuna.create_study(
                    study_name=name, storage=self.storage, sampler=random, directions=directions
                )
                name_objectives(found, self.definition.study.objectives)
            else:
                return None
            return StudyStore(found, self.storage, self.url, self.output, self.optuna)

    @property
    def definition(self) -> Definition:
        """The stored definition of the study."""
        return read_noun(Definition, self.optuna.user_attrs, DEFINED, self.where)

    @property
    def codec(self) -> RecordCodec:
        """Returns the codec for records, from the study's current attributes."""
        with storage_errors(self.url):
            return RecordCodec.of(self.parent.study_name, self.output, self.parent.user_attrs)

    @property
    def where(self) -> str:
        """Name of the study in errors about its attributes."""
        return f"{public(self.url)}: study {self.optuna.study_name}"

    def redefine(self, definition: Definition) -> None:
        """Replaces the stored definition."""
        stored = {f.name: getattr(definition, f.name) for f in fields(definition)}
        stored = {key: value if isinstance(value, str) else to_plain(value) for key, value in stored.items()}
        with storage_errors(self.url):
            write(self.optuna.set_user_attr, DEFINED, versioned(stored))
            name_objectives(self.optuna, definition.study.objectives)

    def note_end(self, reason: str) -> None:
        """Stores why the study ended; "" when it begins or continues."""
        with storage_errors(self.url):
            self.optuna.set_user_attr(ENDED, reason)

    def looks(self) -> list[TestLook]:
        """Returns the test evaluations so far, in their order."""
        with storage_errors(self.url):
            attributes = self.optuna.user_attrs
        old = read_noun(list[TestLook], attributes, LOOKS, self.where) if LOOKS in attributes else []
        names = sorted(name for name in attributes if name.startswith(LOOK))
        return old + [read_noun(TestLook, attributes, name, self.where) for name in names]

    def add_looks(self, looks: Sequence[TestLook]) -> None:
        """Stores test evaluations, each in its own attribute, so that processes do not overwrite each other's."""
        with storage_errors(self.url):
            known = sum(name.startswith(LOOK) for name in self.optuna.user_attrs)
            for number, look in enumerate(looks, start=known):
                write_noun(self.optuna.set_user_attr, f"{LOOK}{number:06d} {uuid4().hex[:8]}", look)

    def trials(self) -> list[FrozenTrial]:
        """Returns Optuna's trials, in order of their numbers."""
        with storage_errors(self.url):
            return self.optuna.get_trials(deepcopy=False)

    def next_number(self) -> int:
        """Returns the number of the next trial, unless another process creates one first."""
        trials = self.trials()
        return next((trial.number for trial in trials if trial.state == TrialState.WAITING), len(trials))

    def enqueue(self, each: Enqueued) -> None:
        """Enqueues a configuration before all suggestions of a sampler."""
        with storage_errors(self.url):
            self.optuna.enqueue_trial(each.params, each.attributes)

    def mark(self, number: int) -> tuple[Mark | None, int]:
        """Returns the mark of a trial, if it was enqueued, and the number of the first trial with the same mark."""
        trials = self.trials()
        trial = trials[number]
        if own := marked([trial]).get(number):
            return own, next(first for first, mark in marked(trials).items() if mark == own)
        return self.marks()[number] if unmarked([trial]) else None, number

    def marks(self) -> dict[int, Mark]:
        """Returns the marks of enqueued trials by number."""
        trials = self.trials()
        old = unmarked(trials)
        return marked(trials) | (by_parameters(old, self.definition.study) if old else {})

    def records(self) -> list[TrialRecord]:
        """Returns the record of every trial, including trials without a result whose candidate is known.

        Those are "running" if a driver works on them, else "interrupted".
        """
        trials = self.trials()
        left = self._left(trials)
        codec = self.codec
        found = self._in_rows([record_of(trial, codec, left=trial.number in left) for trial in trials])
        # SQLAlchemy would process all rows of this query again at every later commit: 2 ms each at 1,000 trials.
        self.storage.remove_session()
        return found

    def _in_rows(self, records: Iterable[TrialRecord | None]) -> list[TrialRecord]:
        """Adds the rows of trials that an earlier version enqueued without storing them."""
        found = [record for record in records if record is not None]
        if not found or not unmarked(self.trials()):
            return found
        marks = self.marks()
        return [replace(r, row=marks[r.number].row) if r.number in marks else r for r in found]

    def readable(self) -> tuple[list[TrialRecord], list[UserError]]:
        """Returns `records` without those that are damaged, and the errors of these."""
        found: list[TrialRecord] = []
        wrong: list[UserError] = []
        trials = self.trials()
        left, codec = self._left(trials), self.codec
        for trial in trials:
            try:
                record = record_of(trial, codec, left=trial.number in left)
                found += [record] if record else []
            except UserError as error:
                wrong.append(error)
        return self._in_rows(found), wrong

    def ended(self, besides: Collection[int] = ()) -> list[TrialRecord]:
        """Returns the records of ended trials in the order of their ends, except those that are known `besides`."""
        ended = [t for t in self.trials() if t.datetime_complete and RECORD in t.user_attrs and t.number not in besides]
        codec = self.codec if ended else None
        found = self._in_rows(record_of(trial, codec) for trial in sorted(ended, key=_when) if codec)
        if found:
            # As in `records`.
            self.storage.remove_session()
        return found

    def unfinished(self) -> tuple[list[int], list[int]]:
        """Returns the numbers of unfinished trials: those of dead drivers, and those of live ones."""
        trials = self.trials()
        left = self._left(trials)
        begun = [trial.number for trial in trials if trial.state == TrialState.RUNNING]
        return left, [number for number in begun if number not in left]

    def _left(self, trials: Sequence[FrozenTrial]) -> list[int]:
        """Returns the numbers of unfinished trials without a live driver."""
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        if not running:
            return []
        with storage_errors(self.url):
            alive = living(self.optuna.user_attrs)
        return [trial.number for trial in running if is_left(trial, alive)]

    def again(self, number: int, sampler: BaseSampler) -> Trial:
        """Returns an unfinished trial to continue; the sampler suggests its missing parameters."""
        self.optuna.sampler = sampler
        with storage_errors(self.url):
            return Trial(self.optuna, self.trials()[number]._trial_id)

    def begin(self, trial: Trial, candidate: Candidate, seed: int) -> None:
        """Stores the candidate and seed of a trial before its training."""
        with storage_errors(self.url):
            write_noun(trial.set_user_attr, CANDIDATE, Begun(candidate, seed))

    def rung_reports(self, numbers: Collection[int] | None = None) -> list[RungReport]:
        """Returns the rung reports of all trials, or of some by number, without failed ones."""
        return [
            read_noun(RungReport, trial.user_attrs, name, f"trial {trial.number}")
            for trial in self.trials()
            if trial.state != TrialState.FAIL and (numbers is None or trial.number in numbers)
            for name in trial.user_attrs
            if name.startswith(RUNG)
        ]

    def keep_rung(self, trial: Trial, report: RungReport) -> None:
        """Stores the report of a running trial at a rung, with the decision."""
        with storage_errors(self.url):
            write_noun(trial.set_user_attr, f"{RUNG}{report.epoch}", report)

    def repeat(self, trial: Trial, number: int) -> None:
        """Ends a repeat of an earlier trial with the values of that trial; it gets no record."""
        with storage_errors(self.url):
            earlier = self.trials()[number]
            trial.set_user_attr("repeats", number)
            for name, excess in earlier.constraints.items():
                trial.set_constraint(name, excess)
            self.optuna.tell(trial, earlier.values, state=earlier.state)

    def leave_out(self, trial: Trial, number: int) -> None:
        """Ends a duplicate of an enqueued trial, of which the earlier one counts; it gets no record."""
        with storage_errors(self.url):
            trial.set_user_attr("repeats", number)
            self.optuna.tell(trial, state=TrialState.FAIL)

    def keep_checkpoint(self, trial: Trial, path: str) -> None:
        """Stores the checkpoint of a running trial."""
        with storage_errors(self.url):
            trial.set_user_attr(CHECKPOINT, self.codec.outputs.below(path))

    def checkpoint(self, trial: Trial) -> str:
        """Returns the path or URL of a running trial's checkpoint; "" if it has none."""
        kept = str(trial.user_attrs.get(CHECKPOINT, ""))
        return self.codec.outputs.found(kept) if kept else ""

    def record(self, trial: FrozenTrial | Trial) -> TrialRecord | None:
        """Returns the record of one trial; None if nothing is stored yet."""
        return record_of(trial, self.codec)

    def finish(self, trial: Trial, record: TrialRecord, values: list[float] | None) -> None:
        """Writes a record, then Optuna's values and state, so that every trial that is not RUNNING has its record."""
        with storage_errors(self.url):
            plain = self.codec.stored(record)
            write(trial.set_user_attr, RECORD, plain)
            for name, value in ({"artefacts": plain["directory"]} | shown(record)).items():
                trial.set_user_attr(name, value)
            for name, excess in record.excess.items():
                # A driver may have died just after it set the constraint, which can be set only once.
                if name not in trial.constraints:
                    trial.set_constraint(name, excess)
            self.optuna.tell(trial, values, state=STATES[record.state])


def _when(trial: FrozenTrial) -> tuple[datetime, int]:
    assert trial.datetime_complete is not None
    return trial.datetime_complete, trial.number


def _names(storage: BaseStorage) -> list[str]:
    """Returns the names of a storage's studies, without companions."""
    return [name for name in optuna.get_all_study_names(storage) if not name.endswith(COMPANION)]


def stored_names(options: RunOptions) -> list[str]:
    """Returns the names of the stored studies; none if there is no store yet.

    Raises:
        UserError: the store is damaged or cannot be reached.
    """
    url = options.storage_url
    if is_absent(url):
        return []
    with storage_errors(url):
        return _names(open_storage(url, create=False))


def stored_study(name: str | None, options: RunOptions) -> StudyStore:
    """Returns the study of that name; without a name, the one begun last.

    Raises:
        UserError: the store is missing, or the study is unknown.
    """
    url = options.storage_url
    storage = open_storage(url, create=False)
    if name is None:
        with storage_errors(url):
            known = [one for one in optuna.get_all_study_summaries(storage) if not one.study_name.endswith(COMPANION)]
        known = [one for one in known if DEFINED in one.user_attrs] or known
        if not known:
            raise UserError(
                "store-empty", "the store is empty", where=public(url), allowed="`searchlab run STUDY` begins one"
            )
        began = {one.study_name: one.datetime_start.timestamp() if one.datetime_start else 0.0 for one in known}
        name = max(began, key=lambda one: began[one])
    return StudyStore.load(name, storage, url, options.output)
