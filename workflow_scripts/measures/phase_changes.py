"""How each quantity changes over each phase of training, over seeds (N19 Table 1): the rows of phases.csv."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from workflow_scripts.measures import information, phases
from workflow_scripts.measures.comparison import Comparison
from workflow_scripts.measures.phases import Spans
from workflow_scripts.measures.rounding import settled
from workflow_scripts.measures.seeds import SharedExamples, over_seeds

#: quantities that have a value under the within-class null model (`under_null`)
NULL_QUANTITIES = ("mu", "I_FY_given_L", "I_LY_given_F")


class Estimate(NamedTuple):
    """What is estimated of one quantity over one phase, if a candidate is T0.

    `change` over the phase; the value at its `end`; `below_null`: null - value at its end.
    """

    candidate: str
    phase: str
    quantity: str
    what: Literal["change", "end", "below_null"]


class _Ends(NamedTuple):
    """The rows of one seed's measures.csv at both ends of a phase."""

    first: pd.Series
    last: pd.Series


def table(
    explainer: str, runs: list[pd.DataFrame], spans: list[Spans], shared: Mapping[Estimate, float]
) -> pd.DataFrame:
    """The change of every quantity of one explainer over every phase, and its sign: rows (phase, quantity).

    Args:
        explainer: its name.
        runs: its rows of measures.csv, a table per seed.
        spans: phases.candidates of each seed, by the explainer whose performance defines T0.
        shared: variance that the estimates of all seeds have in common (`shared_variances`); 0 where there is none.

    Returns:
        explainer, phase, quantity, seeds, and
        from_epoch, to_epoch: the ends of the phase; to_epoch_lo, to_epoch_hi: from the earliest to the latest T0 that
        the test set allows, and to other seeds.
        from_mean, to_mean: the quantity at both ends; to_corrected, to_lo, to_hi: its corrected value at the end with
        its interval; to_p: the largest of the seeds' p-values that it is 0.
        change_mean, change_std, change_lo, change_hi: the change; its 95% interval is for new seeds and a new test set,
        whichever of these T0 is the right one. sign: phases.sign of it.
        null: what the within-class null model gives at the end of the phase (closed form); below_null_mean,
        below_null_lo, below_null_hi: null - quantity. For I_FY_given_L and I_LY_given_F, above 0 means nearer to 0 than
        for an explainer that knows as much of Y but nothing of F.
    """
    rows = []
    for phase in phases.SPANS:
        ends = {candidate: _ends(runs, spans, candidate, phase) for candidate in phases.CANDIDATES}
        epochs = {
            candidate: over_seeds(np.array([last["epoch"] for _, last in of_seeds], float))
            for candidate, of_seeds in ends.items()
        }
        for quantity in phases.QUANTITIES:
            about = {"explainer": explainer, "phase": phase, "quantity": quantity}
            found = {
                candidate: _estimated(of_seeds, Estimate(candidate, phase, quantity, "change"), shared)
                for candidate, of_seeds in ends.items()
            }
            rows.append(about | _row(quantity, ends["t0"], epochs, found))
    return pd.DataFrame(rows)


def shared_variances(seeds: Iterable[Comparison], spans: list[Spans]) -> dict[Estimate, float]:
    """What the seeds' estimates over each phase have in common through the test set.

    Args:
        seeds: each seed's network against the same explainer.
        spans: phases.candidates of each seed.

    Returns:
        Estimate -> variance, of those that the test set has an influence on.
    """
    shared = SharedExamples()
    for compared, of_candidate in zip(seeds, spans, strict=True):
        influences = compared.influences()
        for candidate, of_phase in of_candidate.items():
            for phase, bounds in of_phase.items():
                if bounds is not None:
                    start, end = (_influences_at(compared, influences, t) for t in bounds)
                    _add(shared, candidate, phase, start, end)
    return {estimate: float(variance) for estimate, variance in shared.variances().items()}


def under_null(quantity: str, at: Mapping[str, float]) -> float:
    """What one of NULL_QUANTITIES would be if L were its within-class null model, in bits.

    Its mu is mu_null, and I(F;Y|L) = I(F;Y) - mu, I(L;Y|F) = I(L;Y) - mu.

    Args:
        quantity: one of NULL_QUANTITIES.
        at: mu_null, I_FY and I_LY at a checkpoint, in bits; or the influences on them, [N] each.
    """
    if quantity == "mu":
        return at["mu_null"]
    pair, _ = information.CONDITIONAL[quantity]
    return at[pair] - at["mu_null"]


