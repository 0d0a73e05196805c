"""Parameter importance: Optuna's fANOVA on the complete trials of a study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

from searchlab.errors import UserError
from searchlab.front.history import SearchHistory
from searchlab.objective import Objective, accuracy, latency_ms
from searchlab.record import TrialRecord
from searchlab.search.storage import storage_errors
from searchlab.search.store import StudyStore

TREES = 16
"""Trees of fANOVA's forest; Optuna's default of 64 takes four times as long for the same result."""

SHUFFLES = 9
"""Permutations of the values: by chance, one in ten has a larger top share than all of these."""

FEWEST = 10
"""Minimum number of complete trials."""

MOST = 200
"""Maximum number of trials, spread evenly over the study: larger forests are slow."""


@dataclass(frozen=True)
class Importances:
    """Importance shares by quantity and parameter; the shares of a quantity add up to 1.

    `chance` is the largest share that any parameter had with shuffled values: smaller shares are not significant.
    `trials` is the number of trials used; `conditional` parameters are excluded, because some trials lack them.
    """

    shares: Mapping[str, Mapping[str, float]]
    chance: Mapping[str, float]
    trials: int
    conditional: Sequence[str]


def importances(store: StudyStore, history: SearchHistory) -> Importances:
    """Computes importances for best accuracy, costs of the whole network, and hypervolume of a trial's frontier.

    All values come from the records, because those told to the sampler depend on earlier trials.

    Functional ANOVA (Hutter, Hoos and Leyton-Brown 2014) computes which share of the variance of a random forest each
    parameter explains alone, over the whole space. PED-ANOVA, Optuna's default, compares the best tenth with
    the rest, and needs fifty trials or more. Both use complete trials only: stopped, infeasible and failed ones have no
    value. A quantity that is constant over all trials is omitted.

    Raises:
        UserError: too few trials are complete, no parameter is common to them, or none of their values varies.
    """
    where, records = f"study {history.study.name}", {step.record.number: step.record for step in history.steps}
    with storage_errors(store.url):
        told = store.optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    # Repeats of an earlier trial are not counted.
    trials = [trial for trial in told if trial.number in records]
    if len(trials) < FEWEST:
        allowed = f"at least {FEWEST} are needed: searchlab resume {history.study.name} --trials N"
        raise UserError(
            "no-results", "too few complete trials for importances", where=where, value=len(trials), allowed=allowed
        )
    common = set.intersection(*(set(trial.params) for trial in trials))
    if not common:
        raise UserError("no-results", "no parameter is in every complete trial", where=where, allowed="one is needed")
    conditional = sorted(set().union(*(trial.params for trial in trials)) - common)
    trials = trials[:: -(-len(trials) // MOST)]
    values = {o.label: {t.number: _best(records[t.number], o) for t in trials} for o in history.study.objectives}
    own = {trial.number: history.own(records[trial.number]) for trial in trials}
    varying = {label: given for label, given in {**values, "hypervolume": own}.items() if np.ptp([*given.values()])}
    if not varying:
        raise UserError(
            "no-results", "all complete trials have the same values", where=where, allowed="others are needed"
        )
    shares = {label: _shares(store, given) for label, given in varying.items()}
    chance = {label: _by_chance(store, given) for label, given in varying.items()}
    return Importances(shares, chance, len(trials), conditional)


def _best(record: TrialRecord, objective: Objective) -> float:
    """Returns the accuracy of a trial's most accurate point, or a cost of its whole network."""
    assert record.frontier is not None and record.cost is not None
    if objective == accuracy:
        return max(point.accuracy for point in record.frontier.points)
    if objective == latency_ms:
        return record.latency.whole.p50 if record.latency else np.nan
    return float(getattr(record.cost, objective.name))


def _shares(store: StudyStore, values: Mapping[int, float]) -> dict[str, float]:
    evaluator = FanovaImportanceEvaluator(n_trees=TREES, seed=0)
    with storage_errors(store.url):
        # Trials with a value that is not a number are skipped.
        found = get_param_importances(
            store.optuna, evaluator=evaluator, target=lambda trial: values.get(trial.number, np.nan)
        )
    return {name: float(share) for name, share in found.items()}


def _by_chance(store: StudyStore, values: Mapping[int, float]) -> float:
    rng = np.random.default_rng(0)
    dealt = [dict(zip(values, rng.permutation([*values.values()]).tolist(), strict=True)) for _ in range(SHUFFLES)]
    return max(max(_shares(store, shuffled).values()) for shuffled in dealt)
