"""What Optuna's dashboard and tables see, read with Optuna alone."""

from dataclasses import replace

import optuna
import pytest
from fake_records import fake_record
from optuna.storages import InMemoryStorage
from test_driver import driver_of, new_store
from tiny import made_record, run, tiny_study

from searchlab.model.cost import network_cost
from searchlab.search.dashboard import LONGEST, name_objectives, shown
from searchlab.search.definition import Definition
from searchlab.search.enqueued import configurations


def test_the_objectives_and_every_trials_figures_are_shown(tmp_path):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = tiny_study(trials=3, enqueue={"narrow": {"width": 3, "rate": 0.1}})
    store = new_store(study, url)
    store.enqueue(configurations(study)[0])
    states = ["complete", "stopped", "failed"]
    run(driver_of(study, store), lambda spec: made_record(spec, states[spec.number]))
    seen = optuna.load_study(study_name="tiny", storage=url)
    assert seen.metric_names == ["accuracy", "macs"]
    complete, stopped, failed = (trial.user_attrs for trial in seen.trials)
    cost = network_cost(store.records()[0].candidate, driver_of(study, store).problem.images)
    assert (complete["state"], complete["row"], complete["best_accuracy"]) == ("complete", "narrow", 0.8)
    assert (complete["parameters"], complete["macs"]) == (cost.params, cost.macs)
    assert stopped["state"] == "stopped: at epoch 1, by none" and "row" not in stopped
    assert failed["state"].startswith("failed: the loss is nan") and "best_accuracy" not in failed
    frame = seen.trials_dataframe(multi_index=True)
    assert frame[("values", "accuracy")][0] in (0.6, 0.8)


def test_a_latency_is_the_whole_networks_in_milliseconds():
    record = fake_record(1)
    assert shown(record)["latency_ms"] == record.latency.whole.p50


def test_a_long_reason_is_cut():
    record = replace(fake_record(1, state="failed"), reason="x" * 10_000)
    assert len(shown(record)["state"]) < LONGEST + 10


def test_replicates_and_studies_of_earlier_versions_get_their_names():
    study = tiny_study()
    store = new_store(study)
    assert store.companion(create=True).optuna.metric_names == ["accuracy", "macs"]
    store.storage.set_study_system_attr(store.optuna._study_id, "study:metric_names", [])
    store.redefine(Definition(study, study, ""))
    assert store.optuna.metric_names == ["accuracy", "macs"]


def test_a_study_with_another_number_of_values_is_left_without_names():
    theirs = optuna.create_study(storage=InMemoryStorage(), directions=["minimize"] * 3)
    name_objectives(theirs, tiny_study().objectives)
    assert theirs.metric_names is None


@pytest.mark.parametrize("state", ["complete", "stopped", "infeasible", "failed"])
def test_figures_are_few_and_plain(state):
    found = shown(fake_record(3, state=state, reason="why"))
    assert len(found) <= 5 and all(type(value) in (str, int, float) for value in found.values())
