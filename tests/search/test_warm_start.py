"""What an earlier study found is tried first, where it searched the same space to the same ends."""

from dataclasses import replace

from raises import raises_code
from test_driver import driver_of, new_store
from tiny import IMAGES, made_record, run, tiny_space, tiny_study

from searchlab.search.warm_start import warm_started


def earlier(correct, **fields):
    """A study of as many trials as there are results, the first point right so often."""
    study = tiny_study(trials=len(correct), **{"name": "before", **fields})
    store = new_store(study)
    run(driver_of(study, store), lambda spec: made_record(spec, correct=(correct[spec.number],)))
    return store


def test_the_networks_of_the_front_come_after_the_studys_own_best_first():
    # MACs follow the width, which differs: so trial 0 is beaten by whichever is better and cheaper.
    store = earlier([10, 90, 95, 5, 60])
    front = {95, 90, 60} if len({t.params["width"] for t in store.trials()}) > 1 else {95}
    own = {"width": 3, "rate": 0.1}
    study = warm_started(tiny_study(enqueue=(own,)), tiny_space, IMAGES, store)
    tried = list(study.enqueue.values())
    assert tried[0] == own and study.rows == ()
    params = [trial.params for trial in store.trials()]
    assert tried[1] == params[2], "the most accurate one comes first"
    assert [known in params for known in tried[1:]] == [True] * (len(tried) - 1)
    assert len(tried) - 1 <= len(front) + 1 and params[3] not in tried[1:]
    assert len({str(known) for known in tried}) == len(tried), "none comes twice"


def test_rows_say_where_a_network_comes_from():
    study = tiny_study(enqueue={"mine": {"width": 3, "rate": 0.1}})
    warm = warm_started(study, tiny_space, IMAGES, earlier([50]))
    assert warm.rows == ("mine", "before trial 0")


def other_space(choose):
    choose.suggest_categorical("colour", ["red", "green"])
    choose.suggest_int("width", 2, 9)
    return tiny_space(replace_width(choose))


class replace_width:
    """Passes everything on but the width."""

    def __init__(self, choose):
        self.choose, self.images = choose, choose.images

    def suggest_int(self, name, low, high, *, step=1, log=False):
        return 4

    def suggest_float(self, name, low, high, *, step=None, log=False):
        return self.choose.suggest_float(name, low, 2 * high, log=log)


def test_another_space_is_refused_and_told_apart():
    with raises_code("warm-start-mismatch", where="warm start from before") as refused:
        warm_started(tiny_study(), other_space, IMAGES, earlier([50]))
    assert refused.value.value == (
        "colour: none there, one of red, green here; rate: 0.05 to 0.2 there, 0.05 to 0.4 here; "
        "width: 2 to 8 there, 2 to 9 here"
    )


def test_other_objectives_are_refused():
    with raises_code("warm-start-mismatch", where="warm start from before", value="accuracy, macs") as refused:
        warm_started(tiny_study("accuracy", "params"), tiny_space, IMAGES, earlier([50]))
    assert (refused.value.value, refused.value.allowed) == ("accuracy, macs", "accuracy, params")


def test_an_empty_front_is_refused():
    store = earlier([50], min_accuracy=0.9)
    with raises_code("no-results", where="warm start from before"):
        warm_started(tiny_study(), tiny_space, IMAGES, store)


def test_what_it_makes_is_a_study_whose_first_trials_are_those():
    study = replace(warm_started(tiny_study(), tiny_space, IMAGES, earlier([10, 90, 95])), trials=3)
    store = new_store(study)
    for known in study.enqueue.values():
        store.optuna.enqueue_trial(known)
    run(driver_of(study, store))
    assert [trial.params for trial in store.trials()][: len(study.enqueue)] == list(study.enqueue.values())
