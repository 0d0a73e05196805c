"""Facts that a study stores once, beside its definition: its unit of time, and the hash of its data.

The first driver that knows a fact stores it. For old stores without these attributes, it is derived from the records.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from searchlab.errors import UserError
from searchlab.front.points import common_machine
from searchlab.record import TimeUnit, TrialRecord
from searchlab.search.attributes import read_noun, write_noun
from searchlab.search.record_codec import FACTS
from searchlab.search.storage import storage_errors
from searchlab.search.store import StudyStore

if TYPE_CHECKING:
    from searchlab.data.splits import Dataset

UNIT, DATA = "time unit", "data hash"
"""User attributes of the study with these facts."""


def unit_of(store: StudyStore, records: Sequence[TrialRecord]) -> TimeUnit | None:
    """Returns the study's unit of time; None if no latency was measured yet.

    In an old store it is derived from the complete trials, which all have the same unit. Stopped and infeasible trials
    are not used, because their machine was not checked.

    Raises:
        UserError: the attribute is damaged, or complete trials were measured on different machines.
    """
    with storage_errors(store.url):
        attributes = store.optuna.user_attrs
    if UNIT in attributes:
        return read_noun(TimeUnit, attributes, UNIT, store.where)
    common_machine(store.definition.study, records)
    complete = sorted((r for r in records if r.state == "complete" and r.latency), key=lambda record: record.number)
    return TimeUnit.of(complete[0].latency) if complete and complete[0].latency else None


def fix_unit(store: StudyStore, records: Sequence[TrialRecord], unit: TimeUnit) -> TimeUnit:
    """Sets the study's unit of time if it has none; returns the one that holds, which may be another driver's.

    Raises:
        UserError: as `unit_of`.
    """
    with storage_errors(store.url):
        if UNIT not in store.optuna.user_attrs:
            write_noun(store.optuna.set_user_attr, UNIT, unit_of(store, records) or unit)
    held = unit_of(store, records)
    assert held is not None
    return held


def same_data(store: StudyStore, records: Sequence[TrialRecord], dataset: "Dataset") -> None:
    """Checks that the study uses these data, with their labels and splits; a new study accepts any.

    Raises:
        UserError: trials or another driver of the study used other data.
    """
    with storage_errors(store.url):
        known = str(store.optuna.user_attrs.get(DATA, ""))
    hashes = {known, *(record.data.hash for record in records)} - {""}
    if hashes - {dataset.hash}:
        raise UserError(
            "data-differ",
            "the data differ from those of the study",
            where=dataset.name,
            value=dataset.hash,
            allowed=f"so far {', '.join(sorted(hashes))}: restore the images (see --data), or begin another study",
        )


def fix_data(store: StudyStore, dataset: "Dataset") -> None:
    """Stores the hash of the study's data, and the facts that its networks need."""
    with storage_errors(store.url):
        if DATA not in store.optuna.user_attrs:
            store.optuna.set_user_attr(DATA, dataset.hash)
        known = store.codec.facts.get(dataset.hash)
        # An earlier version stored no scales; records of the study refer to these facts.
        if known is None or known.scales is None:
            write_noun(store.optuna.set_user_attr, f"{FACTS}{dataset.hash}", dataset.facts)
