"""Procedure for a partitioned network (paper 003, section 3): trains each of its networks by itself, in turn.

Shape suffixes: N images, C classes (in images_NCHW, channels).
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from fractions import Fraction

import torch
from torch import Tensor, nn

from searchlab.architecture import Partitioned
from searchlab.candidate import Candidate
from searchlab.data.batches import evaluation_batches, seeded_generator
from searchlab.data.splits import Split
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.model.partitioned import Classifier, RoutedExperts
from searchlab.record import Epoch
from searchlab.train.context import TrainingContext
from searchlab.train.loop import Trained
from searchlab.train.standard import standard_procedure

ROUTER_SHARE = 35 / 75
"""Shares of the epochs of router and experts: the paper trains its router for 35 and its experts for 40."""

FEWEST = 2
"""Least number of images to train an expert: normalisation needs the variance of two."""


@dataclass(frozen=True)
class Budget:
    """Epochs of each network, in passes over the images that it is trained on."""

    generalist: int
    router: int
    experts: int


def budget(epochs: int, *, generalist: bool) -> Budget:
    """Distributes a study's epochs: half to a generalist, the rest as in the paper, at least one per network.

    Every expert has all the experts' epochs: together they see each image once per epoch, as one network would.
    """
    own = epochs // 2 if generalist else 0
    router = max(1, round(ROUTER_SHARE * (epochs - own)))
    return Budget(max(1, own) if generalist else 0, router, max(1, epochs - own - router))


def partitioned_procedure(network: EarlyExitNetwork, candidate: Candidate, context: TrainingContext) -> Trained:
    """Trains generalist, router and experts, each by the standard procedure on its own images and labels.

    The generalist is trained first, with its exits, by the candidate's regime, so that rungs can compare the trial with
    others. (Without a generalist, accuracies are random until the experts are trained: do not stop such trials early.)
    Then the router learns the groups, is frozen, and routes every training image. Each expert is trained on the images
    routed to it; those of other groups get a random class of the expert, drawn once from the seed. An expert with one
    class, or fewer than two images, is not trained.

    Epochs are passes over the training images, counted across all networks; together the experts make one pass per
    epoch, in their order. `on_epoch` is called for every full pass, with the loss of the network that completed it, and
    the whole network with averaged weights; it may end the training.

    Raises:
        TrialFailure: a loss is not finite.
    """
    architecture, routed = candidate.architecture, network.heads[0]
    assert isinstance(architecture, Partitioned) and isinstance(routed, RoutedExperts)
    lessons, plan = _Lessons(network.eval()), budget(context.epochs, generalist=bool(architecture.generalist))
    if architecture.generalist is not None:
        exits = tuple(replace(exit, cut=exit.cut - 1) for exit in candidate.exits)
        own = replace(candidate, architecture=architecture.generalist, exits=exits)
        lessons.learn(own, network.stages[1:], network.heads[1:], replace(context, epochs=plan.generalist))
    own = Candidate(architecture.router, training=candidate.training)
    lessons.learn(own, routed.router.stages, [routed.router.head], _for_router(architecture, context, plan.router))
    went_N = _went(routed, context)
    given = [
        _for_expert(group, went_N == number, context, plan.experts) for number, group in enumerate(architecture.groups)
    ]
    images = sum(len(lesson.train) for lesson in given if lesson)
    for expert, backbone, lesson in zip(routed.experts, architecture.experts, given, strict=True):
        if lesson is not None:
            assert isinstance(expert, Classifier)
            own = Candidate(backbone, training=candidate.training)
            lessons.learn(own, expert.stages, [expert.head], lesson, Fraction(len(lesson.train), images))
    return Trained(network, tuple(lessons.curve), lessons.stopped)


@dataclass
class _Lessons:
    """Trains the networks in turn and copies the averaged weights of each into the whole."""

    network: EarlyExitNetwork
    passes: Fraction = Fraction(0)
    curve: list[Epoch] = field(default_factory=list)
    stopped: bool = False

    def learn(
        self,
        candidate: Candidate,
        stages: Iterable[nn.Module],
        heads: Iterable[nn.Module],
        context: TrainingContext,
        share: Fraction = Fraction(1),
    ) -> None:
        """Trains a copy of these stages and heads, parts of the whole, as a network by the standard procedure.

        `share` is the share of a pass that one of its epochs makes.
        """
        if self.stopped:
            return
        parts = [*stages, *heads]
        copies = {str(cut): deepcopy(stage) for cut, stage in enumerate(stages)}
        learner = EarlyExitNetwork(copies, [deepcopy(head) for head in heads], candidate.cuts)

        def on_epoch(epoch: Epoch, averaged: EarlyExitNetwork) -> bool:
            for part, learnt in zip(parts, (*averaged.stages, *averaged.heads), strict=True):
                part.load_state_dict(learnt.state_dict())
            self.passes += share
            if int(self.passes) == len(self.curve):
                return True
            self.curve.append(replace(epoch, epoch=int(self.passes)))
            return context.hooks.on_epoch(self.curve[-1], self.network)

        hooks = replace(context.hooks, on_epoch=on_epoch)
        self.stopped = standard_procedure(learner, candidate, replace(context, hooks=hooks)).stopped


def _for_router(architecture: Partitioned, context: TrainingContext, epochs: int) -> TrainingContext:
    """Returns all images, labelled with the group of their class."""
    group_C = torch.empty(context.images.classes, dtype=torch.int64, device=context.train.labels_N.device)
    for number, group in enumerate(architecture.groups):
        group_C[list(group)] = number
    train, validation = (
        Split(split.images_NCHW, group_C[split.labels_N]) for split in (context.train, context.validation)
    )
    images = replace(context.images, classes=len(architecture.groups))
    return replace(context, train=train, validation=validation, images=images, epochs=epochs)


def _went(routed: RoutedExperts, context: TrainingContext) -> Tensor:
    """Returns went_N, the group to which the router sends every training image, not augmented."""
    with torch.no_grad():
        batches = evaluation_batches(context.train, context.normaliser)
        return torch.cat([routed.route(images_NCHW).argmax(dim=1) for images_NCHW, _ in batches])


def _for_expert(
    group: tuple[int, ...], here_N: Tensor, context: TrainingContext, epochs: int
) -> TrainingContext | None:
    """Returns the images of an expert, labelled by position in its group; None if they are too few.

    An image of another group gets a random label, the same in every epoch. The validation split is that of the group.
    """
    device, classes = here_N.device, len(group)
    if classes == 1 or int(here_N.sum()) < FEWEST:
        return None
    place_C = torch.full((context.images.classes,), -1, device=device)
    place_C[list(group)] = torch.arange(classes, device=device)
    generator = seeded_generator(device, context.seed, "wrongly routed")
    random_N = torch.randint(2**31, here_N.shape, generator=generator, device=device) % classes
    place_N = place_C[context.train.labels_N]
    place_N = torch.where(place_N < 0, random_N, place_N)
    train = replace(context.train.part(here_N), labels_N=place_N[here_N])
    there_N = place_C[context.validation.labels_N]
    validation = replace(context.validation.part(there_N >= 0), labels_N=there_N[there_N >= 0])
    images = replace(context.images, classes=classes)
    return replace(context, train=train, validation=validation, images=images, epochs=epochs)
