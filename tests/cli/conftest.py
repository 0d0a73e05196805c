"""A user's folder with a study and a space of their own, and the command line in this process."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from searchlab.cli.main import main

SPACE = '''"""Two blocks and an early exit."""

from searchlab.candidate import Candidate, Exit, ResNet, Training


def space(choose):
    width = choose.suggest_int("width", 2, 8)
    training = Training(learning_rate=choose.suggest_float("rate", 0.05, 0.2), batch_size=64)
    return Candidate(ResNet((1, 1), width), (Exit(0), Exit(1)), training=training)
'''

STUDY = '''"""Digits, as small as it gets."""

from searchlab.objective import accuracy, macs
from searchlab.study import Study


def study():
    return Study(
        space="little",
        data="digits",
        objectives=(accuracy, macs),
        epochs=2,
        trials=3,
        scores=("margin",),
        levels=11,
    )
'''


@dataclass(frozen=True)
class Answer:
    """What one command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder but for `studies/little.py` and `spaces/little.py`, to run commands in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    for path, text in {"spaces/little.py": SPACE, "studies/little.py": STUDY}.items():
        Path(path).parent.mkdir()
        Path(path).write_text(text)
    return tmp_path


@pytest.fixture
def searchlab(folder, capfd):
    """Runs a command line: `searchlab("run", "little")`."""

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Answer(code, *capfd.readouterr())

    return run
