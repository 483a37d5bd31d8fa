"""Every measure of an experiment over its seeds: the rows of summary.csv and of the experiment's classes.csv."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from workflow_scripts.measures import intervals, per_class
from workflow_scripts.measures.comparison import Comparison
from workflow_scripts.measures.seeds import SharedExamples, over_seeds

#: ends of the columns of measures.csv that are not a quantity of their own
_ABOUT = ("_corrected", "_lo", "_hi", "_p")
#: quantities on which the test set has no influence
_OF_TRAINING = ("I_FY_train", "train_accuracy")


def table(runs: list[pd.DataFrame], shared: dict[str, np.ndarray]) -> pd.DataFrame:
    """Every quantity of one explainer over seeds: rows (checkpoint, quantity).

    Args:
        runs: its T rows of measures.csv, a table per seed.
        shared: quantity -> the variance that all seeds have in common through the test set, [T] (`shared_variances`),
            of all but those of the training set.

    Returns:
        explainer, checkpoint, step, epoch, quantity; seeds, mean and std of the plug-in value over seeds (the papers'
        band); corrected, the mean of the corrected values, with its 95% interval lo, hi for new seeds and a new test
        set, or, of quantities of the training set, for new seeds. A single seed has the interval of its own measures.
    """
    index = per_class.INDEX
    quantities = [name for name in runs[0] if name not in (*index, "n") and not name.endswith(_ABOUT)]
    return _over_seeds(runs, index, quantities, shared)


def class_table(runs: list[pd.DataFrame], shared: dict[str, np.ndarray]) -> pd.DataFrame:
    """The part of each class of one explainer over seeds: rows (checkpoint, class, quantity), columns as `table`.

    Args:
        runs: its T C rows of a seed's classes.csv, a table per seed.
        shared: quantity -> variance in common, [T, C] (per_class.shared_variances).
    """
    flat = {name: variance.reshape(-1) for name, variance in shared.items()}
    return _over_seeds(runs, per_class.CLASS_INDEX, per_class.QUANTITIES, flat)


def shared_variances(seeds: list[Comparison]) -> dict[str, np.ndarray]:
    """What the seeds' estimates at each checkpoint have in common through the test set.

    Args:
        seeds: each seed's network against the same explainer.

    Returns:
        Quantity, an accuracy, lead, or mu_null -> variance, [T].
    """
    shared = SharedExamples()
    for compared in seeds:
        for name, influence in compared.by_example(compared.influences().items()):
            shared.add(name, influence)
    return shared.variances() | {"lead": shared_variance("lead", (compared.at_end() for compared in seeds))}


def shared_variance(quantity: str, seeds: Iterable[Comparison]) -> np.ndarray:
    """What the seeds' estimates of one quantity have in common, where L may be several explainers together.

    Args:
        quantity: one of intervals.influence.
        seeds: each seed's network against the same explainers.

    Returns:
        Variance, [T].
    """
    shared = SharedExamples()
    for compared in seeds:
        influence = intervals.influence(compared.counts)[quantity]
        for name, values in compared.by_example([(quantity, influence)]):
            shared.add(name, values)
    return shared.variances()[quantity]


def _over_seeds(
    runs: list[pd.DataFrame], index: tuple[str, ...], quantities: Iterable[str], shared: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Rows (*index, quantity), those of a checkpoint together."""
    shared = shared | dict.fromkeys(_OF_TRAINING, 0.0)
    rows = [runs[0][[*index]].assign(quantity=name, **_columns(runs, name, shared[name])) for name in quantities]
    return pd.concat(rows).sort_values("checkpoint", kind="stable")


def _columns(runs: list[pd.DataFrame], quantity: str, shared: np.ndarray | float) -> dict[str, np.ndarray]:
    """seeds, mean, std, corrected, lo and hi of one quantity: [rows of a table] each."""
    best = f"{quantity}_corrected" if f"{quantity}_corrected" in runs[0] else quantity
    plain = over_seeds(_stacked(runs, quantity))
    corrected = over_seeds(_stacked(runs, best), shared)
    lo, hi = corrected["lo"], corrected["hi"]
    if len(runs) == 1 and f"{quantity}_lo" in runs[0]:
        lo, hi = (_stacked(runs, f"{quantity}{end}")[0] for end in ("_lo", "_hi"))
    return {
        **{name: plain[name] for name in ("seeds", "mean", "std")},
        **{"corrected": corrected["mean"], "lo": lo, "hi": hi},
    }


def _stacked(runs: list[pd.DataFrame], column: str) -> np.ndarray:
    """A column of every seed's table: float[S, rows]."""
    return np.stack([table[column].to_numpy(float) for table in runs])
