"""Bias correction and intervals for the quantities of information.py, from the joint counts alone.

The correction is the jackknife over examples in closed form; the interval is the corrected value +- 1.96 sigma/sqrt(N),
sigma being the standard deviation of the influence function. Intervals are pointwise over checkpoints, speak of the
draw of the evaluation set, and are stored raw: nothing is clipped at 0.
"""

import numpy as np
from scipy.special import xlogy
from scipy.stats import t as student_t

from workflow_scripts import information

Z_95 = 1.959963984540054


def jackknife_entropy(counts: np.ndarray) -> np.ndarray:
    """Leave-one-out jackknife entropy over the last three axes, in nats.

    H_J = N ln N - (N-1) ln(N-1) - (1/N) sum n [n ln n - (n-1) ln(n-1)]; equals the brute-force jackknife.
    """
    n = counts.sum((-3, -2, -1))
    less = np.maximum(counts - 1, 0)
    change = counts * (xlogy(counts, counts) - xlogy(less, less))
    return xlogy(n, n) - xlogy(n - 1, n - 1) - change.sum((-3, -2, -1)) / n


def corrected(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Jackknife-corrected value of every information quantity, in bits; counts: [..., f, l, y]."""
    return information.combine(information.entropy_terms(counts, jackknife_entropy))


def influence_deviation(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Standard deviation, in bits, of each quantity's influence function over the examples; counts: [..., f, l, y].

    The influence of an example is the sum of its margins' log densities, so that its mean is the plug-in value.
    """
    total = counts.sum((-3, -2, -1), keepdims=True)
    surprise = {}
    for axes in ("F", "L", "Y", "FL", "FY", "LY", "FLY"):
        m = information.margin(counts, axes)
        surprise[axes] = np.log2(total) - np.log2(np.maximum(m, 1))
    weight = counts / total
    deviation = {}
    for name, terms in information.TERMS.items():
        psi = sum(sign * surprise[axes] for axes, sign in terms.items())
        mean = (weight * psi).sum((-3, -2, -1), keepdims=True)
        deviation[name] = np.sqrt((weight * (psi - mean) ** 2).sum((-3, -2, -1)))
    return deviation


def with_intervals(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Each quantity as `q`, `q_corrected`, `q_lo`, `q_hi` (95%), in bits, with `accuracy` and `n`."""
    plug_in = information.measures(counts)
    best = corrected(counts)
    deviation = influence_deviation(counts)
    n = counts.sum((-3, -2, -1))
    columns = {"n": n, "accuracy": plug_in["accuracy"]}
    for name in information.TERMS:
        half = Z_95 * deviation[name] / np.sqrt(n)
        columns |= {
            name: plug_in[name],
            f"{name}_corrected": best[name],
            f"{name}_lo": best[name] - half,
            f"{name}_hi": best[name] + half,
        }
    return columns


def over_seeds(values: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, standard deviation and 95% t interval of the mean over the first axis (seeds); NaN where undefined.

    Speaks of new seeds on the same evaluation set. One seed has no deviation and no interval; seeds with NaN (a T0
    that was never reached) are left out and `seeds` says how many remain.
    """
    values = np.asarray(values, dtype=float)
    n = np.isfinite(values).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, 0) / n
        deviation = np.sqrt(np.nansum((values - mean) ** 2, 0) / (n - 1))
        half = student_t.ppf(0.975, np.maximum(n - 1, 1)) * deviation / np.sqrt(n)
    nan = np.full_like(mean, np.nan)
    several = n > 1
    return {
        "seeds": n,
        "mean": np.where(n > 0, mean, nan),
        "std": np.where(several, deviation, nan),
        "lo": np.where(several, mean - half, nan),
        "hi": np.where(several, mean + half, nan),
    }
