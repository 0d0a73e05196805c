"""User attributes of a trial: its candidate, its checkpoint, and its record."""

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
"""User attribute of a trial with its record."""

CANDIDATE = "candidate"
"""User attribute of a trial with its candidate and seed, set before the training."""

CHECKPOINT = "checkpoint"
"""User attribute of a trial with the path or URL of its checkpoint."""


@noun(frozen=True, config=NOUN)
class Begun:
    """Candidate and seed of a trial that began."""

    candidate: Candidate
    seed: int


def record_of(trial: FrozenTrial | Trial, codec: RecordCodec, *, left: bool = False) -> TrialRecord | None:
    """Returns the record in a trial's user attributes; without a result, one in state "running".

    If the trial was `left` by its driver, that state is "interrupted".
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
    """Returns the stored record of a trial, upgraded but not validated; None if there is none yet."""
    return _plain(TrialRecord, trial, RECORD)


def plain_begun(trial: FrozenTrial) -> dict[str, Any] | None:
    """Returns the stored candidate and seed of a trial, not validated; None if there are none yet."""
    return _plain(Begun, trial, CANDIDATE)


def _plain(kind: type, trial: FrozenTrial, name: str) -> dict[str, Any] | None:
    attributes, where = trial.user_attrs, f"trial {trial.number}"
    found: dict[str, Any] | None = read(attributes, name, where) if name in attributes else None
    return None if found is None else upgraded_to(kind, found, where)
