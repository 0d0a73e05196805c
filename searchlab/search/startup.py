"""First trials of a study: random configurations, drawn together and ordered by cost."""

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
"""Maximum number of draws: if few candidates meet the limits, the sampler does the rest."""


def enqueue_missing(store: StudyStore, study: Study, space: Space, images: ImageSpec) -> None:
    """Enqueues the first configurations that the store does not have yet; it may be called at any time.

    Random trials are added only until the sampler makes its first suggestion.

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
    """Returns random parameters for the trials after the study's own, in ascending order of MACs.

    Their number is that of the sampler's random first trials. All are different candidates within the limits, which can
    be built. Cheap ones come first, so that a front exists after little training; the order does not affect the
    sampler. There are none for a sampler without random first trials, or a study of enqueued trials only. The number
    does not depend on the budget, which may be raised later.

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
    """Returns the number of random first trials."""
    searches = study.most_trials is None or study.most_trials > len(study.enqueue)
    return max(0, STARTUP_TRIALS - len(study.enqueue)) if searches and study.sampler in RANDOM_FIRST else 0
