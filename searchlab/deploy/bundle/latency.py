"""Latency of a model file over real images, in their real exit mix, against its card.

Shape suffixes: N images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from searchlab.architecture import ImageSpec
from searchlab.data.splits import Dataset
from searchlab.deploy.bundle.card import MODEL, Card, Promise
from searchlab.deploy.bundle.model_file import Given, ModelFile, as_given
from searchlab.engines.engine import Prepared
from searchlab.measure import remeasure
from searchlab.measure.cpu_contention import load
from searchlab.measure.device import this_machine
from searchlab.measure.end_to_end import each_pass, routed_ms
from searchlab.measure.isolation import PATIENT, Waiting, measuring
from searchlab.measure.latency import LatencyOptions, example_image, fastest
from searchlab.measure.passes import interleaved, quiet_host
from searchlab.measure.quantiles import mean_over_samples
from searchlab.measure.references import reference_network
from searchlab.record import WAITED

ENGINE = "onnxruntime"
"""The engine that runs model files here."""

FILE = "the model file"
BUDGET_S = 2.0
WITHIN = 0.10
"""Largest accepted difference of a file's latency from its card's, as a share of that."""

TIMED_IMAGES = 200
"""Images that are timed, spread evenly over the test split."""


@dataclass(frozen=True)
class FileLatency:
    """Mean milliseconds per image of a model file.

    Attributes:
        ms: in the unit of the card, where the card has a latency of this machine and engine; else as timed.
        promised_ms: the card's, where the two compare; else None, and `why_not` says why.
        waited: the share of its time for which the measurement waited for a core.
    """

    ms: float
    images: int
    promised_ms: float | None = None
    why_not: str = ""
    waited: float = 0.0

    @property
    def doubt(self) -> str:
        """Why the figure is in doubt; "" if it is not."""
        return f"it waited for a core for {self.waited:.0%} of its time" if self.waited > WAITED else ""

    @property
    def holds(self) -> bool:
        """Whether the file takes what was promised, or nothing was."""
        return self.error is None or abs(self.error) <= WITHIN

    @property
    def error(self) -> float | None:
        """Relative difference from the promise; positive if the file is slower."""
        return None if self.promised_ms is None else self.ms / self.promised_ms - 1


def file_latency(
    folder: Path, card: Card, dataset: Dataset, waiting: Waiting = PATIENT, *, budget_s: float | None = None
) -> FileLatency:
    """Times the model file while no trial trains on this node, interleaved with the reference of the card.

    What differs from the promise, or was disturbed, is measured again after pauses; the least disturbed attempt counts.

    Raises:
        UserError: a file is damaged.
    """
    found: list[FileLatency] = []
    for pause_s in (0.0, *remeasure.PAUSES_S):
        waiting.pause(pause_s)
        found.append(_attempt(folder, card, dataset, waiting, budget_s or BUDGET_S))
        if found[-1].holds and not found[-1].doubt:
            break
    return min(found, key=lambda each: each.waited)


def _attempt(folder: Path, card: Card, dataset: Dataset, waiting: Waiting, budget_s: float) -> FileLatency:
    promise = card.latency
    options = LatencyOptions(engine=ENGINE, budget_s=budget_s, threads=promise.machine.threads if promise else 1)
    file = ModelFile(folder / MODEL, options.threads or 1)
    chosen_N = np.linspace(0, len(dataset.test) - 1, min(TIMED_IMAGES, len(dataset.test))).astype(np.int64)
    pixels_NCHW = as_given(dataset.test.images_NCHW.numpy()[chosen_N], card.input)
    samples = [np.ascontiguousarray(pixels_CHW[None]) for pixels_CHW in pixels_NCHW]
    why_not = _why_not(promise)
    with measuring(waiting), load(options.threads or 1) as met:
        if promise is None or why_not:
            ms, promised_ms = _as_timed(file, samples, options), None
        else:
            reference = _reference(promise.reference_name, dataset.spec, options)
            ms = routed_ms(file.run, samples, reference, promise.reference_ms, options)
            promised_ms = promise.ms.value
    return FileLatency(ms, len(samples), promised_ms, why_not, met.waited)


def _as_timed(file: ModelFile, samples: Sequence[Given], options: LatencyOptions) -> float:
    with quiet_host(options.threads or 1):
        passes = {FILE: each_pass(file.run, samples)}
        ms = interleaved(passes, budget_s=options.budget_s, seed=options.seed, fewest_rounds=options.fewest_rounds)
    return mean_over_samples(ms[FILE])


def _reference(name: str, images: ImageSpec, options: LatencyOptions) -> Prepared:
    image_1CHW = example_image(images, 1, torch.device("cpu"))
    return fastest(reference_network(name, images), image_1CHW, {}, options)


def _why_not(promise: Promise | None) -> str:
    """Why a promise does not compare with what is timed here; "" if it does."""
    if promise is None:
        return "the study measured no latency"
    here = this_machine(torch.device("cpu"), promise.machine.threads, ENGINE)
    return "" if here == promise.machine else f"the promise is of {promise.machine.in_full}"
