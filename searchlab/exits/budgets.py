"""Budgets: shares of samples per exit from one parameter, and thresholds from shares (MSDNet, section 5).

Source: Huang et al. 2018.

Shapes: N samples, K exits, G values of q that are tried.
"""

import numpy as np
from numpy.typing import NDArray

from searchlab.exits.costs import Costs
from searchlab.exits.scores import Scores

Shares = NDArray[np.float64]
"""Share of all samples at each exit, share_K; the sum is 1."""


def geometric_shares(q: float | NDArray[np.float64], exits: int) -> Shares:
    """Returns share_GK for several q_G: pi_k = q^k over the sum of q^j; below 1 most samples leave early."""
    q_G1 = np.asarray(q)[..., None]
    # The largest power is 1, so that none overflows.
    power_GK = q_G1 ** (np.arange(1, exits + 1) - np.where(q_G1 > 1, exits, 1))
    return np.asarray(power_GK / power_GK.sum(axis=-1, keepdims=True))


def shares_for(budget: float, cost_K: Costs) -> Shares:
    """Returns the geometric shares with mean cost `budget`, for ascending costs; the nearest if none costs as much."""
    log_q_G = np.linspace(-20, 20, 4001)
    cost_G = geometric_shares(np.exp(log_q_G), len(cost_K)) @ cost_K
    return geometric_shares(float(np.exp(np.interp(budget, cost_G, log_q_G))), len(cost_K))


def surest_first(score_NK: Scores, share_K: Shares) -> tuple[float, ...]:
    """Returns the thresholds with which the N pi_k most certain remaining samples leave at exit k.

    Samples with the same score as the last of them leave too. Of `score_NK` only the early exits' columns are read.
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
