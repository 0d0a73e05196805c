"""The first trials of a study, before its sampler knows anything: drawn at random together, the cheapest first."""

from typing import Any

from searchlab.architecture import ImageSpec
from searchlab.candidate import Space
from searchlab.record import TrialRecord
from searchlab.search.enqueued import configurations, drawn
from searchlab.search.optuna_log import scratch_study
from searchlab.search.samplers import RANDOM_FIRST, STARTUP_TRIALS
from searchlab.search.spaces import propose
from searchlab.search.store import StudyStore
from searchlab.study import Study
from searchlab.trial import sized

DRAWS = 100
"""So often is drawn at most: where hardly a candidate holds the limits, the sampler does the rest."""


def enqueue_missing(store: StudyStore, study: Study, space: Space, images: ImageSpec) -> None:
    """Enqueues what the study tries first and the store does not hold yet; so it may be called again at any time.

    Random trials are added only while the sampler has suggested nothing: later it knows better.

    Raises:
        UserError: the space raised, or the store cannot be used.
    """
    marks = store.marks()
    there, sampled = set(marks.values()), len(store.trials()) - len(marks)
    missing = [each for each in configurations(study) if each.mark not in there]
    if not sampled and sum(mark.drawn for mark in there) < _wanted(study):
        missing += [each for each in drawn(first_trials(study, space, images)) if each.mark not in there]
    for each in missing:
        store.enqueue(each)


def first_trials(study: Study, space: Space, images: ImageSpec) -> list[dict[str, Any]]:
    """Parameters of the trials that come after those that the study enqueues, in ascending order of MACs.

    As many as the sampler would draw at random before it trusts its model, no two of one candidate, all within the
    limits and fit to be built. They are random in any case, so that their order loses nothing, and the front begins for
    little training. None for a sampler that does not begin at random, or a study that trains what it enqueues and no
    more. A smaller budget gets as many, so that it can be raised later.

    Raises:
        UserError: the space raised, or returned something else than a Candidate.
    """
    wanted = _wanted(study)
    scratch = scratch_study(study.seed)
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for _ in range(DRAWS):
        if len(found) >= wanted:
            break
        trial = scratch.ask()
        candidate = propose(space, trial, images, study)
        known = sized(TrialRecord(trial.number, "failed", candidate, study.seed), study, images)
        if known.cost is not None and not known.reason:
            found.setdefault(candidate.id, (known.cost.macs, trial.params))
    return [params for _, params in sorted(found.values(), key=lambda each: each[0])]


def _wanted(study: Study) -> int:
    """How many random trials are to come first."""
    searches = study.most_trials is None or study.most_trials > len(study.enqueue)
    return max(0, STARTUP_TRIALS - len(study.enqueue)) if searches and study.sampler in RANDOM_FIRST else 0
