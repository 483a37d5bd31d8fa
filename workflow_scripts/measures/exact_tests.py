"""Exact tests of conditional independence, from random tables with the same margins."""

import numpy as np
from scipy.special import xlogy

from workflow_scripts.measures import information
from workflow_scripts.measures.information import CONDITIONAL, LN_2

DRAWS = 199
_CHUNK = 1 << 24  # cells of random tables at a time: bounds the working memory


def independence_p(counts: np.ndarray, name: str, draws: int = DRAWS) -> np.ndarray:
    """Exact p-value that a conditional quantity is 0, from random tables with its margins.

    p is the smallest one, 1 / (1 + draws), without drawing where T = 2 N I (nats) is beyond anything that a draw can
    reach: over twice its C (C - 1)^2 degrees of freedom and 20 of their roots. Draws have a fixed seed.

    Args:
        counts: joint counts, [..., f, l, y].
        name: a quantity of information.CONDITIONAL.
        draws: number of random tables.

    Returns:
        p, [...]: (1 + number of tables with at least this information) / (1 + draws).
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
    """Tables of which both margins are those of the given ones: as by permuting the labels of the examples.

    Args:
        tables: counts, [..., rows, columns].
        draws: number of random tables for each.
        rng: what draws them.

    Returns:
        int64[draws, ..., rows, columns].
    """
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
