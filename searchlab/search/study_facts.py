"""What a study keeps once in the store, beside its definition: its unit of time, and the hash of its data.

Whoever knows it first writes it. Stores of before there were such attributes have it from their records.
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
"""The attributes of the study that hold them."""


def unit_of(store: StudyStore, records: Sequence[TrialRecord]) -> TimeUnit | None:
    """The study's unit of time; None where it has measured no latency yet.

    An old store has it from its complete trials: all of them are in one unit. Trials that were stopped or are
    infeasible say nothing, for nobody checked on which machine they were measured.

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
    """The study's unit of time: the one that it has, else this one, unless another driver is quicker.

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
    """Whether the study is of these data, with their labels and splits; of none so far is of any.

    Raises:
        UserError: trials of the study saw other data, or another driver is at work on others.
    """
    with storage_errors(store.url):
        known = str(store.optuna.user_attrs.get(DATA, ""))
    hashes = {known, *(record.data.hash for record in records)} - {""}
    if hashes - {dataset.hash}:
        raise UserError(
            "data-differ",
            "the data are not those of the study so far",
            where=dataset.name,
            value=dataset.hash,
            allowed=f"so far {', '.join(sorted(hashes))}: restore the images (see --data), or begin another study",
        )


def fix_data(store: StudyStore, dataset: "Dataset") -> None:
    """Keeps what data the study is of, and what its networks have to know of them."""
    with storage_errors(store.url):
        if DATA not in store.optuna.user_attrs:
            store.optuna.set_user_attr(DATA, dataset.hash)
        if f"{FACTS}{dataset.hash}" not in store.optuna.user_attrs:
            write_noun(store.optuna.set_user_attr, f"{FACTS}{dataset.hash}", dataset.facts)
