"""When each class is learned, its place in the order, and how much the orders of several networks agree."""

import html

import pandas as pd

from workflow_scripts.drawing.page import render, with_interval
from workflow_scripts.measures import per_class


def tables(orders: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """A row per class of each experiment; orders: experiment -> its order.csv."""
    return {name: per_class.mean_learning_times(found) for name, found in orders.items()}


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
