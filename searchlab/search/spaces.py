"""Spaces in use: from a trial's suggestions to a candidate."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import BaseTrial, FixedTrial
from pydantic import ValidationError

from searchlab.architecture import ImageSpec, Partitioned
from searchlab.candidate import Candidate, Space
from searchlab.data.partitions import check_partition
from searchlab.data.splits import Dataset
from searchlab.errors import RunError, UserError, from_validation, line_of, reason_of
from searchlab.limits import Limits
from searchlab.model.cost import network_cost
from searchlab.model.fit import fit
from searchlab.model.width import excess_over
from searchlab.record import NetworkCost
from searchlab.search.optuna_log import scratch_study
from searchlab.study import Study
from searchlab.train.regimes import check_regime
from searchlab.train.schedules import check_schedule

SAMPLED = 30
"""Candidates sampled before a study starts, to check that its limits can be met."""


@dataclass(frozen=True)
class TrialChoose:
    """`Choose` for spaces: Optuna's suggestions and the study's constants."""

    trial: BaseTrial
    images: ImageSpec
    limits: Limits
    asked: dict[str, str] = field(default_factory=dict)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Suggests an integer from low to high, both included."""
        self._once(name, f"a whole number from {low} to {high}{f' in steps of {step}' if step != 1 else ''}", log=log)
        return self.trial.suggest_int(name, low, high, step=step, log=log)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Suggests a number from low to high."""
        self._once(name, f"a number from {low} to {high}{f' in steps of {step}' if step is not None else ''}", log=log)
        return self.trial.suggest_float(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Suggests one of the choices."""
        self._once(name, f"one of {', '.join(map(repr, choices))}")
        return self.trial.suggest_categorical(name, choices)

    def fit(
        self, candidate: Candidate, share: float = 1.0, *, limits: Limits | None = None, multiple: int = 1
    ) -> Candidate:
        """Returns the candidate in the largest width that meets a share of the study's limits; see `Choose.fit`."""
        return fit(candidate, self.images, (limits or self.limits).share(share), multiple=multiple)

    def _once(self, name: str, what: str, *, log: bool = False) -> None:
        """Checks that a name is always used with one range: Optuna returns the first value for a repeated name.

        Raises:
            UserError: the name was used with another range.
        """
        what += ", logarithmically" if log else ""
        before = self.asked.setdefault(name, what)
        if before != what:
            allowed = f"{before}; then {what}: give each its own name"
            raise UserError("duplicate-name", "two parameters have the same name", value=name, allowed=allowed)


def propose(space: Space, trial: BaseTrial, images: ImageSpec, study: Study) -> Candidate:
    """Calls a space with a trial's suggestions; returns its candidate.

    Raises:
        UserError: the space raised, or returned something else than a Candidate.
    """
    where = f"space {study.space_name}"
    try:
        candidate = space(TrialChoose(trial, images, study.limits))
    except ValidationError as error:
        raise from_validation(error, where + _line(space, error)) from error
    except (RunError, optuna.exceptions.StorageInternalError):
        raise
    except UserError as error:
        if error.where:
            raise
        place = where + _line(space, error)
        raise error.at(place) from error
    except Exception as error:
        place = where + _line(space, error)
        raise UserError(
            "user-code-raised", f"raised {type(error).__name__}: {error}", where=place, value=trial.params
        ) from error
    if not isinstance(candidate, Candidate):
        raise UserError("wrong-return-type", "must return a Candidate", where=where, value=type(candidate).__name__)
    check_regime(candidate.training.regime)
    check_schedule(candidate.training.schedule)
    return candidate


def _line(space: Space, error: Exception) -> str:
    """Returns " (spaces/mine.py:12)", the line of the space's file that raised; "" without a file."""
    code = getattr(inspect.unwrap(space), "__code__", None)
    if code is None or not (line := line_of(error, code.co_filename)):
        return ""
    file, here = Path(code.co_filename), Path.cwd()
    return f" ({file.relative_to(here) if file.is_relative_to(here) else file}{line})"


