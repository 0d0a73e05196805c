"""A trained network with an exit rule, ready for images: each image leaves at the first exit that is confident.

Shape suffixes: N images, C classes (of logits) or channels, H height, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from searchlab.architecture import ImageSpec
from searchlab.data.batches import Normaliser
from searchlab.data.splits import chunks
from searchlab.deploy.image_input import pixels_of
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.operating_point import ExitRule, Prediction
from searchlab.record import Scales

AT_A_TIME = 256
"""Images that are classified in one batch, of 32x32 pixels; fewer of larger ones."""


@dataclass(frozen=True)
class ImageFacts:
    """Facts about the training data that a network needs to preprocess new images in the same way."""

    images: ImageSpec
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    scales: Scales


class ImageClassifier:
    """A trained network with its exit rule, normalisation and class names.

    Attributes:
        network: the trained `EarlyExitNetwork`, in eval mode on the classifier's device.
        rule: exits in use, score and thresholds.
        facts: size of the images, mean and standard deviation of the channels, names of the classes.
    """

    def __init__(self, network: EarlyExitNetwork, rule: ExitRule, facts: ImageFacts, device: torch.device) -> None:
        self.network, self.rule, self.facts, self.device = network.to(device), rule, facts, device
        self._runtime = EarlyExitRuntime(self.network, rule)
        self._normaliser = Normaliser(torch.tensor(facts.mean, device=device), torch.tensor(facts.std, device=device))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by index."""
        return self.facts.class_names

    def classified(self, images: Any) -> list[Prediction]:
        """Returns one prediction per image; see `deploy.image_input.pixels_of` for the accepted types.

        Stages and heads after an image's exit are not run for it.

        Raises:
            UserError: a file is missing or unreadable, or an array has an invalid shape, type or range.
        """
        found: list[Prediction] = []
        labels: list[str] = []
        batch: list[torch.Tensor] = []
        for label, pixels_NCHW in pixels_of(images, self.facts.images, self.facts.scales):
            batch.append(pixels_NCHW.float())
            labels += [label] * len(pixels_NCHW)
            if len(labels) - len(found) >= AT_A_TIME:
                found += self._batch(torch.cat(batch), labels[len(found) :], len(found))
                batch = []
        return found + (self._batch(torch.cat(batch), labels[len(found) :], len(found)) if batch else [])

    def _batch(self, images_NCHW: torch.Tensor, labels: Sequence[str], first: int) -> list[Prediction]:
        found: list[Prediction] = []
        for chunk_NCHW in chunks(images_NCHW, AT_A_TIME):
            logits_NC, exit_N = self._runtime.logits_batch(self._normaliser(chunk_NCHW.to(self.device)))
            confidence_N, class_N = logits_NC.double().softmax(dim=1).max(dim=1)
            for index, confidence, exit in zip(class_N.tolist(), confidence_N.tolist(), exit_N.tolist(), strict=True):
                name = labels[len(found)] or str(first + len(found))
                found.append(Prediction(name, self.class_names[index], index, confidence, exit, self._cut(exit)))
        return found

    def _cut(self, exit: int) -> str:
        cuts = self.network.cuts
        return "final" if exit == len(cuts) - 1 else str(cuts[exit])
