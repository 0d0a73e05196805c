"""The one truth about a study: an Optuna storage, our records in the user attributes of its trials."""

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
"""How a record's state is told to Optuna. An infeasible trial also carries its constraints, a stopped one none."""

ENDED = "ended"
"""The user attribute of a study that says why it ended: "" while it may go on."""

RUNG = "rung "
"""What the names of user attributes begin with that hold a RungReport; its epoch follows."""

LOOK, LOOKS = "look ", "test_looks"
"""What the names of a study's attributes begin with that hold a look; the one of old stores that holds a list."""

COMPANION = "/replicates"
"""How the Optuna study is named that keeps a study's replicates, after the study; no name of a study has a slash."""


class StudyStore:
    """One study in a storage: its definition, its records, and Optuna's view of its trials.

    `output` is the output folder in which artefacts are looked for first. `parent` is, of a companion, the study.
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
        """A new study.

        Raises:
            UserError: the storage holds a study of that name already.
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
                    mend = f"`searchlab resume {name}` goes on with it, --name NAME starts another"
                    what = f"the store holds a study {name!r} already"
                    raise UserError("study-exists", what, where=public(url), allowed=mend) from error
            store = cls(made, storage, url, output)
            store.redefine(definition)
            return store

    @classmethod
    def load(cls, name: str, storage: BaseStorage, url: str, output: Path = Path("runs")) -> "StudyStore":
        """A study that is there.

        Raises:
            UserError: the storage holds no study of that name, or one that searchlab did not make.
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
                what, mend = f"study {name!r} never began: its process died first", f"`searchlab run {name}` begins it"
                raise UserError("study-not-started", what, where=public(url), allowed=mend)
            what, mend = f"study {name!r} was not made by searchlab", "--name another"
            raise UserError("foreign-study", what, where=public(url), allowed=mend)

    @classmethod
    def discard(cls, name: str, storage: BaseStorage, url: str) -> None:
        """Forgets a study, where the storage holds one of that name.

        Raises:
            UserError: it is one that searchlab did not make.
        """
        with storage_errors(url):
            if name in _names(storage):
                discard_stub(name, storage)
            if name in _names(storage):
                known = cls.load(name, storage, url).companion()
                for each in [*([known.optuna.study_name] if known else []), name]:
                    optuna.delete_study(study_name=each, storage=storage)

    def companion(self, *, create: bool = False) -> "StudyStore | None":
        """What keeps the study's replicates, so that they are no trials of its own; it has no definition.

        None where there is none and it is not to be created.
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
        """What the study is, as it was stored."""
        return read_noun(Definition, self.optuna.user_attrs, DEFINED, self.where)

    @property
    def codec(self) -> RecordCodec:
        """How records lie in the store, as far as the study's attributes say now."""
        with storage_errors(self.url):
            return RecordCodec.of(self.parent.study_name, self.output, self.parent.user_attrs)

    @property
    def where(self) -> str:
        """How the study is named where an attribute of its own is damaged."""
        return f"{public(self.url)}: study {self.optuna.study_name}"

    def redefine(self, definition: Definition) -> None:
        """Stores a definition in place of the one before."""
        stored = {f.name: getattr(definition, f.name) for f in fields(definition)}
        stored = {key: value if isinstance(value, str) else to_plain(value) for key, value in stored.items()}
        with storage_errors(self.url):
            write(self.optuna.set_user_attr, DEFINED, versioned(stored))
            name_objectives(self.optuna, definition.study.objectives)

    def note_end(self, reason: str) -> None:
        """Notes why the study ended; "" where it begins or goes on."""
        with storage_errors(self.url):
            self.optuna.set_user_attr(ENDED, reason)

    def looks(self) -> list[TestLook]:
        """What was seen of the test split so far, in the order in which it was read."""
        with storage_errors(self.url):
            attributes = self.optuna.user_attrs
        old = read_noun(list[TestLook], attributes, LOOKS, self.where) if LOOKS in attributes else []
        names = sorted(name for name in attributes if name.startswith(LOOK))
        return old + [read_noun(TestLook, attributes, name, self.where) for name in names]

    def add_looks(self, looks: Sequence[TestLook]) -> None:
        """Records that the test split was read: an attribute for every look, so that none overwrites another's."""
        with storage_errors(self.url):
            known = sum(name.startswith(LOOK) for name in self.optuna.user_attrs)
            for number, look in enumerate(looks, start=known):
                write_noun(self.optuna.set_user_attr, f"{LOOK}{number:06d} {uuid4().hex[:8]}", look)

    def trials(self) -> list[FrozenTrial]:
        """Optuna's trials, in order of their numbers."""
        with storage_errors(self.url):
            return self.optuna.get_trials(deepcopy=False)

    def next_number(self) -> int:
        """The number of the trial that Optuna hands out next, if no other process is faster."""
        trials = self.trials()
        return next((trial.number for trial in trials if trial.state == TrialState.WAITING), len(trials))

    def enqueue(self, each: Enqueued) -> None:
        """Has a configuration tried before anything that a sampler suggests."""
        with storage_errors(self.url):
            self.optuna.enqueue_trial(each.params, each.attributes)

    def mark(self, number: int) -> tuple[Mark | None, int]:
        """What a trial was enqueued for, if it was, and the first trial that was enqueued for the same."""
        trials = self.trials()
        trial = trials[number]
        if own := marked([trial]).get(number):
            return own, next(first for first, mark in marked(trials).items() if mark == own)
        return self.marks()[number] if unmarked([trial]) else None, number

    def marks(self) -> dict[int, Mark]:
        """What trials were enqueued for, by their numbers; sampled ones are not in it."""
        trials = self.trials()
        old = unmarked(trials)
        return marked(trials) | (by_parameters(old, self.definition.study) if old else {})

    def records(self) -> list[TrialRecord]:
        """What is known of every trial, those without a result included once their candidate is known.

        Those are running where a driver works on them, else interrupted.
        """
        trials = self.trials()
        left = self._left(trials)
        codec = self.codec
        found = self._in_rows([record_of(trial, codec, left=trial.number in left) for trial in trials])
        # SQLAlchemy would go through all rows of this reading again at every later commit: 2 ms each at 1,000 trials.
        self.storage.remove_session()
        return found

    def _in_rows(self, records: Iterable[TrialRecord | None]) -> list[TrialRecord]:
        """Records with the rows of trials that an earlier version enqueued, which did not write them down."""
        found = [record for record in records if record is not None]
        if not found or not unmarked(self.trials()):
            return found
        marks = self.marks()
        return [replace(r, row=marks[r.number].row) if r.number in marks else r for r in found]

    def readable(self) -> tuple[list[TrialRecord], list[UserError]]:
        """As `records`, for who only looks: without trials whose records are damaged, and what is wrong with those."""
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
        """Records of the trials that ended, in the order in which they did; some may be known already."""
        ended = [t for t in self.trials() if t.datetime_complete and RECORD in t.user_attrs and t.number not in besides]
        codec = self.codec if ended else None
        found = self._in_rows(record_of(trial, codec) for trial in sorted(ended, key=_when) if codec)
        if found:
            # As in `records`.
            self.storage.remove_session()
        return found

    def unfinished(self) -> tuple[list[int], list[int]]:
        """Numbers of the trials that were begun and not told: those whose driver died, and those of living ones."""
        trials = self.trials()
        left = self._left(trials)
        begun = [trial.number for trial in trials if trial.state == TrialState.RUNNING]
        return left, [number for number in begun if number not in left]

    def _left(self, trials: Sequence[FrozenTrial]) -> list[int]:
        """Numbers of the trials that were begun and not told, and that no living driver works on."""
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        if not running:
            return []
        with storage_errors(self.url):
            alive = living(self.optuna.user_attrs)
        return [trial.number for trial in running if is_left(trial, alive)]

    def again(self, number: int, sampler: BaseSampler) -> Trial:
        """An unfinished trial, to be gone on with; the sampler suggests what it had not been suggested yet."""
        self.optuna.sampler = sampler
        with storage_errors(self.url):
            return Trial(self.optuna, self.trials()[number]._trial_id)

    def begin(self, trial: Trial, candidate: Candidate, seed: int) -> None:
        """Notes what a trial is about to train."""
        with storage_errors(self.url):
            write_noun(trial.set_user_attr, CANDIDATE, Begun(candidate, seed))

    def rung_reports(self, numbers: Collection[int] | None = None) -> list[RungReport]:
        """What trials showed at rungs, all or those of some numbers, but for those that failed."""
        return [
            read_noun(RungReport, trial.user_attrs, name, f"trial {trial.number}")
            for trial in self.trials()
            if trial.state != TrialState.FAIL and (numbers is None or trial.number in numbers)
            for name in trial.user_attrs
            if name.startswith(RUNG)
        ]

    def keep_rung(self, trial: Trial, report: RungReport) -> None:
        """Notes what a running trial showed at a rung, and what was decided."""
        with storage_errors(self.url):
            write_noun(trial.set_user_attr, f"{RUNG}{report.epoch}", report)

    def repeat(self, trial: Trial, number: int) -> None:
        """Tells Optuna of a trial what it was told of an earlier one, whose candidate it has; there is no record."""
        with storage_errors(self.url):
            earlier = self.trials()[number]
            trial.set_user_attr("repeats", number)
            for name, excess in earlier.constraints.items():
                trial.set_constraint(name, excess)
            self.optuna.tell(trial, earlier.values, state=earlier.state)

    def leave_out(self, trial: Trial, number: int) -> None:
        """Ends a trial that was enqueued for the same as an earlier one, which is trained; there is no record."""
        with storage_errors(self.url):
            trial.set_user_attr("repeats", number)
            self.optuna.tell(trial, state=TrialState.FAIL)

    def keep_checkpoint(self, trial: Trial, path: str) -> None:
        """Notes where a running trial's training can be taken up."""
        with storage_errors(self.url):
            trial.set_user_attr(CHECKPOINT, self.codec.outputs.below(path))

    def checkpoint(self, trial: Trial) -> str:
        """Where a running trial's training can be taken up: a path or URL; "" where nowhere."""
        kept = str(trial.user_attrs.get(CHECKPOINT, ""))
        return self.codec.outputs.found(kept) if kept else ""

    def record(self, trial: FrozenTrial | Trial) -> TrialRecord | None:
        """What is known of one trial; None where nothing was noted yet."""
        return record_of(trial, self.codec)

    def finish(self, trial: Trial, record: TrialRecord, values: list[float] | None) -> None:
        """Writes a record and tells Optuna, the state last: a trial that is not RUNNING has its whole record."""
        with storage_errors(self.url):
            plain = self.codec.stored(record)
            write(trial.set_user_attr, RECORD, plain)
            for name, value in ({"artefacts": plain["directory"]} | shown(record)).items():
                trial.set_user_attr(name, value)
            for name, excess in record.excess.items():
                # A driver may have died just after setting it; a constraint is set only once.
                if name not in trial.constraints:
                    trial.set_constraint(name, excess)
            self.optuna.tell(trial, values, state=STATES[record.state])


