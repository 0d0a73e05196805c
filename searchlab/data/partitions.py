"""Coarse partitions: every class in one group. Given by paper 003, by superclasses, by number, or induced from data.

Shape suffixes: N images, C classes, F features, H and W pixels (images_NCHW has channels in C's place).
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from searchlab.data.cifar100 import CLASSES, COARSE, SUPERCLASSES
from searchlab.data.cifar100_partitions import (
    BY_CONFUSION,
    BY_EMBEDDING_MEANS,
    BY_PIXEL_MEANS,
    FOUR_GROUPS,
    KINDRED,
    THREE_GROUPS,
)
from searchlab.data.splits import Split, chunks
from searchlab.errors import UserError
from searchlab.seeds import library_seed

Groups = tuple[tuple[int, ...], ...]
"""Class numbers per group, as in `Partitioned.groups`."""

LINK = 1e-3
"""Least similarity of any two classes, added to the mean of all pairs, so that no class is isolated."""

NEIGHBOUR = 7
"""Rank of the neighbour that defines a class's local scale (Zelnik-Manor and Perona 2004, section 2)."""


def by_name(groups: Sequence[Sequence[str]], class_names: Sequence[str]) -> Groups:
    """Converts groups of class names to class numbers, ascending within a group.

    Raises:
        UserError: a class is in no group, in two, or unknown.
    """
    check_names(groups, class_names)
    number = {name: index for index, name in enumerate(class_names)}
    return tuple(tuple(sorted(number[name] for name in group)) for group in groups)


def check_names(groups: Sequence[Sequence[str]], class_names: Sequence[str]) -> None:
    """Checks that the groups contain every class once.

    Raises:
        UserError: they do not; the error lists the unknown, repeated or missing classes.
    """
    named = Counter(name for group in groups for name in group)
    wrong = {
        "unknown class": [name for name in named if name not in class_names],
        "class in more than one group": [name for name, times in named.items() if times > 1],
        "class in no group": [name for name in class_names if name not in named],
    }
    for what, names in wrong.items():
        if names:
            allowed = f"every one of the {len(class_names)} classes in one group"
            raise UserError("invalid-partition", what, where="partition", value=", ".join(names), allowed=allowed)


def check_partition(groups: Groups, class_names: Sequence[str]) -> None:
    """Checks that groups of class numbers contain every class once.

    Raises:
        UserError: they do not; the error lists classes by name and invalid numbers.
    """
    known = dict(enumerate(class_names))
    check_names([[known.get(number, f"number {number}") for number in group] for group in groups], class_names)


def balanced(classes: int, groups: int) -> Groups:
    """Groups consecutive class numbers; sizes differ by at most one. Needs no knowledge of the classes."""
    _check_count(groups, classes, "classes")
    return _blocks(range(classes), groups)


def merged_superclasses(coarse: Sequence[int], groups: int, order: Sequence[int] | None = None) -> Groups:
    """Merges superclasses into this many groups: consecutive blocks, whose sizes differ by at most one.

    `coarse` is the superclass of every class. `order` puts similar superclasses beside each other; the default is by
    number.

    Raises:
        UserError: more groups than superclasses.
    """
    superclasses = sorted(set(coarse)) if order is None else list(order)
    assert set(superclasses) == set(coarse) and len(set(superclasses)) == len(superclasses)
    _check_count(groups, len(superclasses), "superclasses")
    blocks = _blocks(superclasses, groups)
    return tuple(tuple(number for number, of in enumerate(coarse) if of in block) for block in blocks)


