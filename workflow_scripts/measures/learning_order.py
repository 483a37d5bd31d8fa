"""When each test example is learned, and whether seeds and networks agree on the order.

Hacohen et al. 2020 ("Let's agree to agree") ask the second question; docs/method.md says what is ours.
"""

import itertools
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from workflow_scripts.config.errors import Damaged, DamagedResult, Foreign
from workflow_scripts.files import dataframes
from workflow_scripts.measures.intervals import Z_95
from workflow_scripts.measures.seeds import SharedExamples, over_seeds


class Agreement(NamedTuple):
    """The mean rank correlation rho over pairs of seeds, its 95% interval lo, hi, and the number of pairs."""

    pairs: int
    rho: float
    lo: float
    hi: float


class _Ranks(NamedTuple):
    """Examples in the order of each of S seeds.

    Attributes:
        level: int[S, N], equal for examples learned together.
        z: float[S, N], mid-ranks, centred within each class, of unit variance.
        scale: float[S, 1], the standard deviation of the ranks / N.
    """

    level: np.ndarray
    z: np.ndarray
    scale: np.ndarray


def checkpoint_learned(predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The first checkpoint from which on each example is right to the end.

    Args:
        predictions: class indices, [T, N].
        y: true labels, [N].

    Returns:
        int64[N]; T for an example that is wrong at the end.
    """
    wrong = predictions != y
    return np.where(wrong.any(0), len(wrong) - np.argmax(wrong[::-1], axis=0), 0)


def read_epochs(paths: list[Path]) -> tuple[np.ndarray, list[np.ndarray]]:
    """When each seed of several experiments learned each test example, from their examples.csv.

    Args:
        paths: an examples.csv per experiment, all of the same examples.

    Returns:
        The class of each example, int64[N], and for each experiment the epochs, float[S, N]; inf: never learned.

    Raises:
        StudyError: a table is missing or damaged, or tables have different examples.
    """
    found = [dataframes.read(path, "example", "class", kind=dataframes.EXAMPLES) for path in paths]
    seeds = [[name for name in table if re.fullmatch(r"seed\d+", name)] for table in found]
    for path, table, columns in zip(paths, found, seeds, strict=True):
        if not columns:
            raise Damaged(path, "it has no column of a seed: delete it and run its stage again")
        if not table[["example", "class"]].equals(found[0][["example", "class"]]):
            raise Foreign(path, f"its examples are not those of {paths[0]}: delete both and run their stage again")
    if not np.array_equal(found[0]["example"], np.arange(len(found[0]))):
        raise DamagedResult(paths[0], "its examples are not 0, 1, 2, ...")
    classes = pd.factorize(found[0]["class"])[0]
    return classes, [
        table[columns].fillna(np.inf).to_numpy(float).T for table, columns in zip(found, seeds, strict=True)
    ]


def agreement(a: np.ndarray, b: np.ndarray | None = None, classes: np.ndarray | None = None) -> Agreement:
    """Spearman's rank correlation of the order in which two seeds learn the examples: mean over pairs of seeds.

    The interval is for new seeds and new test examples: the t interval of the delete-one-seed jackknife of each
    network, and the normal one of the examples' influence on the mean, in quadrature. What can't be estimated is left
    out: where no pair is left without a seed (two seeds of one network, or one seed of a network beside another) the
    interval is for new test examples alone.

    Args:
        a: when each seed of a network learns each example, in any unit, [S, N]. What is never learned comes last, all
            of it tied (T of `checkpoint_learned`, or inf).
        b: the same of another network, [S2, N]: then pairs have one seed of each, else two seeds of a.
        classes: [N]; with them ranks are centred within each class, so that it doesn't count that classes are learned
            one after the other.

    Returns:
        The agreement; NaN where there is no pair, and where all examples of a seed are tied.
    """
    groups = [_ranked(times, classes) for times in ((a,) if b is None else (a, b))]
    totals = [group.z.sum(0) for group in groups]
    others = [totals[0] - groups[0].z] if b is None else [totals[1], totals[0]]
    partners = [len(a) - 1] if b is None else [len(b), len(a)]
    pairs = sum(len(group.z) * number for group, number in zip(groups, partners, strict=True)) // 2
    if pairs == 0:
        return Agreement(0, np.nan, np.nan, np.nan)
    sums = [(group.z * other).mean(1) for group, other in zip(groups, others, strict=True)]
    rho = sum(of_group.sum() for of_group in sums) / (2 * pairs)
    influence = sum(
        _influence(group, other - of_group[:, None] * group.z)
        for group, other, of_group in zip(groups, others, sums, strict=True)
    )
    variance = Z_95**2 * (influence / (2 * pairs)).var() / a.shape[1]
    for of_group, number in zip(sums, partners, strict=True):
        variance += _jackknife(rho * pairs - of_group, pairs - number)
    return Agreement(pairs, float(rho), float(rho - np.sqrt(variance)), float(rho + np.sqrt(variance)))


def pairwise_agreements(epochs: dict[str, np.ndarray], classes: np.ndarray) -> list[dict]:
    """The agreement of each experiment with itself and with every other.

    Args:
        epochs: experiment -> when each seed learns each example, [S, N].
        classes: of the examples, [N].

    Returns:
        Rows: experiment, other, pairs, rho, lo, hi, and rho_within_class, rho_within_class_lo, rho_within_class_hi.
    """
    rows = []
    for name, other in itertools.combinations_with_replacement(epochs, 2):
        a, b = epochs[name], None if name == other else epochs[other]
        within = agreement(a, b, classes)
        rows.append(
            {"experiment": name, "other": other, **agreement(a, b)._asdict()}
            | {"rho_within_class": within.rho, "rho_within_class_lo": within.lo, "rho_within_class_hi": within.hi}
        )
    return rows


def share_learned(epochs: np.ndarray) -> dict[str, np.ndarray]:
    """The share of the examples that is learned by each epoch at which any is.

    Args:
        epochs: when each seed learns each example, [S, N]; inf: never.

    Returns:
        `epoch`, [K], and over_seeds of the share, [K] each; the interval is for new seeds and a new test set.
    """
    at = np.unique(epochs[np.isfinite(epochs)])
    shared = SharedExamples()
    for of_seed in epochs:
        shared.add("share", (of_seed <= at[:, None]).astype(float))
    share = np.stack([(of_seed <= at[:, None]).mean(1) for of_seed in epochs])
    return {"epoch": at, **over_seeds(share, shared.variances()["share"])}


def mean_ranks(epochs: list[np.ndarray]) -> np.ndarray:
    """Each example's mean rank over seeds, then over experiments.

    Args:
        epochs: for each experiment, when each seed learns each example, [S, N]; inf: never.

    Returns:
        float[N], from 0 (first) to 1 (last).
    """
    return np.mean([np.mean([_mid_ranks(of_seed)[1] for of_seed in each], axis=0) for each in epochs], axis=0)


def _ranked(times: np.ndarray, classes: np.ndarray | None) -> _Ranks:
    level, rank = (np.stack(each) for each in zip(*map(_mid_ranks, times), strict=True))
    classes = np.zeros(times.shape[1]) if classes is None else classes
    for name in np.unique(classes):
        members = classes == name
        rank[:, members] -= rank[:, members].mean(1, keepdims=True)
    scale = np.sqrt((rank**2).mean(1, keepdims=True))
    scale[scale < 1e-9] = np.nan
    return _Ranks(level, rank / scale, scale)


def _mid_ranks(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level of each example, int[N], and its rank / N, those of equal times averaged, from 0 to 1: float[N]."""
    _, level, counts = np.unique(times, return_inverse=True, return_counts=True)
    return level, ((np.cumsum(counts) - counts / 2) / len(times))[level]


def _influence(ranks: _Ranks, rest: np.ndarray) -> np.ndarray:
    """Influence of each example on the sum, over seeds, of the correlation of z with what it is compared with: [N].

    rest: what it is compared with, less its part along z, [S, N]. An example counts by itself, and twice by moving up
    the ranks of all that is learned after it (for half, of what is learned with it).
    """
    total = np.zeros(ranks.z.shape[1])
    for level, z, scale, of_seed in zip(*ranks, rest, strict=True):
        of_level = np.bincount(level, of_seed)
        later = of_level[::-1].cumsum()[::-1] - of_level / 2
        total += z * of_seed + 2 * later[level] / (len(z) * scale)
    return total


def _jackknife(left: np.ndarray, pairs: int) -> float:
    """t_S-1^2 times the variance of a mean over pairs, by leaving out each of S seeds; 0 where this leaves no pair.

    left: the sums over the pairs that are left, [S]; pairs: their number.
    """
    if pairs == 0:
        return 0.0
    seeds = len(left)
    return stdtrit(seeds - 1, 0.975) ** 2 * (seeds - 1) * np.var(left / pairs)
