"""A user's folder with a study and a space of their own, and the command line in this process."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from little_files import write_files
from raises import raises_code

from searchlab.cli.main import main


@dataclass(frozen=True)
class Answer:
    """What one command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    def fails(self, code: str, **named: object) -> None:
        """Asserts exit code 2 and one line: an error of this code (see `raises_code` for what may be named)."""
        assert self.code == 2, self
        raises_code(code, **named).check_printed(self.err)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder but for `studies/little.py` and `spaces/little.py`, to run commands in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    write_files(tmp_path)
    return tmp_path


@pytest.fixture
def searchlab(folder, capfd):
    """Runs a command line: `searchlab("run", "little")`."""

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Answer(code, *capfd.readouterr())

    return run


@pytest.fixture
def look(searchlab, output):
    """A command on what a module's own `output` holds: it works and complains of nothing."""

    def run(*arguments):
        answer = searchlab(*arguments, "--output", output)
        assert (answer.code, answer.err) == (0, "")
        return answer

    return run
