"""What the store holds, study by study: other people's studies and damaged ones in it hide none."""

import json

import optuna
import pytest
import sqlalchemy
from fake_records import fake_records, fake_study
from tiny import tiny_study

from searchlab.front.points import study_front
from searchlab.record import TrialRecord
from searchlab.search import heartbeat
from searchlab.search.runs import front_figures, standing_of, stored
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore
from searchlab.serialization import to_plain


def standings(where):
    return {study.name: study.standing for study in stored(where).studies}


def damage(store: StudyStore, table: str) -> None:
    with store.storage.engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"UPDATE {table} SET value_json = '{{not JSON' WHERE key != 'ended'"))


@pytest.mark.slow
def test_every_study_of_the_store_is_listed_with_how_it_stands(where, made):
    assert not stored(where).exists and stored(where).studies == ()
    store = made("done", 4)
    made("broken-off", 2)
    found = {study.name: study for study in stored(where).studies}
    assert [study.name for study in stored(where).studies] == ["broken-off", "done"], "what changed last comes first"
    assert (found["done"].standing, found["done"].detail) == ("finished", "4 of 4 trials")
    assert (found["broken-off"].standing, found["broken-off"].trials) == (
        "interrupted", {"complete": 2, "interrupted": 1},
    )  # fmt: skip
    front = study_front(tiny_study(), store.records(), most=None)
    assert found["done"].front.points == len(front)
    assert found["done"].front.best["accuracy"] == max(entry.point.accuracy for entry in front)
    assert found["done"].changed == max(trial.datetime_complete for trial in store.trials())


def test_a_study_at_work_names_its_process(where, made, monkeypatch):
    made("busy", 1)
    monkeypatch.setattr(heartbeat.os, "getpid", lambda: 1)
    (busy,) = stored(where).studies
    assert busy.standing == "running" and busy.trials == {"complete": 1, "running": 1}
    assert busy.detail.startswith("process ") and " on " in busy.detail


@pytest.mark.slow
@pytest.mark.parametrize("table", ["trial_user_attributes", "study_user_attributes"])
def test_a_damaged_study_hides_no_other(where, made, table):
    damage(made("damaged", 2), table)
    made("whole", 4) if table == "trial_user_attributes" else _beside(where)
    assert standings(where) == {"damaged": "damaged", "whole": "finished"}


def _beside(where):
    """Optuna itself cannot begin a study beside one whose attributes are damaged, so it is begun under a second id."""
    url = where.storage_url
    storage, study = open_storage(url, create=False), tiny_study(name="whole", trials=1)
    plain = {"study": to_plain(study), "written": to_plain(study), "space_text": "", "path": ""}
    study_id = storage.create_new_study([direction_of(o) for o in study.objectives], "whole")
    storage.set_study_user_attr(study_id, "searchlab", plain)
    storage.set_study_user_attr(study_id, "ended", "1 of 1 trials")


def direction_of(objective):
    return optuna.study.StudyDirection[objective.direction.upper()]


def test_a_study_of_optunas_own_is_shown_as_such(where, made):
    made("ours", 4)
    theirs = optuna.create_study(storage=open_storage(where.storage_url, create=False), study_name="theirs")
    theirs.tell(theirs.ask(), 1.0)
    assert standings(where) == {"ours": "finished", "theirs": "foreign"}
    (found,) = [study for study in stored(where).studies if study.name == "theirs"]
    assert found.trials == {"complete": 1} and found.front is None


def test_replicates_count_with_their_study(where, made):
    companion = made("tiny", 4).companion(create=True)
    companion.optuna.tell(companion.optuna.ask(), [0.5, 1.0])
    (found,) = stored(where).studies
    assert (found.name, found.replicates) == ("tiny", 1)


def test_the_front_in_figures_is_the_front():
    study, records = fake_study(), fake_records(40)
    front = study_front(study, records, most=None)
    found = front_figures(study, [json.loads(json.dumps(to_plain(record))) for record in records])
    assert found.points == len(front)
    assert found.best == {
        "accuracy": max(entry.point.accuracy for entry in front),
        "latency_ms": min(entry.point.latency_ms for entry in front),
    }
    assert front_figures(study, [None]) is None


@pytest.mark.parametrize(
    ("states", "ended_by", "standing"),
    [
        ({"complete": 4}, None, "finished"),
        ({"complete": 3}, None, "interrupted"),
        ({"complete": 4, "interrupted": 1}, None, "interrupted"),
        ({"complete": 4}, "", "interrupted"),
        ({"complete": 2}, "1 h have passed", "finished"),
    ],
)
def test_a_store_of_before_ends_were_noted_says_so_by_its_budget(states, ended_by, standing):
    assert standing_of(tiny_study(), states, ended_by)[0] == standing


def test_a_trial_whose_driver_is_gone_is_interrupted_not_running(where, made, monkeypatch):
    store = made("tiny", 1)
    assert [record.state for record in store.records()] == ["complete", "interrupted"]
    assert isinstance(store.records()[1], TrialRecord)
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat.os, "getpid", lambda: 1)
        assert [record.state for record in store.records()] == ["complete", "running"]
        assert [record.state for record in store.readable()[0]] == ["complete", "running"]