def enqueued_candidates(space: Space, images: ImageSpec, study: Study) -> list[Candidate]:
    """Returns the candidates of all configurations that the study enqueues.

    Raises:
        UserError: a configuration lacks a parameter, or lies outside the space.
    """
    found = []
    for number, known in enumerate(study.enqueue.values()):
        where = f"study {study.name}, {study.row_of(number) or f'configuration {number}'}"
        try:
            found.append(propose(space, FixedTrial(known), images, study))
        except UserError as error:
            raise error.at(where, known) from error
    return found


def check_partitions(space: Space, dataset: Dataset, study: Study) -> None:
    """Checks enqueued configurations and samples of the space: partitions must have the data set's classes.

    Raises:
        UserError: a partition omits or repeats a class; the error gives its name.
    """
    for source, candidate in _first(space, dataset.spec, study, SAMPLED):
        if isinstance(candidate.architecture, Partitioned):
            try:
                check_partition(candidate.architecture.groups, dataset.class_names)
            except UserError as error:
                where = ", ".join((source, *filter(None, [error.where])))
                raise error.at(where) from error


def check_heads(space: Space, images: ImageSpec, study: Study) -> None:
    """Checks enqueued configurations: no single head may exceed the cap.

    Raises:
        UserError: a head does.
    """
    if study.max_params is None:
        return
    for source, candidate in _first(space, images, study):
        for head in _cost(candidate, images, source).heads:
            if head.params > study.max_params:
                allowed = f"max_params is {study.max_params:,}, all heads counted"
                where, value = f"{source}, head {head.name}", f"{head.params:,} parameters"
                raise UserError(
                    "limits-too-low", "a single head exceeds the cap", where=where, value=value, allowed=allowed
                )


def _first(space: Space, images: ImageSpec, study: Study, sampled: int = 0) -> Iterator[tuple[str, Candidate]]:
    """Yields the enqueued candidates, then samples of the space, with names for messages."""
    scratch = scratch_study(study.seed)
    for known in study.enqueue.values():
        scratch.enqueue_trial(known)
    for number in range(len(study.enqueue) + sampled):
        row = study.row_of(number) or (f"trial {number}" if number < len(study.enqueue) else "")
        yield ", ".join(filter(None, (f"study {study.name}", row))), propose(space, scratch.ask(), images, study)


def check_limits(space: Space, images: ImageSpec, study: Study) -> None:
    """Samples the space and compares the candidates' costs (on the meta device) with the study's limits.

    Raises:
        UserError: a sample cannot be built, or none meets the limits.
    """
    scratch = scratch_study(study.seed)
    sampled = [propose(space, scratch.ask(), images, study) for _ in range(SAMPLED)]
    costs = [_cost(candidate, images, f"space {study.space_name}") for candidate in sampled]
    over = [excess_over(cost, study.limits) for cost in costs]
    if not all(over):
        return
    what, where = f"no candidate of space {study.space_name} meets max_", f"study {study.name}"
    for name in ("params", "macs"):
        if all(name in excess for excess in over):
            least = f"the smallest of {SAMPLED} sampled has {min(getattr(cost, name) for cost in costs):,}"
            raise UserError(
                "limits-too-low", what + name, where=where, value=getattr(study, f"max_{name}"), allowed=least
            )
    limits = (study.max_params, study.max_macs)
    neither = f"each of {SAMPLED} sampled exceeds one of them"
    raise UserError("limits-too-low", what + "params and max_macs together", where=where, value=limits, allowed=neither)


def _cost(candidate: Candidate, images: ImageSpec, where: str) -> NetworkCost:
    try:
        return network_cost(candidate, images)
    except UserError as error:
        place = ", ".join(filter(None, (where, error.where)))
        raise error.at(place) from error
    except Exception as error:  # Of any type: torch builds the network.
        raise UserError("cannot-build", f"a candidate cannot be built: {reason_of(error)}", where=where) from error
