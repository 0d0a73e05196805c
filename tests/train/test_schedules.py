"""The contract of every schedule."""

from itertools import pairwise

import pytest
import torch

from searchlab.errors import UserError
from searchlab.train.schedules import SCHEDULES, WARM_UP_SHARE, scheduler


def rates(name, steps, peaks=(1.0,)):
    """The learning rates of each step (one list per parameter group), stepped as the loop does."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": peak} for peak in peaks]
    optimizer = torch.optim.SGD(groups)
    schedule = scheduler(name, optimizer, steps)
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return [list(each) for each in zip(*found, strict=True)]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7, 20, 400])
def test_schedules_reach_the_peak_and_never_pass_it(name, steps):
    (found,) = rates(name, steps)
    assert len(found) == steps
    assert max(found) == pytest.approx(1.0)
    assert min(found) > 0


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"constant"}))
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
    climbs = name in ("one_cycle", "triangular")
    assert peak == (WARM_UP_SHARE * 40 - 1 if climbs else 0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_group_has_its_own_peak(name):
    one, other = rates(name, 10, peaks=(1.0, 0.2))
    assert other == pytest.approx([0.2 * rate for rate in one])


def test_the_constant_schedule_is_constant():
    assert set(rates("constant", 9)[0]) == {1.0}


def test_an_unknown_schedule_is_the_users_mistake():
    with pytest.raises(UserError, match=r"Training.schedule: unknown schedule: 'step' \(known: constant, cosine"):
        rates("step", 3)
