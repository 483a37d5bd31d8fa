"""Information that differs from 0, or from another, by rounding alone: it is 0, or equal."""

import numpy as np

#: bits that rounding may leave of what is 0: some ulps of log2 N, of each of several entropies
ROUNDING = 1e-12


def settled(bits: np.ndarray) -> np.ndarray:
    """The same, [...], with 0 for what differs from it by no more than ROUNDING.

    So that what is 0 in exact arithmetic, as the difference between two that are equal, is 0.
    """
    return np.where(np.abs(bits) <= ROUNDING, 0.0, bits)[()]


def first_of_largest(bits: np.ndarray) -> int:
    """Index of the first of [T] that is as large as any of them, up to ROUNDING."""
    return int(np.argmax(np.asarray(bits) >= np.max(bits) - ROUNDING))
