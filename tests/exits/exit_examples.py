"""Small exit tables with their costs, for the tests of this folder."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from searchlab.exits.scores import SCORES
from searchlab.exits.table import ExitTable
from searchlab.record import NetworkCost, SegmentCost, SegmentLatency

Small = st.integers(0, 6)


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
