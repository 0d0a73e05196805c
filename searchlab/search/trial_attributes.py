"""What the user attributes of one trial hold: what it is to train, where that can be taken up, and its record."""

from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial, Trial
from pydantic.dataclasses import dataclass as noun

from searchlab.candidate import Candidate
from searchlab.record import TrialRecord
from searchlab.search.attributes import read, read_noun, upgraded_to
from searchlab.search.enqueued import ROW
from searchlab.search.record_codec import RecordCodec
from searchlab.serialization import NOUN

RECORD = "record"
"""The user attribute of a trial that holds its record."""

CANDIDATE = "candidate"
"""The user attribute of a trial that says what it is about to train."""

CHECKPOINT = "checkpoint"
"""The user attribute that says where a trial's training can be taken up."""


@noun(frozen=True, config=NOUN)
class Begun:
    """What a trial is about to train."""

    candidate: Candidate
    seed: int


def record_of(trial: FrozenTrial | Trial, codec: RecordCodec, *, left: bool = False) -> TrialRecord | None:
    """The record in a trial's user attributes; before there is any result, one in state "running".

    That one is in state "interrupted" where the trial was `left` by its driver.
    """
    attributes: dict[str, Any] = trial.user_attrs
    where = f"trial {trial.number}"
    if RECORD in attributes:
        return codec.record(read(attributes, RECORD, where), where)
    if CANDIDATE not in attributes:
        return None
    begun = read_noun(Begun, attributes, CANDIDATE, where)
    running = TrialRecord(trial.number, "running", begun.candidate, begun.seed, row=attributes.get(ROW, ""))
    return replace(running, state="interrupted") if left else running


def plain_record(trial: FrozenTrial) -> dict[str, Any] | None:
    """The record of a trial as it is stored, with today's fields, unchecked; None where there is none yet."""
    return _plain(TrialRecord, trial, RECORD)


def plain_begun(trial: FrozenTrial) -> dict[str, Any] | None:
    """Candidate and seed of what a trial was about to train, unchecked; None where that was not noted yet."""
    return _plain(Begun, trial, CANDIDATE)


def _plain(kind: type, trial: FrozenTrial, name: str) -> dict[str, Any] | None:
    attributes, where = trial.user_attrs, f"trial {trial.number}"
    found: dict[str, Any] | None = read(attributes, name, where) if name in attributes else None
    return None if found is None else upgraded_to(kind, found, where)
