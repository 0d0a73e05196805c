"""Seconds to suggest one candidate with 100, 1,000 and 10,000 recorded trials, in memory and in a SQLite file.

Recorded are what a suggestion reads: parameters of the `small_resnet` space, sampled at random, and two made-up values
that depend on them. Every sampler is made anew for each suggestion, as the driver does, and is lent the joint space.
"""

import random
import statistics
import tempfile
import time
from pathlib import Path

import optuna
from common import arguments, report
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial

from searchlab.architecture import ImageSpec
from searchlab.search.catalog import find, load_space
from searchlab.search.samplers import joint_space, sampler_for
from searchlab.search.spaces import propose
from searchlab.search.storage import open_storage
from searchlab.study import Study

SIZES, MEASURED, BAR_S = (100, 1000, 10_000), 9, 0.3
SAMPLERS = ("tpe", "nsga2", "random")
IMAGES = ImageSpec(3, 32, 32, 10)
STUDY = Study("small_resnet", "cifar10", max_params=300_000)


def recorded(count: int) -> list[FrozenTrial]:
    """Trials with made-up results: dearer networks are better, with noise."""
    rng, space = random.Random(0), load_space(find("space", STUDY.space_name))
    scratch = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    first = scratch.ask()
    propose(space, first, IMAGES, STUDY)
    trials = []
    for _ in range(count):
        # The space has no parameters that come and go: no candidate need be built to know them.
        trial = scratch.ask(first.distributions)
        dear = trial.params["budget_share"] ** 0.5
        values = [0.5 + 0.4 * dear + rng.gauss(0, 0.02), 0.2 + dear]
        made = optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, values=values)
        trials.append(made)
    return trials


def seconds(study: optuna.Study, sampler: str, count: int) -> float:
    """Median time of one suggestion, all parameters of the space asked for; the first is not counted."""
    space, joint, taken = load_space(find("space", STUDY.space_name)), joint_space(), []
    for number in range(MEASURED + 1):
        begun = time.perf_counter()
        study.sampler = sampler_for(sampler, 0, count + number, joint)
        trial = study.ask()
        propose(space, trial, IMAGES, STUDY)
        taken.append(time.perf_counter() - begun)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return statistics.median(taken[1:])


def main() -> None:
    args = arguments(__doc__ or "")
    sizes = SIZES[:2] if args.quick else SIZES
    everything = recorded(max(sizes))
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for kind in ("memory", "sqlite"):
            url = f"sqlite:///{Path(temporary) / 'studies.db'}"
            storage: BaseStorage = InMemoryStorage() if kind == "memory" else open_storage(url, create=True)
            study = optuna.create_study(storage=storage, directions=["maximize", "minimize"])
            before = 0
            for count in sizes:
                study.add_trials(everything[before:count])
                before = count
                for sampler in SAMPLERS:
                    figures[f"{kind}, {count:,} trials, {sampler}, s"] = seconds(study, sampler, count)
    largest = [name for name in figures if f"{sizes[-1]:,} trials, tpe" in name]
    report("sampler_scale", figures, {name: (figures[name], BAR_S, "max") for name in largest})


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main()
