import shutil
from dataclasses import dataclass, field, replace

import optuna
import pytest
from fake_records import CPU, fake_record
from optuna.trial import TrialState
from quick_part import quick_part
from raises import raises_code
from tiny import Seen, made_record, run, tiny_candidate, tiny_space, tiny_study

from searchlab.analysis import replicates as module
from searchlab.analysis.replicates import Replication, as_replicated, originals, replicate
from searchlab.analysis.stored_replicates import replicates_of
from searchlab.errors import Interrupted, TrialFailure
from searchlab.front.points import study_front, study_hypervolume
from searchlab.front.replicates import Reading
from searchlab.record import DataFacts
from searchlab.search import heartbeat
from searchlab.search.launch import RUNNERS, Launch, start, start_afresh
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore, stored_names, stored_study
from searchlab.seeds import replicate_seed
from searchlab.study import RunOptions, TrialSpec
from searchlab.trial import run_trial


@dataclass
class Notes:
    """A watch that takes notes."""

    notes: list = field(default_factory=list)

    def on_begin(self, done, left):
        self.notes.append(("begin", len(done), [(job.trial, job.run) for job, _ in left]))

    def on_start(self, job, spec):
        self.notes.append(("start", job.trial, job.run))

    def on_epoch(self, job, epoch):
        self.notes.append(("epoch", job.trial, job.run, epoch.epoch))

    def on_phase(self, job, phase):
        """Not noted: there are many."""

    def on_end(self, job, record):
        self.notes.append(("end", job.trial, job.run, record.state))

    def started(self):
        return [note[1:] for note in self.notes if note[0] == "start"]


def outcome(spec, dataset):
    """A trial with points of its own on the front."""
    worth = (60 + 3 * spec.candidate.architecture.width, 70 + 3 * spec.candidate.architecture.width)
    return replace(made_record(spec, correct=worth), data=dataset.facts)


def made_up(source, dataset):
    run(source, lambda spec: outcome(spec, dataset))


def reading(record, trials, dataset, device):
    """Every point as two samples fewer right."""
    points = [(trial.number, point) for trial in trials for point in trial.frontier.points]
    fewer = [replace(point, correct=point.correct - 2) for _, point in points]
    return tuple(Reading(n, point.rule, few, few) for (n, point), few in zip(points, fewer, strict=True))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which a study of four trials was run."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RUNNERS, "made up", made_up)
        begun(RunOptions(output=folder, device="cpu"), tiny_study(trials=4))
    return folder


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "readings_of", reading)
    monkeypatch.setitem(RUNNERS, "made up", made_up)
    return RunOptions(data_root=tmp_path / "data", output=tmp_path / "runs", device="cpu")


@pytest.fixture
def store(options, finished) -> StudyStore:
    """A copy of it."""
    shutil.copytree(finished, options.output)
    return stored_study("tiny", options)


def begun(options, study) -> StudyStore:
    start(Launch(Definition(study, study, "the space's text"), tiny_space, options, Seen(), runner="made up"))
    return stored_study(study.name, options)


def asked(store, options, **more) -> Replication:
    return Replication(store, options, Notes(), **{"runner": "made up", **more})


def on_the_front(store) -> list[int]:
    return [record.number for record in originals(store.definition.study, store.records(), 12)]


def done(store) -> list[tuple[int, int]]:
    return [(replicate.trial, replicate.run) for replicate in replicates_of(store)]


def stops_after(monkeypatch, number: int) -> None:
    """A runner that is killed in the middle of the training after so many."""

    def killed(source, dataset):
        run(source, lambda spec: replace(made_record(spec), data=dataset.facts), at_most=number)
        source.ask()
        raise KeyboardInterrupt

    monkeypatch.setitem(RUNNERS, "killed", killed)


@pytest.mark.slow
def test_every_candidate_of_the_front_is_trained_with_every_seed_first_seeds_first(options, store):
    front, request = on_the_front(store), asked(store, options, seeds=2)
    replicate(request)
    assert len(front) > 1 and done(store) == [(number, run) for run in (1, 2) for number in front]
    assert request.watch.notes[0] == ("begin", 0, done(store))
    assert request.watch.started() == done(store)
    records = {record.number: record for record in store.records()}
    for found in replicates_of(store):
        assert found.record.candidate == records[found.trial].candidate
        assert found.record.seed == replicate_seed(records[found.trial].seed, found.run)
        assert [reading.rule for reading in found.readings] == [p.rule for p in records[found.trial].frontier.points]
        assert [reading.test.correct + 2 for reading in found.readings] == [
            p.correct for p in records[found.trial].frontier.points
        ]


