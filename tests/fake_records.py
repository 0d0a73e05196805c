"""Made-up but plausible records: six-stage ResNets on 360 validation images, one frontier each."""

import math
import random
from dataclasses import replace

from searchlab.architecture import ResNet
from searchlab.candidate import Candidate, Exit, Head
from searchlab.objective import OBJECTIVES
from searchlab.operating_point import Estimate, ExitRule, Frontier, OperatingPoint
from searchlab.record import (
    Epoch,
    LatencyCheck,
    LatencyReport,
    Machine,
    NetworkCost,
    Quantiles,
    Seconds,
    SegmentCost,
    SegmentLatency,
    TrialRecord,
)
from searchlab.study import Study

CPU = Machine("cpu", "AMD EPYC 7763", 2, "", "2.15.0", "3.11.9")
GPU = Machine("cuda", "NVIDIA H200", 2, "570.1", "2.15.0", "3.11.9")
DESCRIPTION = "Handwritten digits of 8x8 pixels under 300 k parameters."
SAMPLES = 360
SCORES = ("margin", "max_softmax", "entropy", "max_logit")


def fake_study(*objectives: str, name: str = "digits", **fields) -> Study:
    names = objectives or ("accuracy", "latency_ms")
    return Study(
        space="limited_resnet",
        data="digits",
        name=name,
        objectives=tuple(OBJECTIVES[o] for o in names),
        **{"description": DESCRIPTION, "max_params": 300_000, "epochs": 30, "trials": 12, **fields},
    )


def fake_point(correct: int, macs: float, params: int, latency_ms: float | None = None, **rule) -> OperatingPoint:
    """A point whose two exits in use share the samples by half."""
    made = ExitRule(**{"score": "margin", "exits": (0, 2), "thresholds": (0.83,), **rule})
    used = len(made.exits)
    left = [SAMPLES // used] * (used - 1)
    shares = [*left, SAMPLES - sum(left)]
    each = [correct * share // SAMPLES for share in shares[:-1]]
    return OperatingPoint(
        rule=made,
        samples=SAMPLES,
        correct=correct,
        shares=tuple(share / SAMPLES for share in shares),
        correct_per_exit=(*each, correct - sum(each)),
        macs=macs,
        params=params,
        latency_ms=latency_ms,
    )


def fake_record(number: int, points=None, *, state: str = "complete", machine: Machine | None = CPU, **fields):
    """A record of a network that grows with `number`; `points` replace its frontier."""
    rng = random.Random(number)
    width = 8 + 4 * (number % 5)
    candidate = Candidate(
        ResNet((1, 2, 2), width), (Exit(1, Head(2)), Exit(3, Head(1, (32,)))), final=Head(dropout=0.1)
    )
    stages = tuple(SegmentCost(f"block {i}" if i else "stem", 90 * width * (i + 1), 9000 * width) for i in range(6))
    heads = tuple(SegmentCost(f"head {i}", 40 * width, 40 * width) for i in range(3))
    cost = NetworkCost(stages, heads, (1, 3, 5))
    if points is None and state == "complete":
        points = _frontier(rng, cost, width, latency=machine is not None)
    trained = state in ("complete", "stopped")
    return TrialRecord(
        number=number,
        state=state,
        candidate=candidate,
        seed=number,
        cost=cost,
        latency=_latency(rng, width, machine) if machine and trained else None,
        curve=tuple(Epoch(e, 2 / (1 + e), 0.1, (0.5, 0.6, 0.7)) for e in range(3)) if trained else (),
        frontier=Frontier("validation", tuple(points)) if points else None,
        seconds=Seconds(1.2, 10.0, 0.4, 11.6 + number),
        epochs=30 if state == "complete" else 9 if trained else 0,
        directory=f"runs/digits/trial-{number:05d}",
        versions={"searchlab": "0.1.0", "torch": "2.15.0", "optuna": "5.0.0", "python": "3.11.9"},
        **fields,
    )


def doubtful(record: TrialRecord) -> TrialRecord:
    """The record with a latency that disagrees with its end-to-end check by 25 %."""
    assert record.latency is not None
    return replace(record, latency=replace(record.latency, check=LatencyCheck(0.5, 0.4)))


def fake_records(complete: int = 9, machine: Machine | None = CPU) -> list[TrialRecord]:
    """`complete` complete trials, then two stopped, one infeasible and one failed."""
    ended = [
        {"state": "stopped", "reason": "rung 9: worse than 67 % of the trials that reached it"},
        {"state": "stopped", "reason": "rung 9: worse than 71 % of the trials that reached it"},
        {"state": "infeasible", "reason": "318 k parameters exceed the cap of 300 k", "excess": {"params": 0.06}},
        {"state": "failed", "reason": "[Errno 28] loss is NaN in epoch 4"},
    ]
    done = [fake_record(number, machine=machine) for number in range(complete)]
    return done + [fake_record(complete + i, machine=machine, **fields) for i, fields in enumerate(ended)]


def _frontier(rng: random.Random, cost: NetworkCost, width: int, latency: bool) -> list[OperatingPoint]:
    top = 0.95 + 0.03 * (width - 8) / 16 + rng.uniform(-0.01, 0.012)
    points = []
    for step in range(30):
        load = 0.18 + 0.82 * step / 29
        correct = round(SAMPLES * top * (1 - 0.35 * math.exp(-7 * (load - 0.18)) + rng.uniform(-0.002, 0)))
        exits = ((0,), (0, 2), (0, 1, 2), (1, 2), (2,))[min(4, step // 6)]
        points.append(
            fake_point(
                min(SAMPLES, correct),
                cost.macs * load,
                sum(part.params for part in cost.stages[: (2, 4, 6)[exits[-1]]]) + 40 * width * len(exits),
                _whole_ms(width) * load if latency else None,
                score=rng.choice(SCORES),
                exits=exits,
                thresholds=tuple(rng.uniform(0.3, 0.99) for _ in exits[1:]),
            )
        )
    return points


def _whole_ms(width: int) -> float:
    return 0.25 + 0.02 * width


def _latency(rng: random.Random, width: int, machine: Machine) -> LatencyReport:
    p50, reference = _whole_ms(width), 0.62 * rng.uniform(0.99, 1.01)
    ratio = p50 / reference
    return LatencyReport(
        machine=machine,
        batch_size=1,
        segments=SegmentLatency((p50 / 7,) * 6, (p50 / 21,) * 3, dict.fromkeys(SCORES, 0.004)),
        whole=Quantiles(p50, p50 * 1.1, p50 * 1.4, p50 * 0.985, p50 * 1.02),
        reference_name="resnet8",
        reference=Quantiles(reference, reference * 1.1, reference * 1.3, reference * 0.99, reference * 1.01),
        ratio=Estimate(ratio, ratio * 0.98, ratio * 1.02),
        check=LatencyCheck(p50 * 0.6, p50 * 0.63),
    )
