"""The methods that `search.py` compares: who proposes, what a trial is, who stops it, and what the sampler is told.

Values are minimised, as in `search_seen.values_PM`: P points by M objectives; F points are on the front so far.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState
from search_seen import REFERENCE_POINT, Network, Seen
from search_space import AXES, LEFT_OUT
from search_table import EPOCHS, THRESHOLDS

from searchlab.front.pareto import Values, closest_to_front, hypervolume, non_dominated
from searchlab.objective import Objective, accuracy, latency_ms
from searchlab.search.driver import RANDOM_AFTER, REPEATS
from searchlab.search.early_stopping import EARLY_STOPPING, FIRST, Rule, Stopper, default_rungs
from searchlab.search.rung_ranking import set_ranks
from searchlab.search.samplers import RANDOM_FIRST, STARTUP_TRIALS, joint_space, sampler_for

OURS = "ours"
LEVELS = ("threshold1", "threshold2")
BUDGETS = (0.25, 0.32, 0.40)
"""Latencies, scaled as in `search_seen`, at which accuracy is told where a trial is told by its budgets."""


@dataclass(frozen=True)
class Budgeted:
    """The table and the budget, in average trainings."""

    seen: Seen
    trainings: float


# -- who proposes


def distributions() -> dict[str, BaseDistribution]:
    """The space as Optuna has it."""
    found: dict[str, BaseDistribution] = {}
    for name, values in AXES.items():
        if all(isinstance(value, int) for value in values):
            low, high = int(min(values)), int(max(values))
            found[name] = IntDistribution(low, high, step=(high - low) // (len(values) - 1))
        else:
            found[name] = CategoricalDistribution([value for value in values if value not in LEFT_OUT])
    return found


SPACE = distributions()
ALL_LEVELS: dict[str, BaseDistribution] = {name: IntDistribution(0, len(THRESHOLDS) - 1) for name in LEVELS}
BUDGET: dict[str, BaseDistribution] = {"budget": IntDistribution(0, len(BUDGETS) - 1)}

Sampler = Callable[[int], BaseSampler]

SAMPLERS: dict[str, Sampler] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "TPE": lambda seed: TPESampler(multivariate=True, seed=seed),
    "NSGA-II": lambda seed: NSGAIISampler(population_size=20, seed=seed),
    "GP": lambda seed: GPSampler(seed=seed, deterministic_objective=True),
}
"""As users of Optuna would call them."""


# -- who stops a trial: (trial number, epoch, what it shows) to whether it goes on

GoesOn = Callable[[int, int, Values], bool]


def nobody(seed: int) -> GoesOn:
    """Every trial is trained to the end."""
    return lambda number, epoch, values_PM: True


def rule(name: str) -> Callable[[int], GoesOn]:
    """A rule of ours, at the default rungs."""
    return lambda seed: judged_by(EARLY_STOPPING[name])


def judged_by(rule: Rule) -> GoesOn:
    """At the default rungs, by a rule."""
    stopper, rungs = Stopper(rule, (accuracy, latency_ms)), default_rungs(EPOCHS)

    def goes_on(number: int, epoch: int, values_PM: Values) -> bool:
        scaled_P = values_PM[:, 1]
        raw_PM = np.column_stack([values_PM[:, 0], scaled_P / (1 - scaled_P)])
        return epoch not in rungs or stopper.judge(number, epoch, raw_PM).goes_on

    return goes_on


def best_third(seed: int) -> GoesOn:
    """As ours, but that being on the front of a rung does not save a trial, and a third goes on, not half."""

    def rule(shown: Sequence[Values], objectives: Sequence[Objective]) -> bool:
        ranks = set_ranks(shown, objectives)
        better = sum(rank < ranks[-1] for rank in ranks)
        return len(ranks) <= FIRST or better < max(1, len(ranks) // 3)

    return judged_by(rule)


def every_metric(seed: int) -> GoesOn:
    """A pruner of Optuna's own for each metric, in a study of its own; a trial is stopped when all of them say so."""
    studies = [
        optuna.create_study(pruner=SuccessiveHalvingPruner(min_resource=1, reduction_factor=3), sampler=RandomSampler())
        for _ in range(2)
    ]
    trials: dict[int, list[Trial]] = {}

    def goes_on(number: int, epoch: int, values_PM: Values) -> bool:
        for trial, value in zip(trials.setdefault(number, [s.ask() for s in studies]), values_PM[0], strict=True):
            trial.report(float(value), epoch)
        stop = epoch < EPOCHS and all(trial.should_prune() for trial in trials[number])
        if stop or epoch == EPOCHS:
            for study, trial, value in zip(studies, trials[number], values_PM[0], strict=True):
                study.tell(trial, None if stop else float(value), TrialState.PRUNED if stop else TrialState.COMPLETE)
        return not stop

    return goes_on


