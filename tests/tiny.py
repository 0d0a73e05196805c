"""The smallest of everything: a space, a study, a candidate for `digits`; and a trial that was made up, not run."""

from dataclasses import dataclass, field, replace

from searchlab.architecture import ImageSpec, ResNet
from searchlab.artefacts import versions
from searchlab.candidate import Candidate, Choose, Exit, Training
from searchlab.model.cost import network_cost
from searchlab.objective import OBJECTIVES
from searchlab.operating_point import ExitRule, Frontier, OperatingPoint
from searchlab.record import DataFacts, Epoch, Seconds, TrialRecord
from searchlab.runners.trial_source import TrialSource
from searchlab.study import Study, TrialSpec

IMAGES = ImageSpec(channels=1, height=8, width=8, classes=10)
SAMPLES = 100


def tiny_study(*objectives: str, **fields) -> Study:
    names = objectives or ("accuracy", "macs")
    made = {"space": "tiny", "data": "digits", "name": "tiny", "epochs": 2, "trials": 4, "sampler": "random"}
    made |= {"scores": ("margin",), "thresholds_per_exit": 11, "objectives": tuple(OBJECTIVES[name] for name in names)}
    return Study(**made | fields)


def tiny_candidate(width: int = 4, **training) -> Candidate:
    return Candidate(ResNet((1, 1), width), (Exit(0), Exit(1)), training=Training(**training))


LEARNS = {"learning_rate": 0.1, "batch_size": 64}


def spec_of(candidate: Candidate | None = None, number: int = 0, directory=None, seed: int = 1, **study) -> TrialSpec:
    candidate = candidate or tiny_candidate(8, **LEARNS)
    return TrialSpec(number, candidate, tiny_study(**study), seed=seed, directory=directory)


def tiny_space(choose: Choose) -> Candidate:
    width = choose.suggest_int("width", 2, 8)
    rate = choose.suggest_float("rate", 0.05, 0.2)
    return tiny_candidate(width, learning_rate=rate)


def made_point(spec_or_record: TrialSpec | TrialRecord, correct: int, share: float) -> OperatingPoint:
    """A point that costs a share of the whole network's MACs."""
    cost = network_cost(spec_or_record.candidate, IMAGES)
    return OperatingPoint(
        ExitRule("margin", (0, 2), (share,)), SAMPLES, correct, (0.5, 0.5), (correct // 2, correct - correct // 2),
        macs=cost.macs * share, params=cost.params,
    )  # fmt: skip


def made_record(spec: TrialSpec, state: str = "complete", correct: tuple[int, ...] = (60, 80)) -> TrialRecord:
    """What a trial would have come back with: points of rising cost, with so many of `SAMPLES` right."""
    record = TrialRecord(spec.number, "failed", spec.candidate, spec.seed, data=DataFacts(hash="made up"), row=spec.row)
    record = replace(
        record, versions=versions(), cost=network_cost(spec.candidate, IMAGES), seconds=Seconds(train=1.0, total=1.0)
    )
    if state == "failed":
        return replace(record, reason="the loss is nan in epoch 1: the training diverged")
    points = tuple(made_point(spec, c, (i + 1) / len(correct)) for i, c in enumerate(correct))
    reason = "at epoch 1, by none" if state == "stopped" else ""
    curve = (Epoch(1, 0.5, 0.1),)
    return replace(
        record, state=state, reason=reason, frontier=Frontier("validation", points), curve=curve, epochs=len(curve)
    )


@dataclass
class Seen:
    """A watch that takes notes."""

    notes: list = field(default_factory=list)

    def on_begin(self, history):
        self.history = history
        self.notes.append(("begin", len(history.records)))

    def on_start(self, spec):
        self.notes.append(("start", spec.number))

    def on_epoch(self, number, epoch):
        self.notes.append(("epoch", number, epoch.epoch))

    def on_phase(self, number, phase):
        """Not noted: there are many."""

    def on_word(self, number, text):
        self.notes.append(("word", number, text))

    def on_end(self, record):
        assert self.history.records[-1] == record, "a driver adds to the history first"
        self.notes.append(("end", record.number, record.state))


def run(source: TrialSource, outcome=made_record, at_most: int = 10_000) -> list[int]:
    """What a runner does, with trials that are made up; the numbers of those it was given."""
    numbers = []
    while len(numbers) < at_most and (spec := source.ask()) is not None:
        numbers.append(spec.number)
        source.tell(outcome(spec))
    return numbers
