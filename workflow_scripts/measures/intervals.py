"""95% intervals of one seed's quantities for a new test set, from joint counts alone, by the influence function.

docs/uncertainty.md says why the usual bootstrap fails here, what the intervals speak of, and how well they cover. All
are pointwise over checkpoints. Information is in bits.
"""

import numpy as np
from scipy.special import gammainc, gammaincinv  # scipy.stats takes a second to import

from workflow_scripts.measures import corrections, exact_tests, information, rounding
from workflow_scripts.measures.information import CONDITIONAL, LN_2

Z_95 = 1.959963984540054

#: least mean of 2 N I under independence: keeps limits apart where the counts show no noise at all
_LEAST_MEAN = 0.25


def influence(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Influence of an example of each cell on every quantity, on the lead and on both accuracies.

    The signed sum of its margins' log densities, so that the mean over the examples is the plug-in value.

    Args:
        counts: joint counts, [..., f, l, y].

    Returns:
        Quantity of information.TERMS, or `lead` -> bits, [..., f, l, y]; where F and L have the same classes also
        `accuracy` and `explainer_accuracy`, 0 or 1.
    """
    total = counts.sum((-3, -2, -1), keepdims=True)
    surprise = {
        axes: np.log2(total) - np.log2(np.maximum(information.margin(counts, axes), 1)) for axes in information.MARGINS
    }
    psi = {
        name: sum(sign * surprise[axes] for axes, sign in terms.items()) for name, terms in information.TERMS.items()
    }
    psi["lead"] = psi["I_FY"] - psi["I_LY"]
    right = np.eye(counts.shape[-1])
    if counts.shape[-2] == counts.shape[-1]:
        psi |= {"accuracy": right[:, None, :], "explainer_accuracy": right}
    return {name: np.broadcast_to(values, counts.shape) for name, values in psi.items()}


def deviation(psi: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Standard deviation of an influence over the examples.

    Args:
        psi: influence of an example of each cell, [..., f, l, y].
        counts: joint counts, [..., f, l, y].

    Returns:
        [...], in the unit of psi.
    """
    weight = counts / counts.sum((-3, -2, -1), keepdims=True)
    mean = (weight * psi).sum((-3, -2, -1), keepdims=True)
    return np.sqrt((weight * (psi - mean) ** 2).sum((-3, -2, -1)))


def pair_intervals(counts: np.ndarray) -> dict[str, np.ndarray]:
    """I(F;Y) with its 95% interval, where there is no explainer.

    Args:
        counts: information.pair_counts, [..., f, 1, y].

    Returns:
        `I_FY`, `I_FY_corrected`, `I_FY_lo`, `I_FY_hi` (bits) and `accuracy`, [...] each.
    """
    plug_in = information.measures(counts)
    best = information.combine(information.entropy_terms(counts, corrections.jackknife_entropy))["I_FY"]
    lo, hi = limits(plug_in["I_FY"], best, deviation(influence(counts)["I_FY"], counts), counts.sum((-3, -2, -1)))
    return {"I_FY": plug_in["I_FY"], "I_FY_corrected": best, "I_FY_lo": lo, "I_FY_hi": hi} | {
        "accuracy": plug_in["accuracy"]
    }


def with_intervals(counts: np.ndarray, draws: int = exact_tests.DRAWS) -> dict[str, np.ndarray]:
    """Every quantity with its corrected value and its 95% interval.

    The lower limit of a conditional one is 0 unless the exact test of conditional independence rejects at 2.5%.

    Args:
        counts: joint counts, [..., f, l, y].
        draws: random tables of the exact tests.

    Returns:
        `n`, `accuracy`, and for each quantity q of information.TERMS `q`, `q_corrected`, `q_lo`, `q_hi` (bits); `q_p`
        of conditional ones (exact_tests.independence_p); and `lead`, `lead_lo`, `lead_hi` (bits, see `lead`). [...]
        each.
    """
    plug_in, best, psi = information.measures(counts), corrections.corrected(counts), influence(counts)
    n = counts.sum((-3, -2, -1))
    columns = {"n": n, "accuracy": plug_in["accuracy"]}
    for name in information.TERMS:
        sigma = deviation(psi[name], counts)
        if name == "mu":
            half = half_width(sigma, n)
            lo, hi = best[name] - half, best[name] + half
        else:
            lo, hi = limits(plug_in[name], best[name], sigma, n)
        if name in CONDITIONAL:
            columns[f"{name}_p"] = exact_tests.independence_p(counts, name, draws)
            lo = np.where(columns[f"{name}_p"] <= 0.025, lo, 0.0)
            hi = np.maximum(hi, _few_disagreements(counts, name))
        columns |= {name: plug_in[name], f"{name}_corrected": best[name], f"{name}_lo": lo, f"{name}_hi": hi}
    return columns | lead(counts)


def performance_correlation(counts: np.ndarray) -> dict[str, np.ndarray]:
    """mu_Y(F;L) (N19 Definition 1) with its 95% interval.

    Args:
        counts: joint counts, [..., f, l, y], with any number of values of L.

    Returns:
        `mu`, `mu_corrected`, `mu_lo`, `mu_hi`: bits, [...] each.
    """
    best, sigma = corrections.corrected(counts)["mu"], deviation(influence(counts)["mu"], counts)
    half = half_width(sigma, counts.sum((-3, -2, -1)))
    return {
        "mu": information.measures(counts)["mu"],
        "mu_corrected": best,
        "mu_lo": best - half,
        "mu_hi": best + half,
    }


def lead(counts: np.ndarray) -> dict[str, np.ndarray]:
    """I(F;Y) - I(L;Y), whose sign decides where T0 lies, with its normal 95% interval.

    Args:
        counts: joint counts, [..., f, l, y].

    Returns:
        `lead`, `lead_lo`, `lead_hi`: bits, [...] each.
    """
    plug_in = information.measures(counts)
    difference = plug_in["I_FY"] - plug_in["I_LY"]
    half = Z_95 * deviation(influence(counts)["lead"], counts) / np.sqrt(counts.sum((-3, -2, -1)))
    found = {"lead": difference, "lead_lo": difference - half, "lead_hi": difference + half}
    return {name: rounding.settled(bits) for name, bits in found.items()}


def ratio(counts: np.ndarray) -> dict[str, np.ndarray]:
    """mu(F;L) / I(F;Y) (N19 Table 2) with its 95% interval.

    It is 1 - I(F;Y|L) / I(F;Y), by the limits of I(F;Y|L) with the influence of the ratio.

    Args:
        counts: joint counts, [..., f, l, y].

    Returns:
        `ratio`, `ratio_corrected`, `ratio_lo`, `ratio_hi`, [...] each. NaN where the lower limit of I(F;Y) is 0: there
        is nothing to have a share of.
    """
    found = with_intervals(counts)
    psi = influence(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (found["I_FY_given_L"] / found["I_FY"])[..., None, None, None]
        sigma = deviation(psi["I_FY_given_L"] - share * psi["I_FY"], counts)
        lo, hi = limits(found["I_FY_given_L"], found["I_FY_given_L_corrected"], sigma, found["n"])
        lo = np.where(found["I_FY_given_L_p"] <= 0.025, lo, 0.0)
        hi = np.maximum(hi, _few_disagreements(counts, "I_FY_given_L"))
        shares = {
            "ratio": found["mu"] / found["I_FY"],
            "ratio_corrected": found["mu_corrected"] / found["I_FY_corrected"],
            "ratio_lo": 1 - hi / found["I_FY_corrected"],
            "ratio_hi": 1 - lo / found["I_FY_corrected"],
        }
    known = found["I_FY_lo"] > 0
    return {name: np.where(known, value, np.nan) for name, value in shares.items()}


def ratio_influence(counts: np.ndarray) -> np.ndarray:
    """Influence of an example of each cell on mu(F;L) / I(F;Y): [..., f, l, y], from joint counts [..., f, l, y]."""
    plug_in, psi = information.measures(counts), influence(counts)
    i_fy, share = (value[..., None, None, None] for value in (plug_in["I_FY"], plug_in["mu"] / plug_in["I_FY"]))
    return (psi["mu"] - share * psi["I_FY"]) / i_fy


def limits(plug_in: np.ndarray, best: np.ndarray, sigma: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% limits of a quantity that can't be negative.

    T = 2 N I (nats) is taken to be Gamma distributed with mean d + lam and variance 2 d + 4 r lam, where lam is 2 N
    times the true value, d the bias of T, and r makes the variance that of the influence function. The limits are
    those lam for which T is as small, or as large, as it is in 2.5% of cases.

    Args:
        plug_in, best: its plug-in and its corrected value, bits, [...].
        sigma: standard deviation of its influence over the examples, bits, [...].
        n: number of examples, [...].

    Returns:
        The lower and the upper limit, bits, [...] each.
    """
    scale = 2 * n * LN_2
    t = np.maximum(scale * plug_in, 0)
    d = np.maximum(scale * (plug_in - best), _LEAST_MEAN)
    r = np.where(t > 1e-9, n * (sigma * LN_2) ** 2 / np.maximum(t, 1e-9), 1.0)
    lo = np.where(_cdf(t, np.zeros_like(t), d, r) > 0.975, _solve(t, d, r, 0.975), 0.0)
    return lo / scale, _solve(np.maximum(t, d), d, r, 0.025) / scale


def half_width(sigma: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Half the width of a normal 95% interval, never quite 0.

    Args:
        sigma: standard deviation of the influence over the examples, bits, [...].
        n: number of examples, [...].

    Returns:
        Bits, [...].
    """
    return Z_95 * np.maximum(sigma / np.sqrt(n), np.sqrt(2 * _LEAST_MEAN) / (2 * n * LN_2))


def _cdf(t: np.ndarray, lam: np.ndarray, d: np.ndarray, r: np.ndarray) -> np.ndarray:
    """P(T <= t), with d, r and lam as in `limits`."""
    mean, variance = d + lam, 2 * d + 4 * r * lam
    return gammainc(mean**2 / variance, t * mean / variance)


def _solve(t: np.ndarray, d: np.ndarray, r: np.ndarray, probability: float) -> np.ndarray:
    """The lam at which P(T <= t) is the given probability, by bisection; 0 where it is smaller at 0 already."""
    lo, hi = np.zeros_like(t), 4 * t + 40 * np.maximum(r, 1) + 20
    for _ in range(60):
        middle = (lo + hi) / 2
        above = _cdf(t, middle, d, r) > probability
        lo, hi = np.where(above, middle, lo), np.where(above, hi, middle)
    return lo


def _few_disagreements(counts: np.ndarray, name: str) -> np.ndarray:
    """Upper limit (bits) of I(F;Y|L) or I(L;Y|F) where F and L disagree on fewer than 4 examples; else 0.

    A disagreement bears at most log2((C - 1) / error rate) bits, and there are at most chi2_0.975(2 (k + 1)) / 2.
    """
    if name == "I_FL_given_Y":
        return np.zeros(counts.shape[:-3])
    n, n_classes = counts.sum((-3, -2, -1)), counts.shape[-1]
    k = n - np.trace(counts.sum(-1), axis1=-2, axis2=-1)
    of_given = counts.sum(-3 if name == "I_FY_given_L" else -2)
    error = np.maximum(1 - np.trace(of_given, axis1=-2, axis2=-1) / n, 1 / n)
    bits = np.log2(np.maximum(n_classes - 1, 1) / error)
    return np.where(k < 4, gammaincinv(k + 1.0, 0.975) / n * bits, 0.0)
