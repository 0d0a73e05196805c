"""What ships against what the front promised: the exported file, the same backbone's plain file, and eager PyTorch.

A digits and a CIFAR-10 study are searched, one thread, in a temporary folder. For the knee of each, the file's mean
latency over real test images is compared with the promise (bar: within 10 %). Of all rules with several exits, within
two points of their network's best accuracy, the one that saves most MACs is timed: its file, beside the plain file of
the backbone and beside the eager runtime at the same exits, over validation images. Bars: the share of time that
leaving early saves is at least 0.8 of the share of MACs that it saves, and the file is at least 3 times as fast as the
eager runtime. The same is done for larger networks with random weights and noise, half of which leaves at every exit.

CIFAR-10 is left out where `--data` does not hold it.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from common import Bar, arguments, report

import searchlab
from searchlab.architecture import ImageSpec, ResNet
from searchlab.artefacts import load_network
from searchlab.candidate import Candidate, Exit
from searchlab.data.batches import Normaliser
from searchlab.data.datasets import load
from searchlab.data.splits import Dataset
from searchlab.deploy.bundle.card import read_card
from searchlab.deploy.bundle.latency import file_latency
from searchlab.deploy.bundle.model_file import ModelFile
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.engines.onnx_graph import Pixels, nested_model, pieces_of, prefix_model
from searchlab.exits.costs import exit_cost_macs
from searchlab.exits.evaluate import scores_of
from searchlab.exits.table import ExitTable
from searchlab.measure.device import this_machine
from searchlab.measure.end_to_end import each_pass, images_of
from searchlab.measure.isolation import measuring
from searchlab.measure.passes import interleaved, quiet_host
from searchlab.measure.quantiles import mean_over_samples
from searchlab.model.cost import network_cost
from searchlab.model.early_exit import EarlyExitNetwork, build
from searchlab.operating_point import ExitRule
from searchlab.record import DataFacts, NetworkCost, TrialRecord
from searchlab.search.launch import load_data
from searchlab.study import RunOptions

Figures = dict[str, float]

THREADS, IMAGES, NEAR = 1, 100, 0.02
ENOUGH = 0.1
"""Least share of MACs that a rule saves for a ratio; where none saves so much, there is nothing to compare."""

CIFAR = ImageSpec(3, 32, 32, 10)
UNTRAINED = tuple(
    Candidate(ResNet(blocks, width), tuple(Exit(cut) for cut in cuts))
    for blocks, width, cuts in (((2, 2, 2), 16, (2, 4)), ((3, 3, 3), 16, (3, 6)), ((3, 3, 3), 32, (3, 6)))
)
"""Larger networks, as initialised: latency does not depend on weights."""

QUICK: dict[str, dict[str, Any]] = {
    "digits": {"trials": 2, "epochs": 6},
    "cifar10_small": {"trials": 1, "epochs": 1, "max_images": 2_000, "max_macs": 6_000_000, "min_accuracy": 0.0},
}
WHOLE: dict[str, dict[str, Any]] = {
    "digits": {"trials": 8},
    "cifar10_small": {"trials": 2, "epochs": 4, "min_accuracy": 0.0},
}
"""Studies, and what is changed in them for a run of a minute, or of some."""


def promised(results: searchlab.Results, dataset: Dataset, folder: Path, budget_s: float) -> Figures:
    """The file of the knee against its card."""
    results.export(folder, "knee")
    card = read_card(folder)
    found = file_latency(folder, card, dataset, budget_s=budget_s)
    if found.promised_ms is None or found.error is None:
        raise SystemExit(f"the promise does not compare: {found.why_not}")
    return {"promised ms": found.promised_ms, "file ms": found.ms, "error": found.error}


def saves_most(results: searchlab.Results) -> tuple[TrialRecord, ExitRule]:
    """The rule that saves most MACs of its backbone, with several exits in use, near its network's best accuracy."""
    found = []
    for record in results.records:
        points = record.frontier.points if record.frontier else ()
        best = max((point.accuracy for point in points), default=0.0)
        found += [
            (plain_macs(record.cost) - point.macs, record.number, place, record, point.rule)
            for place, point in enumerate(points)
            if record.cost and len(point.rule.exits) > 1 and point.accuracy >= best - NEAR
        ]
    if not found:
        raise SystemExit("no trial has a rule with several exits near its best accuracy: search longer")
    return max(found)[3:]


def plain_macs(cost: NetworkCost) -> int:
    """MACs of the backbone: all stages and the final head."""
    return sum(stage.macs for stage in cost.stages) + cost.heads[-1].macs


@dataclass(frozen=True)
class Case:
    """A network under a rule, and images that leave in a real mix."""

    network: EarlyExitNetwork
    cost: NetworkCost
    rule: ExitRule
    data: DataFacts
    pixels_NCHW: torch.Tensor


def searched(results: searchlab.Results, dataset: Dataset) -> Case:
    """The rule of a study that saves most, over validation images."""
    record, rule = saves_most(results)
    assert record.cost is not None
    network = load_network(Path(record.directory), record.candidate, dataset.spec)
    chosen_N = torch.linspace(0, len(dataset.validation) - 1, IMAGES).long()
    return Case(network, record.cost, rule, dataset.facts, dataset.validation.images(chosen_N))


