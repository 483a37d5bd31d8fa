"""Null models: random classifiers L~ that know Y as well as an explainer L does, and nothing of F beyond that.

N19 footnote 7: L~ = Y with probability p, otherwise a random label, p such that I(L~;Y) = I(L;Y); section 4 says "the
same accuracy" instead. So four variants, {uniform, prior} random label x {information, accuracy} matched, and a fifth,
`within_class`: L's own predictions permuted within each true class, which keeps its confusion matrix exactly and gives
an exact p-value. Every L~ is independent of F given Y, hence mu(F;L~) = I(F;L~) has a closed form.
"""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq

from workflow_scripts.measures import exact_tests, information, intervals, rounding

RANDOM_LABELS = ("uniform", "prior")
MATCHES = ("information", "accuracy")
WITHIN_CLASS = "within_class"
#: columns of a comparison (`compare`)
COMPARISON = (
    *("variant", "p", "I_FY", "I_LY", "mu", "ratio", "null_I_LY", "null_mu", "null_mu_std", "null_mu_closed_form"),
    *("null_ratio", "null_ratio_closed_form", "p_value", "ratio_corrected", "ratio_lo", "ratio_hi"),
    *("excess", "excess_lo", "excess_hi"),
)
VARIANTS = (*(f"{label}_{match}" for label in RANDOM_LABELS for match in MATCHES), WITHIN_CLASS)
#: columns whose seeds' estimates have the variance in column {name}_shared in common, through the test set
SHARED = ("I_LY", "I_FY", "ratio", "excess")


def channel(counts: np.ndarray, variant: str) -> tuple[np.ndarray, float]:
    """P(L~ = l | Y = y) of a variant (N19 footnote 7).

    Args:
        counts: joint counts of F and the real L, [f, l, y].
        variant: one of VARIANTS.

    Returns:
        float64[C, C], axes y, l; and its p, in [0, 1]: 0 for an L worse than random labels, NaN for within_class.
    """
    ly = counts.sum(0).astype(float)
    of_class = ly.sum(0)
    if variant == WITHIN_CLASS:
        return (ly / np.maximum(of_class, 1)).T, float("nan")
    label, match = variant.split("_")
    n_classes = len(of_class)
    prior = of_class / of_class.sum()
    random = np.full(n_classes, 1 / n_classes) if label == "uniform" else prior

    def mixture(p: float) -> np.ndarray:
        return p * np.eye(n_classes) + (1 - p) * random

    if match == "accuracy":
        by_chance = float(prior @ random)
        p = (np.trace(ly) / ly.sum() - by_chance) / (1 - by_chance)
        p = float(np.clip(p, 0, 1))
    else:
        p = _matching(_information(ly.T / ly.sum()), lambda p: _information(prior[:, None] * mixture(p)))
    return mixture(p), p


def closed_form(counts: np.ndarray, given_y: np.ndarray | None = None) -> np.ndarray:
    """mu(F;L~) = I(F;L~) of an L~ that is independent of F given Y.

    Args:
        counts: joint counts of F and the real L, [..., f, l, y].
        given_y: P(L~ = l | Y = y), [y, l]; None: L's own confusion matrix (within_class).

    Returns:
        Bits, [...].
    """
    fy = counts.sum(-2) / counts.sum((-3, -2, -1))[..., None, None]
    if given_y is None:
        ly = counts.sum(-3)
        given_y = np.swapaxes(ly / np.maximum(ly.sum(-2, keepdims=True), 1), -1, -2)
    return _information(fy @ given_y)


def closed_form_influence(counts: np.ndarray) -> np.ndarray:
    """Influence of an example of each cell on `closed_form`, the mu of the within-class null model.

    Args:
        counts: joint counts of F and the real L, [..., f, l, y].

    Returns:
        Bits, [..., f, l, y].
    """
    n = counts.sum((-3, -2, -1))[..., None, None]
    fy, ly = counts.sum(-2), counts.sum(-3)
    of_class = np.maximum(fy.sum(-2, keepdims=True), 1)
    f_given, l_given = fy / of_class, ly / of_class
    joint = fy / n @ np.swapaxes(l_given, -1, -2)
    independent = joint.sum(-1, keepdims=True) * joint.sum(-2, keepdims=True)
    weight = np.log2(np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0))
    of_f, of_l = weight @ l_given, np.swapaxes(weight, -1, -2) @ f_given
    both = (f_given * of_f).sum(-2)
    return of_f[..., :, None, :] + of_l[..., None, :, :] - both[..., None, None, :]


