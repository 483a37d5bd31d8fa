"""What each true class contributes to the measures (S23 Eqs 3 and 4), and when it is learned."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.config.tasks import Task
from workflow_scripts.data.parts import FORMS
from workflow_scripts.files import npz
from workflow_scripts.measures import corrections, information, intervals, rounding
from workflow_scripts.measures.comparison import Comparison
from workflow_scripts.measures.seeds import SharedExamples, over_seeds

#: what a row of measures.csv, and one of classes.csv, is about
INDEX = ("explainer", "checkpoint", "step", "epoch")
CLASS_INDEX = (*INDEX, "class")
#: the quantities that are summarised over seeds
QUANTITIES = ("accuracy", "I_FY", "I_LY", "mu", "I_FY_given_L", "I_LY_given_F")


def class_names(path: Path, task: Task) -> list[str]:
    """The names of a task's classes, in the order of their labels: of its groups, or else of the data set's classes.

    Args:
        path: the data set's arrays (.npz).
        task: the task.

    Raises:
        StudyError: the file is missing or damaged.
    """
    if task.groups is not None:
        return list(task.groups)
    return npz.load(path, "class_names", forms=FORMS)["class_names"].tolist()


def table(counts: np.ndarray, index: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The part of each class in every quantity of one seed and one explainer: the rows of classes.csv.

    Args:
        counts: joint counts, [T, f, l, y].
        index: the T rows of INDEX.
        names: of the classes, [C].

    Returns:
        T C rows: INDEX, class, n (its examples), accuracy (on them), and `parts` (bits).
    """
    of_class = counts.sum((-3, -2))
    right = np.diagonal(counts.sum(-2), axis1=-2, axis2=-1)
    columns = {"n": of_class, "accuracy": right / np.maximum(of_class, 1), **parts(counts)}
    rows = index.loc[index.index.repeat(len(names))].reset_index(drop=True)
    return rows.assign(
        **{"class": names * len(counts)},
        **{name: np.reshape(values, -1) for name, values in columns.items()},
    )


