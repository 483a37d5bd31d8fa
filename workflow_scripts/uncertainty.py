"""Corrected estimates, 95% intervals and exact tests for the quantities of information.py, from joint counts alone.

docs/uncertainty.md says why the usual bootstrap fails here, what the intervals speak of, and how well they cover. All
are pointwise over checkpoints, and stored raw: a corrected value may lie below 0. Inside this module information is in
nats; what it returns is in bits.
"""

import numpy as np
from scipy.special import gammainc, gammaincinv, gammaln, stdtrit, xlogy  # scipy.stats takes a second to import

from workflow_scripts import information

Z_95 = 1.959963984540054
LN_2 = np.log(2)
#: conditional quantity -> its unconditional one (less mu), and the axis of joint counts that it is conditional on
CONDITIONAL = {"I_FY_given_L": ("I_FY", -2), "I_LY_given_F": ("I_LY", -3), "I_FL_given_Y": ("I_FL", -1)}
PAIRS = ("I_FY", "I_LY", "I_FL")
DRAWS = 199

#: least mean of 2 N I under independence: keeps limits apart where the counts show no noise at all
_LEAST_MEAN = 0.25
_CONCENTRATIONS = np.geomspace(0.1, 1e5, 13)
_CHUNK = 1 << 24  # cells of random tables at a time: bounds the working memory


def jackknife_entropy(counts: np.ndarray) -> np.ndarray:
    """Leave-one-out jackknife entropy over the last three axes, in nats.

    H_J = N ln N - (N-1) ln(N-1) - (1/N) sum n [n ln n - (n-1) ln(n-1)]; equals the brute-force jackknife.
    """
    n = counts.sum((-3, -2, -1))
    less = np.maximum(counts - 1, 0)
    change = counts * (xlogy(counts, counts) - xlogy(less, less))
    return xlogy(n, n) - xlogy(n - 1, n - 1) - change.sum((-3, -2, -1)) / n


