"""Who learns from what when router, experts and generalist are trained, on little networks and few digits."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as st

from searchlab.architecture import ImageSpec, Partitioned, ResNet
from searchlab.candidate import Augmentation, Candidate, Decay, Exit, Training
from searchlab.data.batches import Normaliser
from searchlab.data.splits import Split
from searchlab.exits.tabulate import tabulate
from searchlab.model.early_exit import build
from searchlab.train import partitioned
from searchlab.train.context import TrainingContext
from searchlab.train.loop import Hooks
from searchlab.train.partitioned import budget, partitioned_procedure
from searchlab.train.procedure import procedure_of

GROUPS = ((0, 6, 8), (1, 7, 4), (9, 3, 5, 2))
TRAINING = Training(learning_rate=0.1, batch_size=32, augmentation=Augmentation(), ema=0.9)


def a_candidate(generalist=None, exits=(), groups=GROUPS, training=TRAINING):
    small = ResNet((1,), 4)
    return Candidate(Partitioned(groups, small, tuple(small for _ in groups), generalist), exits, training=training)


def material_of(digits, *, images=400, epochs=4, hooks=None, seed=0):
    train = Split(digits.train.images_NCHW[:images], digits.train.labels_N[:images])
    return TrainingContext(
        train, digits.validation, Normaliser.of(digits, "cpu"), digits.spec, epochs, seed,
        bf16=False, exit_costs=(), scratch=None, hooks=hooks or Hooks(),
    )  # fmt: skip


def built(candidate, digits, seed=0):
    torch.manual_seed(seed)
    return build(candidate, digits.spec)


@pytest.fixture
def lessons(monkeypatch):
    """What every network was given, in order; nothing is trained where `learned` stays empty."""
    taken = []
    real = partitioned.standard_procedure

    def watched(learner, candidate, context):
        taken.append((candidate, context, deepcopy(learner)))
        return real(learner, candidate, context)

    monkeypatch.setattr(partitioned, "standard_procedure", watched)
    return taken


@drawn(st.integers(1, 200), st.booleans())
def test_the_epochs_are_shared_out(epochs, generalist):
    plan = budget(epochs, generalist=generalist)
    assert min(plan.router, plan.experts) >= 1 and (plan.generalist >= 1) == generalist
    assert plan.router + plan.experts + plan.generalist == max(epochs, 2 + generalist)


def test_the_papers_epochs():
    plan = budget(75, generalist=False)
    assert (plan.router, plan.experts) == (35, 40)


def test_it_is_the_course_of_partitions():
    assert procedure_of(a_candidate()) is partitioned_procedure


@pytest.mark.slow
def test_the_router_learns_groups_and_experts_what_is_routed_to_them(digits, lessons):
    candidate, context = a_candidate(), material_of(digits)
    trained = partitioned_procedure(built(candidate, digits), candidate, context)
    networks = [candidate.architecture.router, *candidate.architecture.experts]
    assert [own.architecture for own, _, _ in lessons] == networks
    plan = budget(4, generalist=False)
    assert [given.epochs for _, given, _ in lessons] == [plan.router, *[plan.experts] * 3]
    assert [given.images.classes for _, given, _ in lessons] == [3, 3, 3, 4]

    (_, router, _), *experts = lessons
    for split, original in ((router.train, context.train), (router.validation, digits.validation)):
        assert all(label in GROUPS[group] for label, group in zip(original.labels_N, split.labels_N, strict=True))
    with torch.no_grad():
        went_N = trained.network.heads[0].route(context.normaliser(context.train.images_NCHW)).argmax(dim=1)
    right = wrong = 0
    for number, (group, (_, given, _)) in enumerate(zip(GROUPS, experts, strict=True)):
        here = went_N == number
        assert torch.equal(given.train.images_NCHW, context.train.images_NCHW[here])
        for place, label in zip(given.train.labels_N.tolist(), context.train.labels_N[here].tolist(), strict=True):
            assert 0 <= place < len(group)
            assert label not in group or group[place] == label
            right, wrong = right + (label in group), wrong + (label not in group)
        own = torch.isin(digits.validation.labels_N, torch.tensor(group))
        assert torch.equal(given.validation.images_NCHW, digits.validation.images_NCHW[own])
    assert right > wrong > 0, "no image went astray: nothing was tried"


def test_labels_of_strays_are_random_and_fixed_by_the_seed(digits, monkeypatch):
    """A router that says what it is told: everything goes to group 0."""
    monkeypatch.setattr(partitioned, "_went", lambda routed, context: torch.zeros_like(context.train.labels_N))
    taken = []

    def note(learner, candidate, context):
        taken.append(context)
        return partitioned.Trained(learner, (), stopped=False)

    monkeypatch.setattr(partitioned, "standard_procedure", note)
    candidate = a_candidate()
    for seed in (0, 0, 1):
        partitioned_procedure(built(candidate, digits), candidate, material_of(digits, seed=seed))
    assert len(taken) == 6, "experts to whom nothing is routed do not learn"
    once, again, other = (given.train.labels_N for given in taken[1::2])
    assert torch.equal(once, again) and not torch.equal(once, other)
    strays = once[~torch.isin(material_of(digits).train.labels_N, torch.tensor(GROUPS[0]))]
    shares = torch.bincount(strays, minlength=3) / len(strays)
    assert len(strays) > 200 and shares.min() > 0.25


def test_what_has_not_learned_is_as_it_was(digits, monkeypatch):
    """A group of one class, and groups to which nothing goes."""
    groups = ((7,), (0, 1, 2, 3, 4, 5, 6), (8, 9))
    monkeypatch.setattr(partitioned, "_went", lambda routed, context: (context.train.labels_N != 7).long())
    candidate = a_candidate(groups=groups)
    network = built(candidate, digits)
    before = deepcopy(network.heads[0].experts)
    after = partitioned_procedure(network, candidate, material_of(digits, epochs=2)).network.heads[0].experts
    assert same(after[0], before[0]) and not same(after[1], before[1]) and same(after[2], before[2])


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.slow
def test_the_averaged_weights_are_in_the_network(digits, monkeypatch):
    """Those that the standard procedure returns, buffers included, for every stage and head of every network."""
    returned = []
    real = partitioned.standard_procedure

    def watched(learner, candidate, context):
        returned.append(real(learner, candidate, context).network)
        return partitioned.Trained(returned[-1], (), stopped=False)

    monkeypatch.setattr(partitioned, "standard_procedure", watched)
    candidate = a_candidate(ResNet((1, 1), 4), (Exit(1),))
    trained = partitioned_procedure(
        built(candidate, digits), candidate, material_of(digits, images=800, epochs=8)
    ).network
    generalist, router, *experts = returned
    head = trained.heads[0]
    assert same(generalist.stages, trained.stages[1:]) and same(generalist.heads, trained.heads[1:])
    for learned, part in zip((router, *experts), (head.router, *head.experts), strict=True):
        assert same(learned.stages, part.stages) and same(learned.heads[0], part.head)
    assert not any(module.training for module in trained.modules())


@pytest.mark.slow
def test_a_generalist_learns_first_and_with_its_exits(digits, lessons):
    training = replace(TRAINING, regime="frozen")
    candidate = a_candidate(ResNet((1, 1), 4), (Exit(1), Exit(2)), training=training)
    partitioned_procedure(built(candidate, digits), candidate, material_of(digits, epochs=8))
    own, given, learner = lessons[0]
    assert own == Candidate(ResNet((1, 1), 4), (Exit(0), Exit(1)), training=training)
    assert learner.cuts == own.cuts and torch.equal(given.train.labels_N, digits.train.labels_N[:400])
    assert given.epochs == 4


@pytest.mark.slow
def test_epochs_go_on_and_the_hook_sees_the_whole_network(digits):
    candidate, seen = a_candidate(ResNet((1,), 4)), []

    def on_epoch(epoch, network):
        seen.append((epoch, tabulate(network, digits.validation, normaliser).correct_NK.mean(axis=0)))
        return True

    normaliser = Normaliser.of(digits, "cpu")
    context = material_of(digits, images=800, epochs=12, hooks=Hooks(on_epoch=on_epoch))
    trained = partitioned_procedure(built(candidate, digits), candidate, context)
    plan = budget(12, generalist=True)
    assert [epoch.epoch for epoch in trained.curve] == list(range(1, 13)), "experts share the passes"
    assert tuple(epoch for epoch, _ in seen) == trained.curve and not trained.stopped
    at_first, in_the_middle, at_last = seen[0][1], seen[plan.generalist][1], seen[-1][1]
    assert in_the_middle[1] == at_last[1] > at_first[1], "the generalist has learnt by then"
    assert at_last[0] > 0.5 > in_the_middle[0], "experts had not learnt by then"


@pytest.mark.parametrize("last", [1, 3])
def test_the_hook_ends_the_training(digits, last):
    candidate = a_candidate()
    hooks = Hooks(on_epoch=lambda epoch, network: epoch.epoch < last)
    trained = partitioned_procedure(built(candidate, digits), candidate, material_of(digits, hooks=hooks))
    assert trained.stopped and len(trained.curve) == last


def test_schedules_that_go_by_an_error_get_that_of_the_network_that_learns(digits):
    training = replace(TRAINING, schedule="plateau", decay=Decay(patience=0))
    candidate = a_candidate(training=training)
    trained = partitioned_procedure(built(candidate, digits), candidate, material_of(digits, epochs=5))
    assert len(trained.curve) == 5
    assert all(row.learning_rate <= 0.1 for row in trained.curve)


def test_the_spec_of_the_images_is_the_datasets(digits):
    assert digits.spec == ImageSpec(1, 8, 8, 10), "GROUPS cover these classes"
