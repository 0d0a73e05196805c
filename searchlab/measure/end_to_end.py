"""End-to-end time of the routed network over real samples, compared with the additive model.

Shape suffixes: N samples, C channels, H and W pixels, R rounds, P passes of a block, I pieces of a pass.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from searchlab.engines.engine import Prepared, Run
from searchlab.engines.route import Route
from searchlab.measure.clocks import clock_for
from searchlab.measure.latency import DEFAULT_OPTIONS, REFERENCE, LatencyOptions
from searchlab.measure.passes import Timed, interleaved, quiet_host, timed_pass
from searchlab.measure.quantiles import mean_over_samples, undisturbed_means
from searchlab.measure.routes import Kind, route_passes, segment_latency
from searchlab.record import LatencyCheck, SegmentLatency

_RUN = "the routed network"


def end_to_end_ms(run: Run, samples_NCHW: torch.Tensor, options: LatencyOptions = DEFAULT_OPTIONS) -> float:
    """Returns the expected milliseconds per sample: the mean over the samples of their undisturbed times."""
    with quiet_host(options.threads or torch.get_num_threads()):
        passes = {"run": samples_pass(run, samples_NCHW)}
        ms = interleaved(passes, budget_s=options.budget_s, seed=options.seed, fewest_rounds=options.fewest_rounds)
    return mean_over_samples(ms["run"])


def check_latency(
    own: Prepared,
    run: Run,
    samples_NCHW: torch.Tensor,
    predict: Callable[[SegmentLatency], float],
    options: LatencyOptions = DEFAULT_OPTIONS,
) -> LatencyCheck:
    """Compares the additive model with the routed network; both are interleaved, so that drift cancels.

    `run` routes over what `own` holds; `predict` gives the additive model's milliseconds for these very samples (in
    their exit mix). Batch size 1.
    """
    with quiet_host(options.threads or torch.get_num_threads()):
        passes: dict[Kind, Timed] = {
            _RUN: each_pass(run, taken(own, samples_NCHW)),
            **route_passes(own, clock_for(samples_NCHW.device)),
        }
        ms = interleaved(passes, budget_s=options.budget_s, seed=options.seed, fewest_rounds=options.fewest_rounds)
    routes = {kind: ms_RPI for kind, ms_RPI in ms.items() if isinstance(kind, Route)}
    additive_ms = predict(segment_latency(own, routes))
    return LatencyCheck(additive_ms, end_to_end_ms=mean_over_samples(ms[_RUN]))


def routed_ms(
    run: Run,
    samples: Sequence[Any],
    reference: Prepared,
    reference_ms: float,
    options: LatencyOptions = DEFAULT_OPTIONS,
) -> float:
    """Returns the expected milliseconds per sample, in the unit in which the reference takes `reference_ms`.

    Both are interleaved, so that the result can be compared with a latency in that unit from another time.
    """
    with quiet_host(options.threads or torch.get_num_threads()):
        passes = {_RUN: each_pass(run, samples), REFERENCE: timed_pass(reference.whole())}
        ms = interleaved(passes, budget_s=options.budget_s, seed=options.seed, fewest_rounds=options.fewest_rounds)
    return mean_over_samples(ms[_RUN]) * reference_ms / float(undisturbed_means(ms[REFERENCE])[0])


def images_of(samples_NCHW: torch.Tensor) -> list[torch.Tensor]:
    """The samples one by one, each image_1CHW with memory of its own."""
    return [image_CHW[None].clone() for image_CHW in samples_NCHW]


def taken(own: Prepared, samples_NCHW: torch.Tensor) -> list[Any]:
    """The samples one by one, in the form that the engine takes them."""
    return [own.taken(image_1CHW) for image_1CHW in images_of(samples_NCHW)]


def samples_pass(run: Run, samples_NCHW: torch.Tensor) -> Timed:
    """Runs one pass over all samples, one by one; each is a piece."""
    return each_pass(run, images_of(samples_NCHW))


def each_pass(run: Run, samples: Sequence[Any]) -> Timed:
    """Runs one pass over samples in the form that `run` takes; each is a piece."""

    def timed() -> list[float]:
        pieces_ms = []
        for sample in samples:
            start_ns = time.perf_counter_ns()
            run(sample)
            pieces_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        return pieces_ms

    return timed
