"""Early stopping through the driver, with made-up trials: what the store keeps, and what a resume makes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from optuna.storages import InMemoryStorage
from tiny import IMAGES, Seen, made_record, run, tiny_space, tiny_study

from searchlab.front.pareto import values_of
from searchlab.record import TrialRecord
from searchlab.search.driver import Driver, Problem
from searchlab.search.early_stopping import EARLY_STOPPING
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import RunOptions, Study, TrialSpec

RUNGS = (1, 3)


def study_with(rule: str) -> Study:
    return tiny_study(early_stopping=rule, epochs=9, rungs=RUNGS, trials=14, sampler="tpe")


def store_of(study: Study, url: str = "") -> StudyStore:
    storage = open_storage(url, create=True) if url else InMemoryStorage()
    return StudyStore.create(Definition(study, study, ""), storage, url or "memory")


def driver_on(study: Study, store: StudyStore) -> Driver:
    """A driver as a new process makes it."""
    storage = store.storage if store.url == "memory" else open_storage(store.url, create=False)
    fresh = StudyStore.load(study.name, storage, store.url)
    return Driver(Problem(study, tiny_space, IMAGES), fresh, RunOptions(), "cpu", Seen())


class Died(Exception):
    """What ends a process at once."""


@dataclass
class Simulated:
    """Trials that show more at every rung. Some come by one rung only, one fails behind a strong first rung."""

    driver: Driver
    dies_after: int = 10_000
    asked: int = field(default=0, init=False)

    def __call__(self, spec: TrialSpec) -> TrialRecord:
        failing = spec.number == 4
        for epoch in RUNGS[spec.number % 5 == 3 :]:
            shown = (95, 99) if failing else self.shown(spec.number, epoch)
            if not self.goes_on(spec, epoch, shown):
                return replace(made_record(spec, "stopped", shown), epochs=epoch)
            if failing:
                return made_record(spec, "failed")
        return made_record(spec, correct=self.shown(spec.number, 9))

    def shown(self, number: int, epoch: int) -> tuple[int, ...]:
        chance = Random(100 * number + epoch)
        return tuple(sorted(chance.randrange(20 + 5 * epoch, 60 + 4 * epoch) for _ in range(1 + number % 3)))

    def goes_on(self, spec: TrialSpec, epoch: int, shown: tuple[int, ...]) -> bool:
        if (spec.number, epoch) in {(report.number, report.epoch) for report in self.driver.stopper.reports}:
            # Trained again, nothing is measured to the last digit as it was.
            shown = tuple(correct - 7 for correct in shown)
        goes_on = self.driver.on_rung(spec.number, epoch, made_record(spec, correct=shown).frontier)
        self.asked += 1
        if self.asked == self.dies_after:
            raise Died
        return goes_on


def told(store: StudyStore) -> list:
    """All that two studies must have in common: how trials ended, and what was decided at every rung."""
    ends = [(record.number, record.state, record.candidate, record.epochs) for record in store.records()]
    reports = sorted(store.rung_reports(), key=lambda report: (report.epoch, report.number))
    return [*ends, *reports]


def finish(study: Study, store: StudyStore, dies_after: Callable[[], int] = lambda: 10_000) -> int:
    """Runs the study, each time it dies in a new process; how often it died."""
    died = 0
    while True:
        driver = driver_on(study, store)
        try:
            run(driver, Simulated(driver, dies_after()))
        except Died:
            died += 1
        else:
            return died


@pytest.fixture(scope="module", params=[name for name in EARLY_STOPPING if name != "none"])
def whole(request) -> tuple[Study, list]:
    """A study that never stopped, and what it told."""
    study = study_with(request.param)
    store = store_of(study)
    assert finish(study, store) == 0
    return study, told(store)


def test_the_made_up_study_has_all_that_can_happen(whole):
    _, ended = whole
    reports, states = ended[14:], {end[1] for end in ended[:14]}
    assert states == {"complete", "stopped", "failed"}
    assert {report.goes_on for report in reports} == {True, False}
    assert {report.epoch for report in reports} == set(RUNGS)
    assert 4 not in {report.number for report in reports}, "it failed"


@pytest.mark.parametrize("dies_after", [1, 6, 10, 15])
def test_a_resumed_study_takes_the_decisions_of_one_that_never_stopped(whole, dies_after):
    study, expected = whole
    store, times = store_of(study), iter([dies_after])
    assert finish(study, store, lambda: next(times, 10_000)) == 1
    assert told(store) == expected


def test_however_often_it_dies(whole):
    study, expected = whole
    store = store_of(study)
    assert finish(study, store, lambda: 3) > 3
    assert told(store) == expected


@pytest.mark.slow
def test_a_stopped_trial_keeps_its_record_and_what_it_showed(tmp_path):
    study = study_with("moasha")
    store = store_of(study, f"sqlite:///{tmp_path / 'studies.db'}")
    finish(study, store)
    again = driver_on(study, store)
    reports = {(report.number, report.epoch): report for report in again.stopper.reports}
    stopped = [record for record in again.records if record.state == "stopped"]
    assert stopped
    for record in stopped:
        report = reports[record.number, record.epochs]
        assert not report.goes_on
        assert report.values == tuple(map(tuple, values_of(record.frontier.points, study.objectives).tolist()))
    assert not {record.number for record in stopped} & {record.number for record, _ in again.history.front}


def test_with_none_all_go_on_and_the_rungs_are_kept():
    study = study_with("none")
    store = store_of(study)
    finish(study, store)
    assert "stopped" not in {record.state for record in store.records()}
    assert len(store.rung_reports()) == 2 * 14 - 3 - 2, "three came by one rung only, one failed"
