"""Evaluation of a partitioned network, or of the single network it is compared with, on the test split (paper 003).

Shape suffixes: N images, K exits, C classes.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from torch import nn

from searchlab import Backbone, Candidate, Findings, ImageSpec, Partitioned, Subject, network_cost
from searchlab.lab import (
    NOUN,
    Classifier,
    EarlyExitNetwork,
    ExitRule,
    ExitTable,
    Normaliser,
    OperatingPoint,
    Profile,
    RoutedExperts,
    Split,
    budget,
    correct_among,
    evaluate,
    gained_and_lost,
    route,
    scores_of,
    tabulate,
    this_machine,
    to_plain,
)


@dataclass(frozen=True, config=NOUN)
class RoutedFound:
    """Results of the router, and of soft against hard routing.

    `sent` are images by expert. `soft_alone` and `hard_alone` are images that the same networks, any generalist aside,
    classify correctly by one kind of routing only.
    """

    sizes: tuple[int, ...]
    router_correct: int
    sent: tuple[int, ...]
    soft_alone: int
    hard_alone: int


@dataclass(frozen=True, config=NOUN)
class PartitionFound:
    """Results of one trial at the rule of its frontier that is best on the validation split.

    `right` has a bit for each of `samples` images, packed into hex digits, so that trials can be compared image by
    image. `macs` is the rule's mean. `passes` over the training images, and `training_macs` are those of all forward
    passes. `frontier` are pairs of the same rule on the validation and the test split.
    """

    samples: int
    correct: int
    correct_of_3: int
    right: str
    params: int
    macs: float
    megabytes: float
    train_seconds: float
    train_images: int
    passes: int
    training_macs: float
    machine: str
    routed: RoutedFound | None
    frontier: tuple[tuple[OperatingPoint, OperatingPoint], ...]


def evaluate_partitions(subject: Subject) -> Findings:
    """Evaluate a trial: `PartitionFound` as plain data. The rule is chosen on the validation split."""
    record, network, dataset = subject.record, subject.network, subject.dataset
    assert record.cost is not None and record.frontier is not None
    normaliser, test = Normaliser.of(dataset, subject.device), dataset.test.to(subject.device)
    table, points = tabulate(network, test, normaliser), record.frontier.points
    tested = [evaluate(table, point.rule, Profile(record.cost)) for point in points]
    best = max(range(len(points)), key=lambda i: points[i].correct)
    answers, epochs = answered(table, points[best].rule), subject.study.epochs
    (correct,), (correct_of_3,) = correct_among(answers, 1), correct_among(answers, 3)
    found: Findings = to_plain(
        PartitionFound(
            samples=table.samples,
            correct=correct,
            correct_of_3=correct_of_3,
            right=packed(answers.correct_NK[:, 0]),
            params=record.cost.params,
            macs=tested[best].macs,
            megabytes=sum(tensor.nbytes for tensor in network.state_dict().values()) / 1e6,
            train_seconds=record.seconds.train,
            train_images=len(dataset.train),
            passes=sum(_passes(record.candidate, epochs)),
            training_macs=len(dataset.train) * training_macs(record.candidate, dataset.spec, epochs),
            machine=this_machine(subject.device, subject.threads).label,
            routed=_routed(record.candidate, network, test, normaliser),
            frontier=tuple(zip(points, tested, strict=True)),
        )
    )
    return found


def answered(table: ExitTable, rule: ExitRule) -> ExitTable:
    """Exit table with one exit: for every sample, the logits of the exit that the rule assigns."""
    exit_N = np.empty(table.samples, dtype=np.int64)
    for exit, leaves_N in zip(rule.exits, route(scores_of(table, rule.score), rule), strict=True):
        exit_N[leaves_N] = exit
    return ExitTable(table.logits_NKC[np.arange(table.samples), exit_N][:, None], table.labels_N)


def packed(right_N: NDArray[np.bool_]) -> str:
    """One bit per sample, as hex digits."""
    return np.packbits(right_N).tobytes().hex()


def unpacked(right: str, samples: int) -> NDArray[np.bool_]:
    """The inverse of `packed`: right_N."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(right), np.uint8), count=samples).astype(np.bool_)


def training_macs(candidate: Candidate, images: ImageSpec, epochs: int) -> float:
    """MACs of all forward passes per training image, on average; backward passes take about twice as many.

    One expert is trained on each image; experts are weighted by their share of the classes.
    """
    architecture, plan = candidate.architecture, _passes(candidate, epochs)
    if not isinstance(architecture, Partitioned):
        return float(network_cost(candidate, images).macs * epochs)

    def macs(part: Backbone, classes: int) -> int:
        return network_cost(Candidate(part), replace(images, classes=max(2, classes))).macs

    experts = sum(
        len(group) / images.classes * macs(expert, len(group))
        for group, expert in zip(architecture.groups, architecture.experts, strict=True)
    )
    generalist = 0
    if architecture.generalist is not None:
        exits = tuple(replace(exit, cut=exit.cut - 1) for exit in candidate.exits)
        generalist = network_cost(Candidate(architecture.generalist, exits, candidate.final), images).macs
    return float(np.dot(plan, (generalist, macs(architecture.router, len(architecture.groups)), experts)))


def _passes(candidate: Candidate, epochs: int) -> tuple[int, ...]:
    """Passes over the training images: of the generalist (or the single network), of the router, of the experts."""
    if not isinstance(candidate.architecture, Partitioned):
        return epochs, 0, 0
    plan = budget(epochs, generalist=candidate.architecture.generalist is not None)
    return plan.generalist, plan.router, plan.experts


def _routed(candidate: Candidate, network: EarlyExitNetwork, test: Split, normaliser: Normaliser) -> RoutedFound | None:
    """Results of the router. All follow from log p(group) + log p(class | group), the logits of soft routing."""
    architecture, routed = candidate.architecture, network.heads[0]
    if not isinstance(architecture, Partitioned):
        return None
    assert isinstance(routed, RoutedExperts)
    table = tabulate(_softly(routed, architecture), test, normaliser)
    logits_NC, label_N, groups = table.logits_NKC[:, 0], table.labels_N, architecture.groups
    group_N = np.stack([np.logaddexp.reduce(logits_NC[:, group], axis=1) for group in groups], axis=1).argmax(axis=1)
    sizes = tuple(len(group) for group in groups)
    group_C = np.repeat(np.arange(len(sizes)), sizes)[np.argsort(np.concatenate(groups))]
    hard_NC = np.where(group_C == group_N[:, None], logits_NC, -np.inf)
    soft_N, hard_N = table.correct_NK[:, 0], hard_NC.argmax(axis=1) == label_N
    soft_alone, hard_alone = gained_and_lost(soft_N, hard_N)
    return RoutedFound(
        sizes=sizes,
        router_correct=int((group_N == group_C[label_N]).sum()),
        sent=tuple(np.bincount(group_N, minlength=len(sizes)).tolist()),
        soft_alone=soft_alone,
        hard_alone=hard_alone,
    )


def _softly(routed: RoutedExperts, architecture: Partitioned) -> EarlyExitNetwork:
    """The same router and experts with soft routing, without a generalist."""
    experts = [expert for expert in routed.experts if isinstance(expert, Classifier)]
    device = next(routed.parameters()).device
    head = RoutedExperts(routed.router, experts, replace(architecture, routing="soft")).to(device)
    return EarlyExitNetwork({"image": nn.Identity()}, [head], (0,))
