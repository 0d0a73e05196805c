"""Latency measurement of a network and its parts, interleaved with the reference network.

These functions take no lock: call them inside `isolation.measuring`.

Shape suffixes: N images, C channels, H and W pixels, R rounds, P passes of a block, I pieces of a pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from searchlab.architecture import ImageSpec
from searchlab.measure.cpu_contention import load
from searchlab.measure.device import this_machine
from searchlab.measure.passes import MsRPI, Score, Timed, interleaved, quiet_host, whole_pass
from searchlab.measure.quantiles import mean_over_samples, paired_ratio, quantiles, undisturbed_means
from searchlab.measure.references import reference_network
from searchlab.measure.routes import Kind, Route, mixed_pass, mixed_routes, route_ms, route_passes, segment_latency
from searchlab.measure.segments import Segments, segments_of
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.record import LatencyCheck, LatencyReport, Machine, SegmentLatency

LAYOUT_SHARE = 0.1

WHOLE, MIXED, REFERENCE = "whole", "mixed", "reference"
"""Kinds of passes besides the routes: the network without exits, all routes in turn, and the reference network."""


@dataclass(frozen=True)
class LatencyOptions:
    """Options of a measurement: images per batch, torch's threads (None: the current number), time budget.

    `channels_last` None tries both layouts and takes the faster. `fewest_rounds` are measured even over the budget.
    """

    batch_size: int = 1
    threads: int | None = None
    budget_s: float = 1.5
    seed: int = 0
    channels_last: bool | None = None
    fewest_rounds: int = 5


DEFAULT_OPTIONS = LatencyOptions()


def measure_latency(
    network: EarlyExitNetwork,
    reference: str,
    images: ImageSpec,
    scores: Mapping[str, Score],
    device: torch.device,
    options: LatencyOptions = DEFAULT_OPTIONS,
) -> LatencyReport:
    """Measures the milliseconds per batch of every stage, head, gate and decision, and the ratio to the reference.

    `scores` maps the name of a score to logits_NC -> score_N, and "gate" (for networks with gates alone) to
    gate_N1 -> score_N. Costs that occur once per sample (the call, finding the class) are counted with the
    first stage.

    Raises:
        UserError: the reference is unknown.
    """
    threads = options.threads or torch.get_num_threads()
    image_NCHW = example_image(images, options.batch_size, device)
    with quiet_host(threads):
        own = prepared(network, image_NCHW, options)
        other = prepared(reference_network(reference, images), image_NCHW, options)
        passes: dict[Kind, Timed] = {
            WHOLE: whole_pass(own.whole, image_NCHW),
            MIXED: mixed_pass(own, image_NCHW, scores),
            REFERENCE: whole_pass(other.whole, image_NCHW),
            **route_passes(own, image_NCHW, scores),
        }
        with load(threads) as met:
            ms = interleaved(
                passes,
                budget_s=options.budget_s,
                seed=options.seed,
                fewest_rounds=options.fewest_rounds,
                between=REFERENCE,
            )
    found = _report(own, ms, this_machine(device, threads), reference, options)
    return replace(found, mixed=_mixed(own, ms, found.segments, list(scores)), waited=met.waited)


def _mixed(own: Segments, ms: dict[Kind, MsRPI], prices: SegmentLatency, scores: list[str]) -> LatencyCheck:
    """Compares the additive model with samples that leave at every exit in turn."""
    additive_ms = [route_ms(own, prices, route) for route in mixed_routes(len(own.cuts), scores)]
    return LatencyCheck(float(np.mean(additive_ms)), _to_median(ms) * mean_over_samples(ms[MIXED]))


def _report(
    own: Segments, ms: dict[Kind, MsRPI], machine: Machine, reference: str, options: LatencyOptions
) -> LatencyReport:
    whole_RP, reference_RP = ms[WHOLE][..., 0], ms[REFERENCE][..., 0]
    routes = {kind: ms_RPI for kind, ms_RPI in ms.items() if isinstance(kind, Route)}
    reference_ms = quantiles(reference_RP, options.seed)
    return LatencyReport(
        machine=machine,
        batch_size=options.batch_size,
        segments=segment_latency(own, routes, _to_median(ms)),
        whole=quantiles(whole_RP, options.seed),
        reference_name=reference,
        reference=reference_ms,
        ratio=paired_ratio(whole_RP, reference_RP, options.seed),
    )


def _to_median(ms: dict[Kind, MsRPI]) -> float:
    """Returns the factor from means of undisturbed passes (pieces) to medians (totals), from the reference."""
    return float(np.median(ms[REFERENCE])) / float(undisturbed_means(ms[REFERENCE])[0])


def example_image(images: ImageSpec, batch_size: int, device: torch.device) -> torch.Tensor:
    """Makes image_NCHW of normal noise with a fixed seed: convolutions take as long as for a real image."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, images.channels, images.height, images.width)
    return torch.randn(shape, generator=generator).to(device)


def prepared(
    network: EarlyExitNetwork, image_NCHW: torch.Tensor, options: LatencyOptions = DEFAULT_OPTIONS
) -> Segments:
    """Prepares the network for measurement and deployment: on the image's device, in the faster layout."""
    if options.channels_last is not None:
        return segments_of(network, image_NCHW, channels_last=options.channels_last)
    both = {last: segments_of(network, image_NCHW, channels_last=last) for last in (False, True)}
    passes = {last: whole_pass(segments.whole, image_NCHW) for last, segments in both.items()}
    ms = interleaved(passes, budget_s=LAYOUT_SHARE * options.budget_s, seed=options.seed, fewest_rounds=3)
    return both[bool(np.median(ms[True]) < np.median(ms[False]))]
