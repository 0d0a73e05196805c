"""The contract of every regime."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from raises import raises_code

from searchlab.architecture import ResNet
from searchlab.candidate import Candidate, Exit, Gate, HeadTraining, Training
from searchlab.train.regimes import REGIMES, Phase, phases


def candidate(regime, exits, final_loss_weight=2.0, **recipe):
    gate = Gate() if regime == "gates" else None
    hung = tuple(Exit(cut, loss_weight=0.5 + cut, gate=gate) for cut in range(exits))
    training = Training(regime=regime, final_loss_weight=final_loss_weight, **recipe)
    return Candidate(ResNet((3,), 4), hung, training=training)


SHARES = st.none() | st.floats(0, 1).map(lambda share: HeadTraining(epochs=share))


@given(st.sampled_from(sorted(REGIMES)), st.integers(0, 3), st.integers(1, 40), SHARES)
def test_phases_add_up_and_weigh_every_exit(regime, exits, epochs, heads):
    assume(exits or regime != "gates")
    plan = phases(candidate(regime, exits, heads=heads), epochs)
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
        (
            "gates",
            (
                Phase(4, "all", (0.0, 0.0, 1.0)),
                Phase(2, "heads", (0.5, 1.5, 0.0)),
                Phase(2, "gates", (0.5, 1.5, 2.0)),
            ),
        ),
    ],
)
def test_what_learns_when(regime, plan):
    assert phases(candidate(regime, 2), 8) == plan


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("exits", "epochs"), [(0, 8), (2, 1)])
def test_without_exits_or_epochs_to_share_every_regime_is_joint(regime, exits, epochs):
    if exits or regime != "gates":
        assert phases(candidate(regime, exits), epochs) == phases(candidate("joint", exits), epochs)


def test_gates_learn_as_soon_as_there_are_two_epochs():
    assert phases(candidate("gates", 1), 2) == (Phase(1, "all", (0.5, 2.0)), Phase(1, "gates", (0.5, 2.0)))


@pytest.mark.parametrize(
    ("regime", "share", "epochs", "plan"),
    [
        ("frozen", 0.4, 10, [("all", 6), ("heads", 4)]),
        ("frozen", 0.0, 10, [("all", 9), ("heads", 1)]),
        ("frozen", 1.0, 10, [("all", 1), ("heads", 9)]),
        ("frozen", 0.25, 2, [("all", 1), ("heads", 1)]),
        ("gates", 0.5, 10, [("all", 5), ("heads", 3), ("gates", 2)]),
        ("gates", 0.0, 10, [("all", 8), ("heads", 1), ("gates", 1)]),
        ("gates", 1.0, 3, [("all", 1), ("heads", 1), ("gates", 1)]),
        ("joint", 0.5, 4, [("all", 4)]),
    ],
)
def test_heads_with_a_recipe_of_their_own_have_their_share_of_the_epochs(regime, share, epochs, plan):
    found = phases(candidate(regime, 2, heads=HeadTraining(epochs=share)), epochs)
    assert [(phase.learns, phase.epochs) for phase in found] == plan


def test_an_unknown_regime_is_the_users_mistake():
    known = ", ".join(sorted(REGIMES))
    with raises_code("unknown-regime", where="Training.regime", value="odd", mentions=f"known: {known}"):
        phases(candidate("odd", 1), 3)
