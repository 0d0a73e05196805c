"""One number to a share of samples per exit, and shares to thresholds (Huang et al. 2018, MSDNet, section 5).

Shapes: N samples, K exits, G values of q that are tried.
"""

import numpy as np
from numpy.typing import NDArray

from searchlab.exits.costs import Costs
from searchlab.exits.scores import Scores

Shares = NDArray[np.float64]
"""share_K: of all samples, at each exit; together 1."""


def geometric_shares(q: float | NDArray[np.float64], exits: int) -> Shares:
    """pi_k = q^k over the sum of q^j: below 1 most leave early, above 1 most leave late. share_GK for several q_G."""
    q_G1 = np.asarray(q)[..., None]
    # The largest power is 1, so that none overflows.
    power_GK = q_G1 ** (np.arange(1, exits + 1) - np.where(q_G1 > 1, exits, 1))
    return np.asarray(power_GK / power_GK.sum(axis=-1, keepdims=True))


def shares_for(budget: float, cost_K: Costs) -> Shares:
    """The geometric shares that cost `budget` on average, where costs ascend; the nearest where none costs so much."""
    log_q_G = np.linspace(-20, 20, 4001)
    cost_G = geometric_shares(np.exp(log_q_G), len(cost_K)) @ cost_K
    return geometric_shares(float(np.exp(np.interp(budget, cost_G, log_q_G))), len(cost_K))


def surest_first(score_NK: Scores, share_K: Shares) -> tuple[float, ...]:
    """The threshold of every exit but the last with which the N pi_k surest of those that remain leave at exit k.

    Samples as sure as the last of them leave too. Of `score_NK` only the early exits' columns are read.
    """
    samples = len(score_NK)
    remaining = np.arange(samples)
    thresholds = []
    for k, quota in enumerate(np.floor(samples * share_K).astype(int).tolist()[:-1]):
        ordered = np.sort(score_NK[remaining, k])[::-1]
        quota = min(quota, len(ordered))
        threshold = float(ordered[quota - 1]) if quota else np.inf
        thresholds.append(threshold)
        remaining = remaining[score_NK[remaining, k] < threshold]
    return tuple(thresholds)
