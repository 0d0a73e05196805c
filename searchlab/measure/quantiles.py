"""Quantiles and ratios from block times, with intervals that resample whole blocks.

Shape suffixes: R rounds, P passes of a block, Q passes of all rounds, I pieces of a pass, B bootstrap samples.
"""

import numpy as np
from numpy.typing import NDArray

from searchlab.operating_point import Estimate
from searchlab.record import Quantiles

Floats = NDArray[np.float64]

RESAMPLES = 500
UNDISTURBED = (0.1, 0.5)
"""Range of ranks, fastest first, in which a pass counts as undisturbed."""


def quantiles(ms_RP: Floats, seed: int) -> Quantiles:
    """Returns quantiles over all passes; the median's 95 % interval resamples whole, correlated blocks."""
    # Not the quantile at 0.5, which may differ in the last bit.
    p50 = float(np.median(ms_RP))
    p90, p99 = (float(value) for value in np.quantile(ms_RP, (0.9, 0.99)))
    low, high = _interval(np.median(ms_RP, axis=1), seed)
    return Quantiles(p50, p90, p99, min(low, p50), max(high, p50))


def undisturbed_means(ms_RPI: Floats) -> Floats:
    """Returns ms_I: the mean of every piece over the faster half of the passes, without the fastest tenth.

    On a quiet machine they equal the medians within 2 %. Unlike medians they can be added. Other processes on a shared
    machine only slow passes, so the faster half shows the time of the network itself.
    """
    passes_QI = ms_RPI.reshape(-1, ms_RPI.shape[-1])
    total_Q = passes_QI.sum(axis=1)
    low, high = np.quantile(total_Q, UNDISTURBED)
    return np.asarray(passes_QI[(total_Q >= low) & (total_Q <= high)].mean(axis=0))


def mean_over_samples(ms_RPN: Floats) -> float:
    """Returns the mean over N samples (each a piece of the pass) of their undisturbed times."""
    return float(np.mean([undisturbed_means(ms_RPN[..., [sample]])[0] for sample in range(ms_RPN.shape[-1])]))


def paired_ratio(ms_RP: Floats, reference_RP: Floats, seed: int) -> Estimate:
    """Returns undisturbed time over the reference's, with the 95 % bootstrap interval of resampled rounds.

    A disturbance slows both blocks of a round. Resampling them together cancels it.
    """

    def ratio(rounds_BR: NDArray[np.int64]) -> Floats:
        return _undisturbed_B(ms_RP[rounds_BR]) / _undisturbed_B(reference_RP[rounds_BR])

    rounds = len(ms_RP)
    low, high = np.quantile(ratio(_draws_BR(rounds, seed)), (0.025, 0.975))
    value = float(ratio(np.arange(rounds)[None])[0])
    return Estimate(value, min(float(low), value), max(float(high), value))


def _undisturbed_B(ms_BRP: Floats) -> Floats:
    passes_BQ = np.sort(ms_BRP.reshape(len(ms_BRP), -1), axis=1)
    first, last = (int(share * passes_BQ.shape[1]) for share in UNDISTURBED)
    return np.asarray(passes_BQ[:, first : last + 1].mean(axis=1))


def _interval(value_R: Floats, seed: int) -> tuple[float, float]:
    """Returns the 95 % percentile bootstrap interval of the median (Efron 1979)."""
    low, high = np.quantile(np.median(value_R[_draws_BR(len(value_R), seed)], axis=1), (0.025, 0.975))
    return float(low), float(high)


def _draws_BR(rounds: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(rounds, size=(RESAMPLES, rounds))