def test_the_study_stays_as_it_was(options, store):
    study, before = store.definition.study, store.records()
    front, volume = study_front(study, before), study_hypervolume(study, before)
    trials = [(trial.number, trial.state, trial.values) for trial in store.trials()]
    replicate(asked(store, options))
    again = stored_study("tiny", options)
    assert again.records() == before and again.definition == store.definition
    assert [(trial.number, trial.state, trial.values) for trial in again.trials()] == trials
    assert study_front(study, again.records()) == front and study_hypervolume(study, again.records()) == volume


@pytest.mark.slow
def test_the_companion_is_listed_nowhere_and_is_no_study_of_ours(options, store):
    replicate(asked(store, options))
    assert "tiny/replicates" in optuna.get_all_study_names(options.storage_url)
    assert stored_names(options) == ["tiny"]
    assert stored_study(None, options).definition.study.name == "tiny", "though the companion was begun last"
    with raises_code("unknown-study", value="tiny/replicates", mentions="known: tiny"):
        stored_study("tiny/replicates", options)


def test_a_study_without_replicates_has_none_and_looking_makes_no_companion(options, store):
    assert replicates_of(store) == []
    assert optuna.get_all_study_names(options.storage_url) == ["tiny"]


@pytest.mark.slow
def test_a_study_begun_afresh_forgets_its_replicates(options, store):
    replicate(asked(store, options))
    study = tiny_study(trials=1)
    start_afresh(Launch(Definition(study, study, ""), tiny_space, options, Seen(), runner="made up"))
    assert replicates_of(stored_study("tiny", options)) == []


# -- going on


@pytest.mark.parametrize("number", quick_part([0, 1, 3], [1]))
def test_after_a_kill_only_what_is_missing_is_trained(options, store, monkeypatch, number):
    stops_after(monkeypatch, number)
    with pytest.raises(KeyboardInterrupt):
        replicate(asked(store, options, seeds=2, runner="killed"))
    assert len(done(store)) == number, "what was not told is not there"
    before = replicates_of(store)
    again = asked(stored_study("tiny", options), options, seeds=2)
    replicate(again)
    wanted = [(n, run) for run in (1, 2) for n in on_the_front(store)]
    assert done(store) == wanted and replicates_of(store)[:number] == before
    assert again.watch.started() == wanted[number:]
    assert all(trial.state == TrialState.COMPLETE for trial in store.companion().trials()), "none is left running"


def test_a_trial_that_an_earlier_version_began_for_nothing_yet_is_ended(options, store, monkeypatch):
    monkeypatch.setattr(heartbeat, "UNSIGNED_S", 0.0)
    store.companion(create=True).optuna.ask()
    replicate(asked(store, options, seeds=1))
    assert done(store) == [(number, 1) for number in on_the_front(store)]
    empty, *others = store.companion().trials()
    assert empty.state == TrialState.FAIL and {trial.state for trial in others} == {TrialState.COMPLETE}


def test_what_was_written_and_not_told_is_not_trained_twice(options, store, monkeypatch):

    def dies(self, trial, record, values):
        trial.set_user_attr("record", module.to_plain(record))
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(StudyStore, "finish", dies)
        with pytest.raises(KeyboardInterrupt):
            replicate(asked(store, options, seeds=1))
    assert done(store) == []
    again = asked(store, options, seeds=1)
    replicate(again)
    wanted = [(number, 1) for number in on_the_front(store)]
    assert done(store) == wanted and again.watch.started() == wanted[1:]
    assert replicates_of(store)[0].readings


@pytest.mark.slow
def test_more_seeds_add_to_what_there_is_and_fewer_train_nothing(options, store):
    replicate(asked(store, options, seeds=1))
    more = asked(store, options, seeds=3)
    replicate(more)
    assert more.watch.started() == [(number, run) for run in (2, 3) for number in on_the_front(store)]
    fewer = asked(store, options, seeds=2)
    replicate(fewer)
    assert fewer.watch.notes == [("begin", len(done(store)), [])]


def test_one_that_failed_is_kept_and_not_tried_again(options, store, monkeypatch):
    fails = lambda source, dataset: run(source, lambda spec: made_record(spec, "failed"))  # noqa: E731
    monkeypatch.setitem(RUNNERS, "fails", fails)
    replicate(asked(store, options, seeds=1, runner="fails"))
    assert {(r.record.state, r.readings) for r in replicates_of(store)} == {("failed", ())}
    again = asked(store, options, seeds=1)
    replicate(again)
    assert again.watch.started() == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            TrialFailure("training-diverged", "logits of the exit table are not finite"),
            "logits of the exit table are not finite",
        ),
        (MemoryError("9 GiB"), "out of memory: 9 GiB"),
    ],
)
def test_one_that_cannot_be_read_on_the_test_split_is_a_failed_replicate(options, store, monkeypatch, error, reason):
    def broken(record, trials, dataset, device):
        raise error

    monkeypatch.setattr(module, "readings_of", broken)
    replicate(asked(store, options, seeds=1))
    assert {(r.record.state, r.record.reason, r.readings) for r in replicates_of(store)} == {("failed", reason, ())}


