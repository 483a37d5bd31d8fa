"""Singular modes of the input-output correlation, and how a linear softmax network learns them.

The network has logits W x + b and is trained by gradient flow on cross-entropy. Around uniform outputs p is
1/C + P z / C with P = I - 11'/C, so that its weights relax linearly. Time t is lr times the number of SGD steps. S23
names it as future work; equations and choices: docs/method.md, Modes.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow_scripts.config.errors import Unfit
from workflow_scripts.measures.seeds import over_seeds

#: modes weaker than this share of the inputs' root mean square are rounding
_LEAST = 1e-9
_CHUNK = 2000
_PERMUTATIONS = 9999


@dataclass(frozen=True)
class Moments:
    """What a linear network's learning depends on: means over the training examples.

    Attributes:
        frequency: of each class, [C].
        mean: of x, [d].
        xx: of x x', [d, d].
        yx: of y x' with y one-hot, [C, d].
    """

    frequency: np.ndarray
    mean: np.ndarray
    xx: np.ndarray
    yx: np.ndarray


@dataclass(frozen=True)
class Modes:
    """M singular modes of Cov(y, x), strongest first.

    Attributes:
        s: singular values, [M].
        u: left singular vectors, over classes, [M, C].
        v: right singular vectors, over inputs, [M, d].
        rates: lambda = v' Cov(x) v, [M]; a mode is learned at the rate lambda / C.
    """

    s: np.ndarray
    u: np.ndarray
    v: np.ndarray
    rates: np.ndarray


def moments(inputs: np.ndarray, labels: np.ndarray, n_classes: int) -> Moments:
    """Moments of the training examples.

    Args:
        inputs: [N, ...]; uint8 images are scaled to [0, 1] as in training.
        labels: int64[N].
        n_classes: C.
    """
    x = inputs.reshape(len(inputs), -1)
    scale = 255.0 if x.dtype == np.uint8 else 1.0
    xx, yx = np.zeros((x.shape[1], x.shape[1])), np.zeros((n_classes, x.shape[1]))
    for start in range(0, len(x), _CHUNK):
        chunk = x[start : start + _CHUNK] / scale
        xx += chunk.T @ chunk
        yx += np.eye(n_classes)[labels[start : start + _CHUNK]].T @ chunk
    frequency = np.bincount(labels, minlength=n_classes) / len(x)
    return Moments(frequency, yx.sum(0) / len(x), xx / len(x), yx / len(x))


def decompose(moments: Moments) -> Modes:
    """The singular modes of the covariance of labels and inputs; at most C - 1, as its rows add up to 0.

    Args:
        moments: of the training examples.

    Returns:
        The modes; the entry of each u that is largest in size is positive.

    Raises:
        StudyError: all classes have the same mean.
    """
    covariance = moments.yx - np.outer(moments.frequency, moments.mean)
    u, s, v = np.linalg.svd(covariance, full_matrices=False)
    kept = s > _LEAST * np.sqrt(np.trace(moments.xx))
    if not kept.any():
        raise Unfit("the inputs of all classes have the same mean: there are no modes: choose another task")
    s, u, v = s[kept], u.T[kept], v[kept]
    sign = np.sign(u[np.arange(len(u)), abs(u).argmax(1)])[:, None]
    rates = np.einsum("md,de,me->m", v, moments.xx, v) - (v @ moments.mean) ** 2
    return Modes(s, sign * u, sign * v, rates)


def strengths(weights: np.ndarray, modes: Modes) -> np.ndarray:
    """Strength b = u' W v of each mode: [..., M], from weights W, [..., C, d]."""
    return np.einsum("mc,...cd,md->...m", modes.u, weights, modes.v, optimize=True)


def decoupled(initial: np.ndarray, modes: Modes, time: np.ndarray) -> np.ndarray:
    """Strength of each mode over time, if every v were a principal component of the inputs.

    From b(0) to C s / lambda at the rate lambda / C (Saxe et al. 2019 for squared error and one layer).

    Args:
        initial: b(0), [M].
        modes: the modes.
        time: lr times SGD steps, [T].

    Returns:
        b(t), [T, M].
    """
    return _relaxed(initial, modes.s, modes.rates / modes.u.shape[1], time)


