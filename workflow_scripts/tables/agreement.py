"""Whether seeds and networks agree on the order in which test examples are learned."""

import html

import numpy as np
import pandas as pd

from workflow_scripts.config import paths
from workflow_scripts.config.shown import titles
from workflow_scripts.drawing.page import render, with_interval
from workflow_scripts.figures import agreement
from workflow_scripts.figures.agreement import Agreement

CAPTION = r"""Whether seeds and networks learn the test examples in the same order: Spearman's rank correlation, mean
over pairs of seeds, with 95% intervals for new seeds and new test examples, and the same within each class."""

Settings = Agreement


def check(settings: Agreement, study, key: str) -> None:
    """Raise Wrong for experiments that can't have the figure either."""
    agreement.check(settings, study, key)


def inputs(settings: Agreement, study) -> dict[str, list[str]]:
    """When each experiment learned each example."""
    return {"examples": paths.of_experiments(settings.experiments, "examples.csv")}


def shown(settings: Agreement, study) -> dict:
    """Titles."""
    return {"titles": titles(study, settings.experiments)}


def table(job, inputs) -> pd.DataFrame:
    """The agreement of the experiments. Raises StudyError for tables of different examples."""
    from workflow_scripts.measures import learning_order

    classes, epochs = learning_order.read_epochs(inputs["examples"])
    return agreements(dict(zip(job.settings.experiments, epochs, strict=True)), job.shown["titles"], classes)


def agreements(epochs: dict[str, np.ndarray], title_of: dict[str, str], classes: np.ndarray) -> pd.DataFrame:
    """A row for each experiment and for each two: the rank correlation between seeds, and that within classes.

    epochs: experiment -> when each seed learns each test example, [S, N], inf: never; classes: [N].
    """
    from workflow_scripts.measures import learning_order

    rows = learning_order.pairwise_agreements(epochs, classes)
    return pd.DataFrame(
        [row | {"title": title_of[row["experiment"]], "other_title": title_of[row["other"]]} for row in rows]
    )


def page(rows: pd.DataFrame, title: str) -> str:
    """The agreement as a page: a row for each experiment and for each two."""
    body = [
        [
            html.escape(row["title"]),
            "its other seeds" if row["experiment"] == row["other"] else html.escape(row["other_title"]),
            str(row["pairs"]),
            f"<b>{with_interval(row, 'rho', 'lo', 'hi')}</b>",
            with_interval(row, "rho_within_class", "rho_within_class_lo", "rho_within_class_hi"),
        ]
        for _, row in rows.iterrows()
    ]
    caption = (
        "Do seeds and networks learn the test examples in the same order? An example is learned at the first "
        "checkpoint from which on it is right to the end; those never learned come last, tied. Spearman's rank "
        "correlation of this order, mean over pairs of seeds, with its 95% interval for new seeds and new test "
        "examples (with two seeds of one network, or a network of one seed: for new test examples and what seeds "
        "there are). Within class: the same of ranks centred within each class, which doesn't count that classes "
        "are learned one after the other."
    )
    return render(title, caption, ["network", "compared with", "pairs of seeds", "ρ", "ρ within class"], body)
