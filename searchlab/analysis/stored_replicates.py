"""Stored replicates: those of a study that are finished, read from its companion in the store."""

from optuna.trial import FrozenTrial

from searchlab.analysis.replicate_jobs import job_of
from searchlab.front.replicates import Reading, Replicate
from searchlab.search.attributes import read_noun
from searchlab.search.record_codec import RecordCodec
from searchlab.search.store import StudyStore
from searchlab.search.trial_attributes import record_of

READINGS = "readings"
"""User attribute of a companion's trial with the front's points on it."""


def replicates_of(store: StudyStore) -> list[Replicate]:
    """Returns the study's finished replicates, in order of their beginning."""
    companion = store.companion()
    return [] if companion is None else _replicates_in(companion)


def _replicates_in(companion: StudyStore) -> list[Replicate]:
    codec = companion.codec
    found = (_replicate_of(trial, codec) for trial in companion.trials() if trial.state.is_finished())
    return [replicate for replicate in found if replicate is not None]


def _replicate_of(trial: FrozenTrial, codec: RecordCodec) -> Replicate | None:
    record, job = record_of(trial, codec), job_of(trial)
    if record is None or job is None:
        return None
    where = f"replicate {trial.number}"
    known = READINGS in trial.user_attrs
    readings = read_noun(tuple[Reading, ...], trial.user_attrs, READINGS, where) if known else ()
    return Replicate(job.trial, job.run, record, readings)
