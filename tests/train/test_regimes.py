"""The contract of every regime."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchlab.candidate import Candidate, Exit, ResNet, Training
from searchlab.errors import UserError
from searchlab.train.regimes import REGIMES, Phase, phases


def candidate(regime, exits, final_loss_weight=2.0):
    hung = tuple(Exit(cut, loss_weight=0.5 + cut) for cut in range(exits))
    return Candidate(ResNet((3,), 4), hung, training=Training(regime=regime, final_loss_weight=final_loss_weight))


@given(st.sampled_from(sorted(REGIMES)), st.integers(0, 3), st.integers(1, 40))
def test_phases_add_up_and_weigh_every_exit(regime, exits, epochs):
    plan = phases(candidate(regime, exits), epochs)
    assert sum(phase.epochs for phase in plan) == epochs
    assert all(phase.epochs >= 1 for phase in plan)
    assert all(len(phase.loss_weights) == exits + 1 for phase in plan)
    assert all(min(phase.loss_weights) >= 0 and sum(phase.loss_weights) > 0 for phase in plan)
    learned = [sum(weights) for weights in zip(*(phase.loss_weights for phase in plan), strict=True)]
    assert min(learned) > 0, "a head is never trained"
    assert plan[0].learns == "all", "a backbone that never learnt"


@pytest.mark.parametrize(
    ("regime", "plan"),
    [
        ("joint", (Phase(8, "all", (0.5, 1.5, 2.0)),)),
        ("frozen", (Phase(6, "all", (0.0, 0.0, 1.0)), Phase(2, "heads", (0.5, 1.5, 0.0)))),
        ("mixed", (Phase(4, "all", (0.0, 0.0, 1.0)), Phase(4, "all", (0.5, 1.5, 2.0)))),
    ],
)
def test_what_learns_when(regime, plan):
    assert phases(candidate(regime, 2), 8) == plan


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("exits", "epochs"), [(0, 8), (2, 1)])
def test_without_exits_or_epochs_to_share_every_regime_is_joint(regime, exits, epochs):
    assert phases(candidate(regime, exits), epochs) == phases(candidate("joint", exits), epochs)


def test_an_unknown_regime_is_the_users_mistake():
    with pytest.raises(UserError, match=r"Training.regime: unknown regime: 'gates' \(known: frozen, joint, mixed\)"):
        phases(candidate("gates", 1), 3)
