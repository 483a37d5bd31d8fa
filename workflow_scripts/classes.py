"""What each true class contributes to the measures (S23 Eqs 3 and 4), and when it is learned."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts import files, uncertainty
from workflow_scripts.config.data import Task

INDEX = ("explainer", "checkpoint", "step", "epoch")
#: the quantities that are summarised over seeds
QUANTITIES = ("accuracy", "I_FY", "I_LY", "mu", "I_FY_given_L", "I_LY_given_F")


def names(path: Path, task: Task) -> list[str]:
    """The names of a task's classes, in the order of their labels: of its groups, or else of the data set's classes."""
    if task.groups is not None:
        return list(task.groups)
    return files.load_arrays(path, "class_names")["class_names"].astype(str).tolist()


def measure(counts: np.ndarray, index: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A row per checkpoint and class: n, the class's examples; accuracy on them; its part of every quantity, in bits.

    counts: [T, f, l, y]; index: the T rows of INDEX. The parts of a checkpoint add up to the quantities of
    measures.csv, the corrected ones to the corrected ones.
    """
    of_class = counts.sum((-3, -2))
    right = np.diagonal(counts.sum(-2), axis1=-2, axis2=-1)
    columns = {"n": of_class, "accuracy": right / np.maximum(of_class, 1), **uncertainty.per_class(counts)}
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
        epoch = uncertainty.over_seeds(table["epoch"].to_numpy(float))
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
        influences = [uncertainty.class_influence(counts, name) for counts, _ in seeds]
        columns = []
        for y in range(n_classes):
            shared = uncertainty.SharedExamples()
            for (own, others), (_, cells) in zip(influences, seeds, strict=True):
                of_cell = np.repeat(others[..., [y]], n_classes, axis=-1)
                of_cell[..., y] += own[..., y]
                shared.add(y, np.take_along_axis(of_cell.reshape(len(of_cell), -1), cells, axis=1))
            columns.append(shared.variances()[y])
        found[name] = np.stack(columns, axis=-1)
    return found


def _places(run: pd.DataFrame) -> dict[str, int]:
    return {name: place for place, name in enumerate(run["class"].unique())}