def untrained(candidate: Candidate) -> Case:
    """A network as initialised: half of the noise images that reach an exit leave there."""
    torch.manual_seed(0)
    network, data = build(candidate, CIFAR), DataFacts(images=CIFAR, mean=(0.5,) * 3, std=(0.25,) * 3)
    pixels_NCHW = torch.randint(256, (IMAGES, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        logits_NKC = network.eval()(Normaliser(torch.tensor(data.mean), torch.tensor(data.std))(pixels_NCHW))
    table = ExitTable(logits_NKC.numpy(), np.zeros(IMAGES, dtype=np.int64))
    score_NK, here_N, thresholds = scores_of(table, "max_softmax"), np.ones(IMAGES, dtype=bool), []
    for exit in range(table.exits - 1):
        thresholds.append(float(np.median(score_NK[here_N, exit])))
        here_N &= score_NK[:, exit] < thresholds[-1]
    rule = ExitRule("max_softmax", tuple(range(table.exits)), tuple(thresholds))
    return Case(network, network_cost(candidate, CIFAR), rule, data, pixels_NCHW)


def beside(case: Case, budget_s: float) -> Figures:
    """The file of the rule, beside the plain file and the eager runtime, over the same images."""
    network, rule, images = case.network, case.rule, case.data.images
    assert images is not None
    pieces, pixels = pieces_of(network, images), Pixels(case.data.mean, case.data.std)
    file = ModelFile(nested_model(pieces, rule, pixels=pixels), THREADS)
    plain = ModelFile(prefix_model(pieces, len(pieces.heads) - 1, pixels=pixels), THREADS)
    samples = [np.ascontiguousarray(image_1CHW.numpy()) for image_1CHW in images_of(case.pixels_NCHW)]
    normaliser = Normaliser(torch.tensor(case.data.mean), torch.tensor(case.data.std))
    eager = EarlyExitRuntime(network, rule)
    with measuring(), quiet_host(THREADS):
        passes = {
            "file": each_pass(file.run, samples),
            "plain": each_pass(plain.run, samples),
            "eager": each_pass(eager.classify, images_of(normaliser(case.pixels_NCHW))),
        }
        timed = interleaved(passes, budget_s=budget_s, seed=0, fewest_rounds=5)
    ms = {name: mean_over_samples(ms_RPI) for name, ms_RPI in timed.items()}
    macs_of = dict(zip(rule.exits, exit_cost_macs(case.cost, rule.exits, rule.score), strict=True))
    macs = float(np.mean([macs_of[file.run(sample)[1]] for sample in samples]))
    saved_macs, saved_ms = 1 - macs / plain_macs(case.cost), 1 - ms["file"] / ms["plain"]
    return {
        **{f"{name} ms, {len(rule.exits)} exits": value for name, value in ms.items()},
        "share of MACs saved": saved_macs,
        "share of time saved": saved_ms,
        **({"time saved over MACs saved": saved_ms / saved_macs} if saved_macs >= ENOUGH else {}),
        "times as fast as eager": ms["eager"] / ms["file"],
    }


def main() -> None:
    given = arguments(__doc__ or "")
    torch.set_num_threads(THREADS)
    studies, budget_s = (QUICK, 1.5) if given.quick else (WHOLE, 6.0)
    figures: Figures = {}
    for name, fields in studies.items():
        data = "digits" if name == "digits" else "cifar10"
        try:
            dataset = load(data, given.data)
        except searchlab.UserError as error:
            print(f"{name} is left out: {error}")
            continue
        with TemporaryDirectory() as folder:
            more = {} if data == "digits" else {"data": given.data}
            results = searchlab.run(
                name, output=Path(folder) / "runs", threads=THREADS, device="cpu", progress=False, **more, **fields
            )
            if "max_images" in fields:
                dataset = results_data(results, given.data)
            found = promised(results, dataset, Path(folder) / "knee", budget_s)
            found |= beside(searched(results, dataset), 2 * budget_s)
        figures |= {f"{data}: {key}": value for key, value in found.items()}
        print(*(f"{data}: {key} {value:.4g}" for key, value in found.items()), sep="\n", flush=True)
    for candidate in UNTRAINED:
        found = beside(untrained(candidate), budget_s)
        figures |= {f"{candidate.architecture.described}: {key}": value for key, value in found.items()}
    bars: dict[str, Bar] = {
        "worst error of the promise": (worst(figures, "error"), 0.10, "max"),
        "least time saved over MACs saved": (least(figures, "time saved over MACs saved"), 0.8, "min"),
        "least times as fast as eager": (least(figures, "times as fast as eager"), 3.0, "min"),
    }
    report("deploy", figures, bars, where=this_machine(torch.device("cpu"), THREADS, "onnxruntime").label)


def results_data(results: searchlab.Results, root: Path) -> Dataset:
    """The images of a study, reduced as the study reduces them."""
    return load_data(results.study, RunOptions(data_root=root))


def worst(figures: Figures, name: str) -> float:
    return max(abs(value) for key, value in figures.items() if key.endswith(f": {name}"))


def least(figures: Figures, name: str) -> float | None:
    return min((value for key, value in figures.items() if key.endswith(f": {name}")), default=None)


if __name__ == "__main__":
    main()
