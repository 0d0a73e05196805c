"""Samplers from a user's file: one function `sampler(seed) -> BaseSampler`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import OptunaError
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from searchlab.errors import UserError
from searchlab.user_file import FUNCTIONS, UserFile, blamed, function_of

FUNCTION = FUNCTIONS["sampler"]


def own_sampler(file: UserFile, seed: int) -> BaseSampler:
    """Makes the file's sampler from a seed.

    Raises:
        UserError: the file does not run, lacks the function, or returns something else.
    """
    function = function_of(file, FUNCTION)
    with blamed(file, f"{FUNCTION}()"):
        made = function(seed)
    if not isinstance(made, BaseSampler):
        what, value = f"{FUNCTION}() must return a sampler of Optuna's", type(made).__name__
        raise UserError(
            "wrong-return-type", what, where=file.place, value=value, allowed="an optuna.samplers.BaseSampler"
        )
    return _Blamed(made, file)


class _Blamed(BaseSampler):
    """Wrapper of a user's sampler, with errors that name the line of its file."""

    def __init__(self, made: BaseSampler, file: UserFile) -> None:
        self.made, self.file = made, file

    def reseed_rng(self) -> None:
        self.made.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        with self._blamed():
            return self.made.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        with self._blamed():
            return self.made.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        with self._blamed():
            return self.made.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        with self._blamed():
            self.made.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        with self._blamed():
            self.made.after_trial(study, trial, state, values)

    def _blamed(self) -> AbstractContextManager[None]:
        # Exceptions of Optuna, for example of its storage, are not the file's fault.
        return blamed(self.file, "its sampler", passing=(OptunaError,))
