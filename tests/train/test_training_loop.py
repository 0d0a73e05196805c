"""The loop on images that a small network tells apart in seconds, and against the plainest loop there is."""

from dataclasses import replace

import pytest
import torch
from quick_part import quick_part
from raises import raises_code
from torch import nn

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Decay, Exit, Gate, Head, HeadTraining, Training
from searchlab.errors import TrialFailure
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.train.loop import BatchSource, Hooks, train
from searchlab.train.losses import exits_cross_entropy
from searchlab.train.recipes import OPTIMIZERS
from searchlab.train.regimes import Phase, phases
from searchlab.train.schedules import SCHEDULES

IMAGES = ImageSpec(1, 8, 8, 4)
STEPS, BATCH = 6, 32
CANDIDATE = Candidate(ResNet((1, 1), 4), (Exit(0, Head(2)), Exit(1, Head(2), 0.5)), training=Training(ema=0.9))


def batch(seed):
    """Images whose class is the bright quarter."""
    generator = torch.Generator().manual_seed(seed)
    labels_N = torch.randint(4, (BATCH,), generator=generator)
    images_NCHW = 0.5 * torch.randn(BATCH, 1, 8, 8, generator=generator)
    for image_HW, label in zip(images_NCHW[:, 0], labels_N.tolist(), strict=True):
        row, column = divmod(label, 2)
        image_HW[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 1.0
    return images_NCHW, labels_N


FEED = BatchSource(lambda epoch: (batch(epoch * STEPS + step) for step in range(STEPS)), STEPS)


def trained(candidate=CANDIDATE, epochs=4, hooks=None, source=FEED, *, seed=0, bf16=False):
    """What the loop leaves, and the network that it trained in place."""
    torch.manual_seed(seed)
    network = build(candidate, IMAGES)
    plan = phases(candidate, epochs)
    return train(network, plan, candidate.training, source, hooks or Hooks(), bf16=bf16), network


def recipe(**fields):
    return replace(CANDIDATE, training=replace(CANDIDATE.training, **fields))


def weights(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("regime", quick_part(["joint", "frozen", "mixed"], ["frozen"]))
@pytest.mark.parametrize("bf16", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_exit_learns(regime, bf16):
    result, _ = trained(recipe(regime=regime), epochs=24, bf16=bf16)
    images_NCHW, labels_N = batch(10_000)
    with torch.no_grad():
        accuracy_K = (result.network(images_NCHW).argmax(dim=2) == labels_N[:, None]).float().mean(dim=0)
    assert accuracy_K.min() > 0.9


def test_the_curve_has_a_row_for_every_epoch():
    result, _ = trained(recipe(regime="mixed", learning_rate=0.05, schedule="cosine"), epochs=4)
    assert [row.epoch for row in result.curve] == [1, 2, 3, 4]
    assert [row.learning_rate for row in result.curve] == pytest.approx([0.05, 0.025, 0.05, 0.025])
    assert not result.stopped


def test_every_epoch_asks_for_its_own_batches():
    asked = []

    def batches(epoch):
        asked.append(epoch)
        return iter([batch(epoch)])

    trained(recipe(regime="frozen"), epochs=8, source=BatchSource(batches, 1))
    assert asked == list(range(8))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    (one, raw), (again, raw_again), (other, _) = trained(seed=3), trained(seed=3), trained(seed=4)
    assert same(weights(one.network), weights(again.network)) and same(weights(raw), weights(raw_again))
    assert one.curve == again.curve
    assert not same(weights(one.network), weights(other.network))


def test_frozen_leaves_the_backbone_and_its_final_head_untouched_in_its_second_phase():
    seen = []

    torch.manual_seed(0)
    network = build(CANDIDATE, IMAGES)
    candidate = recipe(regime="frozen", weight_decay=0.01)
    hooks = Hooks(on_epoch=lambda epoch, judged: seen.append(weights(network)) or True)
    train(network, phases(candidate, 8), candidate.training, FEED, hooks, bf16=False)
    phase_one, after = seen[5], seen[7]
    changed = {name for name in after if not torch.equal(after[name], phase_one[name])}
    early_heads = {name for name in after if name.startswith(("heads.0.", "heads.1."))}
    assert changed == early_heads
    untouched = {name for name in after if torch.equal(seen[0][name], phase_one[name])}
    assert untouched == early_heads, "in the first phase only the final head and the backbone learn"
    assert any("running_mean" in name for name in after)


def test_on_epoch_may_end_the_training():
    result, _ = trained(hooks=Hooks(on_epoch=lambda epoch, judged: epoch.epoch < 2), epochs=4)
    assert result.stopped
    assert len(result.curve) == 2
    assert not result.network.training


def test_on_epoch_is_given_the_network_that_is_returned():
    seen = []
    result, _ = trained(
        hooks=Hooks(on_epoch=lambda epoch, judged: seen.append((judged, judged.training, weights(judged))) or True)
    )
    last, training, state = seen[-1]
    assert last is result.network
    assert same(state, weights(result.network))
    assert not training
    assert len(seen) == 4


def test_on_step_is_called_after_every_step_and_what_it_raises_ends_the_training():
    class Enough(Exception):
        pass

    steps = []

    def on_step():
        steps.append(1)
        if len(steps) == STEPS + 2:
            raise Enough

    epochs = []
    with pytest.raises(Enough):
        trained(hooks=Hooks(on_step, lambda epoch, judged: epochs.append(epoch.epoch) or True))
    assert epochs == [1]
    steps.clear()
    trained(hooks=Hooks(lambda: steps.append(-1)), epochs=3)
    assert len(steps) == 3 * STEPS


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_fails_the_trial_and_names_the_epoch(value):
    def batches(epoch):
        images_NCHW, labels_N = batch(epoch)
        yield (images_NCHW * value if epoch == 2 else images_NCHW), labels_N

    with raises_code("training-diverged", mentions="epoch 3", kind=TrialFailure):
        trained(source=BatchSource(batches, 1), epochs=5)


def test_a_rate_far_too_high_fails_the_trial():
    with raises_code("training-diverged", kind=TrialFailure):
        trained(recipe(learning_rate=1e30, schedule="constant"))


def test_the_average_differs_from_the_raw_weights_and_comes_back_ready_to_judge():
    result, raw = trained()
    averaged, last = weights(result.network), weights(raw)
    assert not torch.equal(averaged["heads.2.2.weight"], last["heads.2.2.weight"])
    assert not torch.equal(averaged["stages.0.1.running_mean"], last["stages.0.1.running_mean"])
    assert not result.network.training
    assert isinstance(result.network, EarlyExitNetwork)


def test_without_averaging_the_raw_weights_come_back():
    result, raw = trained(recipe(ema=0.0))
    averaged, last = weights(result.network), weights(raw)
    for name in averaged:
        torch.testing.assert_close(averaged[name], last[name], rtol=0, atol=0)


GATED = replace(CANDIDATE, exits=tuple(replace(exit, gate=Gate(2)) for exit in CANDIDATE.exits))
NORMED = Head(2, hidden=(6,), dropout=0.2, batch_norm=True)


def changes(candidate, phase, training):
    """Which tensors of a network a phase changes, by the names of the parts that they are in."""
    torch.manual_seed(0)
    network = build(candidate, IMAGES)
    before = weights(network)
    train(network, (phase,), training, FEED, Hooks(), bf16=False)
    after = weights(network)
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    return {".".join(name.split(".")[:2]) for name in changed}, changed


@pytest.mark.parametrize(
    ("learns", "loss_weights", "expected"),
    [
        ("all", (0.0, 0.0, 1.0), {"stages.0", "stages.1", "stages.2", "heads.2"}),
        ("all", (0.0, 1.0, 0.5), {"stages.0", "stages.1", "stages.2", "heads.1", "heads.2"}),
        ("heads", (1.0, 0.5, 0.0), {"heads.0", "heads.1"}),
        ("gates", (1.0, 0.5, 1.0), {"gates.0", "gates.1"}),
    ],
)
def test_what_does_not_learn_keeps_even_its_statistics(learns, loss_weights, expected):
    exits = tuple(replace(exit, head=NORMED) for exit in GATED.exits)
    candidate = replace(GATED, exits=exits, final=NORMED)
    phase = Phase(1, learns, loss_weights, exit_costs=(0.2, 0.5, 1.0))
    parts, changed = changes(candidate, phase, replace(CANDIDATE.training, weight_decay=0.1))
    assert parts == expected
    if learns != "gates":
        assert any("running_mean" in name for name in changed)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, pytest.param(1.0, marks=pytest.mark.slow)])
def test_gates_weigh_error_against_cost(alpha):
    """Where only cost counts, they leave as soon as they can; where only error does, not from a head that guesses."""
    torch.manual_seed(0)
    network = build(GATED, IMAGES)
    training = replace(CANDIDATE.training, gate_loss_weight=alpha, learning_rate=0.5)
    plan = (
        Phase(12, "all", (0.0, 0.0, 1.0)),
        Phase(6, "gates", (1.0, 1.0, 1.0), exit_costs=(0.1, 0.5, 1.0)),
    )
    result = train(network, plan, training, FEED, Hooks(), bf16=False)
    images_NCHW, _ = batch(10_000)
    with torch.no_grad():
        gates_NG = result.network.gate_logits(result.network.maps(images_NCHW))
    assert (gates_NG[:, 0] > 0).float().mean() == alpha
    assert result.curve[-1].loss < result.curve[12].loss


def test_a_head_on_a_frozen_backbone_learns_as_if_it_were_alone():
    torch.manual_seed(0)
    both = build(CANDIDATE, IMAGES)
    alone = build(replace(CANDIDATE, exits=CANDIDATE.exits[:1]), IMAGES)
    start = {name: tensor.clone() for name, tensor in both.state_dict().items()}
    renamed = {name.replace("heads.2", "heads.1"): start[name] for name in start if not name.startswith("heads.1")}
    alone.load_state_dict(renamed)
    train(both, (Phase(2, "heads", (1.0, 0.5, 0.0)),), CANDIDATE.training, FEED, Hooks(), bf16=False)
    train(alone, (Phase(2, "heads", (1.0, 0.0)),), CANDIDATE.training, FEED, Hooks(), bf16=False)
    torch.testing.assert_close(weights(both.heads[0]), weights(alone.heads[0]))


def test_a_phase_has_one_optimizer_whatever_the_recipe(monkeypatch):
    made = []
    for name in ("sgd", "adam"):
        real = OPTIMIZERS[name]
        monkeypatch.setitem(OPTIMIZERS, name, lambda *given, name=name, real=real: made.append(name) or real(*given))
    torch.manual_seed(0)
    heads = HeadTraining(optimizer="adam", epochs=0.5)
    candidate = replace(GATED, training=replace(GATED.training, regime="gates", heads=heads))
    plan = tuple(replace(phase, exit_costs=(0.1, 0.5, 1.0)) for phase in phases(candidate, 8))
    train(build(candidate, IMAGES), plan, candidate.training, FEED, Hooks(), bf16=False)
    assert made == ["sgd", "adam", "adam"]


def test_heads_with_a_recipe_of_their_own_learn_by_plain_adam():
    torch.manual_seed(0)
    heads = HeadTraining("adam", learning_rate=0.01, weight_decay=0.02, epochs=0.5)
    training = replace(CANDIDATE.training, ema=0.0, schedule="constant", heads=heads)
    network, twin = linear_network(), linear_network()
    result = train(network, (Phase(2, "heads", (1.0, 0.0)),), training, FEED, Hooks(), bf16=False)
    optimizer = torch.optim.Adam(twin.heads[0].parameters(), lr=0.01, weight_decay=0.02)
    for step in range(2 * STEPS):
        images_NCHW, labels_N = batch(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(twin.heads[0](images_NCHW), labels_N).backward()
        optimizer.step()
    assert [row.learning_rate for row in result.curve] == [0.01, 0.01]
    torch.testing.assert_close(weights(result.network), weights(twin), rtol=1e-4, atol=1e-6)


def test_the_rate_of_heads_on_stored_features_stays_as_it_is():
    training = replace(CANDIDATE.training, heads=HeadTraining(learning_rate=0.01, stored=True), schedule="cosine")
    plan = (Phase(2, "all", (0.0, 1.0)), Phase(2, "heads", (1.0, 0.0)))
    result = train(linear_network(), plan, training, FEED, Hooks(), bf16=False)
    assert [row.learning_rate for row in result.curve] == pytest.approx([0.1, 0.05, 0.01, 0.01])


def test_epochs_are_counted_from_where_the_feed_begins():
    asked, seen = [], []
    source = BatchSource(lambda epoch: asked.append(epoch) or iter([batch(epoch)]), 1, first=5)
    result, _ = trained(
        epochs=2, source=source, hooks=Hooks(on_epoch=lambda epoch, _: seen.append(epoch.epoch) or True)
    )
    assert (asked, seen, [row.epoch for row in result.curve]) == ([5, 6], [6, 7], [6, 7])


def test_a_plateau_asks_for_the_error_of_what_will_be_judged_after_every_epoch():
    judged, seen = [], []
    errors = iter([0.5, 0.6, 0.4, 0.4])
    hooks = Hooks(
        on_epoch=lambda epoch, network: judged.append(network) or True,
        validation_error=lambda network: seen.append((network, network.training)) or next(errors),
    )
    candidate = recipe(schedule="plateau", learning_rate=0.1, decay=Decay(patience=0))
    result, _ = trained(candidate, epochs=4, hooks=hooks)
    assert [row.learning_rate for row in result.curve] == pytest.approx([0.1, 0.1, 0.01, 0.01])
    assert seen == [(network, False) for network in judged]


@pytest.mark.parametrize("schedule", sorted(set(SCHEDULES) - {"plateau"}))
def test_no_other_schedule_asks_for_the_error(schedule):
    result, _ = trained(recipe(schedule=schedule), epochs=2)
    assert len(result.curve) == 2


def linear_network():
    """Two exits on the bare pixels: little enough to be trained by hand."""
    torch.manual_seed(1)
    stages = {name: nn.Identity() for name in ("a", "b")}
    return EarlyExitNetwork(stages, [nn.Sequential(nn.Flatten(), nn.Linear(64, 4)) for _ in stages], (0, 1))


def by_hand(network, training, loss_weights, epochs):
    """Momentum, decay of matrices only, a cosine, a moving average: written out, with the last losses."""
    total, parameters = epochs * STEPS, dict(network.named_parameters())
    speed = {name: torch.zeros_like(p) for name, p in parameters.items()}
    average, losses = {name: p.detach().clone() for name, p in parameters.items()}, []
    for step in range(total):
        images_NCHW, labels_N = batch(step)
        loss = exits_cross_entropy(network(images_NCHW), labels_N, torch.tensor(loss_weights), training.label_smoothing)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        rate = training.learning_rate * (1 + torch.cos(torch.tensor(torch.pi * step / total))) / 2
        keep = min(training.ema, step and (1 + step) / (10 + step))
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            if parameter.ndim > 1:
                gradient = gradient + training.weight_decay / training.learning_rate * parameter.detach()
            speed[name] = training.momentum * speed[name] + gradient
            ahead = gradient + training.momentum * speed[name]
            parameter.data -= rate * (ahead if training.nesterov else speed[name])
            average[name] = keep * average[name] + (1 - keep) * parameter.detach()
    return average, losses[-STEPS:]


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, True), (0.9, True), (0.9, False)])
def test_the_loop_does_what_its_recipe_says(momentum, nesterov):
    training = Training(
        schedule="cosine",
        learning_rate=0.2,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=0.02,
        label_smoothing=0.1,
        ema=0.8,
    )
    plan = (Phase(3, "all", (0.5, 2.0)),)
    result = train(linear_network(), plan, training, FEED, Hooks(), bf16=False)
    expected, losses = by_hand(linear_network(), training, [0.5, 2.0], epochs=3)
    assert result.curve[-1].loss == pytest.approx(sum(losses) / STEPS, rel=1e-4)
    found = weights(result.network)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-5)
