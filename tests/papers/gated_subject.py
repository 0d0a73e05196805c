"""A small network with gates, trained on digits for a moment, as an evaluation gets it."""

from dataclasses import replace

import torch
from tiny import tiny_study

from searchlab.architecture import ResNet
from searchlab.artefacts import load_network
from searchlab.candidate import Candidate, Exit, Gate, Head, HeadTraining, Training
from searchlab.data.splits import Dataset
from searchlab.papers.paper import Subject
from searchlab.study import TrialSpec
from searchlab.trial import run_trial

RECIPE = Training("gates", batch_size=64, heads=HeadTraining(learning_rate=0.02, batch_size=64, epochs=0.5))
GATED = Candidate(ResNet((1, 1), 4), (Exit(0, Head(2), gate=Gate(2)), Exit(1, Head(2), gate=Gate(4))), training=RECIPE)
JOINT = replace(
    GATED, exits=tuple(replace(exit, gate=None) for exit in GATED.exits), training=replace(RECIPE, regime="joint")
)


def subject_of(candidate: Candidate, digits: Dataset, folder) -> Subject:
    study = tiny_study(epochs=8, paper="paper_gates", scores=("margin", "entropy"))
    record = run_trial(TrialSpec(0, candidate, study, seed=3, directory=folder), digits)
    assert record.state == "complete", record.reason
    network = load_network(folder, candidate, digits.spec)
    return Subject(study, record, network, digits, torch.device("cpu"), 1)