def _when(trial: FrozenTrial) -> tuple[datetime, int]:
    assert trial.datetime_complete is not None
    return trial.datetime_complete, trial.number


def _names(storage: BaseStorage) -> list[str]:
    """The studies that a storage holds, companions left out."""
    return [name for name in optuna.get_all_study_names(storage) if not name.endswith(COMPANION)]


def stored_names(options: RunOptions) -> list[str]:
    """The studies that the store holds; none where there is no store yet.

    Raises:
        UserError: the store is damaged or cannot be reached.
    """
    url = options.storage_url
    if is_absent(url):
        return []
    with storage_errors(url):
        return _names(open_storage(url, create=False))


def stored_study(name: str | None, options: RunOptions) -> StudyStore:
    """The study of that name; the one begun last where none is named.

    Raises:
        UserError: there is no store, or no such study in it.
    """
    url = options.storage_url
    storage = open_storage(url, create=False)
    if name is None:
        with storage_errors(url):
            known = [one for one in optuna.get_all_study_summaries(storage) if not one.study_name.endswith(COMPANION)]
        known = [one for one in known if DEFINED in one.user_attrs] or known
        if not known:
            raise UserError("store-empty", "empty store", where=public(url), allowed="`searchlab run STUDY` begins one")
        began = {one.study_name: one.datetime_start.timestamp() if one.datetime_start else 0.0 for one in known}
        name = max(began, key=lambda one: began[one])
    return StudyStore.load(name, storage, url, options.output)
