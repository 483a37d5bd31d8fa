"""Tables of joint counts, and information quantities from their definition."""

import numpy as np
from scipy import stats

from workflow_scripts.measures import information

QUANTITIES = tuple(information.TERMS)


KINDS = ("2 classes", "3 classes, zeros and ones", "constant F", "F is L")


def table(kind):
    rng = np.random.default_rng(7)
    return {
        "2 classes": rng.poisson(5, (2, 2, 2)),
        "3 classes, zeros and ones": rng.poisson(0.8, (3, 3, 3)),
        "constant F": np.array([[[7, 1], [0, 4]], [[0, 0], [0, 0]]]),
        "F is L": np.array([[[9, 1], [0, 0]], [[0, 0], [2, 8]]]),
    }[kind]


def quantity_of_density(p, name):
    """An information quantity in bits, as the sum of the entropies (scipy) that define it."""

    def entropy(axes):
        keep = p.sum(axis=tuple(i for i, axis in enumerate("fly") if axis not in axes))
        return stats.entropy(keep.ravel(), base=2)

    def between(a, b, given=""):
        return entropy(a + given) + entropy(b + given) - entropy(a + b + given) - entropy(given)

    if name == "mu":
        return between("f", "y") - between("f", "y", "l")
    pair, _, given = name.removeprefix("I_").lower().partition("_given_")
    return between(*pair, given)


def density(l_accuracy, agree, f_accuracy_else):
    """P(f, l, y): y balanced, l right with l_accuracy; f copies l with probability agree, else y with its accuracy."""
    p = np.zeros((2, 2, 2))
    for f, l, y in np.ndindex(2, 2, 2):
        of_l = l_accuracy if l == y else 1 - l_accuracy
        of_y = f_accuracy_else if f == y else 1 - f_accuracy_else
        p[f, l, y] = 0.5 * of_l * (agree * (f == l) + (1 - agree) * of_y)
    return p
