"""Latency measurement of a network and its parts, interleaved with the reference network.

These functions take no lock: call them inside `isolation.measuring`.

Shape suffixes: N images, C channels, H and W pixels, R rounds, P passes of a block, I pieces of a pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from searchlab.architecture import ImageSpec
from searchlab.engines.catalog import ENGINES, IN_PIECES, engine_named
from searchlab.engines.engine import EngineOptions, Pass, Prepared, Score
from searchlab.engines.prepared_segments import PreparedSegments
from searchlab.engines.route import Route
from searchlab.engines.segments import Segments
from searchlab.measure.clocks import Clock, clock_for
from searchlab.measure.cpu_contention import load
from searchlab.measure.device import this_machine
from searchlab.measure.passes import MsRPI, Timed, interleaved, quiet_host, timed_pass
from searchlab.measure.quantiles import mean_over_samples, paired_ratio, quantiles, undisturbed_means
from searchlab.measure.references import reference_network
from searchlab.measure.routes import Kind, mixed_pass, route_passes, segment_latency
from searchlab.model.early_exit import EarlyExitNetwork
from searchlab.record import LatencyCheck, LatencyReport, Machine, SegmentLatency
from searchlab.study import AUTO_ENGINE

LAYOUT_SHARE = 0.1

WHOLE, MIXED, REFERENCE = "whole", "mixed", "reference"
"""Kinds of passes besides the routes: the network without exits, all routes in turn, and the reference network."""


@dataclass(frozen=True)
class LatencyOptions:
    """Options of a measurement: engine, images per batch, threads (None: the engine's choice), time budget.

    `engine` "auto" is the default one of the device. `channels_last` None tries both layouts, where the engine has
    them, and takes the faster. `fewest_rounds` are measured even over the budget. `mean` and `std` are those of the
    data, needed only where images are real.
    """

    batch_size: int = 1
    threads: int | None = None
    budget_s: float = 1.5
    seed: int = 0
    channels_last: bool | None = None
    fewest_rounds: int = 5
    engine: str = AUTO_ENGINE
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


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
        UserError: there is no such reference or engine, or the engine cannot run the network.
    """
    engine, device = engine_named(options.engine, device)
    threads = options.threads or ENGINES[engine].threads()
    options = replace(options, engine=engine, threads=threads)
    image_NCHW = example_image(images, options.batch_size, device)
    with quiet_host(threads):
        own = fastest(network, image_NCHW, scores, options)
        other = fastest(reference_network(reference, images), image_NCHW, {}, options)
        mixed = own.mixed()
        passes = _passes(own, other, mixed, clock_for(device))
        with load(threads) as met:
            ms = interleaved(
                passes,
                budget_s=options.budget_s,
                seed=options.seed,
                fewest_rounds=options.fewest_rounds,
                between=REFERENCE,
            )
    found = _report(own, ms, this_machine(device, threads, engine), reference, options)
    return replace(found, mixed=_mixed(own, ms, found.segments, [route for route, _ in mixed]), waited=met.waited)


def _passes(own: Prepared, other: Prepared, mixed: Sequence[tuple[Route, Pass]], clock: Clock) -> dict[Kind, Timed]:
    return {
        WHOLE: timed_pass(own.whole()),
        MIXED: mixed_pass(mixed, clock),
        REFERENCE: timed_pass(other.whole()),
        **route_passes(own, clock),
    }


def _mixed(own: Prepared, ms: dict[Kind, MsRPI], prices: SegmentLatency, routes: list[Route]) -> LatencyCheck:
    """Compares the additive model with samples that leave at different exits."""
    additive_ms = [own.priced(prices, route) for route in routes]
    return LatencyCheck(float(np.mean(additive_ms)), _to_median(ms) * mean_over_samples(ms[MIXED]))


def _report(
    own: Prepared, ms: dict[Kind, MsRPI], machine: Machine, reference: str, options: LatencyOptions
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


def fastest(
    network: EarlyExitNetwork,
    image_NCHW: torch.Tensor,
    scores: Mapping[str, Score],
    options: LatencyOptions = DEFAULT_OPTIONS,
) -> Prepared:
    """Prepares the network in an engine, on the image's device, in the fastest of the engine's ways to run it.

    Raises:
        UserError: there is no such engine, its package is missing, or it cannot run the network.
    """
    engine, _ = engine_named(options.engine, image_NCHW.device)
    threads = options.threads or ENGINES[engine].threads()
    every = ENGINES[engine].variants(
        network, image_NCHW, scores, EngineOptions(threads, options.channels_last, options.mean, options.std)
    )
    if len(every) == 1:
        return every[0]
    passes = {place: timed_pass(variant.whole()) for place, variant in enumerate(every)}
    ms = interleaved(passes, budget_s=LAYOUT_SHARE * options.budget_s, seed=options.seed, fewest_rounds=3)
    return every[min(passes, key=lambda place: float(np.median(ms[place])))]


def prepared(
    network: EarlyExitNetwork, image_NCHW: torch.Tensor, options: LatencyOptions = DEFAULT_OPTIONS
) -> Segments:
    """Prepares the network in pieces, in PyTorch on the image's device, in the faster layout; captured on a GPU."""
    found = fastest(network, image_NCHW, {}, replace(options, engine=IN_PIECES[image_NCHW.device.type]))
    assert isinstance(found, PreparedSegments)
    return found.segments
