"""Stubs: studies whose process died between creation and definition; their names can be reused."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from searchlab.search.attributes import is_part
from searchlab.search.definition import DEFINED


def is_stub(attributes: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> bool:
    """Whether a study holds nothing but parts of a definition."""
    return not trials and DEFINED not in attributes and all(map(is_part, attributes))


def discard_stub(name: str, storage: BaseStorage, kept: Sequence[str] = ()) -> None:
    """Deletes a study if it is a stub; keeps one with the directions `kept`, which another process may be defining."""
    study = optuna.load_study(study_name=name, storage=storage)
    directions = [direction.name.lower() for direction in study.directions]
    if is_stub(study.user_attrs, study.get_trials(deepcopy=False)) and directions != list(kept):
        optuna.delete_study(study_name=name, storage=storage)
