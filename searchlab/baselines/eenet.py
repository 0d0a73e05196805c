"""Budget policy in the manner of EENet (Ilhan et al. 2023): learned utilities, thresholds fitted to a budget.

At each early exit a logistic regression predicts, from the exit's confidence and its agreement with earlier exits,
whether the exit is correct. Its log odds are the utility. For a budget, samples are shared out among exits
geometrically (pi_k ~ q^k) such that the mean cost meets it, and those of highest utility leave first. Thresholds are
set on utilities of held-out samples. This is simpler than EENet, which learns the shares together with the utilities,
and uses the probability of every class.

Shapes: N samples, K exits, E early ones, F features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchlab.baselines.policy import Taken, first_exit, held_out, relative_costs
from searchlab.exits.budgets import shares_for, surest_first
from searchlab.exits.frontier import FrontierSettings
from searchlab.exits.scores import SCORES
from searchlab.exits.table import ExitTable
from searchlab.record import Profile

FEATURES = ("max_softmax", "margin", "entropy")
"""Scores used as features; a fourth feature is the share of earlier exits that predict the same class."""

BUDGETS = 39
"""Budgets at even steps between leaving at the first exit and at the last, both excluded."""

Weights = tuple[tuple[float, ...], ...]
"""For every early exit a weight per feature, then the intercept."""

Features = NDArray[np.float64]
"""features_NEF."""


@dataclass(frozen=True)
class EENet:
    """Leave at the first exit whose utility reaches its threshold. `budget` is a share of the last exit's cost."""

    budget: float
    weights: Weights
    thresholds: tuple[float, ...]

    @property
    def scores(self) -> tuple[str, ...]:
        """Three scores; the cost of the regression itself is neglected."""
        return FEATURES

    @property
    def exits(self) -> None:
        """All exits are in use."""
        return None

    def leaves_at(self, table: ExitTable) -> Taken:
        """Returns the first exit whose utility reaches its threshold."""
        return first_exit(utilities(features(table), self.weights) >= np.asarray(self.thresholds))


def eenet(table: ExitTable, profile: Profile, settings: FrontierSettings) -> tuple[EENet, ...]:
    """Fits a policy per budget. Mean cost on held-out utilities is within a sample per exit of the budget."""
    cost_K = relative_costs(profile, settings, FEATURES)
    weights, unseen_NE = fit_weights(table), utilities_out_of_fold(table)
    budgets = np.linspace(cost_K[0], cost_K[-1], BUDGETS + 2)[1:-1].tolist()
    found = [EENet(budget, weights, surest_first(unseen_NE, shares_for(budget, cost_K))) for budget in budgets]
    return tuple(dict.fromkeys(found))


def features(table: ExitTable) -> Features:
    """Returns highest softmax, margin, (minus) entropy, and the share of earlier exits that agree, 0 at the first."""
    early = table.exits - 1
    class_NK = table.logits_NKC.argmax(axis=2)
    agreeing = [(class_NK[:, :k] == class_NK[:, k, None]).sum(axis=1) / max(k, 1) for k in range(early)]
    agreement_NE = np.asarray(agreeing, dtype=np.float64).reshape(early, table.samples).T
    return np.stack([*(SCORES[name](table.logits_NKC[:, :early]) for name in FEATURES), agreement_NE], axis=2)


def utilities(features_NEF: Features, weights: Weights) -> NDArray[np.float64]:
    """Returns utility_NE, the log odds of a correct answer."""
    weights_EF = np.asarray(weights, dtype=np.float64).reshape(features_NEF.shape[1], features_NEF.shape[2] + 1)
    return np.asarray((features_NEF * weights_EF[:, :-1]).sum(axis=2) + weights_EF[:, -1])


def utilities_out_of_fold(table: ExitTable) -> NDArray[np.float64]:
    """Returns utility_NE by weights fitted to other samples; 0 for a lone sample."""
    features_NEF = features(table)
    unseen_NE = np.zeros(features_NEF.shape[:2])
    for held_N in held_out(table.samples):
        unseen_NE[held_N] = utilities(features_NEF[held_N], fit_weights(table.part(~held_N)))
    return unseen_NE


def fit_weights(table: ExitTable) -> Weights:
    """Fits the weights of every early exit."""
    features_NEF = features(table)
    return tuple(_logistic(features_NEF[:, k], table.correct_NK[:, k]) for k in range(table.exits - 1))


def _logistic(features_NF: NDArray[np.float64], right_N: NDArray[np.bool_]) -> tuple[float, ...]:
    """Fits weights on the raw features, and the intercept.

    If all samples are correct, or none, the weights select the highest softmax, with Laplace's log odds as intercept.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    right = int(np.count_nonzero(right_N))
    if right in (0, len(right_N)):
        return (1.0, 0.0, 0.0, 0.0, float(np.log((right + 1) / (len(right_N) - right + 1))))
    scaler = StandardScaler().fit(features_NF)
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(features_NF), right_N)
    weight_F = model.coef_[0] / scaler.scale_
    return (*weight_F.tolist(), float(model.intercept_[0] - weight_F @ scaler.mean_))
