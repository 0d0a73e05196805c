"""Accuracy of latency measurements: a reference against itself, and the additive model against the routed network.

Bars: the ratio of a network to itself is 1.00 ± 0.03; the additive model is within 10 % of the end-to-end time on a
CPU, 5 % on a GPU. Samples are noise, weights are as initialised, thresholds are quantiles of the samples' own scores:
a given share of those who come leaves at every exit but the last. Where all leave at the first, what the caches hold
differs most from what a whole pass leaves there.

Measurements during CPU contention are repeated after pauses. If contention persists, they are printed with a ~ and are
not used: a bar that needs them is not reached.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

import numpy as np
import torch
from common import Bar, arguments, report

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Gate, Head
from searchlab.deploy.scores import SCORE_FUNCTIONS, score_functions
from searchlab.engines.catalog import ENGINES, engine_named
from searchlab.exits.costs import exit_cost_ms
from searchlab.exits.evaluate import scores_of
from searchlab.exits.scores import GATE
from searchlab.exits.table import ExitTable
from searchlab.measure.cpu_contention import load
from searchlab.measure.device import resolve_device, this_machine
from searchlab.measure.end_to_end import check_latency, taken
from searchlab.measure.isolation import measuring
from searchlab.measure.latency import LatencyOptions, fastest, measure_latency
from searchlab.measure.references import REFERENCES
from searchlab.measure.remeasure import PAUSES_S
from searchlab.model.cost import network_cost
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.model.heads import LearnedGate
from searchlab.operating_point import ExitRule
from searchlab.record import WAITED, LatencyCheck, LatencyReport

T = TypeVar("T")

DIGITS = ImageSpec(1, 8, 8, 10)
CIFAR = ImageSpec(3, 32, 32, 10)
CASES = {
    "digits, 2 exits": (Candidate(ResNet((1, 1, 1), 16), (Exit(1),)), DIGITS, "margin"),
    "digits, 4 exits": (Candidate(ResNet((2, 2, 2), 12), (Exit(0), Exit(2), Exit(4))), DIGITS, "entropy"),
    "cifar, 3 exits": (Candidate(ResNet((2, 2, 2), 16), (Exit(2), Exit(4))), CIFAR, "max_softmax"),
    "cifar, wide heads": (
        Candidate(ResNet((1, 2, 2), 32), (Exit(1, Head(4, (128,))), Exit(3, Head(2, (128,))))),
        CIFAR,
        "max_logit",
    ),
    "cifar, gates, wide heads": (
        Candidate(ResNet((1, 2, 2), 32), tuple(Exit(cut, Head(2, (128,)), gate=Gate()) for cut in (1, 3))),
        CIFAR,
        GATE,
    ),
}
"""A candidate, its images and the score that decides."""

SELF = ("resnet8", "resnet20")

THIRD, ALL = 1 / 3, 1.0
CHECKS = (*((name, THIRD) for name in CASES), ("cifar, wide heads", ALL), ("cifar, gates, wide heads", ALL))
"""Every case, and the share of the samples that leave at each exit but the last."""


def rule_for(network: EarlyExitNetwork, samples_NCHW: torch.Tensor, score: str, share: float) -> ExitRule:
    """Every exit in use, and at each but the last a threshold that about this share of all samples reach."""
    with torch.inference_mode():
        maps = network.eval().maps(samples_NCHW)
        gates_NG = network.gate_logits(maps).cpu().numpy() if len(network.gates) else None
        table = ExitTable(network.logits(maps).cpu().numpy(), np.zeros(len(samples_NCHW), dtype=np.int64), gates_NG)
    thresholds = np.quantile(scores_of(table, score)[:, :-1], 1 - share, axis=0)
    return ExitRule(score, tuple(range(table.exits)), tuple(float(t) for t in thresholds))


def _telling_apart(network: EarlyExitNetwork) -> EarlyExitNetwork:
    """The network with gates that answer each sample differently: as initialised, they answer all alike."""
    for gate in network.gates:
        torch.nn.init.normal_(cast(LearnedGate, gate).unit.linear.weight)
    return network


def check(name: str, share: float, device: torch.device, options: LatencyOptions) -> tuple[LatencyCheck, str]:
    """The check of one case, and its shares per exit."""
    samples = 32
    candidate, images, score = CASES[name]
    torch.manual_seed(0)
    network = _telling_apart(build(candidate, images)).to(device)
    samples_NCHW = torch.randn(samples, images.channels, images.height, images.width, device=device)
    rule = rule_for(network, samples_NCHW, score, share)
    with measuring():
        own = fastest(network, samples_NCHW[:1], score_functions([score]), options)
        run = own.routed(rule)
        exits = [cast(tuple[int, int], run(sample))[1] for sample in taken(own, samples_NCHW)]
        cost = network_cost(candidate, images)
        found = check_latency(
            own,
            run,
            samples_NCHW,
            lambda latency: float(exit_cost_ms(cost, latency, rule.exits, score)[exits].mean()),
            options,
        )
    return found, " ".join(f"{exits.count(exit) / samples:.0%}" for exit in rule.exits)


def self_ratio(reference: str, device: torch.device, options: LatencyOptions) -> LatencyReport:
    """The reference measured as a candidate, beside itself."""
    with measuring():
        return measure_latency(build(REFERENCES[reference], CIFAR), reference, CIFAR, SCORE_FUNCTIONS, device, options)


def quietest(measured: Callable[[], T], threads: int, pauses_s: Sequence[float]) -> tuple[T, float]:
    """Returns the measurement with the least CPU contention of a few attempts, and its share of waiting."""
    found: list[tuple[T, float]] = []
    for pause_s in (0.0, *pauses_s):
        time.sleep(pause_s)
        with load(threads) as met:
            result = measured()
        found.append((result, met.waited))
        if met.waited <= WAITED:
            break
    return min(found, key=lambda each: each[1])


def row(name: str, values: str, waited: float) -> bool:
    """Prints a row, marked where the machine was busy; whether it is a figure."""
    busy = waited > WAITED
    why = f"  in doubt: it waited for a core for {waited:.0%} of its time" if busy else ""
    print(f"{'~ ' if busy else ''}{name}".ljust(40) + values + why, flush=True)
    return not busy


def main() -> None:
    given = arguments(__doc__ or "")
    engine, device = engine_named(given.engine, resolve_device("auto"))
    threads = ENGINES[engine].threads()
    options = LatencyOptions(budget_s=2.0 if given.quick else 10.0, engine=engine, threads=threads)
    print(f"{'against itself':40}{'own ms':>10} {'again ms':>10} {'ratio':>8}  95 % interval")
    figures: dict[str, float] = {}
    self_errors: list[float] = []
    pauses_s: Sequence[float] = PAUSES_S
    additive_errors: list[float] = []
    for name in SELF:
        own, waited = quietest(partial(self_ratio, name, device, options), threads, pauses_s)
        values = f"{own.whole.p50:10.3f} {own.reference.p50:10.3f} {own.ratio.value:8.3f}"
        if row(name, f"{values}  [{own.ratio.low:.3f}, {own.ratio.high:.3f}]", waited):
            figures[f"ratio of {name} to itself"] = own.ratio.value
            self_errors.append(abs(own.ratio.value - 1))
        else:
            # The machine stays busy: further repetitions would not help.
            pauses_s = ()
    print(f"{'additive model':40}{'additive':>10} {'end to end':>10} {'error':>8}  share per exit")
    longer = replace(options, budget_s=2 * options.budget_s)
    for case, share in CHECKS:
        name = f"{case}, all at once" if share == ALL else case
        (found, shares), waited = quietest(partial(check, case, share, device, longer), threads, pauses_s)
        if row(name, f"{found.additive_ms:10.3f} {found.end_to_end_ms:10.3f} {found.error:+8.1%}  {shares}", waited):
            figures[f"additive error, {name}"] = found.error
            additive_errors.append(abs(found.error))
        else:
            pauses_s = ()
    whole = len(figures) == len(CHECKS) + len(SELF)
    bars: dict[str, Bar] = {
        "worst difference of a reference from itself": (max(self_errors) if whole else None, 0.03, "max"),
        "worst additive error": (
            max(additive_errors) if whole else None,
            0.10 if device.type == "cpu" else 0.05,
            "max",
        ),
    }
    report("latency", figures, bars, where=this_machine(device, threads, engine).label)


if __name__ == "__main__":
    main()