def parts(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The part of each quantity that the examples of each true class contribute (S23 Eqs 3 and 4).

    The parts add up to the quantity, the corrected ones to the corrected one: a class bears that share of the
    correction that it has of the occupied cells. Parts of I(F;L) and mu may be negative, and have normal intervals.

    Args:
        counts: joint counts, [..., f, l, y].

    Returns:
        `q`, `q_corrected`, `q_lo`, `q_hi` of each quantity q of information.TERMS: bits, [..., y] each.
    """
    n = counts.sum((-3, -2, -1))
    weight = counts / n[..., None, None, None]
    best, plug_in = corrections.corrected(counts), information.measures(counts)
    occupied = (counts > 0).sum((-3, -2))
    borne = occupied / occupied.sum(-1, keepdims=True)
    columns = {}
    for name in information.TERMS:
        own, others = class_influence(counts, name)
        part = rounding.settled((weight * own).sum((-3, -2)))
        of_cells = weight.sum(-1, keepdims=True)
        mean = part + (of_cells * others).sum((-3, -2))
        square = (weight * own * (own + 2 * others)).sum((-3, -2)) + (of_cells * others**2).sum((-3, -2))
        sigma = np.sqrt(np.maximum(square - mean**2, 0))
        middle = rounding.settled(part + borne * (best[name] - plug_in[name])[..., None])
        if name in ("I_FL", "mu"):
            half = intervals.half_width(sigma, n[..., None])
            lo, hi = middle - half, middle + half
        else:
            lo, hi = intervals.limits(part, middle, sigma, n[..., None])
        columns |= {name: part, f"{name}_corrected": middle, f"{name}_lo": lo, f"{name}_hi": hi}
    return columns


def class_influence(counts: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Influence of an example of each cell on the part of each class.

    An example of cell (f, l, y') counts others[f, l, y] for every class y, as it changes the margins without Y, and
    own[f, l, y] besides where y = y'.

    Args:
        counts: joint counts, [..., f, l, y].
        name: a quantity of information.TERMS, or `accuracy`: that of the examples of each class.

    Returns:
        own and others: bits, [..., f, l, y] each.
    """
    if name == "accuracy":
        of_class = np.maximum(counts.sum((-3, -2), keepdims=True), 1)
        right = np.eye(counts.shape[-1])[:, None, :]
        share = (counts * right).sum((-3, -2), keepdims=True) / of_class
        n = counts.sum((-3, -2, -1), keepdims=True)
        return np.broadcast_to((right - share) * n / of_class, counts.shape), np.zeros(counts.shape)
    without_y = {axes: sign for axes, sign in information.TERMS[name].items() if "Y" not in axes}
    known = sum(sign * _class_given(counts, axes) for axes, sign in without_y.items())
    return intervals.influence(counts)[name], np.broadcast_to(-known / information.LN_2, counts.shape)


def learning_times(runs: list[pd.DataFrame], seeds: list[int]) -> pd.DataFrame:
    """When each seed learned each class: the first checkpoint at which I(F_t;Y=y) is half of what it is at the end.

    Args:
        runs: `table` of one explainer, whichever, per seed.
        seeds: their numbers.

    Returns:
        Rows (class, seed) with checkpoint, step, epoch, and final: I(F_T;Y=y) in bits, plug-in. checkpoint, step and
        epoch are NaN where the class isn't learned: where the lower limit of its part at the end is 0.
    """
    rows = []
    for seed, run in zip(seeds, runs, strict=True):
        for name, rows_of_class in run.groupby("class", sort=False):
            part, last = rows_of_class["I_FY"].to_numpy(), rows_of_class.iloc[-1]
            row = {"class": name, "seed": seed, "checkpoint": np.nan, "step": np.nan, "epoch": np.nan}
            if last["I_FY_lo"] > 0:
                first = rows_of_class.iloc[int(np.argmax(part >= part[-1] / 2))]
                row |= {key: first[key] for key in ("checkpoint", "step", "epoch")}
            rows.append(row | {"final": part[-1]})
    return pd.DataFrame(rows).sort_values("class", kind="stable", key=lambda column: column.map(_places(runs[0])))


def mean_learning_times(found: pd.DataFrame) -> pd.DataFrame:
    """When each class is learned, over seeds, and its place in the order.

    Args:
        found: `learning_times`.

    Returns:
        A row per class: seeds (that learn it), epoch with its 95% interval lo, hi, final (bits), and rank: 1 for the
        class that is learned first, ties share their mean, NaN for a class that no seed learns.
    """
    rows = []
    for name, of_class in found.groupby("class", sort=False):
        epoch = over_seeds(of_class["epoch"].to_numpy(float))
        seeds, mean, lo, hi = (epoch[key].item() for key in ("seeds", "mean", "lo", "hi"))
        final = of_class["final"].mean()
        rows.append({"class": name, "seeds": seeds, "epoch": mean, "lo": lo, "hi": hi, "final": final})
    rows = pd.DataFrame(rows)
    return rows.assign(rank=rows["epoch"].rank())


def shared_variances(seeds: list[Comparison]) -> dict[str, np.ndarray]:
    """What the parts of all seeds have in common through the test set.

    Args:
        seeds: each seed's network against the same explainer, at T checkpoints.

    Returns:
        Quantity of QUANTITIES -> variance, [T, classes].
    """
    return {name: _shared_variance(seeds, name) for name in QUANTITIES}


def _shared_variance(seeds: list[Comparison], name: str) -> np.ndarray:
    """The same of one quantity, [T, classes]."""
    shared = SharedExamples()
    for compared in seeds:
        own, others = class_influence(compared.counts, name)
        for y, influence in compared.by_example(_by_class(own, others)):
            shared.add(y, influence)
    return np.stack(list(shared.variances().values()), axis=-1)


def _by_class(own: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each class, and the influence of an example of each cell on its part, [T, f, l, y]; from `class_influence`."""
    n_classes = others.shape[-1]
    for y in range(n_classes):
        influence = np.repeat(others[..., [y]], n_classes, axis=-1)
        influence[..., y] += own[..., y]
        yield y, influence


def _places(run: pd.DataFrame) -> dict[str, int]:
    return {name: place for place, name in enumerate(run["class"].unique())}


def _class_given(counts: np.ndarray, axes: str) -> np.ndarray:
    """P(Y = y | the margin) of each cell: [..., f, l, y]."""
    given = information.margin(counts, axes + "Y") / np.maximum(information.margin(counts, axes), 1)
    return np.broadcast_to(given, counts.shape)
