"""Every noun goes through JSON and comes back the same."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from pydantic.dataclasses import dataclass, is_pydantic_dataclass
from raises import raises_code

from searchlab import architecture, candidate, objective, operating_point, record, study
from searchlab.architecture import VGG, AlexNet, GoogLeNet, ImageSpec, Partitioned, ResNet, Torchvision
from searchlab.candidate import Augmentation, Candidate, Decay, Exit, Gate, Head, HeadTraining, SixCopies, Training
from searchlab.operating_point import Estimate, ExitRule, Frontier, OperatingPoint
from searchlab.serialization import NOUN, from_plain, stable_id, to_json, to_plain
from searchlab.user_file import UserFile

NEVER = float("inf")
CANDIDATE = Candidate(ResNet((1, 2), 8), (Exit(1, Head(2, (8,), 0.5), 0.3),), training=Training(ema=0.5))
POINT = OperatingPoint(ExitRule("margin", (0, 1), (NEVER,)), 360, 349, (0.0, 1.0), (0, 349), 1.5e6, 9000, 0.42)
FRONTIER = Frontier("validation", (POINT,))
COST = record.NetworkCost((record.SegmentCost("stem", 72, 4608),), (record.SegmentCost("final", 90, 80),), (0,))
QUANTILES = record.Quantiles(1.0, 1.2, 2.5, 0.9, 1.1)
LATENCY = record.LatencyReport(
    machine=record.Machine("cpu", "EPYC", 2, "", "2.15.0", "3.11.9"),
    batch_size=1,
    segments=record.SegmentLatency((0.1, 0.2), (0.05,), {"margin": 0.01}),
    whole=QUANTILES,
    reference_name="resnet8",
    reference=QUANTILES,
    ratio=Estimate(1.0, 0.97, 1.03),
    check=record.LatencyCheck(1.05, 1.0),
)
STUDY = study.Study(
    "small_resnet",
    "folder:/data/cats",
    objectives=(objective.accuracy, objective.macs, objective.params),
    hours=0.5,
    max_latency_ms=3.0,
    rungs=(2, 5),
    enqueue=({"layers": 2, "hidden_head": False, "budget_share": 0.5, "schedule": "cosine", "off": None},),
)
RECORD = record.TrialRecord(
    number=3,
    state="complete",
    candidate=CANDIDATE,
    seed=7,
    cost=COST,
    latency=LATENCY,
    curve=(record.Epoch(1, 2.3, 0.1), record.Epoch(2, 0.4, 0.0, (0.9, 0.97))),
    frontier=FRONTIER,
    seconds=record.Seconds(1.0, 9.0, 0.2, 10.4),
    excess={"params": 0.06},
    versions={"torch": "2.15.0"},
    epochs=2,
)
NOUNS = (
    *(ImageSpec(3, 32, 32, 10), CANDIDATE, CANDIDATE.architecture, CANDIDATE.exits[0], CANDIDATE.final),
    *(VGG((1, 2), 8), AlexNet(8), GoogLeNet(8, residual=True), Torchvision("vgg11", ("features.2",), "w.safetensors")),
    Partitioned(((0, 2), (1,)), ResNet((1,), 4), (AlexNet(4), GoogLeNet(4)), VGG((1, 1), 4), "soft"),
    *(Gate(2), SixCopies(), Decay(0.5, (0.25, 0.5), 3, 4), HeadTraining("sgd", stored=True)),
    *(CANDIDATE.training, Augmentation("alternating", 4, 8, 0.1, 15), objective.accuracy),
    *(LATENCY.ratio, POINT.rule, POINT, FRONTIER, COST, COST.stages[0], LATENCY, LATENCY.machine, LATENCY.segments),
    RECORD.profile,
    *(LATENCY.check, record.TimeUnit.of(LATENCY), QUANTILES, RECORD, RECORD.curve[1], RECORD.seconds),
    record.DataFacts("digits", ImageSpec(1, 8, 8, 2), (0.3,), (0.4,), ("zero", "öne"), "0f"),
    *(record.DataFacts(scales=record.Scales(4095, 1, 0)), record.Scales()),
    record.TestLook(3, "2026-01-01T00:00:00+00:00", None, (POINT,), (POINT,)),
    record.DeviceProfile("torch", record.TimeUnit.of(LATENCY), "2026-01-01T00:00:00+00:00"),
    record.ProfiledTrial(3, LATENCY, FRONTIER),
    operating_point.Prediction("seven.png", "seven", 7, 0.98, 1, "final"),
    STUDY.limits,
    study.Sketch("Mine", ({"space": "s"},)),
    UserFile("./pets.py", "/home/me/pets.py", "def dataset(root, download): ..."),
    *(STUDY, study.RunOptions(Path("d"), True, Path("out"), "sqlite:///x.db", "cpu", 2)),
    study.Cluster("head:6379", 2, 0.25, 4, 1, "s3://bucket", "A100"),
    study.TrialSpec(3, CANDIDATE, STUDY, seed=1, directory=Path("runs/a/trial-00003")),
)


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: type(noun).__name__)
def test_nouns_survive_json(noun):
    text = json.dumps(to_plain(noun))
    assert from_plain(type(noun), json.loads(text)) == noun
    assert json.loads(to_json(noun)) == json.loads(text)


def test_every_noun_is_tried_above():
    modules = (architecture, candidate, objective, operating_point, record, study)
    kinds = {kind for module in modules for kind in vars(module).values() if is_pydantic_dataclass(kind)}
    assert kinds == {type(noun) for noun in NOUNS}


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: type(noun).__name__)
def test_nouns_are_frozen_and_refuse_unknown_fields(noun):
    with pytest.raises(AttributeError):
        setattr(noun, fields(noun)[0].name, None)
    with raises_code("unknown-field", value=1, mentions="unheard_of"):
        from_plain(type(noun), {**to_plain(noun), "unheard_of": 1})


def test_plain_data_are_plain():
    def plain(data):
        if isinstance(data, dict):
            return all(isinstance(key, str) and plain(value) for key, value in data.items())
        return all(map(plain, data)) if isinstance(data, list) else data is None or isinstance(data, str | int | float)

    assert all(plain(to_plain(noun)) for noun in NOUNS)


def test_a_field_left_out_has_its_default():
    plain = to_plain(CANDIDATE)
    del plain["final"], plain["training"]["schedule"]
    assert from_plain(Candidate, plain) == CANDIDATE


def test_the_stable_id_depends_on_the_content_alone():
    @dataclass(frozen=True, config=NOUN)
    class Pair:
        b: int
        a: int

    @dataclass(frozen=True, config=NOUN)
    class Riap:
        a: int
        b: int

    assert stable_id(Pair(1, 2)) == stable_id(Riap(2, 1)) == "25a9afd84e"
    assert stable_id(Pair(2, 1)) != stable_id(Pair(1, 2))


def test_data_that_are_no_noun_are_refused_with_their_place():
    with raises_code("invalid-field", where="trial-00003/record.json"):
        from_plain(record.TrialRecord, ["not", "a", "record"], where="trial-00003/record.json")


def test_the_profile_of_a_record_is_its_cost_and_latency():
    assert RECORD.profile == record.Profile(COST, LATENCY.segments)
    assert replace(RECORD, latency=None).profile == record.Profile(COST)
