"""Means over seeds, with 95% intervals for new seeds and a new test set (docs/uncertainty.md)."""

from collections.abc import Hashable

import numpy as np
from scipy.special import stdtrit  # scipy.stats takes a second to import

from workflow_scripts.measures.intervals import Z_95
from workflow_scripts.measures.rounding import settled


def over_seeds(values: np.ndarray, shared: np.ndarray | float = 0.0) -> dict[str, np.ndarray]:
    """Mean over seeds, with the standard deviation and the 95% interval of the mean.

    The interval is the t interval of the seeds and the normal one of what they share, added in quadrature: for new
    seeds and a new test set. Without what they share, it is for new seeds on this test set. Seeds with NaN (a T0 that
    was never reached) are left out.

    Args:
        values: an estimate of each seed, [S, ...].
        shared: the variance that all seeds have in common because they share a test set (`shared_variance`), [...].

    Returns:
        `seeds` (how many have a value), `mean`, `std`, `lo`, `hi`: [...] each. NaN where undefined: one seed has no
        deviation and no interval.
    """
    values = np.asarray(values, dtype=float)
    n = np.isfinite(values).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, 0) / n
        deviation = np.sqrt(np.nansum((values - mean) ** 2, 0) / (n - 1))
        t = stdtrit(np.maximum(n - 1, 1), 0.975)
        half = np.sqrt(t**2 * deviation**2 / n + Z_95**2 * shared)
    several = n > 1
    found = {
        "mean": np.where(n > 0, mean, np.nan),
        "std": np.where(several, deviation, np.nan),
        "lo": np.where(several, mean - half, np.nan),
        "hi": np.where(several, mean + half, np.nan),
    }
    return {"seeds": n, **{name: settled(values) for name, values in found.items()}}


def shared_variance(mean: np.ndarray, own: np.ndarray, seeds: int) -> np.ndarray:
    """Variance that the estimates of several seeds have in common through the examples that they share.

    The mean covariance between the influences of two seeds, over N; at least 0.

    Args:
        mean: influence of each example, averaged over the seeds, [..., N].
        own: variance of the influence over the examples within a seed, averaged over the seeds, [...].
        seeds: their number.

    Returns:
        [...], in the squared unit of the influence; 0 for a single seed.
    """
    if seeds < 2:
        return np.zeros(np.shape(own))
    between = (seeds * mean.var(-1) - own) / (seeds - 1)
    return np.maximum(between, 0) / mean.shape[-1]


class SharedExamples:
    """What seeds have in common through the test examples that they share, added up seed by seed.

    Any number of estimates, each with a key. Memory does not grow with the number of seeds.
    """

    def __init__(self):
        self._sums: dict[Hashable, tuple[np.ndarray, np.ndarray, int]] = {}

    def add(self, key: Hashable, influence: np.ndarray) -> None:
        """Add one seed's: the influence of each example on its estimate, [..., N]."""
        mean, own, seeds = self._sums.get(key, (0.0, 0.0, 0))
        self._sums[key] = mean + influence, own + influence.var(-1), seeds + 1

    def variances(self) -> dict[Hashable, np.ndarray]:
        """Key -> the variance that the seeds' estimates have in common (`shared_variance`), [...]."""
        return {key: shared_variance(mean / n, own / n, n) for key, (mean, own, n) in self._sums.items()}