def induced_by_confusion(confusion_CC: NDArray[np.floating], groups: int, seed: int) -> Groups:
    """Groups classes that a network confuses (as in HD-CNN, Yan et al. 2015): spectral clustering.

    `confusion_CC` counts images by true class (row) and named class. Rows are normalised to shares, and both directions
    of a pair are averaged. The diagonal (correct answers) is not used.
    """
    counts_CC = np.asarray(confusion_CC, dtype=np.float64)
    share_CC = counts_CC / np.maximum(counts_CC.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(share_CC, 0)
    return _spectral((share_CC + share_CC.T) / 2, groups, seed)


def induced_by_means(features_NF: NDArray[np.floating], labels_N: NDArray[np.int64], groups: int, seed: int) -> Groups:
    """Groups classes with close mean features: spectral clustering with locally scaled distances.

    The affinity of two classes is exp(-d² / (s t)), s and t their distances to their 7th neighbours (Zelnik-Manor and
    Perona 2004), so that isolated classes do not become groups of one.

    Raises:
        UserError: a class below the highest label has no image.
    """
    from sklearn.metrics import pairwise_distances

    counts_C = np.bincount(labels_N)
    if not counts_C.all():
        raise UserError("too-few-images", "class without an image", where="partition", value=int(np.argmin(counts_C)))
    means = [features_NF[labels_N == number].mean(axis=0, dtype=np.float64) for number in range(len(counts_C))]
    means_CF = np.stack(means)
    distance_CC = pairwise_distances(means_CF)
    scale_C = np.sort(distance_CC, axis=1)[:, min(NEIGHBOUR, len(means_CF) - 1)]
    scale_CC = np.maximum(np.outer(scale_C, scale_C), np.finfo(np.float64).tiny)
    return _spectral(np.exp(-(distance_CC**2) / scale_CC), groups, seed)


def pooled_pixels(split: Split, side: int = 8) -> NDArray[np.float32]:
    """Returns features_NF without training: every image averaged to `side` x `side`; smaller images unchanged."""
    height, width = split.images_NCHW.shape[2:]
    to = (min(side, height), min(side, width))
    pooled = [F.adaptive_avg_pool2d(chunk.float() / 255, to).flatten(1) for chunk in chunks(split.images_NCHW)]
    return torch.cat(pooled).cpu().numpy()


def _blocks(items: Sequence[int], groups: int) -> Groups:
    return tuple(tuple(block.tolist()) for block in np.array_split(np.asarray(items), groups))


def _check_count(groups: int, most: int, of: str) -> None:
    if not 2 <= groups <= most:
        allowed = f"2 to {most}: there are {most} {of}"
        raise UserError(
            "invalid-partition", "invalid number of groups", where="partition", value=groups, allowed=allowed
        )


def _spectral(affinity_CC: NDArray[np.float64], groups: int, seed: int) -> Groups:
    """Normalised spectral clustering (Shi and Malik 2000), groups in the order of their first classes.

    If it finds fewer groups than requested (indistinguishable classes), the largest groups are halved by class number.
    """
    from sklearn.cluster import SpectralClustering

    classes = len(affinity_CC)
    _check_count(groups, classes, "classes")
    if groups == classes:
        return balanced(classes, groups)
    linked_CC = affinity_CC + LINK * (affinity_CC.mean() or 1.0)
    clustering = SpectralClustering(
        groups, affinity="precomputed", random_state=library_seed(seed), assign_labels="kmeans"
    )
    label_C = clustering.fit_predict(linked_CC)
    found = [tuple(np.flatnonzero(label_C == label).tolist()) for label in np.unique(label_C)]
    while len(found) < groups:
        largest = max(found, key=len)
        found.remove(largest)
        found += [largest[: len(largest) // 2], largest[len(largest) // 2 :]]
    return tuple(sorted(found))


def _listed(group_of_class: dict[int, str]) -> Callable[[int], Groups]:
    """Reads partitions from a table with one digit per class for every number of groups."""

    def groups_of(groups: int) -> Groups:
        if groups not in group_of_class:
            known = ", ".join(map(str, group_of_class))
            raise UserError(
                "invalid-partition", "unknown number of groups", where="partition", value=groups, allowed=known
            )
        digits = group_of_class[groups]
        return tuple(tuple(n for n, digit in enumerate(digits) if digit == str(group)) for group in range(groups))

    return groups_of


def _kindred(groups: int) -> Groups:
    number = {name: index for index, name in enumerate(SUPERCLASSES)}
    return merged_superclasses(COARSE, groups, [number[name] for name in KINDRED])


PARTITIONS: dict[str, Groups] = {
    "paper_3": by_name(THREE_GROUPS, CLASSES),
    "paper_4": by_name(FOUR_GROUPS, CLASSES),
}
"""The partitions of CIFAR-100 that paper 003 gives (tables 1 and 3)."""

_CIFAR100: dict[str, Callable[[int], Groups]] = {
    "paper_3": lambda groups: PARTITIONS["paper_3"],
    "paper_4": lambda groups: PARTITIONS["paper_4"],
    "superclasses": _kindred,
    "pixel_means": _listed(BY_PIXEL_MEANS),
    "embedding_means": _listed(BY_EMBEDDING_MEANS),
    "confusion": _listed(BY_CONFUSION),
}


def origins(classes: int) -> dict[str, Callable[[int], Groups]]:
    """Sources of partitions that need no data: name to a function of the number of groups.

    "by_number" exists for every number of classes. 100 classes are assumed to be those of CIFAR-100, with more:
    the paper's (for any requested number), merged superclasses, and partitions induced once from its images
    (`benchmarks/partitions_induced.py`; 2 to 8 groups).
    """
    known: dict[str, Callable[[int], Groups]] = {"by_number": lambda groups: balanced(classes, groups)}
    return known | (_CIFAR100 if classes == len(CLASSES) else {})
