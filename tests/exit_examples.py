"""Small exit tables with their costs, for the tests of this folder."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from searchlab.exits.scores import GATE, SCORES
from searchlab.exits.table import ExitTable
from searchlab.record import NetworkCost, SegmentCost, SegmentLatency

Small = st.integers(0, 6)
Example = tuple[ExitTable, NetworkCost, SegmentLatency]


def network_cost(stages: list[int], heads: list[int], cuts: list[int]) -> NetworkCost:
    """MACs as given; parameters another function of them, so that the two do not rank alike."""
    parts = [tuple(SegmentCost(str(i), macs * macs % 7, macs) for i, macs in enumerate(p)) for p in (stages, heads)]
    return NetworkCost(parts[0], parts[1], tuple(cuts))


@st.composite
def tables(draw: Any, most_exits: int = 3, most_samples: int = 8) -> tuple[ExitTable, NetworkCost, SegmentLatency]:
    """A table with many ties, and costs that are small dyadic numbers, so that sums are exact in any order."""
    exits, samples = draw(st.integers(1, most_exits)), draw(st.integers(1, most_samples))
    logits = draw(st.lists(st.integers(-3, 3), min_size=samples * exits * 3, max_size=samples * exits * 3))
    labels = draw(st.lists(st.integers(0, 2), min_size=samples, max_size=samples))
    stages = draw(st.lists(Small, min_size=exits + 1, max_size=exits + 1))
    heads = draw(st.lists(Small, min_size=exits, max_size=exits))
    ms = draw(st.lists(Small, min_size=2 * exits + 2, max_size=2 * exits + 2))
    table = ExitTable(
        np.asarray(logits, dtype=np.float32).reshape(samples, exits, 3), np.asarray(labels, dtype=np.int64)
    )
    latency = SegmentLatency(
        tuple(x / 8 for x in ms[: exits + 1]),
        tuple(x / 8 for x in ms[exits + 1 : -1]),
        dict.fromkeys(SCORES, ms[-1] / 16),
    )
    return table, network_cost(stages, heads, [*range(exits - 1), exits]), latency


def realistic(samples: int, exits: int, seed: int = 0) -> tuple[ExitTable, NetworkCost, SegmentLatency]:
    """Later exits are better; costs are awkward floats."""
    rng = np.random.default_rng(seed)
    labels_N = rng.integers(0, 5, samples)
    logits_NKC = rng.normal(size=(samples, exits, 5)) + rng.normal(size=(samples, 1, 5))
    logits_NKC[np.arange(samples), :, labels_N] += np.linspace(1, 3, exits) + rng.normal(size=(samples, 1))
    table = ExitTable(logits_NKC.astype(np.float32), labels_N.astype(np.int64))
    cost = network_cost(rng.integers(1000, 9999, exits).tolist(), rng.integers(10, 99, exits).tolist(), [*range(exits)])
    latency = SegmentLatency(
        tuple(rng.random(exits).tolist()), tuple((rng.random(exits) / 9).tolist()), dict.fromkeys(SCORES, 0.0137)
    )
    return table, cost, latency


def with_gates(example: Example, gates_NG: Any, macs: list[int], ms: list[float], decision_ms: float) -> Example:
    """The same network with gates. Where a head is far larger, a later exit is cheaper than an earlier one."""
    table, cost, latency = example
    gates = tuple(SegmentCost(f"gate {k}", 1 + each % 3, each) for k, each in enumerate(macs))
    decisions = latency.decision_ms | {GATE: decision_ms}
    return (
        replace(table, gates_NG=np.asarray(gates_NG, dtype=np.float32).reshape(table.samples, table.exits - 1)),
        replace(cost, gates=gates),
        replace(latency, gates_ms=tuple(ms), decision_ms=decisions),
    )


@st.composite
def gated_tables(draw: Any) -> Example:
    """As `tables`, of two exits or more, with gates."""
    table, cost, latency = draw(tables().filter(lambda example: example[0].exits > 1))
    gates = table.exits - 1
    size = table.samples * gates
    gates_NG = draw(st.lists(st.integers(-2, 2), min_size=size, max_size=size))
    macs, ms = (draw(st.lists(Small, min_size=gates, max_size=gates)) for _ in range(2))
    return with_gates((table, cost, latency), gates_NG, macs, [x / 8 for x in ms], draw(Small) / 16)


def realistic_gated(samples: int, exits: int, seed: int = 0) -> Example:
    """As `realistic`; gates open more often where the exit is right, and every second head is as large as a stage."""
    table, cost, latency = realistic(samples, exits, seed)
    rng = np.random.default_rng(seed)
    heads = tuple(replace(head, macs=head.macs * (1, 200)[k % 2]) for k, head in enumerate(cost.heads))
    heads_ms = tuple(ms * (1, 10)[k % 2] for k, ms in enumerate(latency.heads_ms))
    gates_NG = rng.normal(size=(samples, exits - 1)) + table.correct_NK[:, :-1]
    example = (table, replace(cost, heads=heads), replace(latency, heads_ms=heads_ms))
    gates_ms = (rng.random(exits - 1) / 99).tolist()
    return with_gates(example, gates_NG, rng.integers(1, 9, exits - 1).tolist(), gates_ms, 0.0071)