def excess_influence(counts: np.ndarray) -> np.ndarray:
    """Influence of an example of each cell on (mu - the within-class null's mu) / I(F;Y): [f, l, y], from [f, l, y]."""
    real, psi = information.measures(counts), intervals.influence(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = (real["mu"] - closed_form(counts)) / real["I_FY"]
        return (psi["mu"] - closed_form_influence(counts) - excess * psi["I_FY"]) / real["I_FY"]


def influences(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Influence of an example of each cell on the quantities of SHARED: [f, l, y] each, from joint counts [f, l, y]."""
    psi = intervals.influence(counts)
    return {
        "I_LY": psi["I_LY"],
        "I_FY": psi["I_FY"],
        "ratio": intervals.ratio_influence(counts),
        "excess": excess_influence(counts),
    }


def sample(counts: np.ndarray, variant: str, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Joint counts of F, Y, and independent draws of L~ on the same examples.

    Args:
        counts: joint counts of F and the real L, [f, l, y].
        variant: one of VARIANTS.
        draws: how many.
        rng: what draws them.

    Returns:
        int64[draws, f, l~, y].
    """
    if variant == WITHIN_CLASS:
        return np.moveaxis(exact_tests.random_tables(np.moveaxis(counts, -1, 0), draws, rng), 1, -1)
    given_y, _ = channel(counts, variant)
    fy = counts.sum(1)
    drawn = rng.multinomial(fy, given_y[None], size=(draws, *fy.shape))
    return np.swapaxes(drawn, -1, -2)


def compare(counts: np.ndarray, draws: int, rng: np.random.Generator) -> Iterator[dict]:
    """Every variant beside the real explainer at one checkpoint.

    Args:
        counts: joint counts of F and the real L, [f, l, y].
        draws: random classifiers per variant.
        rng: what draws them.

    Yields:
        A row per variant, with the columns COMPARISON, in bits. p_value: probability that the null's mu is at least the
        real one, (1 + number of such draws) / (1 + draws). excess, of within_class alone: the ratio less that of the
        null model, with its normal interval by the influence function.
    """
    real = information.measures(counts)
    limits = {name: float(value) for name, value in intervals.ratio(counts).items() if name != "ratio"}
    half = intervals.Z_95 * float(intervals.deviation(excess_influence(counts), counts)) / np.sqrt(counts.sum())
    mu, i_fy = float(real["mu"]), float(real["I_FY"])
    for variant in VARIANTS:
        given_y, p = channel(counts, variant)
        drawn = information.measures(sample(counts, variant, draws, rng))
        exact = float(closed_form(counts, given_y))
        yield {
            "variant": variant,
            "p": p,
            "I_FY": i_fy,
            "I_LY": float(real["I_LY"]),
            "mu": mu,
            "ratio": _ratio(mu, i_fy),
            "null_I_LY": float(drawn["I_LY"].mean()),
            "null_mu": float(drawn["mu"].mean()),
            "null_mu_std": float(drawn["mu"].std()),
            "null_mu_closed_form": exact,
            "null_ratio": _ratio(float(drawn["mu"].mean()), i_fy),
            "null_ratio_closed_form": _ratio(exact, i_fy),
            **limits,
            **(
                _with_limits(_ratio(float(rounding.settled(mu - exact)), i_fy), half) if variant == WITHIN_CLASS else {}
            ),
            "p_value": (1 + int((drawn["mu"] >= mu - rounding.ROUNDING).sum())) / (1 + draws),
        }


def _matching(target: float, of_p) -> float:
    """The p in [0, 1] at which an increasing function reaches the target."""
    if of_p(0.0) >= target:
        return 0.0
    if of_p(1.0) <= target:
        return 1.0
    return float(brentq(lambda p: of_p(p) - target, 0.0, 1.0, xtol=1e-13))


def _information(joint: np.ndarray) -> np.ndarray:
    """Mutual information in bits of joint densities [..., a, b]."""
    independent = joint.sum(-1, keepdims=True) * joint.sum(-2, keepdims=True)
    ratio = np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0)
    return rounding.settled((joint * np.log2(ratio)).sum((-2, -1)))


def _with_limits(excess: float, half: float) -> dict[str, float]:
    return {"excess": excess, "excess_lo": excess - half, "excess_hi": excess + half}


def _ratio(mu: float, i_fy: float) -> float:
    return mu / i_fy if i_fy > 0 else float("nan")
