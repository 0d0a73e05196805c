from dataclasses import replace

import numpy as np
from exit_examples import gated_tables, network_cost, tables
from hypothesis import given
from raises import raises_code

from searchlab.exits.costs import deployed_params, exit_cost_macs, exit_cost_ms, total_cost
from searchlab.exits.scores import GATE, SCORES
from searchlab.record import NetworkCost, SegmentCost, SegmentLatency

COST = NetworkCost(
    tuple(SegmentCost(f"stage {i}", params, macs) for i, (params, macs) in enumerate([(1, 100), (2, 200), (4, 400)])),
    tuple(SegmentCost(f"head {i}", params, macs) for i, (params, macs) in enumerate([(10, 7), (20, 8), (40, 9)])),
    (0, 1, 2),
)
LATENCY = SegmentLatency((1.0, 2.0, 4.0), (0.25, 0.5, 0.125), {"margin": 0.0625})


def test_a_sample_pays_for_every_used_head_it_passed():
    assert exit_cost_macs(COST, (0, 1, 2), "margin").tolist() == [107, 315, 724]
    assert exit_cost_macs(COST, (1, 2), "margin").tolist() == [308, 717]
    assert exit_cost_macs(COST, (1,), "margin").tolist() == [308]


def test_a_decision_is_taken_at_every_used_exit_but_the_last():
    assert exit_cost_ms(COST, LATENCY, (0, 1, 2), "margin").tolist() == [1.3125, 3.875, 8.0]
    assert exit_cost_ms(COST, LATENCY, (0, 2), "margin").tolist() == [1.3125, 7.4375]
    assert exit_cost_ms(COST, LATENCY, (2,), "margin").tolist() == [7.125]


def test_a_score_without_measured_decision_is_named():
    with raises_code("unknown-score", where="measured decision latencies", value="entropy"):
        exit_cost_ms(COST, LATENCY, (0, 2), "entropy")


def test_deployed_params_are_those_up_to_the_last_used_exit():
    assert deployed_params(COST, (0, 1, 2), "margin") == 77 == COST.params
    assert deployed_params(COST, (0, 1), "margin") == 33
    assert deployed_params(COST, (2,), "margin") == 47


@given(tables())
def test_total_cost_is_the_sum_over_samples(example):
    table, cost, _ = example
    exits = tuple(range(table.exits))
    taken = np.random.default_rng(table.samples).integers(0, table.exits, table.samples)
    stayed = [int((taken > k).sum()) for k in exits[:-1]]
    per_exit = exit_cost_macs(cost, exits, "margin")
    assert total_cost(per_exit, table.samples, stayed) == sum(per_exit[k] for k in taken)


def test_exits_may_share_no_stage_with_their_number():
    cost = network_cost([1, 2, 3, 4, 5], [0, 0], [1, 4])
    assert exit_cost_macs(cost, (0, 1), "margin").tolist() == [3, 15]


GATED = replace(COST, gates=(SegmentCost("gate 0", 100, 1), SegmentCost("gate 1", 200, 2)))
GATED_MS = replace(LATENCY, gates_ms=(0.03125, 0.015625), decision_ms={"margin": 0.0625, GATE: 0.5})


def test_by_gate_a_sample_pays_for_the_gates_it_reached_and_the_one_head_it_took():
    assert exit_cost_macs(GATED, (0, 1, 2), GATE).tolist() == [108, 311, 712]
    assert exit_cost_macs(GATED, (0, 2), GATE).tolist() == [108, 710]
    # The last exit in use takes whoever comes: its gate is not run.
    assert exit_cost_macs(GATED, (0, 1), GATE).tolist() == [108, 309]
    assert exit_cost_macs(GATED, (1,), GATE).tolist() == [308]
    assert exit_cost_ms(GATED, GATED_MS, (0, 1, 2), GATE).tolist() == [1.78125, 4.546875, 8.171875]
    assert exit_cost_ms(GATED, GATED_MS, (2,), GATE).tolist() == [7.125]


def test_a_later_exit_may_be_cheaper_by_gate():
    heavy = replace(GATED, heads=(SegmentCost("large", 0, 5000), *GATED.heads[1:]))
    assert exit_cost_macs(heavy, (0, 2), GATE).tolist() == [5101, 710]


def test_gates_are_deployed_where_they_decide():
    assert deployed_params(GATED, (0, 1, 2), GATE) == 377 == GATED.params
    assert deployed_params(GATED, (0, 1), GATE) == 133
    assert deployed_params(GATED, (2,), GATE) == 47


@given(gated_tables())
def test_gates_that_are_not_asked_cost_nothing(example):
    table, cost, latency = example
    exits = tuple(range(table.exits))
    plain, plain_ms = replace(cost, gates=()), replace(latency, gates_ms=())
    for score in SCORES:
        assert exit_cost_macs(cost, exits, score).tolist() == exit_cost_macs(plain, exits, score).tolist()
        assert (
            exit_cost_ms(cost, latency, exits, score).tolist() == exit_cost_ms(plain, plain_ms, exits, score).tolist()
        )
        assert deployed_params(cost, exits, score) == deployed_params(plain, exits, score)
