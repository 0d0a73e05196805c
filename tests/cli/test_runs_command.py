"""The store from the command line: what it holds, where was looked for it, and how a study is forgotten."""

import sys

import pytest


@pytest.fixture
def ran(folder, searchlab):
    assert searchlab("run", "little", "--trials", "1", "--epochs", "1").code == 0
    return folder


@pytest.mark.slow
def test_the_store_is_listed_and_a_study_forgotten(ran, searchlab, monkeypatch):
    answer = searchlab("runs")
    assert (answer.code, answer.err) == (0, "")
    assert "little" in answer.out and "finished" in answer.out and "1 complete" in answer.out
    assert "store sqlite:///runs/studies.db, artefacts in runs" in answer.out
    (study,) = searchlab("runs", "--json").json["studies"]
    assert study["trials"] == {"complete": 1} and study["front"]["points"] >= 1

    refused = searchlab("remove", "little")
    refused.fails("confirmation-needed", mentions="--yes")
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("typer.confirm", lambda question: False)
    kept = searchlab("remove", "little")
    assert kept.code == 1 and kept.out.splitlines()[-1] == "Nothing was removed."
    assert (ran / "runs" / "little" / "trial-00000").is_dir()

    gone = searchlab("remove", "little", "--yes")
    assert (gone.code, gone.err) == (0, "") and gone.out.splitlines()[-1] == "Removed study little."
    assert "1 complete" in gone.out and " MB" in gone.out
    assert not (ran / "runs" / "little").exists()
    assert "No studies in sqlite:///runs/studies.db" in searchlab("runs").out


def test_an_absent_store_is_no_error_and_says_where_was_looked(folder, searchlab):
    answer = searchlab("runs")
    assert answer.code == 0 and "No store yet at sqlite:///runs/studies.db" in answer.out
    payload = searchlab("runs", "--json", "--output", "demo").json
    assert (payload["storage"], payload["output"]) == ("sqlite:///demo/studies.db", "demo")
    assert (payload["exists"], payload["studies"]) == (False, [])
    answer = searchlab("remove", "little")
    answer.fails("store-not-found", where="runs/studies.db")


@pytest.mark.slow
def test_what_looks_for_a_study_says_where(ran, searchlab):
    (ran / "runs").rename(ran / "demo")
    searchlab("trials").fails("store-not-found", mentions="demo")
    searchlab("run", "nope").fails("unknown-study", mentions="searched in ./studies, ")
    assert "searched in ./studies, " in searchlab("studies").out
    for command in ("remove", "front"):
        answer = searchlab(command, "nope", "--output", "demo")
        answer.fails("unknown-study", where="sqlite:///demo/studies.db", value="nope")