def syne_tune_moasha(seed: int) -> GoesOn:
    """Syne Tune's MOASHA, from its own package; it looks at one point of a trial."""
    from syne_tune.backend.trial_status import Trial as SyneTrial
    from syne_tune.optimizer.scheduler import SchedulerDecision
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

    np.random.seed(seed)
    scheduler = MOASHA({}, ["error", "cost"], time_attr="epoch", max_t=EPOCHS, random_seed=seed)
    trials: dict[int, SyneTrial] = {}

    def goes_on(number: int, epoch: int, values_PM: Values) -> bool:
        if number not in trials:
            trials[number] = SyneTrial(number, {}, datetime(2026, 1, 1))
            scheduler.on_trial_add(trials[number])
        result = {"epoch": epoch, "error": float(values_PM[0, 0]), "cost": float(values_PM[0, 1])}
        if epoch == EPOCHS:
            scheduler.on_trial_complete(trials[number], result)
            return True
        return bool(scheduler.on_trial_result(trials[number], result) != SchedulerDecision.STOP)

    return goes_on


# -- what the sampler is told of a trial that shows its whole frontier: values_PM and the front to what is minimised

Tell = Callable[[Values, Values], list[float]]


def adds_most(values_PM: Values, front_FM: Values) -> list[float]:
    """The point that adds most to the front; where none adds any, the nearest to it."""
    best = closest_to_front(values_PM, front_FM, REFERENCE_POINT)
    return [float(value) for value in values_PM[best]]


def at_budgets(values_PM: Values, front_FM: Values) -> list[float]:
    """Accuracy at several fixed latencies, an objective each."""
    return [float(min(values_PM[values_PM[:, 1] <= budget, 0], default=0.0)) for budget in BUDGETS]


def own_volume(values_PM: Values, front_FM: Values) -> list[float]:
    """The hypervolume of the trial's own frontier, the only objective."""
    return [-hypervolume(values_PM, REFERENCE_POINT)]


# -- a method


@dataclass(frozen=True)
class Method:
    """`whole` trials show their frontier, others one point at sampled thresholds. `ours` takes the samplers of
    `searchlab.search.samplers`, which are made anew for every trial. `stopped` says what is told of stopped trials:
    nothing but that ("pruned"), what they showed at their rung ("rung"), or a broken constraint ("infeasible").
    `repeats` says whether it is "told" again what is known of a candidate that it proposes again, or "nothing".
    Ours begins with `first` random candidates, `cheapest_first` or as they are drawn, and asks Gaussian processes up to
    trial `gp_until` (not after a repeat: of few candidates they propose the same again and again).
    """

    sampler: str
    whole: bool = False
    stops: Callable[[int], GoesOn] = nobody
    tell: Tell = adds_most
    objectives: int = 2
    ours: bool = False
    stopped: str = "pruned"
    budget_parameter: bool = False
    repeats: str = "told"
    first: int = STARTUP_TRIALS
    cheapest_first: bool = True
    gp_until: int = 0


def _variant(**fields: object) -> Method:
    return Method(**({"sampler": "tpe", "whole": True, "stops": rule("moasha"), "ours": True} | fields))  # type: ignore[arg-type]


METHODS: dict[str, Method] = {
    **{name: Method(name) for name in SAMPLERS},
    "TPE, pruner for every metric": Method("TPE", stops=every_metric),
    "Syne Tune MOASHA": Method("random", stops=syne_tune_moasha),
    **{f"{name} + frontier": Method(name, whole=True) for name in SAMPLERS},
    "TPE, pruner for every metric + frontier": Method("TPE", whole=True, stops=every_metric),
    "Syne Tune MOASHA + frontier": Method("random", whole=True, stops=syne_tune_moasha),
    OURS: _variant(),
    "ours, no stopping": _variant(stops=nobody),
    "ours, best third alone goes on": _variant(stops=best_third),
    "ours, median-hv": _variant(stops=rule("median-hv")),
    "ours, accuracy-asha": _variant(stops=rule("accuracy-asha")),
    "ours, random": _variant(sampler="random"),
    "ours, nsga2": _variant(sampler="nsga2"),
    "ours, ten random first": _variant(first=10),
    "ours, random ones as drawn": _variant(cheapest_first=False),
    "ours, GP at first": _variant(gp_until=50, repeats="nothing"),
    "ours, GP, no stopping": _variant(gp_until=1000, repeats="nothing", stops=nobody),
    "ours, told rung values": _variant(stopped="rung"),
    "ours, told infeasible": _variant(stopped="infeasible"),
    "ours, told at budgets": _variant(tell=at_budgets, objectives=3),
    "ours, told own volume": _variant(tell=own_volume, objectives=1),
    "ours, budget a parameter": _variant(tell=at_budgets, objectives=1, budget_parameter=True),
    "ours, repeats not told": _variant(repeats="nothing"),
}


