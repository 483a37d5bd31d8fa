"""What each true class contributes to the measures (S23 Eqs 3 and 4), and when it is learned."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.config.tasks import Task
from workflow_scripts.files import npz
from workflow_scripts.measures import corrections, information, intervals
from workflow_scripts.measures.seeds import SharedExamples, over_seeds

INDEX = ("explainer", "checkpoint", "step", "epoch")
#: the quantities that are summarised over seeds
QUANTITIES = ("accuracy", "I_FY", "I_LY", "mu", "I_FY_given_L", "I_LY_given_F")


def names(path: Path, task: Task) -> list[str]:
    """The names of a task's classes, in the order of their labels: of its groups, or else of the data set's classes."""
    if task.groups is not None:
        return list(task.groups)
    return npz.load(path, "class_names")["class_names"].astype(str).tolist()


def measure(counts: np.ndarray, index: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A row per checkpoint and class: n, the class's examples; accuracy on them; its part of every quantity, in bits.

    counts: [T, f, l, y]; index: the T rows of INDEX. The parts of a checkpoint add up to the quantities of
    measures.csv, the corrected ones to the corrected ones.
    """
    of_class = counts.sum((-3, -2))
    right = np.diagonal(counts.sum(-2), axis1=-2, axis2=-1)
    columns = {"n": of_class, "accuracy": right / np.maximum(of_class, 1), **parts(counts)}
    rows = index.loc[index.index.repeat(len(names))].reset_index(drop=True)
    return rows.assign(
        **{"class": names * len(counts)},
        **{name: np.reshape(values, -1) for name, values in columns.items()},
    )


def learned(runs: list[pd.DataFrame], seeds: list[int]) -> pd.DataFrame:
    """When each seed learned each class: the first checkpoint at which I(F_t;Y=y) is half of what it is at the end.

    runs: `measure` of one explainer, a table per seed; which explainer is all the same. Rows (class, seed): checkpoint,
    step, epoch, final (bits, plug-in). Empty where the class isn't learned: where its part at the end may be 0.
    """
    rows = []
    for seed, run in zip(seeds, runs, strict=True):
        for name, table in run.groupby("class", sort=False):
            part, last = table["I_FY"].to_numpy(), table.iloc[-1]
            row = {"class": name, "seed": seed, "checkpoint": np.nan, "step": np.nan, "epoch": np.nan}
            if last["I_FY_lo"] > 0:
                first = table.iloc[int(np.argmax(part >= part[-1] / 2))]
                row |= {key: first[key] for key in ("checkpoint", "step", "epoch")}
            rows.append(row | {"final": part[-1]})
    return pd.DataFrame(rows).sort_values("class", kind="stable", key=lambda column: column.map(_places(runs[0])))


def order(found: pd.DataFrame) -> pd.DataFrame:
    """`learned` over the seeds: a row per class: seeds that learn it, epoch with its 95% interval, final (bits), rank.

    rank: 1 for the class that is learned first, ties share their mean; none for a class that no seed learns.
    """
    rows = []
    for name, table in found.groupby("class", sort=False):
        epoch = over_seeds(table["epoch"].to_numpy(float))
        seeds, mean, lo, hi = (epoch[key].item() for key in ("seeds", "mean", "lo", "hi"))
        rows.append({"class": name, "seeds": seeds, "epoch": mean, "lo": lo, "hi": hi, "final": table["final"].mean()})
    rows = pd.DataFrame(rows)
    return rows.assign(rank=rows["epoch"].rank())


def shared_variances(seeds: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Quantity -> the variance that the parts of all seeds have in common through the test set, [T, classes].

    seeds: of each its joint counts [T, f, l, y], and the cell of each test example as an index into them, [T, N].
    """
    n_classes = seeds[0][0].shape[-1]
    found = {}
    for name in QUANTITIES:
        influences = [class_influence(counts, name) for counts, _ in seeds]
        columns = []
        for y in range(n_classes):
            shared = SharedExamples()
            for (own, others), (_, cells) in zip(influences, seeds, strict=True):
                of_cell = np.repeat(others[..., [y]], n_classes, axis=-1)
                of_cell[..., y] += own[..., y]
                shared.add(y, np.take_along_axis(of_cell.reshape(len(of_cell), -1), cells, axis=1))
            columns.append(shared.variances()[y])
        found[name] = np.stack(columns, axis=-1)
    return found


def _places(run: pd.DataFrame) -> dict[str, int]:
    return {name: place for place, name in enumerate(run["class"].unique())}


def parts(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The part of each quantity that the examples of each true class contribute, in bits: [..., y].

    S23 Eqs 3 and 4: `q`, `q_corrected`, `q_lo`, `q_hi`; counts: [..., f, l, y]. The parts add up to the quantity, the
    corrected ones to the corrected one: a class bears that share of the correction that it has of the occupied cells.
    Parts of I(F;L) and mu may be negative, and have normal intervals.
    """
    n = counts.sum((-3, -2, -1))
    weight = counts / n[..., None, None, None]
    best, plug_in = corrections.corrected(counts), information.measures(counts)
    occupied = (counts > 0).sum((-3, -2))
    borne = occupied / occupied.sum(-1, keepdims=True)
    columns = {}
    for name in information.TERMS:
        own, others = class_influence(counts, name)
        part = (weight * own).sum((-3, -2))
        of_cells = weight.sum(-1, keepdims=True)
        mean = part + (of_cells * others).sum((-3, -2))
        square = (weight * own * (own + 2 * others)).sum((-3, -2)) + (of_cells * others**2).sum((-3, -2))
        sigma = np.sqrt(np.maximum(square - mean**2, 0))
        middle = part + borne * (best[name] - plug_in[name])[..., None]
        if name in ("I_FL", "mu"):
            half = intervals.half_width(sigma, n[..., None])
            lo, hi = middle - half, middle + half
        else:
            lo, hi = intervals.limits(part, middle, sigma, n[..., None])
        columns |= {name: part, f"{name}_corrected": middle, f"{name}_lo": lo, f"{name}_hi": hi}
    return columns


def class_influence(counts: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Influence of an example of each cell on the part of each class y: own and others, [..., f, l, y] both. Bits.

    An example of cell (f, l, y') counts others[f, l, y] for every class y, as it changes the margins without Y, and
    own[f, l, y] besides where y = y'. name: a quantity, or accuracy: that of the examples of each class.
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


def _class_given(counts: np.ndarray, axes: str) -> np.ndarray:
    """P(Y = y | the margin) of each cell: [..., f, l, y]."""
    given = information.margin(counts, axes + "Y") / np.maximum(information.margin(counts, axes), 1)
    return np.broadcast_to(given, counts.shape)