def _influences_at(compared: Comparison, influences: dict[str, np.ndarray], t: int) -> dict[str, np.ndarray]:
    """Influence of each example on every quantity at one checkpoint: [N] each."""
    return dict(compared.at(t).by_example((name, values[t]) for name, values in influences.items()))


def _add(
    shared: SharedExamples, candidate: str, phase: str, start: dict[str, np.ndarray], end: dict[str, np.ndarray]
) -> None:
    """Add one seed's influences on the estimates over one phase; start, end: at its ends, [N] each."""
    for quantity in phases.QUANTITIES:
        if quantity in end:
            shared.add(Estimate(candidate, phase, quantity, "change"), end[quantity] - start[quantity])
            shared.add(Estimate(candidate, phase, quantity, "end"), end[quantity])
        if quantity in NULL_QUANTITIES:
            shared.add(Estimate(candidate, phase, quantity, "below_null"), under_null(quantity, end) - end[quantity])


def _ends(runs: list[pd.DataFrame], spans: list[Spans], candidate: str, phase: str) -> list[_Ends]:
    """Both ends of a phase of each seed that has it."""
    bounds = [of_candidate[candidate][phase] for of_candidate in spans]
    return [
        _Ends(run.iloc[of_seed[0]], run.iloc[of_seed[1]])
        for run, of_seed in zip(runs, bounds, strict=True)
        if of_seed is not None
    ]


def _estimated(ends: list[_Ends], change: Estimate, shared: Mapping[Estimate, float]) -> dict[str, dict]:
    """over_seeds of the change of one quantity over one phase, and of the other two estimates, by Estimate.what."""
    quantity = change.quantity
    best = f"{quantity}_corrected" if ends and f"{quantity}_corrected" in ends[0].first else quantity
    start, end = _column([first for first, _ in ends], best), _column([last for _, last in ends], best)
    values = {"change": settled(end - start), "end": end, "below_null": settled(_null(quantity, ends) - end)}
    return {
        what: over_seeds(of_seeds, shared.get(change._replace(what=what), 0.0)) for what, of_seeds in values.items()
    }


def _row(quantity: str, ends: list[_Ends], epochs: dict[str, dict], found: dict[str, dict[str, dict]]) -> dict:
    """The columns of `table` that are numbers.

    ends: those of the phase if t0 is T0; epochs: candidate -> over_seeds of the phase's last epoch; found: candidate ->
    `_estimated`.
    """
    best = found["t0"]
    to_epoch_lo, to_epoch_hi = _hull(epochs.values())
    change_lo, change_hi = _hull([of["change"] for of in found.values()])
    below_lo, below_hi = _hull([of["below_null"] for of in found.values()])
    p = [float(last[f"{quantity}_p"]) for _, last in ends if f"{quantity}_p" in last]
    return {
        "seeds": int(best["change"]["seeds"]),
        "from_epoch": _mean(_column([first for first, _ in ends], "epoch")),
        "to_epoch": float(epochs["t0"]["mean"]),
        "to_epoch_lo": to_epoch_lo,
        "to_epoch_hi": to_epoch_hi,
        "from_mean": _mean(_column([first for first, _ in ends], quantity)),
        "to_mean": _mean(_column([last for _, last in ends], quantity)),
        "to_corrected": float(best["end"]["mean"]),
        "to_lo": float(best["end"]["lo"]),
        "to_hi": float(best["end"]["hi"]),
        "to_p": max(p, default=np.nan),
        "change_mean": float(best["change"]["mean"]),
        "change_std": float(best["change"]["std"]),
        "change_lo": change_lo,
        "change_hi": change_hi,
        "sign": phases.sign(change_lo, change_hi),
        "null": _mean(_null(quantity, ends)),
        "below_null_mean": float(best["below_null"]["mean"]),
        "below_null_lo": below_lo,
        "below_null_hi": below_hi,
    }


def _column(rows: list[pd.Series], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=float)


def _null(quantity: str, ends: list[_Ends]) -> np.ndarray:
    """The quantity of the within-class null model at the end of each seed's phase; NaN where it has none."""
    has_one = quantity in NULL_QUANTITIES
    return np.array([under_null(quantity, last) if has_one else np.nan for _, last in ends], dtype=float)


def _hull(found: Iterable[dict]) -> tuple[float, float]:
    """The smallest interval that contains those of all candidates; NaN if one of them is unknown."""
    found = list(found)
    return float(np.min([each["lo"] for each in found])), float(np.max([each["hi"] for each in found]))


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
