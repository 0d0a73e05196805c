"""A study whose trials were made up but have exit tables, and a measurement of its networks that takes no time."""

from dataclasses import dataclass, field, replace
from threading import Event

import numpy as np
from tiny import IMAGES, Seen, made_record, run, tiny_space, tiny_study

from searchlab.artefacts import save_artefacts, untrained_network
from searchlab.exits.frontier import FrontierSettings, exact_frontier
from searchlab.exits.table import ExitTable
from searchlab.measure.device import resolve_device, this_machine
from searchlab.operating_point import Estimate
from searchlab.record import DataFacts, LatencyCheck, LatencyReport, NetworkCost, Quantiles, SegmentLatency
from searchlab.search.driver import Driver, Problem
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore
from searchlab.study import RunOptions

SAMPLES = 100


def table_of(number, best=0.8):
    """Logits of 100 samples at three exits, of which a share is right: the later the exit, the more."""
    rng = np.random.default_rng(number)
    labels_N = rng.integers(0, 10, SAMPLES)
    logits_NKC = rng.normal(size=(SAMPLES, 3, 10)).astype(np.float32)
    for exit, share in enumerate((0.6 * best, 0.8 * best, best)):
        right = rng.permutation(SAMPLES)[: round(share * SAMPLES)]
        logits_NKC[right, exit, labels_N[right]] += 8
    return ExitTable(logits_NKC, labels_N.astype(np.int64))


def report_of(cost: NetworkCost, ms_per_macs=1e-6, engine="onnxruntime", threads=1, **more) -> LatencyReport:
    """A latency that is proportional to MACs."""
    stages, heads = (tuple(part.macs * ms_per_macs for part in each) for each in (cost.stages, cost.heads))
    whole = sum(stages) + heads[-1]
    made = {
        "machine": this_machine(resolve_device("cpu"), threads, engine),
        "batch_size": 1,
        "segments": SegmentLatency(stages, heads, {"margin": whole / 100}),
        "whole": Quantiles(*[whole] * 5),
        "reference_name": "resnet8",
        "reference": Quantiles(*[0.5] * 5),
        "ratio": Estimate(*[whole / 0.5] * 3),
        "mixed": LatencyCheck(1.0, 1.0),
    }
    return LatencyReport(**made | more)


def made_trial(spec):
    """A trial with weights, an exit table, and a frontier in its folder."""
    record = replace(made_record(spec), data=DataFacts("digits", IMAGES, hash="made up"), directory=str(spec.directory))
    table, latency = table_of(spec.number, 0.7 + 0.05 * spec.number), report_of(record.cost)
    settings = FrontierSettings(spec.study.objectives, ("margin",), spec.study.thresholds_per_exit)
    record = replace(record, latency=latency)
    record = replace(record, frontier=exact_frontier(table, record.profile, settings))
    save_artefacts(spec.directory, untrained_network(spec.candidate, IMAGES), table, record)
    return record


def made_study(output, outcome=made_trial, trials=4, **fields) -> tuple[StudyStore, RunOptions]:
    """A finished study in accuracy and latency; trials get more accurate with their numbers."""
    where = RunOptions(output=output)
    study = tiny_study("accuracy", "latency_ms", trials=trials, engine="onnxruntime", **fields)
    store = StudyStore.create(
        Definition(study, study, ""), open_storage(where.storage_url, create=True), where.storage_url, output
    )
    run(Driver(Problem(study, tiny_space, IMAGES), store, where, "cpu", Seen(), Event()), outcome)
    return store, where


@dataclass
class FakeMeasure:
    """Stands in for `trial.measure`: latencies proportional to MACs, and a list of the trials that were measured."""

    costs: dict
    ms_per_macs: float = 2e-6
    more: dict = field(default_factory=dict)
    measured: list = field(default_factory=list)

    def __call__(self, spec, network, images, waiting):
        self.measured.append(spec.number)
        found = self.more.get(spec.number, {})
        if isinstance(found, Exception):
            raise found
        return report_of(self.costs[spec.number], self.ms_per_macs, spec.study.engine, spec.threads, **found)


def fake_measure(monkeypatch, store, **more) -> FakeMeasure:
    """Measures nothing from now on; `more` are its fields."""
    fake = FakeMeasure({record.number: record.cost for record in store.records()}, **more)
    monkeypatch.setattr("searchlab.analysis.profiling.measure", fake)
    return fake


@dataclass
class Notes:
    """A watch that takes notes."""

    ended: list = field(default_factory=list)
    failed: dict = field(default_factory=dict)
    begun: tuple = ()

    def on_begin(self, name, machine, done, left):
        self.begun = (name, done, left)

    def on_end(self, record, skipped):
        self.ended.append(record.number)

    def on_failure(self, number, reason):
        self.failed[number] = reason

    def say(self, line):
        """Not noted."""
