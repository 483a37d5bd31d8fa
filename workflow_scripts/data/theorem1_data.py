"""The distribution of N19 section 5: one coordinate holds the signal, which noise flips, and another only noise.

y is uniform in {-1, +1}; x = eta y e_1 + e_k with k uniform in 2..d, and eta = -1 with probability p, else +1.
"""

from typing import NamedTuple

import numpy as np


class Samples(NamedTuple):
    """Draws, all of them +1 or -1 but k: the index of e_k counted from 0, so in 1..d-1."""

    k: np.ndarray
    eta: np.ndarray
    y: np.ndarray


def draw(rng: np.random.Generator, shape: int | tuple[int, ...], dimension: int, noise) -> Samples:
    """Samples with k and y of this shape; noise: p, or several, [S].

    eta has the same shape, followed by [S]; for several p it comes from the same uniform numbers.
    """
    k = rng.integers(1, dimension, shape)
    y = rng.choice([-1.0, 1.0], shape)
    return Samples(k, np.where(np.less.outer(rng.random(shape), noise), -1.0, 1.0), y)


def dense(samples: Samples, dimension: int) -> np.ndarray:
    """The inputs x of n samples as float32 [n, dimension]."""
    x = np.zeros((len(samples.k), dimension), np.float32)
    x[:, 0] = samples.eta * samples.y
    x[np.arange(len(x)), samples.k] = 1
    return x