def test_who_asked_for_an_end_gets_it(options, store):
    request = asked(store, options)
    request.watch.on_end = lambda job, record: request.stop.set()
    with pytest.raises(Interrupted):
        replicate(request)
    assert len(done(store)) == 1


# -- what is trained


def test_a_candidate_that_two_trials_have_is_trained_once():
    twin = fake_record(0)
    better = replace(twin, number=5, frontier=replace(twin.frontier, points=twin.frontier.points[:9]))
    cheap = tuple(replace(point, macs=point.macs / 2) for point in twin.frontier.points)
    first = replace(twin, frontier=replace(twin.frontier, points=cheap))
    study = tiny_study("accuracy", "macs")
    assert [r.number for r in originals(study, [first, better, fake_record(3)], 12)].count(0) == 1
    ids = [record.candidate.id for record in originals(study, [first, better, fake_record(3)], 12)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("objectives", [("accuracy", "macs"), ("accuracy", "latency_ms")])
def test_no_limit_stops_a_replicate_and_what_is_measured_stays(objectives):
    limits = {"max_params": 10_000, "max_macs": 10_000, "max_latency_ms": 1.0}
    study = tiny_study(*objectives, **limits, epochs=9, early_stopping="moasha", rungs=(3,))
    free = as_replicated(study)
    assert (free.max_params, free.max_macs, free.rungs, free.early_stopping) == (None, None, (), "none")
    assert free.measures_latency and free.max_latency_ms > 1e300
    assert not as_replicated(replace(study, objectives=tiny_study().objectives, max_latency_ms=None)).measures_latency


@pytest.mark.slow
def test_with_its_own_seed_a_replicate_is_the_trial_again(digits, tmp_path):
    """Nothing of the recipe is lost on the way."""
    study = tiny_study(epochs=3, curves=True, early_stopping="moasha", rungs=(1,), max_params=100_000)
    candidate = tiny_candidate(4, learning_rate=0.1, batch_size=64)
    first, second = (run_trial(TrialSpec(0, candidate, each, 7), digits) for each in (study, as_replicated(study)))
    assert first.state == second.state == "complete" and first.frontier == second.frontier


@pytest.mark.slow
def test_real_trainings_from_end_to_end(options, monkeypatch, digits):
    monkeypatch.undo()
    study = tiny_study(trials=2, epochs=2)
    start(Launch(Definition(study, study, ""), tiny_space, options, Seen()))
    store = stored_study("tiny", options)
    replicate(Replication(store, options, Notes(), seeds=1))
    found = replicates_of(store)
    assert [(r.trial, r.run) for r in found] == [(number, 1) for number in on_the_front(store)]
    for each in found:
        assert each.record.state == "complete" and each.record.data == digits.facts
        assert each.record.directory.endswith(f"tiny/replicates/trial-{each.trial:05d}-seed-1")
        (original,) = (r for r in store.records() if r.number == each.trial)
        assert len(each.readings) == len(original.frontier.points)
        assert {reading.test.samples for reading in each.readings} == {len(digits.test)}
        assert each.record.frontier != original.frontier


# -- what is refused


def test_an_empty_front(options):
    store = begun(options, tiny_study(trials=1, min_accuracy=0.99))
    with raises_code("no-results", where="study tiny"):
        replicate(asked(store, options))
    assert replicates_of(store) == []


def test_other_data_than_the_studys(options, store, monkeypatch, digits):
    monkeypatch.setattr(module, "load_data", lambda study, where: replace(digits, hash="another"))
    with raises_code("data-differ", where="digits", value="another"):
        replicate(asked(store, options))
    assert replicates_of(store) == []


def test_another_machine_than_the_studys(options):
    study = tiny_study("accuracy", "latency_ms")
    storage = open_storage(options.storage_url, create=True)
    store = StudyStore.create(Definition(study, study, ""), storage, options.storage_url)
    store.finish(store.optuna.ask(), replace(fake_record(0, machine=CPU), data=DataFacts()), [0.9, 1.0])
    with raises_code("machine-differs", where="study tiny", mentions="EPYC 7763"):
        replicate(asked(store, options))