# -- the replay


@dataclass
class Searcher:
    """Asks Optuna and tells it, in one of the ways there are."""

    method: Method
    seed: int
    study: optuna.Study = field(init=False)

    def __post_init__(self) -> None:
        sampler = None if self.method.ours else SAMPLERS[self.method.sampler](self.seed)
        self.study = optuna.create_study(directions=["minimize"] * self.method.objectives, sampler=sampler)
        self.joint = joint_space()

    def begin(self, seen: Seen) -> None:
        """Ours draws the first trials together, as `searchlab.search.startup` does."""
        if not self.method.ours or self.method.sampler not in RANDOM_FIRST:
            return
        scratch = optuna.create_study(sampler=RandomSampler(seed=self.seed))
        found: list[dict[str, Any]] = []
        while len(found) < self.method.first:
            params = scratch.ask(SPACE).params
            found += [params] if params not in found else []
        if self.method.cheapest_first:
            found.sort(key=lambda params: seen.network(params).macs)
        for params in found:
            self.study.enqueue_trial(params)

    def ask(self, number: int, repeated: int) -> Trial:
        if self.method.ours:
            name = "gp" if number < self.method.gp_until and repeated == 0 else self.method.sampler
            name = name if repeated < RANDOM_AFTER else "random"
            self.study.sampler = sampler_for(name, self.seed, number, self.joint)
        extra = {} if self.method.whole else ALL_LEVELS
        return self.study.ask({**SPACE, **extra, **(BUDGET if self.method.budget_parameter else {})})

    def again(self, trial: Trial, values: list[float], complete: bool) -> None:
        """What is made of a candidate that was tried before, and is not trained again."""
        if self.method.repeats == "told":
            self.tell(trial, values, complete=complete)
        else:
            self.study.tell(trial, state=TrialState.FAIL)

    def tell(self, trial: Trial, values: list[float], *, complete: bool) -> None:
        if not complete and self.method.stopped == "pruned":
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        if not complete and self.method.stopped == "infeasible":
            trial.set_constraint("stopped", 1.0)
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        if not self.method.budget_parameter:
            self.study.tell(trial, values)
            return
        own = trial.params["budget"]
        self.study.tell(trial, values[own])
        for budget in (b for b in range(len(BUDGETS)) if b != own):
            known = optuna.trial.create_trial(
                params={**trial.params, "budget": budget}, distributions=trial.distributions, value=values[budget]
            )
            self.study.add_trial(known)


def shown(method: Method, network: Network, trial: Trial, epoch: int) -> Values:
    """What a trial shows after an epoch."""
    if method.whole:
        return network.frontiers[epoch - 1]
    return network.point(epoch, (trial.params[LEVELS[0]], trial.params[LEVELS[1]]))


def replay(method: Method, budgeted: Budgeted, seed: int) -> list[tuple[float, float]]:
    """After every trial: training spent, in average trainings, and the front's share of the table's hypervolume."""
    seen, searcher, goes_on = budgeted.seen, Searcher(method, seed), method.stops(seed)
    front_FM, spent, steps = np.empty((0, 2)), 0.0, [(0.0, 0.0)]
    known: dict[tuple[int | str, ...], tuple[list[float], bool]] = {}
    repeated = 0
    searcher.begin(seen)
    for number in count():
        if spent >= budgeted.trainings or repeated >= REPEATS:
            return steps
        trial = searcher.ask(number, repeated)
        key = tuple(trial.params[name] for name in AXES)
        if method.ours and key in known:
            repeated += 1
            searcher.again(trial, *known[key])
            continue
        network, repeated = seen.networks[key], 0
        epochs = next((e for e in range(1, EPOCHS) if not goes_on(number, e, shown(method, network, trial, e))), EPOCHS)
        if epochs == EPOCHS:
            goes_on(number, EPOCHS, shown(method, network, trial, EPOCHS))
        spent += epochs * network.macs / (EPOCHS * seen.mean_macs)
        values_PM = shown(method, network, trial, epochs)
        values = method.tell(values_PM, front_FM)
        searcher.tell(trial, values, complete=epochs == EPOCHS)
        known[key] = (values, epochs == EPOCHS)
        if epochs == EPOCHS:
            rows = np.concatenate([front_FM, values_PM])
            front_FM = rows[non_dominated(rows)]
        steps.append((spent, hypervolume(front_FM, REFERENCE_POINT) / seen.volume))
    raise AssertionError