def corrected(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Bias-corrected value of every information quantity, in bits; counts: [..., f, l, y].

    Pairs: the jackknife. Conditional quantities: the bias is computed for the one with the smallest plug-in value,
    where the table is nearest to independence and hence known best; mu and the other two follow by the identities
    mu = I(F;Y) - I(F;Y|L) = I(L;Y) - I(L;Y|F) = I(F;L) - I(F;L|Y), which hold exactly for what this returns.
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
    return found | {name: found[pair] - mu for name, (pair, _) in CONDITIONAL.items()} | {"mu": mu}


def influence(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Influence of an example of each cell on every quantity and on both accuracies: [..., f, l, y], like counts. Bits.

    The sum of its margins' log densities, so that the mean over the examples is the plug-in value.
    """
    total = counts.sum((-3, -2, -1), keepdims=True)
    surprise = {
        axes: np.log2(total) - np.log2(np.maximum(information.margin(counts, axes), 1))
        for axes in ("F", "L", "Y", "FL", "FY", "LY", "FLY")
    }
    psi = {
        name: sum(sign * surprise[axes] for axes, sign in terms.items()) for name, terms in information.TERMS.items()
    }
    right = np.eye(counts.shape[-1])
    if counts.shape[-2] == counts.shape[-1]:
        psi |= {"accuracy": right[:, None, :], "explainer_accuracy": right}
    return {name: np.broadcast_to(values, counts.shape) for name, values in psi.items()}


def deviation(psi: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Standard deviation over the examples of an influence [..., f, l, y]."""
    weight = counts / counts.sum((-3, -2, -1), keepdims=True)
    mean = (weight * psi).sum((-3, -2, -1), keepdims=True)
    return np.sqrt((weight * (psi - mean) ** 2).sum((-3, -2, -1)))


def pair_intervals(counts: np.ndarray) -> dict[str, np.ndarray]:
    """I(F;Y) as `I_FY` with `_corrected`, `_lo`, `_hi` (bits), and `accuracy`; counts: pair counts [..., f, 1, y]."""
    plug_in = information.measures(counts)
    best = information.combine(information.entropy_terms(counts, jackknife_entropy))["I_FY"]
    lo, hi = _limits(plug_in["I_FY"], best, deviation(influence(counts)["I_FY"], counts), counts.sum((-3, -2, -1)))
    return {"I_FY": plug_in["I_FY"], "I_FY_corrected": best, "I_FY_lo": lo, "I_FY_hi": hi} | {
        "accuracy": plug_in["accuracy"]
    }


def with_intervals(counts: np.ndarray, draws: int = DRAWS) -> dict[str, np.ndarray]:
    """Each quantity as `q`, `q_corrected`, `q_lo`, `q_hi` (95%), in bits, with `accuracy`, `n`; counts: [..., f, l, y].

    Conditional ones also have `q_p`: the exact test of conditional independence, from random tables with the same
    margins, drawn anew from a fixed seed. Their lower limit is 0 unless that test rejects at 2.5%. `lead` is
    I(F;Y) - I(L;Y), whose sign decides where T0 lies.
    """
    plug_in, best, psi = information.measures(counts), corrected(counts), influence(counts)
    n = counts.sum((-3, -2, -1))
    columns = {"n": n, "accuracy": plug_in["accuracy"]}
    for name in information.TERMS:
        sigma = deviation(psi[name], counts)
        if name == "mu":
            half = _half(sigma, n)
            lo, hi = best[name] - half, best[name] + half
        else:
            lo, hi = _limits(plug_in[name], best[name], sigma, n)
        if name in CONDITIONAL:
            columns[f"{name}_p"] = independence_p(counts, name, draws)
            lo = np.where(columns[f"{name}_p"] <= 0.025, lo, 0.0)
            hi = np.maximum(hi, _few_disagreements(counts, name))
        columns |= {name: plug_in[name], f"{name}_corrected": best[name], f"{name}_lo": lo, f"{name}_hi": hi}
    return columns | lead(counts)


def performance_correlation(counts: np.ndarray) -> dict[str, np.ndarray]:
    """mu(F;L) as `mu`, `mu_corrected`, `mu_lo`, `mu_hi` (95%), in bits; counts: [..., f, l, y], any number of l."""
    best, sigma = corrected(counts)["mu"], deviation(influence(counts)["mu"], counts)
    half = _half(sigma, counts.sum((-3, -2, -1)))
    return {
        "mu": information.measures(counts)["mu"],
        "mu_corrected": best,
        "mu_lo": best - half,
        "mu_hi": best + half,
    }


def lead(counts: np.ndarray) -> dict[str, np.ndarray]:
    """I(F;Y) - I(L;Y) as `lead`, `lead_lo`, `lead_hi`, in bits; counts: [..., f, l, y]."""
    plug_in, psi = information.measures(counts), influence(counts)
    difference = plug_in["I_FY"] - plug_in["I_LY"]
    half = Z_95 * deviation(psi["I_FY"] - psi["I_LY"], counts) / np.sqrt(counts.sum((-3, -2, -1)))
    return {"lead": difference, "lead_lo": difference - half, "lead_hi": difference + half}


def ratio(counts: np.ndarray) -> dict[str, np.ndarray]:
    """mu(F;L)/I(F;Y) as `ratio`, `ratio_corrected`, `ratio_lo`, `ratio_hi`; counts: [..., f, l, y].

    1 - I(F;Y|L)/I(F;Y), by the limits of I(F;Y|L) with the influence of the ratio. NaN while the lower limit of I(F;Y)
    is 0: there is nothing to have a share of.
    """
    found = with_intervals(counts)
    psi = influence(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (found["I_FY_given_L"] / found["I_FY"])[..., None, None, None]
        sigma = deviation(psi["I_FY_given_L"] - share * psi["I_FY"], counts)
        lo, hi = _limits(found["I_FY_given_L"], found["I_FY_given_L_corrected"], sigma, found["n"])
        lo = np.where(found["I_FY_given_L_p"] <= 0.025, lo, 0.0)
        hi = np.maximum(hi, _few_disagreements(counts, "I_FY_given_L"))
        limits = {
            "ratio": found["mu"] / found["I_FY"],
            "ratio_corrected": found["mu_corrected"] / found["I_FY_corrected"],
            "ratio_lo": 1 - hi / found["I_FY_corrected"],
            "ratio_hi": 1 - lo / found["I_FY_corrected"],
        }
    known = found["I_FY_lo"] > 0
    return {name: np.where(known, value, np.nan) for name, value in limits.items()}


def ratio_influence(counts: np.ndarray) -> np.ndarray:
    """Influence of an example of each cell on mu(F;L)/I(F;Y): [..., f, l, y]."""
    plug_in, psi = information.measures(counts), influence(counts)
    i_fy, share = (value[..., None, None, None] for value in (plug_in["I_FY"], plug_in["mu"] / plug_in["I_FY"]))
    return (psi["mu"] - share * psi["I_FY"]) / i_fy


def per_class(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The part of each quantity that the examples of each true class contribute, in bits: [..., y].

    S23 Eqs 3 and 4: `q`, `q_corrected`, `q_lo`, `q_hi`; counts: [..., f, l, y]. The parts add up to the quantity, the
    corrected ones to the corrected one: a class bears that share of the correction that it has of the occupied cells.
    Parts of I(F;L) and mu may be negative, and have normal intervals.
    """
    n = counts.sum((-3, -2, -1))
    weight = counts / n[..., None, None, None]
    best, plug_in = corrected(counts), information.measures(counts)
    occupied = (counts > 0).sum((-3, -2))
    borne = occupied / occupied.sum(-1, keepdims=True)
    columns = {}
    for name in information.TERMS:
        own, others = class_influence(counts, name)
        part = (weight * own).sum((-3, -2))
        of_cells = weight.sum(-1, keepdims=True)
        mean = part + (of_cells * others).sum((-3, -2))
        square = (weight * own * (own + 2 * others)).sum((-3, -2)) + (of_cells * others**2).sum((-3, -2))
        sigma = np.sqrt(np.maximum(square - mean**2, 0))
        middle = part + borne * (best[name] - plug_in[name])[..., None]
        if name in ("I_FL", "mu"):
            half = _half(sigma, n[..., None])
            lo, hi = middle - half, middle + half
        else:
            lo, hi = _limits(part, middle, sigma, n[..., None])
        columns |= {name: part, f"{name}_corrected": middle, f"{name}_lo": lo, f"{name}_hi": hi}
    return columns


def class_influence(counts: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Influence of an example of each cell on the part of each class y: own and others, [..., f, l, y] both. Bits.

    An example of cell (f, l, y') counts others[f, l, y] for every class y, as it changes the margins without Y, and
    own[f, l, y] besides where y = y'. name: a quantity, or accuracy: that of the examples of each class.
    """
    if name == "accuracy":
        of_class = np.maximum(counts.sum((-3, -2), keepdims=True), 1)
        right = np.eye(counts.shape[-1])[:, None, :]
        share = (counts * right).sum((-3, -2), keepdims=True) / of_class
        n = counts.sum((-3, -2, -1), keepdims=True)
        return np.broadcast_to((right - share) * n / of_class, counts.shape), np.zeros(counts.shape)
    without_y = {axes: sign for axes, sign in information.TERMS[name].items() if "Y" not in axes}
    known = sum(sign * _class_given(counts, axes) for axes, sign in without_y.items())
    return influence(counts)[name], np.broadcast_to(-known / LN_2, counts.shape)


def over_seeds(values: np.ndarray, shared: np.ndarray | float = 0.0) -> dict[str, np.ndarray]:
    """Mean, standard deviation and 95% interval of the mean over the first axis (seeds); NaN where undefined.

    shared: the variance that all seeds have in common because they share a test set (shared_variance). With it the
    interval speaks of new seeds and a new test set, without of new seeds on this one: the t interval of the seeds and
    the normal one of what they share, added in quadrature. One seed has no deviation and no interval; seeds with NaN
    (a T0 that was never reached) are left out, and `seeds` says how many remain.
    """
    values = np.asarray(values, dtype=float)
    n = np.isfinite(values).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, 0) / n
        deviation = np.sqrt(np.nansum((values - mean) ** 2, 0) / (n - 1))
        t = stdtrit(np.maximum(n - 1, 1), 0.975)
        half = np.sqrt(t**2 * deviation**2 / n + Z_95**2 * shared)
    several = n > 1
    return {
        "seeds": n,
        "mean": np.where(n > 0, mean, np.nan),
        "std": np.where(several, deviation, np.nan),
        "lo": np.where(several, mean - half, np.nan),
        "hi": np.where(several, mean + half, np.nan),
    }


def shared_variance(mean: np.ndarray, own: np.ndarray, seeds: int) -> np.ndarray:
    """Variance that the estimates of several seeds have in common through the examples that they share.

    mean: influence of each example, averaged over the seeds, [..., N]; own: variance of the influence over the examples
    within a seed, averaged over the seeds, [...]. The mean covariance between two seeds, over N, at least 0.
    """
    if seeds < 2:
        return np.zeros(np.shape(own))
    between = (seeds * mean.var(-1) - own) / (seeds - 1)
    return np.maximum(between, 0) / mean.shape[-1]


class SharedExamples:
    """Adds up, seed by seed, the influence of each test example on any number of estimates, called by a key."""

    def __init__(self):
        self._sums: dict = {}

    def add(self, key, influence: np.ndarray) -> None:
        """The influence of every example on one seed's estimate, [..., N]."""
        mean, own, seeds = self._sums.get(key, (0.0, 0.0, 0))
        self._sums[key] = mean + influence, own + influence.var(-1), seeds + 1

    def variances(self) -> dict:
        """Key -> the variance, [...], that the seeds' estimates have in common (shared_variance)."""
        return {key: shared_variance(mean / n, own / n, n) for key, (mean, own, n) in self._sums.items()}


def _class_given(counts: np.ndarray, axes: str) -> np.ndarray:
    """P(Y = y | the margin) of each cell: [..., f, l, y]."""
    given = information.margin(counts, axes + "Y") / np.maximum(information.margin(counts, axes), 1)
    return np.broadcast_to(given, counts.shape)


def independence_p(counts: np.ndarray, name: str, draws: int = DRAWS) -> np.ndarray:
    """Exact p-value that a conditional quantity is 0, from random tables with its margins; counts: [..., f, l, y].

    The smallest one, 1 / (1 + draws), is told without drawing where T = 2 N I is beyond anything that a draw can reach:
    over twice its C (C - 1)^2 degrees of freedom and 20 of their roots.
    """
    given_first = np.moveaxis(counts, CONDITIONAL[name][1], -3)
    tables = given_first.reshape(-1, *given_first.shape[-3:])
    n_classes = counts.shape[-1]
    freedom = n_classes * (n_classes - 1) ** 2
    n = counts.sum((-3, -2, -1))
    far = 2 * n * LN_2 * information.measures(counts)[name] > 2 * freedom + 20 * np.sqrt(freedom)
    near = np.flatnonzero(~np.reshape(far, -1))
    numbers = np.arange(n.max() + 1)
    xlogx = xlogy(numbers, numbers)
    step = max(1, _CHUNK // (max(draws, 1) * tables[0].size))
    rng = np.random.default_rng(0)
    p = np.full(len(tables), 1 / (1 + draws))
    for start in range(0, len(near), step):
        these = near[start : start + step]
        drawn = xlogx[random_tables(tables[these], draws, rng)].sum((-3, -2, -1))
        p[these] = (1 + (drawn >= xlogx[tables[these]].sum((-3, -2, -1)) - 1e-9).sum(0)) / (1 + draws)
    return p.reshape(given_first.shape[:-3])


def random_tables(tables: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Tables [draws, ..., rows, columns] with the margins of the given ones [..., rows, columns]: labels permuted."""
    rows, columns = tables.shape[-2:]
    left = np.broadcast_to(tables.sum(-2), (draws, *tables.shape[:-2], columns)).copy()
    drawn = np.zeros((draws, *tables.shape), dtype=np.int64)
    for row in range(rows):
        needed = np.broadcast_to(tables[..., row, :].sum(-1), left.shape[:-1])
        others = left.sum(-1)
        for column in range(columns - 1):
            others = others - left[..., column]
            drawn[..., row, column] = rng.hypergeometric(left[..., column], others, needed)
            needed = needed - drawn[..., row, column]
        drawn[..., row, -1] = needed
        left -= drawn[..., row, :]
    return drawn


def _limits(plug_in: np.ndarray, best: np.ndarray, sigma: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% limits, in bits, of a quantity that can't be negative; plug_in, best, sigma in bits, all of one shape.

    T = 2 N I (nats) is taken to be Gamma distributed with mean d + lam and variance 2 d + 4 r lam, where lam is 2 N
    times the true value, d the bias of T, and r makes the variance that of the influence function. The limits are
    those lam for which T is as small, or as large, as it is in 2.5% of cases.
    """
    scale = 2 * n * LN_2
    t = np.maximum(scale * plug_in, 0)
    d = np.maximum(scale * (plug_in - best), _LEAST_MEAN)
    r = np.where(t > 1e-9, n * (sigma * LN_2) ** 2 / np.maximum(t, 1e-9), 1.0)
    lo = np.where(_cdf(t, np.zeros_like(t), d, r) > 0.975, _solve(t, d, r, 0.975), 0.0)
    return lo / scale, _solve(np.maximum(t, d), d, r, 0.025) / scale


def _half(sigma: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Half a normal 95% interval, never quite 0."""
    return Z_95 * np.maximum(sigma / np.sqrt(n), np.sqrt(2 * _LEAST_MEAN) / (2 * n * LN_2))


def _cdf(t: np.ndarray, lam: np.ndarray, d: np.ndarray, r: np.ndarray) -> np.ndarray:
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
    """Upper limit, in bits, of I(F;Y|L) or I(L;Y|F) where F and L disagree on fewer than 4 examples; else 0.

    A disagreement tells at most log2((C - 1) / error rate) bits, and there are at most chi2_0.975(2 (k + 1)) / 2.
    """
    if name == "I_FL_given_Y":
        return np.zeros(counts.shape[:-3])
    n, n_classes = counts.sum((-3, -2, -1)), counts.shape[-1]
    k = n - np.trace(counts.sum(-1), axis1=-2, axis2=-1)
    of_given = counts.sum(-3 if name == "I_FY_given_L" else -2)
    error = np.maximum(1 - np.trace(of_given, axis1=-2, axis2=-1) / n, 1 / n)
    bits = np.log2(np.maximum(n_classes - 1, 1) / error)
    return np.where(k < 4, gammaincinv(k + 1.0, 0.975) / n * bits, 0.0)


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
