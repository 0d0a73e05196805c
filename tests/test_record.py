from dataclasses import replace

import pytest
from fake_records import CPU, GPU, fake_record
from pydantic import ValidationError

from searchlab.architecture import ResNet
from searchlab.candidate import Candidate
from searchlab.errors import from_validation
from searchlab.record import LatencyCheck, LatencyReport, Machine, NetworkCost, SegmentCost, TrialRecord
from searchlab.serialization import from_plain, to_plain

STAGES = (SegmentCost("stem", 10, 1000), SegmentCost("layer1.block1", 20, 2000))
HEADS = (SegmentCost("exit 0", 3, 300), SegmentCost("final", 4, 400))
CANDIDATE = Candidate(ResNet((1,), 8))


def test_a_networks_cost_counts_every_stage_and_every_head():
    cost = NetworkCost(STAGES, HEADS, cuts=(0, 1))
    assert (cost.params, cost.macs) == (37, 3700)


def test_every_head_has_a_cut():
    with pytest.raises(ValidationError, match="one cut for every head"):
        NetworkCost(STAGES, HEADS, cuts=(1,))


def test_the_check_of_a_latency_is_negative_where_the_model_promises_too_little():
    assert LatencyCheck(additive_ms=0.9, end_to_end_ms=1.0).error == pytest.approx(-0.1)


def test_a_machine_of_before_there_were_engines_is_of_pytorch_and_of_no_other_engine():
    old = {"device": "cpu", "name": "EPYC", "threads": 2, "driver": "", "torch": "2.15.0", "python": "3.11.9"}
    cpu, gpu = from_plain(Machine, old), from_plain(Machine, old | {"device": "cuda"})
    assert (cpu.engine, cpu.engine_version) == ("torch", "2.15.0")
    assert (gpu.engine, gpu.engine_version) == ("cuda-graphs", "2.15.0")
    assert cpu == from_plain(Machine, old | {"engine": "torch"}) == from_plain(Machine, to_plain(cpu))
    now = from_plain(Machine, old | {"engine": "onnxruntime", "engine_version": "1.31.1"})
    assert now != cpu and now.executed_by == "onnxruntime 1.31.1"


def test_machines_have_short_names():
    assert Machine("cpu", "EPYC", 2, "", "2.15.0", "3.11.9").label == "cpu (2 threads) EPYC, torch 2.15.0"
    assert Machine("cuda", "H200", 16, "570.1", "2.15.0", "3.11.9").label == "cuda H200, cuda-graphs 2.15.0"


@pytest.mark.parametrize(
    ("make", "field", "value", "allowed"),
    [
        (lambda: Machine("tpu", "", 1, "", "", ""), "Machine.device", "tpu", "'cpu' or 'cuda'"),
        (lambda: TrialRecord(0, "done", CANDIDATE, 0), "TrialRecord.state", "done", "'infeasible' or 'failed'"),
        (lambda: TrialRecord(0, "failed", CANDIDATE, 0, epochs=-1), "TrialRecord.epochs", -1, "0"),
    ],
)
def test_every_rule_names_field_value_and_what_is_allowed(make, field, value, allowed):
    with pytest.raises(ValidationError) as caught:
        make()
    error = from_validation(caught.value, "record.json")
    assert (error.code, error.value) == ("invalid-field", value) and error.what == f"invalid {field}"
    assert allowed in error.allowed


CALM = {"check": None, "mixed": LatencyCheck(1.05, 1.0), "waited": 0.1, "drift": 1.3}


@pytest.mark.parametrize(
    ("device", "fields", "doubt"),
    [
        ("cpu", {}, ""),
        ("cpu", {"mixed": None}, ""),
        ("cpu", {"drift": 0.7}, ""),
        ("cpu", {"mixed": LatencyCheck(1.0, 1.2)}, "additive and end-to-end latency differ by 17 %"),
        ("cuda", {"mixed": LatencyCheck(1.08, 1.0)}, "additive and end-to-end latency differ by 8 %"),
        ("cpu", {"mixed": LatencyCheck(9.0, 1.0), "check": LatencyCheck(1.01, 1.0)}, ""),
        (
            "cpu",
            {"waited": 0.31, "check": LatencyCheck(1.0, 1.0)},
            "its threads waited for a core for 31 % of the time",
        ),
        ("cpu", {"drift": 0.2}, "the reference is 5.0 times faster now"),
    ],
)
def test_a_latency_is_in_doubt_where_it_disagrees_or_was_measured_under_load(device, fields, doubt):
    report = fake_record(0, machine=CPU if device == "cpu" else GPU).latency
    found = replace(report, **(CALM | fields))
    assert found.doubt.endswith(doubt) and bool(found.doubt) is bool(doubt) and (found.worry > 1) is bool(doubt)


def test_a_latency_that_an_earlier_version_stored_opens_and_is_judged_by_its_check():
    plain = to_plain(fake_record(0).latency)
    for name in ("mixed", "waited"):
        del plain[name]
    assert from_plain(LatencyReport, plain).doubt == ""
