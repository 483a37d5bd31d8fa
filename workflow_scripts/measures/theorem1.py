"""Theorem 1 of N19 (section 5) by simulation: a linear model, the squared loss, and SGD on single examples.

Sparse: SGD moves w(1) and the coordinates k of the training examples; whatever the dimension, only these are kept. Many
repetitions and settings (a noise level and initial weights each) are simulated side by side.
"""

import numpy as np

from workflow_scripts.data.datasets.theorem1 import Samples

QUANTITIES = ("train_accuracy", "population_accuracy", "first_weight")
#: how many log-spaced steps are recorded, apart from step 0
_RECORDED_STEPS = 60


def inside(noise, first, others, examples: int) -> np.ndarray:
    """Whether initial weights meet the theorem's condition: w0(1) >= -n^0.99, and |w0(i)| < 1 - 2p for i > 1.

    Args:
        noise: p, [S].
        first: w0(1), [S].
        others: |w0(i)| for i > 1, [S].
        examples: n.

    Returns:
        bool[S].
    """
    return (np.asarray(first) >= -(examples**0.99)) & (np.asarray(others) < 1 - 2 * np.asarray(noise))


def simulate(
    samples: Samples,
    dimension: int,
    noise: np.ndarray,
    first: np.ndarray,
    others: np.ndarray,
    lr: float,
    epochs: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Train S settings (a noise level and initial weights each) in R repetitions on n examples.

    A step is w += 2 lr (1 - y <w, x>) y x on one example; each epoch has a new random order. Settings share all draws,
    so that they differ in nothing else.

    Args:
        samples: k and y, [R, n], and eta, [R, n, S].
        dimension: d of the inputs.
        noise: p, [S].
        first: w0(1), [S].
        others: |w0(i)| for i > 1, [S]; the signs are random.
        lr: learning rate.
        epochs: passes over the examples.
        rng: draws the signs, then the order of each epoch.

    Returns:
        The steps that are recorded, int[T], and each of QUANTITIES there, [T, R, S].
    """
    repetitions, n = samples.k.shape
    slots = _slots(samples.k)
    eta, y = samples.eta.reshape(repetitions * n, -1), samples.y.reshape(-1, 1)
    own = rng.choice([-1.0, 1.0], y.shape) * others
    w1 = np.tile(np.asarray(first, float), (repetitions, 1))
    steps = np.unique(np.geomspace(1, n * epochs, _RECORDED_STEPS).round().astype(int))
    steps = np.concatenate([[0], steps])
    found = {name: np.empty((len(steps), *w1.shape)) for name in QUANTITIES}
    indices, done = np.arange(repetitions * n).reshape(repetitions, n), 0
    for t, step in enumerate(steps):
        while done < step:
            if done % n == 0:
                orders = rng.permuted(indices, axis=1).T.copy()
            at = orders[done % n]
            signal, label, slot = eta[at], y[at], slots[at]
            weight = own[slot]
            change = 2 * lr * (1 - signal * w1 - label * weight)
            w1 += change * signal
            own[slot] = weight + change * label
            done += 1
        found["train_accuracy"][t] = _train_accuracy(w1, own[slots], eta, y)
        found["population_accuracy"][t] = population_accuracy(w1, own, slots, noise, others, dimension)
        found["first_weight"][t] = w1
    return steps, found


def population_accuracy(w1, own, slots, noise, others, dimension: int) -> np.ndarray:
    """P[sign <w, x> = y] over the whole distribution, exactly; a tie counts one half.

    y <w, x> = eta w(1) + y w(k), so averaging over y leaves nothing of the sign of w(k): coordinates that training does
    not touch all contribute the same.

    Args:
        w1: w(1), [R, S].
        own: the weights at the coordinates that training touches, [R n, S], each at its slot; other rows are ignored.
        slots: the row of own of each example's coordinate, int[R n].
        noise: p, [S].
        others: |w(i)| at all further coordinates, [S].
        dimension: d of the inputs.

    Returns:
        [R, S].
    """
    repetitions = len(w1)
    used = (slots == np.arange(len(slots))).reshape(repetitions, -1, 1)
    touched = used.sum(1)
    right = (_right(w1[:, None], own.reshape(*used.shape[:2], -1)) * used).sum(1)
    signal = (right + (dimension - 1 - touched) * _right(w1, others)) / (dimension - 1)
    return noise + (1 - 2 * np.asarray(noise)) * signal


def _right(w1: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """P[y <w, x> > 0] over y for eta = +1; for eta = -1 it is what this leaves to 1."""
    return (np.heaviside(w1 + weight, 0.5) + np.heaviside(w1 - weight, 0.5)) / 2


def _train_accuracy(w1: np.ndarray, weights: np.ndarray, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of the training examples that are right, [R, S]; weights: w(k) of each example."""
    shape = (len(w1), -1, w1.shape[1])
    margin = eta.reshape(shape) * w1[:, None] + (y * weights).reshape(shape)
    return np.heaviside(margin, 0.5).mean(1)


def _slots(k: np.ndarray) -> np.ndarray:
    """For each example, [R n], the row that holds w(k): that of the first example of its repetition with this k."""
    rows = []
    for repetition, of in enumerate(k):
        _, index, inverse = np.unique(of, return_index=True, return_inverse=True)
        rows.append(repetition * len(of) + index[inverse])
    return np.concatenate(rows)
