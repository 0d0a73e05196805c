"""Warm start: enqueues the networks of an earlier study's front."""

from collections.abc import Mapping
from dataclasses import replace

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from searchlab.architecture import ImageSpec
from searchlab.candidate import Space
from searchlab.errors import UserError
from searchlab.front.points import study_front
from searchlab.schema import unnamed
from searchlab.search.optuna_log import scratch_study
from searchlab.search.spaces import propose
from searchlab.search.store import StudyStore
from searchlab.study import Study, with_more

SAMPLED = 20
"""Number of samples of a space to find its parameters, of which some are conditional."""

Distributions = Mapping[str, BaseDistribution]


def warm_started(study: Study, space: Space, images: ImageSpec, earlier: StudyStore) -> Study:
    """Enqueues the parameters of all networks on an earlier front after the study's own, best first.

    Raises:
        UserError: the earlier study has other objectives or another space, or no network on its front.
    """
    before = earlier.definition.study
    where = f"warm start from {before.name}"
    ours, theirs = ([objective.name for objective in each.objectives] for each in (study, before))
    if ours != theirs:
        raise UserError(
            "warm-start-mismatch",
            "the earlier study has other objectives",
            where=where,
            value=", ".join(theirs),
            allowed=", ".join(ours),
        )
    differing = _differing(distributions_of(space, images, study), _recorded(earlier))
    if differing:
        raise UserError(
            "warm-start-mismatch",
            "the earlier study has another space",
            where=where,
            value="; ".join(differing),
            allowed="the same parameters",
        )
    front = study_front(before, earlier.records(), most=None)
    numbers = list(dict.fromkeys(point.record.number for point in front))
    if not numbers:
        raise UserError(
            "no-results", "the front is empty", where=where, allowed="a study with at least one complete trial"
        )
    trials = {trial.number: trial for trial in earlier.trials()}
    names = {number: f"{before.name} trial {number}" if study.rows else unnamed(number) for number in numbers}
    known = {names[number]: dict(trials[number].params) for number in numbers}
    return replace(study, enqueue=with_more(study.enqueue, known))


def distributions_of(space: Space, images: ImageSpec, study: Study) -> Distributions:
    """Returns all parameters that samples of a space request."""
    scratch = scratch_study(study.seed)
    found: dict[str, BaseDistribution] = {}
    for _ in range(SAMPLED):
        trial = scratch.ask()
        propose(space, trial, images, study)
        found |= trial.distributions
    return found


def _recorded(earlier: StudyStore) -> Distributions:
    """Returns all parameters of a study's trials."""
    return {name: kind for trial in earlier.trials() for name, kind in trial.distributions.items()}


def _differing(ours: Distributions, theirs: Distributions) -> list[str]:
    """Describes every parameter that differs."""
    return [
        f"{name}: {_range(theirs.get(name))} there, {_range(ours.get(name))} here"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]


def _range(kind: BaseDistribution | None) -> str:
    if kind is None:
        return "none"
    if isinstance(kind, IntDistribution | FloatDistribution):
        step = "" if kind.step in (None, 1) else f" in steps of {kind.step}"
        return f"{kind.low} to {kind.high}{step}{', log' if kind.log else ''}"
    assert isinstance(kind, CategoricalDistribution), kind
    return f"one of {', '.join(map(str, kind.choices))}"
