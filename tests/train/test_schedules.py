"""The contract of every schedule."""

from itertools import pairwise

import pytest
import torch
from raises import raises_code
from torch.optim.lr_scheduler import ReduceLROnPlateau

from searchlab.candidate import Decay
from searchlab.train.schedules import SCHEDULES, WARM_UP_SHARE, Span, scheduler


def rates(name, steps, peaks=(1.0,), *, epochs=None, decay=Decay(every=2, patience=1), errors=None):  # noqa: B008
    """The learning rates of each step (one list per parameter group), stepped as the loop does.

    Epochs of one step where nothing else is said, and a validation error that never falls.
    """
    epochs = epochs or steps
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": peak} for peak in peaks]
    optimizer = torch.optim.SGD(groups)
    schedule = scheduler(name, optimizer, Span(steps // epochs, epochs, decay))
    found = []
    for step in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if not isinstance(schedule, ReduceLROnPlateau):
            schedule.step()
        elif (step + 1) % (steps // epochs) == 0:
            schedule.step(errors[step // (steps // epochs)] if errors else 0.5)
    return [list(each) for each in zip(*found, strict=True)]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7, 20, 400])
def test_schedules_reach_the_peak_and_never_pass_it(name, steps):
    (found,) = rates(name, steps)
    assert len(found) == steps
    assert max(found) == pytest.approx(1.0)
    assert min(found) > 0


@pytest.mark.parametrize("name", ["one_cycle", "triangular", "cosine"])
@pytest.mark.parametrize("steps", [20, 400])
def test_schedules_end_near_zero(name, steps):
    (found,) = rates(name, steps)
    assert found[-1] <= 1.5 / steps


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_rise_then_fall(name):
    (found,) = rates(name, 40)
    peak = found.index(max(found))
    assert all(earlier <= later for earlier, later in pairwise(found[: peak + 1]))
    assert all(earlier >= later for earlier, later in pairwise(found[peak:]))


@pytest.mark.parametrize("name", ["one_cycle", "triangular"])
def test_schedules_climb_for_a_quarter_of_the_steps(name):
    (found,) = rates(name, 40)
    assert found.index(max(found)) == WARM_UP_SHARE * 40 - 1


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_group_has_its_own_peak(name):
    one, other = rates(name, 10, peaks=(1.0, 0.2))
    assert other == pytest.approx([0.2 * rate for rate in one])


def test_the_constant_schedule_is_constant():
    assert set(rates("constant", 9)[0]) == {1.0}


def test_milestones_are_shares_of_the_epochs():
    """Paper 004, section 2.2: a tenth after 15, 25, 35 and 45 of 50 epochs."""
    (found,) = rates("multi_step", 150, epochs=50, decay=Decay(milestones=(0.3, 0.5, 0.7, 0.9)))
    passed = [sum(epoch >= milestone for milestone in (15, 25, 35, 45)) for epoch in range(50) for _ in range(3)]
    assert found == pytest.approx([0.1**times for times in passed])


def test_a_milestone_within_an_epoch_waits_for_its_end():
    (found,) = rates("multi_step", 10, epochs=5, decay=Decay(factor=0.5, milestones=(0.5,)))
    assert found == [1.0] * 6 + [0.5] * 4


def test_every_few_epochs():
    """Paper 002: 4 % less every 8 epochs."""
    (found,) = rates("every", 40, epochs=20, decay=Decay(factor=0.96, every=8))
    assert found == pytest.approx([1.0] * 16 + [0.96] * 16 + [0.96**2] * 8)


def test_a_plateau_is_an_error_that_has_not_fallen_for_more_than_its_patience():
    errors = [0.9, 0.5, 0.5, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]
    (found,) = rates("plateau", 20, epochs=10, decay=Decay(patience=1), errors=errors)
    per_epoch = found[::2]
    # Lowered after epoch 4 (two without a fall) and after epoch 7 and 9 (counted anew each time).
    assert per_epoch == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


def test_an_unknown_schedule_is_the_users_mistake():
    with raises_code("unknown-schedule", where="Training.schedule", value="step", mentions="known: constant, cosine"):
        rates("step", 3)
