"""Estimates corrected for bias, from joint counts alone (docs/uncertainty.md). Stored raw: they may lie below 0.

Inside this module information is in nats; `corrected` returns bits.
"""

import numpy as np
from scipy.special import gammaln, xlogy

from workflow_scripts.measures import information, rounding
from workflow_scripts.measures.information import CONDITIONAL, LN_2, PAIRS

_CONCENTRATIONS = np.geomspace(0.1, 1e5, 13)


def jackknife_entropy(counts: np.ndarray) -> np.ndarray:
    """Leave-one-out jackknife entropy over the last three axes; equals the brute-force jackknife.

    H_J = N ln N - (N-1) ln(N-1) - (1/N) sum n [n ln n - (n-1) ln(n-1)].

    Args:
        counts: [..., f, l, y].

    Returns:
        Nats, [...].
    """
    n = counts.sum((-3, -2, -1))
    less = np.maximum(counts - 1, 0)
    change = counts * (xlogy(counts, counts) - xlogy(less, less))
    return xlogy(n, n) - xlogy(n - 1, n - 1) - change.sum((-3, -2, -1)) / n


def corrected(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Bias-corrected value of every information quantity.

    Pairs: the jackknife. Conditional quantities: the bias is computed for the one with the smallest plug-in value,
    where the table is nearest to independence and hence known best; mu and the other two follow by the identities
    mu = I(F;Y) - I(F;Y|L) = I(L;Y) - I(L;Y|F) = I(F;L) - I(F;L|Y), which hold exactly for what this returns.

    Args:
        counts: joint counts, [..., f, l, y].

    Returns:
        Quantity of information.TERMS -> bits, [...].
    """
    plug_in = information.measures(counts)
    jackknife = information.combine(information.entropy_terms(counts, jackknife_entropy))
    smallest = np.argmin(np.stack([plug_in[name] for name in CONDITIONAL]), axis=0)
    mu = np.empty(counts.shape[:-3])
    for index, (name, (pair, axis)) in enumerate(CONDITIONAL.items()):
        here = smallest == index
        if here.any():
            conditional = plug_in[name][here] - _conditional_bias(np.moveaxis(counts[here], axis, -2)) / LN_2
            mu[here] = jackknife[pair][here] - conditional
    found = {pair: jackknife[pair] for pair in PAIRS}
    found |= {name: found[pair] - mu for name, (pair, _) in CONDITIONAL.items()} | {"mu": mu}
    return {name: rounding.settled(bits) for name, bits in found.items()}


def _conditional_bias(counts: np.ndarray) -> np.ndarray:
    """Bias of the plug-in I(A;B|Z), in nats; counts: [..., a, z, b]. Mean of the two roles of A and B."""
    return (_row_bias(counts) + _row_bias(np.swapaxes(counts, -3, -1))) / (2 * counts.sum((-3, -2, -1)))


def _row_bias(counts: np.ndarray) -> np.ndarray:
    """N times the bias of H(B|Z) - H(B|A,Z) in nats; counts: [..., a, z, b].

    A row's plug-in entropy is too small by E[x ln x] - m ln m, summed over its cells, x binomial with mean m. The
    densities of a row (a, z) are shrunk towards those of z.
    """
    of_z = counts.sum(-3, keepdims=True)
    n_z = of_z.sum(-1, keepdims=True)
    density = of_z / np.maximum(n_z, 1)
    n_rows = counts.sum(-1, keepdims=True)
    excess = _excess(n_rows, _shrunk(counts, density)).sum((-3, -2, -1))
    return excess - _excess(n_z, density).sum((-3, -2, -1))


def _shrunk(counts: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Densities of rows [..., a, z, :] shrunk to those of z [..., 1, z, :], by as much as the rows are alike.

    Posterior means under a Dirichlet prior, its concentration by marginal likelihood; rows with a = z, which hold most
    examples, have one of their own.
    """
    density = np.broadcast_to(density, counts.shape)
    n = counts.sum(-1)
    diagonal = np.eye(*counts.shape[-3:-1], dtype=bool)
    shrunk = np.empty(counts.shape)
    for rows in (diagonal, ~diagonal):
        x, p, n_rows = counts[..., rows, :], density[..., rows, :], n[..., rows]
        likelihood = [
            (gammaln(a) - gammaln(n_rows + a)).sum(-1)
            + np.where(x > 0, gammaln(x + a * p) - gammaln(np.maximum(a * p, 1e-300)), 0).sum((-2, -1))
            for a in _CONCENTRATIONS
        ]
        a = _CONCENTRATIONS[np.argmax(likelihood, axis=0)][..., None, None]
        shrunk[..., rows, :] = (x + a * p) / (n_rows[..., None] + a)
    return shrunk


def _excess(n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """E[X ln X] - np ln np for X ~ Binomial(n, p): exact for small np, by its asymptotic series for large."""
    n, p = (np.array(values, dtype=float) for values in np.broadcast_arrays(n, p))
    q, m = 1 - p, n * p
    with np.errstate(divide="ignore", invalid="ignore"):
        second = q * (1 - 6 * p * q) / 12 - q * q * (1 - 2 * p) / 2 + q**3 / 2
        excess = q / 2 + (q * q / 4 - q * (1 - 2 * p) / 6) / m + second / m**2
    excess[(m <= 0) | (q <= 0)] = 0
    small = (m > 0) & (m < 12) & (q > 0)
    n, p, m = n[small], p[small], m[small]
    mass, mean = np.exp(n * np.log1p(-p)), np.zeros_like(m)
    for x in range(1, 45):
        mass = mass * np.maximum(n - x + 1, 0) / x * (p / (1 - p))
        mean += mass * (x * np.log(x))
    excess[small] = mean - xlogy(m, m)
    return excess
