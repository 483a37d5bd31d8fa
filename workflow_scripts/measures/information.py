"""Information quantities of two classifiers F, L and the label Y, in bits (Nakkiran et al. 2019, section 2).

F is the network, L its explainer. Everything is a function of one tensor of joint counts N[f, l, y] over an evaluation
set. Each quantity is a signed sum of entropies of its margins, and TERMS is the only place that says which.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import xlogy

from workflow_scripts.measures import rounding

LN_2 = np.log(2)
AXES = "FLY"
MARGINS = ("F", "L", "Y", "FL", "FY", "LY", "FLY")

#: quantity -> margin -> sign of its entropy
TERMS: dict[str, dict[str, int]] = {
    "I_FY": {"F": 1, "Y": 1, "FY": -1},
    "I_LY": {"L": 1, "Y": 1, "LY": -1},
    "I_FL": {"F": 1, "L": 1, "FL": -1},
    "I_FY_given_L": {"FL": 1, "LY": 1, "FLY": -1, "L": -1},
    "I_LY_given_F": {"FL": 1, "FY": 1, "FLY": -1, "F": -1},
    "I_FL_given_Y": {"FY": 1, "LY": 1, "FLY": -1, "Y": -1},
    "mu": {"F": 1, "L": 1, "Y": 1, "FL": -1, "FY": -1, "LY": -1, "FLY": 1},
}
PAIRS = ("I_FY", "I_LY", "I_FL")
#: conditional quantity -> its unconditional one (less mu), and the axis of joint counts that it is conditional on
CONDITIONAL = {"I_FY_given_L": ("I_FY", -2), "I_LY_given_F": ("I_LY", -3), "I_FL_given_Y": ("I_FL", -1)}

_CHUNK = 1 << 22  # labels coded at a time: bounds the working memory at about 64 MiB


def joint_counts(f: np.ndarray, l: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Count every (f, l, y) triple.

    Args:
        f, l: class indices, [N], or [T, N] for T checkpoints.
        y: true labels, [N].
        n_classes: C.

    Returns:
        int64[..., C, C, C], axes f, l, y; with a leading axis of checkpoints if f or l has one.

    Raises:
        ValueError: shapes disagree, or a label is not below C.
    """
    return _counts([f, l, y], [n_classes] * 3)


