"""The parts of a network, what each costs, and which of them an exit rule uses."""

from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.exits.scores import GATE
from searchlab.operating_point import ExitRule
from searchlab.record import SegmentCost, TrialRecord


@dataclass(frozen=True)
class Part:
    """A stage, head, gate or decision with its costs; None where one is unknown. `times` is how often it runs."""

    name: str
    place: str
    params: int | None
    macs: int | None
    latency_ms: float | None
    used: bool = True
    times: int = 1


def parts_of(record: TrialRecord, rule: ExitRule | None = None) -> list[Part]:
    """Every part of a trial's network, with a rule its decisions too; without a rule all parts are in use."""
    cost, latency = record.cost, record.latency
    if cost is None:
        return []
    exits = rule.exits if rule else tuple(range(len(cost.heads)))
    gated = rule is None or rule.score == GATE
    stages_ms = latency.segments.stages_ms if latency else ()
    heads_ms, gates_ms = (latency.segments.heads_ms, latency.segments.gates_ms) if latency else ((), ())
    after = [f"after stage {cut}" for cut in cost.cuts]
    used = [stage <= cost.cuts[exits[-1]] for stage in range(len(cost.stages))]
    parts = _named(cost.stages, stages_ms, [f"stage {stage}" for stage in range(len(cost.stages))], used)
    parts += _named(cost.heads, heads_ms, after, [head in exits for head in range(len(cost.heads))])
    parts += _named(cost.gates, gates_ms, after, [gated and gate in exits[:-1] for gate in range(len(cost.gates))])
    return parts + _decisions(record, rule)


def _named(
    costs: Sequence[SegmentCost], latencies_ms: Sequence[float], places: Sequence[str], used: Sequence[bool]
) -> list[Part]:
    known_ms = [*latencies_ms, *[None] * len(costs)]
    return [Part(cost.name, places[i], cost.params, cost.macs, known_ms[i], used[i]) for i, cost in enumerate(costs)]


def _decisions(record: TrialRecord, rule: ExitRule | None) -> list[Part]:
    if rule is None or record.latency is None or not rule.thresholds:
        return []
    decision_ms = record.latency.segments.decision_ms
    if rule.score not in decision_ms:
        return []
    return [Part(f"decision by {rule.score}", "", None, None, decision_ms[rule.score], times=len(rule.thresholds))]
