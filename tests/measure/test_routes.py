import numpy as np
import pytest
import torch
from fake_machine import FakeMachine, sample_for, segments_on

from searchlab.architecture import ImageSpec, ResNet
from searchlab.candidate import Candidate, Exit, Gate
from searchlab.deploy.runtime import EarlyExitRuntime
from searchlab.deploy.scores import score_functions
from searchlab.engines.prepared_segments import PreparedSegments
from searchlab.engines.route import Route, routes_for
from searchlab.engines.segments import route_pass, route_pieces
from searchlab.engines.torch_eager import eager_segments
from searchlab.exits.costs import exit_cost_ms
from searchlab.exits.scores import GATE
from searchlab.measure.clocks import CpuClock
from searchlab.measure.end_to_end import check_latency
from searchlab.measure.latency import LatencyOptions, example_image
from searchlab.measure.passes import timed_pass
from searchlab.measure.routes import segment_latency
from searchlab.model.early_exit import build
from searchlab.operating_point import ExitRule
from searchlab.record import NetworkCost, SegmentCost

IMAGES = ImageSpec(1, 8, 8, 10)
GATED = Candidate(ResNet((1, 1), 4), (Exit(0, gate=Gate()), Exit(1, gate=Gate())))
OPTIONS = LatencyOptions(budget_s=0, threads=1, fewest_rounds=4, engine="torch")
SMALL, LARGE = 20, 10_000
"""Caches: one that the first exit's stages fit into and the network does not, and one for everything."""


def cost_of(segments):
    def parts(calls):
        return tuple(SegmentCost("part", 1, 1) for _ in calls)

    return NetworkCost(parts(segments.stages), parts(segments.heads), segments.cuts, parts(segments.gates))


@pytest.mark.parametrize("cache", [SMALL, LARGE])
@pytest.mark.parametrize("score", ["max_logit", GATE])
@pytest.mark.parametrize(
    "leave", [(0,) * 6, (1,) * 6, (2,) * 6, (0, 0, 0, 0, 0, 2), (0, 1, 2, 0, 2, 1), (2, 2, 0, 2, 2)]
)
def test_additive_latency_is_that_of_the_routed_network_whatever_its_caches_hold_and_wherever_samples_leave(
    monkeypatch, cache, score, leave
):
    machine = FakeMachine(monkeypatch, cache)
    segments = segments_on(machine, exits=3, gated=score == GATE)
    rule = ExitRule(score, (0, 1, 2), (0.0, 0.0))
    runtime = EarlyExitRuntime(segments, rule)
    samples_NCHW = torch.cat([sample_for(exit) for exit in leave])
    assert [runtime.classify(sample[None])[1] for sample in samples_NCHW] == list(leave)
    check = check_latency(
        PreparedSegments(segments, samples_NCHW[:1], score_functions([score])),
        runtime.classify,
        samples_NCHW,
        lambda latency: float(exit_cost_ms(cost_of(segments), latency, rule.exits, score)[list(leave)].mean()),
        OPTIONS,
    )
    assert abs(check.error) < 0.05


@pytest.mark.parametrize("score", ["max_logit", GATE])
def test_an_exit_left_out_costs_nothing_however_slow_it_makes_what_follows(monkeypatch, score):
    segments = segments_on(FakeMachine(monkeypatch, 35), exits=3, gated=score == GATE)
    for exits in ((0,), (1,), (2,), (0, 1, 2)):
        rule = ExitRule(score if len(exits) > 1 else "max_logit", exits, (-9.0,) * (len(exits) - 1))
        check = check_latency(
            PreparedSegments(segments, sample_for(0), score_functions([score])),
            EarlyExitRuntime(segments, rule).classify,
            sample_for(0),
            lambda latency, rule=rule: exit_cost_ms(cost_of(segments), latency, rule.exits, score)[0],
            OPTIONS,
        )
        assert abs(check.error) < 0.05, rule


def test_every_exit_is_shown_alone_and_with_the_others_and_every_score_is_asked():
    assert routes_for(2, ["a", "b", "c"]) == [Route(0), Route(1), Route(0, "a"), Route(1, "b"), Route(0, "c")]
    assert routes_for(3, ["a"])[3:] == [Route(0, "a"), Route(1, "a"), Route(2, "a")]
    assert routes_for(2, [GATE]) == [Route(0), Route(1), Route(0, GATE), Route(1, GATE)]
    assert routes_for(1, ["a", "b"]) == [Route(0), Route(0, "a"), Route(0, "b")]


@pytest.mark.parametrize(
    ("route", "ran"),
    [
        (Route(1), ["head 1"]),
        (Route(1, "first"), ["head 0", "head 1"]),
        (Route(0, GATE), ["gate 0", "head 0"]),
        (Route(1, GATE), ["gate 0", "gate 1", "head 1"]),
        (Route(2, GATE), ["gate 0", "gate 1", "head 2"]),
    ],
)
def test_a_route_runs_what_routing_runs_and_stamps_every_piece_once(route, ran):
    image_NCHW = example_image(IMAGES, 2, torch.device("cpu"))
    segments = eager_segments(build(GATED, IMAGES), image_NCHW, channels_last=False)
    seen = []
    parts = {"gate": segments.gates, "head": segments.heads}
    for name, part in ((f"{kind} {i}", part) for kind, found in parts.items() for i, part in enumerate(found)):
        part.register_forward_hook(lambda module, inputs, output, name=name: seen.append(name))
    pieces_ms = timed_pass(route_pass(segments, image_NCHW, route, lambda output_NC: output_NC[:, 0]), CpuClock())()
    pieces = route_pieces(segments, route)
    assert seen == ran == [f"{kind} {at}" for kind, at in pieces if kind in ("head", "gate")]
    assert [at for kind, at in pieces if kind == "stage"] == list(range(segments.cuts[route.exit] + 1))
    assert len(pieces_ms) == len(pieces) == len(set(pieces)) and min(pieces_ms) > 0


def test_prices_are_scaled_and_the_class_is_paid_with_the_first_stage():
    segments = eager_segments(build(GATED, IMAGES), example_image(IMAGES, 1, torch.device("cpu")), channels_last=False)
    own_ms = {"stage": 3.0, "head": 5.0, "gate": 20.0, "decision": 7.0, "class": 8.0}
    ms = {}
    for route in routes_for(3, ["first", GATE]):
        pieces = torch.tensor([own_ms[kind] for kind, _ in route_pieces(segments, route)])
        ms[route] = pieces.expand(3, 2, len(pieces)).numpy()
    own = PreparedSegments(segments, example_image(IMAGES, 1, torch.device("cpu")), {})
    found = segment_latency(own, ms, scale=2.0)
    np.testing.assert_allclose(found.stages_ms, (2 * (3 + 8), 6, 6))
    np.testing.assert_allclose((*found.heads_ms, *found.gates_ms), (10, 10, 10, 40, 40))
    assert found.decision_ms == pytest.approx({"first": 14, GATE: 14})