def pair_counts(f: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Count every (f, y) pair, as joint counts with a constant L.

    Args:
        f: class indices, [N] or [T, N].
        y: true labels, [N].
        n_classes: C.

    Returns:
        int64[..., C, 1, C], axes f, l, y.

    Raises:
        ValueError: as `joint_counts`.
    """
    return _counts([f, y], [n_classes] * 2)[..., :, None, :]


def joint_counts_given_several(
    f: np.ndarray, several: list[np.ndarray], y: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Joint counts with the tuple L = (L_1, ..., L_k) of several explainers.

    Args:
        f: class indices, [T, N].
        several: those of each explainer, [N] or [T, N].
        y: true labels, [N].
        n_classes: C.

    Returns:
        int64[T, C, M, C], axes f, l, y: the M values of L are the tuples that occur, so that the table can't outgrow
        the data. And the value of L of each example, int64[T, N].

    Raises:
        ValueError: as `joint_counts`.
    """
    code = np.zeros((1, 1), dtype=np.int64)
    for values in several:
        code = code * n_classes + values
        code = np.unique(code, return_inverse=True)[1].reshape(code.shape)
    l = np.broadcast_to(code, np.shape(f))
    return _counts([f, l, y], [n_classes, int(code.max()) + 1, n_classes]), l


def measures(counts: np.ndarray) -> Mapping[str, np.ndarray]:
    """Plug-in estimate of every quantity, and the accuracy of F.

    I(F;Y), I(L;Y), I(F;L), the three conditional ones, and mu_Y(F;L) = I(F;Y) - I(F;Y|L) (N19 Definition 1).

    Args:
        counts: joint counts, [..., f, l, y].

    Returns:
        Quantity of TERMS -> bits, [...]; and `accuracy`, [...].

    Raises:
        ValueError: an empty evaluation set, or counts without these three axes.
    """
    entropies = entropy_terms(counts, plug_in_entropy)
    correct = np.trace(counts.sum(-2), axis1=-2, axis2=-1)
    return {"accuracy": correct / _total(counts), **combine(entropies)}


def information_of_accuracy(accuracy: np.ndarray, n_classes: int = 2) -> np.ndarray:
    """I(F;Y) of a classifier that errs evenly on balanced classes: log C - h(a) - (1 - a) log(C - 1) (N19 Fig 3).

    Args:
        accuracy: a, in [0, 1], of any shape.
        n_classes: C.

    Returns:
        Bits, of the same shape.
    """
    a = np.asarray(accuracy, dtype=float)
    nats = np.log(n_classes) + xlogy(a, a) + xlogy(1 - a, 1 - a) - (1 - a) * np.log(n_classes - 1)
    return rounding.settled(nats / LN_2)


def margin(counts: np.ndarray, axes: str) -> np.ndarray:
    """Sum counts over the axes not named: "FY" keeps f and y.

    Args:
        counts: [..., f, l, y].
        axes: one of MARGINS.

    Returns:
        [..., f, l, y]; axes that were summed have length 1.
    """
    drop = tuple(i - 3 for i, axis in enumerate(AXES) if axis not in axes)
    return counts.sum(axis=drop, keepdims=True)


def entropy_terms(counts: np.ndarray, entropy: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    """The entropy of every margin.

    Args:
        counts: joint counts, [..., f, l, y].
        entropy: the estimator, such as `plug_in_entropy`: counts -> nats over the last three axes.

    Returns:
        Margin of MARGINS -> nats, [...].

    Raises:
        ValueError: as `measures`.
    """
    counts = np.asarray(counts)
    if counts.ndim < 3:
        raise ValueError(f"joint counts have axes [..., f, l, y], got the shape {counts.shape}")
    if not (_total(counts) > 0).all():
        raise ValueError("joint counts of an empty evaluation set")
    return {axes: entropy(margin(counts, axes)) for axes in MARGINS}


def combine(entropies: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every quantity of TERMS (bits, [...]), `settled`, from the entropies of the margins (nats, [...])."""
    nats = {name: sum(sign * entropies[axes] for axes, sign in terms.items()) for name, terms in TERMS.items()}
    return {name: rounding.settled(of / LN_2) for name, of in nats.items()}


def plug_in_entropy(counts: np.ndarray) -> np.ndarray:
    """H = ln N - (1/N) sum n ln n over the last three axes: nats, [...], from counts [..., f, l, y]."""
    n = _total(counts)
    return np.log(n) - xlogy(counts, counts).sum((-3, -2, -1)) / n


def _total(counts: np.ndarray) -> np.ndarray:
    return counts.sum((-3, -2, -1))


def _counts(labels: list[np.ndarray], sizes: list[int]) -> np.ndarray:
    """Counts of every tuple of labels, int64[..., *sizes]; each [N] or [T, N], the last, y, [N]."""
    labels = [np.asarray(values) for values in labels]
    *predictions, y = labels
    for values, size in zip(labels, sizes, strict=True):
        if values.ndim not in (1, 2) or values.shape[-1] != len(y) or y.ndim != 1:
            raise ValueError(f"labels of one evaluation set are [N] or [T, N], got {[v.shape for v in labels]}")
        if values.size and (values.min() < 0 or values.max() >= size):
            raise ValueError(f"a label is outside 0..{size - 1}")
    lengths = {len(values) for values in predictions if values.ndim == 2}
    if len(lengths) > 1:
        raise ValueError(f"trajectories of different length: {sorted(lengths)} checkpoints")
    checkpoints = lengths.pop() if lengths else 1
    cells = math.prod(sizes)
    counts = np.empty((checkpoints, cells), dtype=np.int64)
    step = max(1, _CHUNK // max(1, len(y)))
    for start in range(0, checkpoints, step):
        stop = min(start + step, checkpoints)
        code = np.zeros((stop - start, 1), dtype=np.int64)
        for values, size in zip(labels, sizes, strict=True):
            code = code * size + (values[start:stop] if values.ndim == 2 else values)
        code = code + cells * np.arange(stop - start)[:, None]
        counts[start:stop] = np.bincount(code.ravel(), minlength=(stop - start) * cells).reshape(-1, cells)
    leading = (checkpoints,) if any(values.ndim == 2 for values in predictions) else ()
    return counts.reshape(*leading, *sizes)
