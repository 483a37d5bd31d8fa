"""When each class is learned, its place in the order, and how much the orders of several networks agree."""

import html
from typing import Literal

import pandas as pd

from workflow_scripts.config import paths
from workflow_scripts.config.base import Strict
from workflow_scripts.config.shown import Experiments, check_experiments, titles
from workflow_scripts.drawing.page import render, with_interval
from workflow_scripts.drawing.rows import read_each, stacked
from workflow_scripts.files import dataframes

CAPTION = r"""The classes in the order in which each network learns them, with 95% t intervals over seeds."""


class ClassOrderTable(Strict):
    """When each class is learned, its place in the order, and how much the orders of experiments agree."""

    kind: Literal["class_order"]
    experiments: Experiments


Settings = ClassOrderTable


def check(settings: ClassOrderTable, study, key: str) -> None:
    """Raise Wrong for an experiment that the study has not."""
    check_experiments(key, settings.experiments, study)


def inputs(settings: ClassOrderTable, study) -> dict[str, list[str]]:
    """When each experiment learned each class."""
    return {"orders": paths.of_experiments(settings.experiments, "order.csv")}


def shown(settings: ClassOrderTable, study) -> dict:
    """Titles."""
    return {"titles": titles(study, settings.experiments)}


def table(job, inputs) -> pd.DataFrame:
    """A row per class of each experiment."""
    from workflow_scripts.measures import per_class

    found = read_each(dataframes.ORDER, job.settings.experiments, inputs["orders"], "class", "seed", "epoch", "final")
    return stacked({name: per_class.mean_learning_times(of) for name, of in found.items()}, job.shown["titles"])


def page(rows: pd.DataFrame, title: str) -> str:
    """A row per experiment: its classes from the first to the last that it learns."""
    body = []
    for name, group in rows.groupby("title", sort=False):
        ordered = group.sort_values("epoch", kind="stable")
        cells = [f"<b>{html.escape(row['class'])}</b><br>{_cell(row)}" for _, row in ordered.iterrows()]
        body.append([html.escape(name), *cells])
    caption = (
        "The classes in the order in which they are learned: the first epoch at which I(F<sub>t</sub>; Y = y) is half "
        "of what it is at the end, mean over seeds with its 95% interval for new seeds; below it the bits that the "
        "class contributes at the end. None: it contributes nothing then, by its 95% interval."
    )
    most = max(len(row) for row in body) - 1
    return render(title, caption, ["task", *(str(place + 1) for place in range(most))], body)


def _cell(row: pd.Series) -> str:
    return f"{with_interval(row, 'epoch', 'lo', 'hi')}<br><small>{row['final']:.3g} bit</small>"
