"""Standard training procedure: the phases of a candidate's regime, in order, on one network.

A procedure that trains several networks calls this one for each of them.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from searchlab.candidate import Candidate
from searchlab.exits.tabulate import tabulate
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.phases import STORING, TRAINING
from searchlab.record import Epoch
from searchlab.train.context import TrainingContext, batches_for
from searchlab.train.loop import BatchSource, Hooks, Trained, train
from searchlab.train.recipes import recipe_of
from searchlab.train.regimes import Phase, phases
from searchlab.train.stored_features import StoredNetwork, stored_features


def standard_procedure(network: EarlyExitNetwork, candidate: Candidate, context: TrainingContext) -> Trained:
    """Trains all phases of the candidate's regime; heads and gates are trained on the averaged backbone.

    Raises:
        TrialFailure: the loss is not finite.
        UserError: the augmentation does not fit the images, or features cannot be stored.
    """
    training, plan = candidate.training, phases(candidate, context.epochs)
    backbone = tuple(phase for phase in plan if phase.learns == "all")
    batches = batches_for(context.train, context.normaliser, training, context.seed)
    source, hooks = BatchSource(batches.epoch, batches.steps), _with_error(context)
    trained = train(network, backbone, training, source, hooks, bf16=context.bf16)
    later = plan[len(backbone) :]
    if trained.stopped or not later:
        return trained
    network.load_state_dict(trained.network.state_dict())
    with _lesson(network, candidate, replace(context, hooks=hooks), later[0]) as lesson:
        return _frozen_phases(lesson, candidate, context, later, trained.curve)


@dataclass(frozen=True, eq=False)
class _Lesson:
    """The trained part on a frozen backbone, and its batches; `whole` copies the averaged part into its network."""

    learner: EarlyExitNetwork
    source: BatchSource
    hooks: Hooks
    whole: Callable[[EarlyExitNetwork], EarlyExitNetwork]


def _frozen_phases(
    lesson: _Lesson, candidate: Candidate, context: TrainingContext, later: tuple[Phase, ...], curve: tuple[Epoch, ...]
) -> Trained:
    """Runs one loop per phase, each on the averaged weights of the one before."""
    learner = lesson.learner
    for phase in later:
        if phase.learns == "gates":
            phase = replace(phase, exit_costs=context.scaled_costs)
        source = replace(lesson.source, first=len(curve))
        trained = train(learner, (phase,), candidate.training, source, lesson.hooks, bf16=context.bf16)
        curve += trained.curve
        if trained.stopped:
            break
        learner.load_state_dict(trained.network.state_dict())
    return Trained(lesson.whole(trained.network), curve, trained.stopped)


@contextmanager
def _lesson(
    network: EarlyExitNetwork, candidate: Candidate, context: TrainingContext, phase: Phase
) -> Iterator[_Lesson]:
    """Makes the input of a phase: augmented images through the network, or stored features through heads and gates."""
    heads, recipe = candidate.training.heads, recipe_of(phase, candidate.training)
    if heads is None or not heads.stored:
        batches = batches_for(context.train, context.normaliser, recipe, context.seed)
        yield _Lesson(network, BatchSource(batches.epoch, batches.steps), context.hooks, lambda averaged: averaged)
        return
    twin, size, hooks = copy.deepcopy(network).eval(), recipe.batch_size, context.hooks

    def whole(averaged: EarlyExitNetwork) -> EarlyExitNetwork:
        twin.heads, twin.gates = averaged.heads, averaged.gates
        return twin

    def on_epoch(epoch: Epoch, averaged: EarlyExitNetwork) -> bool:
        return hooks.on_epoch(epoch, whole(averaged))

    hooks.on_phase(STORING)
    with stored_features(network, context.train, context.normaliser, context.scratch, hooks.on_step) as stored:
        hooks.on_phase(TRAINING)
        source = BatchSource(lambda number: stored.batches(number, size, context.seed), stored.steps(size))
        yield _Lesson(StoredNetwork(network, stored.shapes), source, replace(hooks, on_epoch=on_epoch), whole)


def _with_error(context: TrainingContext) -> Hooks:
    """Returns the context's hooks, with the final head's validation error for schedules that need it."""

    def error(network: EarlyExitNetwork) -> float:
        table = tabulate(network, context.validation, context.normaliser)
        return 1.0 - float(table.correct_NK[:, -1].mean())

    return replace(context.hooks, validation_error=error)
