"""What figures of classes show of an experiment."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workflow_scripts.config.errors import Foreign
from workflow_scripts.drawing import panel
from workflow_scripts.files import dataframes


@dataclass(frozen=True)
class Row:
    """One experiment and one of its explainers: a panel of all classes together, and its rows of classes.csv."""

    together: panel.Panel
    explainer: str
    classes: pd.DataFrame


def read(job, inputs: dict[str, list[Path]]) -> list[Row]:
    """A row per experiment shown; inputs: summaries, phases and classes of each. Raises StudyError."""
    columns = ("explainer", "epoch", "class", "quantity", "mean", "std", "lo", "hi")
    rows = []
    for together, path, summary in zip(panel.read(job, inputs), inputs["classes"], inputs["summaries"], strict=True):
        classes = dataframes.read(path, *columns, kind=dataframes.CLASSES)
        dataframes.check_same("explainer", path, classes, summary, together.summary)
        explainer = job.settings.explainer_of(together.name)
        if explainer not in (None, *classes["explainer"]):
            raise Foreign(path, f"it has no explainer {explainer!r}: delete it and run its stage again")
        rows.append(row(together, classes, explainer))
    return rows


def row(together: panel.Panel, classes: pd.DataFrame, explainer: str | None) -> Row:
    """The rows of one explainer, None: the first; together, classes: with those of all explainers."""
    name = classes["explainer"].iloc[0] if explainer is None else explainer
    return Row(together.of(name), name, classes[classes["explainer"] == name])
