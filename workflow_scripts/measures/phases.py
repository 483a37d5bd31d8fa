"""The phases of training (N19 section 3, Table 1), from the columns of a measures table."""

import numpy as np
import pandas as pd

from workflow_scripts.measures import rounding

#: the quantities of N19 Table 1, as columns of measures.csv
QUANTITIES = ("train_accuracy", "accuracy", "I_FY", "mu", "I_FY_given_L", "I_LY_given_F")
PHASES = ("first", "middle", "overfitting")
#: what phases.csv has: the phases, all of training after T0, and the warm-up, which needs no T0
SPANS = (*PHASES, "after_t0", "warm_up")
#: share of the largest I(F_t;Y) that ends the warm-up: far above the bias of I(F;Y), where training has hardly begun
WARM = 0.1
#: T0, and the ends of the interval that holds it
CANDIDATES = ("earliest", "t0", "latest")
#: phase of SPANS -> its first and its last checkpoint; None for one without length, or without T0
Bounds = dict[str, tuple[int, int] | None]
#: one of CANDIDATES for T0 -> the bounds that follow
Spans = dict[str, Bounds]


def first_crossing(lead: np.ndarray) -> int | None:
    """T0 (N19 section 3): the first checkpoint with I(F_t;Y) >= I(L;Y).

    Args:
        lead: I(F_t;Y) - I(L;Y), bits, [T].

    Returns:
        Its index; None if there is none.
    """
    reached = np.flatnonzero(rounding.settled(lead) >= 0)
    return int(reached[0]) if len(reached) else None


def crossing_interval(lead_lo: np.ndarray, lead_hi: np.ndarray, t0: int | None) -> tuple[int | None, int | None]:
    """The earliest and the latest checkpoint that may be T0, given the noise of the test set.

    Args:
        lead_lo, lead_hi: the 95% interval of I(F_t;Y) - I(L;Y), bits, [T].
        t0: the T0 found, which is the earliest if no lead is possible at all.

    Returns:
        Index of the first checkpoint at which a lead can't be excluded, and of the first at which it is certain; None
        if it never is.
    """
    possible, certain = (np.flatnonzero(rounding.settled(end) >= 0) for end in (lead_hi, lead_lo))
    earliest = int(possible[0]) if len(possible) else t0
    return earliest, (int(certain[0]) if len(certain) else None)


def warm_up_ends(i_fy: np.ndarray, i_fy_lo: np.ndarray, i_fy_hi: np.ndarray) -> dict[str, int]:
    """The checkpoint that ends the warm-up, and the earliest and the latest that may.

    It is the first at which I(F_t;Y) reaches WARM times its largest value; earliest and latest are the first at which
    its upper and its lower 95% limit do.

    Args:
        i_fy, i_fy_lo, i_fy_hi: I(F_t;Y) and its 95% interval, bits, [T].

    Returns:
        One of CANDIDATES -> index. 0 for a network that knows as much before training; the last checkpoint for one
        whose largest I(F_t;Y) may be 0.
    """
    best = rounding.first_of_largest(i_fy)
    if i_fy_lo[best] <= 0:
        return dict.fromkeys(CANDIDATES, len(i_fy) - 1)
    level = WARM * i_fy[best]
    end = int(np.argmax(rounding.settled(i_fy - level) >= 0))
    earliest, latest = crossing_interval(i_fy_lo - level, i_fy_hi - level, end)
    latest = best if latest is None else latest
    return dict(zip(CANDIDATES, (min(earliest, end), end, max(latest, end)), strict=True))


def candidates(table: pd.DataFrame) -> Spans:
    """The phases for T0, and for both ends of its interval.

    Where a lead over the reference never is certain, the latest T0 is the checkpoint with the largest lead.

    Args:
        table: one seed's rows of measures.csv, of the explainer whose performance defines T0.

    Returns:
        One of CANDIDATES -> `boundaries`.
    """
    i_fy, i_fy_lo, i_fy_hi, lead = (table[name].to_numpy() for name in ("I_FY", "I_FY_lo", "I_FY_hi", "lead"))
    warm = warm_up_ends(i_fy, i_fy_lo, i_fy_hi)
    t0 = first_crossing(lead)
    if t0 is None:
        return {name: boundaries(i_fy, i_fy_lo, None, warm[name]) for name in CANDIDATES}
    earliest, latest = crossing_interval(table["lead_lo"].to_numpy(), table["lead_hi"].to_numpy(), t0)
    latest = max(t0, rounding.first_of_largest(lead)) if latest is None else latest
    ends = dict(zip(CANDIDATES, (earliest, t0, latest), strict=True))
    return {name: boundaries(i_fy, i_fy_lo, end, warm[name]) for name, end in ends.items()}


def overfitting_start(i_fy: np.ndarray, i_fy_lo: np.ndarray, t0: int) -> int:
    """The first checkpoint from T0 on that does as well on the test set as the best, up to its uncertainty.

    As well: I(F_t;Y) at or above the lower 95% limit of the checkpoint with the largest I(F_t;Y). From here on the
    test set can't tell further training from none.

    Args:
        i_fy, i_fy_lo: I(F_t;Y) and its lower 95% limit, bits, [T].
        t0: index of T0.

    Returns:
        Its index.
    """
    later = np.asarray(i_fy)[t0:]
    best = t0 + rounding.first_of_largest(later)
    return t0 + int(np.argmax(rounding.settled(later - min(i_fy[best], i_fy_lo[best])) >= 0))


def boundaries(i_fy: np.ndarray, i_fy_lo: np.ndarray, t0: int | None, warm: int) -> Bounds:
    """Where each phase begins and ends.

    Args:
        i_fy, i_fy_lo: I(F_t;Y) and its lower 95% limit, bits, [T].
        t0: index of T0; None: never reached, and there is only a warm-up.
        warm: index of the checkpoint that ends the warm-up.

    Returns:
        Phase of SPANS -> index of its first and of its last checkpoint; None for one without length.
    """
    last = len(i_fy) - 1
    found: Bounds = dict.fromkeys(SPANS)
    found["warm_up"] = (0, warm) if warm > 0 else None
    if t0 is None:
        return found
    start = overfitting_start(i_fy, i_fy_lo, t0)
    return found | {
        "first": (0, t0) if t0 > 0 else None,
        "middle": (t0, start) if start > t0 else None,
        "overfitting": (start, last) if last > start else None,
        "after_t0": (t0, last) if last > t0 else None,
    }


def sign(lo: float, hi: float) -> str:
    """`up`, `down` or `flat` for a change with this 95% interval; `unknown` where it is NaN."""
    if not np.isfinite([lo, hi]).all():
        return "unknown"
    return "up" if lo > 0 else "down" if hi < 0 else "flat"
