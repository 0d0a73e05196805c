"""Time left: by epochs and trials done, and silent before that means something."""

from dataclasses import replace

import pytest
from tiny import made_record, tiny_candidate, tiny_study

from searchlab.record import Seconds, TrialRecord
from searchlab.study import TrialSpec
from searchlab.time_left import Pace, Underway, left_words, repeated_left_s, study_left_s


def ended(seconds: float, epochs: int = 10) -> TrialRecord:
    record = made_record(TrialSpec(0, tiny_candidate(4), tiny_study()))
    return replace(record, seconds=Seconds(total=seconds), epochs=epochs)


def test_a_trial_says_nothing_before_its_epochs_mean_something():
    pace = Pace(started=0.0)
    assert pace.left_s(10, 100.0) is None, "no epoch has ended"
    pace.trains(100.0)
    pace.ended(1, 104.0)
    assert pace.left_s(10, 104.0) is None, "the first epoch warms up"
    pace.ended(2, 104.5)
    assert pace.left_s(10, 104.5) is None, "five seconds are too few"


def test_a_trial_takes_its_epochs_times_what_each_took_and_the_first_does_not_count():
    pace = Pace(started=0.0, training=0.0)
    for epoch, at in ((1, 30.0), (2, 32.0), (3, 34.0)):
        pace.ended(epoch, at)
    assert pace.left_s(10, 34.0) == pytest.approx(14.0)
    assert pace.left_s(10, 35.0) == pytest.approx(13.0), "the clock runs within an epoch"
    assert pace.left_s(3, 99.0) == 0.0
    resumed = Pace(started=0.0, training=0.0)
    resumed.ended(21, 6.0)
    resumed.ended(22, 8.0)
    assert resumed.left_s(30, 8.0) == pytest.approx(16.0), "epochs of an earlier process took no time here"


def test_a_study_takes_its_trials_times_what_each_took():
    study = tiny_study(trials=10)
    assert study_left_s(study, [], [], 0.0) is None
    assert study_left_s(study, [], [Underway(30.0, 30.0)], 30.0) is None, "half a minute of one trial says little"
    assert study_left_s(study, [], [Underway(60.0, 40.0)], 60.0) == pytest.approx(40 + 9 * 100)
    two = [ended(100.0), ended(300.0)]
    assert study_left_s(study, two, [Underway(50.0)], 0.0) == pytest.approx(150 + 7 * 200)
    at_once = [Underway(50.0), Underway(50.0)]
    assert study_left_s(study, two, at_once, 0.0) == pytest.approx((2 * 150 + 6 * 200) / 2), "two at a time"
    free = replace(ended(0.0, 0), state="infeasible")
    assert study_left_s(study, [free], [], 0.0) is None, "what is not trained takes no time"


def test_the_limit_that_comes_first_counts():
    two = [ended(100.0), ended(100.0)]
    by_epochs = tiny_study(trials=None, epochs=10, epochs_total=40)
    assert study_left_s(by_epochs, two, [], 0.0) == pytest.approx(200)
    assert study_left_s(by_epochs, two, [Underway(40.0)], 0.0) == pytest.approx(160)
    assert study_left_s(tiny_study(trials=100, hours=1.0), two, [], 3000.0) == pytest.approx(600)
    assert study_left_s(tiny_study(trials=None, until_stalled=5), two, [], 0.0) is None


def test_a_repetition_takes_what_it_took_the_first_time_and_slows_as_the_machine_does():
    assert repeated_left_s([], [100.0, 50.0], 30.0) == pytest.approx(120)
    assert repeated_left_s([(200.0, 100.0)], [100.0, 50.0], 0.0) == pytest.approx(300)
    assert repeated_left_s([(1.0, 0.0)], [], 0.0) == 0.0


@pytest.mark.parametrize(
    ("left_s", "words"),
    [
        (None, ""), (3.0, ""), (12.0, "about 10 s left"), (54.0, "about 50 s left"), (58.0, "about 1 min left"),
        (730.0, "about 12 min left"), (7000.0, "about 1.9 h left"), (80_000.0, "about 22 h left"),
        (300_000.0, "about 3.5 days left"),
    ],
)  # fmt: skip
def test_words_are_as_coarse_as_the_estimate(left_s, words):
    assert left_words(left_s) == words
    assert left_words(730.0, at_most=True) == "at most about 12 min left"