class LinearTheory:
    """Strengths over time without the assumption of `decoupled`: exact for the linearised network, bias included."""

    def __init__(self, moments: Moments, modes: Modes):
        n_classes = len(moments.frequency)
        second = np.block([[moments.xx, moments.mean[:, None]], [moments.mean, 1.0]])
        values, self._vectors = np.linalg.eigh(second)
        self._rates = np.maximum(values, 0) / n_classes
        drive = np.column_stack([moments.yx - moments.mean / n_classes, moments.frequency - 1 / n_classes])
        self._u = modes.u
        self._drive = modes.u @ drive @ self._vectors
        self._seen = modes.v @ self._vectors[:-1]

    def strengths(self, weights: np.ndarray, bias: np.ndarray, time: np.ndarray) -> np.ndarray:
        """b(t) of each mode, [T, M], from initial weights [C, d] and bias [C]; time: lr times SGD steps, [T]."""
        initial = self._u @ np.column_stack([weights, bias]).astype(float) @ self._vectors
        of_each = [_relaxed(*each, self._rates, time) for each in zip(initial, self._drive, strict=True)]
        return np.stack([np.sum(w * seen, -1) for w, seen in zip(of_each, self._seen, strict=True)], -1)


def learning_times(modes: Modes, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """When each class is half learned, as the modes predict it.

    By the logit of class y at its mean input, relative to the mean of all inputs and from zero weights: sum over modes
    of u_y^2 s b(t) / frequency of y, with the decoupled b(t).

    Args:
        modes: the modes.
        frequency: share of each class, [C].

    Returns:
        The time (lr times SGD steps) at which the logit is half of what it is in the end, [C], and what each mode adds
        to the logit in the end, [C, M].
    """
    rates = modes.rates / modes.u.shape[1]
    share = (modes.u**2 * (modes.s**2 / rates)[:, None] / frequency).T
    lo, hi = np.zeros(len(frequency)), np.full(len(frequency), 1 / rates.min())
    for _ in range(100):
        middle = (lo + hi) / 2
        below = (share * -np.expm1(-middle[:, None] * rates)).sum(1) < share.sum(1) / 2
        lo, hi = np.where(below, middle, lo), np.where(below, hi, middle)
    return hi, share


def rank_correlation(predicted: np.ndarray, measured: np.ndarray) -> dict[str, float]:
    """Spearman's rho between predicted and measured learning times.

    Ties have their mean rank, and classes that were never learned (NaN) the last one; a seed whose classes are all tied
    has no rho, and is left out.

    Args:
        predicted: [C], in any unit.
        measured: of each seed, [S, C], in any unit.

    Returns:
        `rho`, the mean over seeds, with its 95% t interval `lo`, `hi`; `p`, one-sided, from random permutations of the
        classes, the same for all seeds; `seeds`, how many have a rho.
    """
    x, y = (_standardised(np.asarray(times, float)) for times in (predicted, measured))
    of_each = y @ x
    found = over_seeds(of_each)
    rho = {"rho": float(found["mean"]), "lo": float(found["lo"]), "hi": float(found["hi"])}
    if not found["seeds"]:
        return {**rho, "p": float("nan"), "seeds": 0}
    mean = y[np.isfinite(of_each)].mean(0)
    permuted = np.random.default_rng(0).permuted(np.tile(x, (_PERMUTATIONS, 1)), axis=1) @ mean
    at_least = np.count_nonzero(permuted >= rho["rho"] - 1e-9)
    return {**rho, "p": (1 + at_least) / (1 + _PERMUTATIONS), "seeds": int(found["seeds"])}


def _relaxed(initial: np.ndarray, drive: np.ndarray, rate: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The solution of dw/dt = drive - rate w at each time, [T, K]; rates may be 0."""
    time = np.asarray(time, float)[:, None]
    grown = np.where(rate > 0, -np.expm1(-rate * time) / np.where(rate > 0, rate, 1), time)
    return initial * np.exp(-rate * time) + drive * grown


def _standardised(values: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, NaN last, centred and of length 1; NaN where all are tied."""
    rows = pd.DataFrame(np.atleast_2d(np.where(np.isnan(values), np.inf, values)))
    ranks = rows.rank(axis=1).to_numpy().reshape(np.shape(values))
    centred = ranks - ranks.mean(-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return centred / np.sqrt((centred**2).sum(-1, keepdims=True))
