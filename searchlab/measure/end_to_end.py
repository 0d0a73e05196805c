"""End-to-end time of the routed network over real samples, compared with the additive model.

Shape suffixes: N samples, C channels, H and W pixels, R rounds, P passes of a block.
"""

import time
from collections.abc import Callable, Mapping

import torch

from searchlab.measure.latency import DEFAULT_OPTIONS, REFERENCE, LatencyOptions
from searchlab.measure.passes import Score, Timed, interleaved, quiet_host, whole_pass
from searchlab.measure.quantiles import mean_over_samples, undisturbed_means
from searchlab.measure.routes import Kind, Route, route_passes, segment_latency
from searchlab.measure.segments import Segments
from searchlab.record import LatencyCheck, SegmentLatency

Run = Callable[[torch.Tensor], object]
"""Function from image_1CHW to a result on the host, like `EarlyExitRuntime.classify`; no work is pending after it."""

_RUN = "the routed network"


def run_without_exits(segments: Segments) -> Run:
    """Returns a function from image_1CHW to the class by the final head."""

    def run(image_1CHW: torch.Tensor) -> int:
        with torch.inference_mode():
            return int(segments.whole(image_1CHW).argmax(dim=1).item())

    return run


def end_to_end_ms(run: Run, samples_NCHW: torch.Tensor, options: LatencyOptions = DEFAULT_OPTIONS) -> float:
    """Returns the expected milliseconds per sample: the mean over the samples of their undisturbed times."""
    with quiet_host(options.threads or torch.get_num_threads()):
        passes = {"run": samples_pass(run, samples_NCHW)}
        ms = interleaved(passes, budget_s=options.budget_s, seed=options.seed, fewest_rounds=options.fewest_rounds)
    return mean_over_samples(ms["run"])


def check_latency(
    segments: Segments,
    run: Run,
    samples_NCHW: torch.Tensor,
    predict: Callable[[SegmentLatency], float],
    scores: Mapping[str, Score],
    options: LatencyOptions = DEFAULT_OPTIONS,
) -> LatencyCheck:
    """Compares the additive model with the routed network; both are interleaved, so that drift cancels.

    `run` routes over the same `segments`. `predict` returns the additive model's milliseconds for the same samples, in
    their exit mix, and needs the decisions by `scores`, usually one. Batch size 1.
    """
    image_1CHW = samples_NCHW[:1].clone()
    with quiet_host(options.threads or torch.get_num_threads()):
        passes: dict[Kind, Timed] = {
            _RUN: samples_pass(run, samples_NCHW),
            **route_passes(segments, image_1CHW, scores),
        }
        ms = interleaved(passes, budget_s=options.budget_s, seed=options.seed, fewest_rounds=options.fewest_rounds)
    routes = {kind: ms_RPI for kind, ms_RPI in ms.items() if isinstance(kind, Route)}
    additive_ms = predict(segment_latency(segments, routes))
    return LatencyCheck(additive_ms, end_to_end_ms=mean_over_samples(ms[_RUN]))


def routed_ms(
    run: Run,
    samples_NCHW: torch.Tensor,
    reference: Segments,
    reference_ms: float,
    options: LatencyOptions = DEFAULT_OPTIONS,
) -> float:
    """Returns the expected milliseconds per sample, in the unit in which the reference takes `reference_ms`.

    Both are interleaved, so that the result can be compared with a latency in that unit from another time.
    """
    with quiet_host(options.threads or torch.get_num_threads()):
        passes = {
            _RUN: samples_pass(run, samples_NCHW),
            REFERENCE: whole_pass(reference.whole, samples_NCHW[:1].clone()),
        }
        ms = interleaved(passes, budget_s=options.budget_s, seed=options.seed, fewest_rounds=options.fewest_rounds)
    return mean_over_samples(ms[_RUN]) * reference_ms / float(undisturbed_means(ms[REFERENCE])[0])


def samples_pass(run: Run, samples_NCHW: torch.Tensor) -> Timed:
    """Runs one pass over all samples, one by one; each is a piece."""
    samples = [image_CHW[None].clone() for image_CHW in samples_NCHW]

    def timed() -> list[float]:
        pieces_ms = []
        for image_1CHW in samples:
            start_ns = time.perf_counter_ns()
            run(image_1CHW)
            pieces_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        return pieces_ms

    return timed
