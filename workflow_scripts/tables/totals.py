"""What is known at the end of training, and the bias of plug-in estimates, which grows with the number of classes."""

import html
from typing import Literal

import pandas as pd

from workflow_scripts.config import paths
from workflow_scripts.config.base import Strict
from workflow_scripts.config.printed import Printed
from workflow_scripts.config.shown import Experiments, check_experiments, printed, titles
from workflow_scripts.drawing.page import paper_prints, render, with_interval
from workflow_scripts.drawing.rows import read_each, stacked
from workflow_scripts.files import dataframes

CAPTION = r"""What is known at the end of training: each quantity corrected for bias, with its 95% interval for new
seeds and a new test set, as the plug-in value, and as the paper prints it."""
#: columns that are read of summary.csv
_COLUMNS = ("explainer", "epoch", "quantity", "seeds", "mean", "corrected", "lo", "hi")
_HEADS = {
    "accuracy": "test accuracy",
    "I_FY_train": "I(F; Y<sub>S</sub>)",
    "I_FY": "I(F; Y)",
    "I_LY": "I(L; Y)",
    "mu": "μ(F; L)",
    "I_FY_given_L": "I(F; Y | L)",
    "I_LY_given_F": "I(L; Y | F)",
    "I_FL_given_Y": "I(F; L | Y)",
}


class Totals(Strict):
    """What is known at the end of training: each quantity as it is, corrected for bias, and as a paper prints it."""

    kind: Literal["totals"]
    experiments: Experiments


Settings = Totals


def check(settings: Totals, study, key: str) -> None:
    """Raise Wrong for an experiment that the study has not."""
    check_experiments(key, settings.experiments, study)


def inputs(settings: Totals, study) -> dict[str, list[str]]:
    """The summary of each experiment."""
    return {"summaries": paths.of_experiments(settings.experiments, "summary.csv")}


def shown(settings: Totals, study) -> dict:
    """Titles, and what papers print."""
    names = settings.experiments
    return {"titles": titles(study, names), "printed": printed(study, names)}


def table(job, inputs) -> pd.DataFrame:
    """The totals of each experiment."""
    found = read_each(dataframes.SUMMARY, job.settings.experiments, inputs["summaries"], *_COLUMNS)
    made = {name: at_the_end(summary, Printed.of(name, job.shown)) for name, summary in found.items()}
    return stacked(made, job.shown["titles"])


def at_the_end(summary: pd.DataFrame, paper: Printed | None) -> pd.DataFrame:
    """The last checkpoint of one experiment's summary.csv: a row per explainer and quantity.

    bias: the plug-in value (mean) less the corrected one; paper: what is printed of the first explainer.
    """
    from workflow_scripts.measures.rounding import settled

    last = summary[summary["epoch"] == summary["epoch"].max()]
    rows = last[last["quantity"].isin(_HEADS)].copy()
    rows["bias"] = settled(rows["mean"] - rows["corrected"])
    first = rows["explainer"].iloc[0]
    known = {name: getattr(paper, name, None) for name in ("I_LY", "I_FY", "mu")}
    rows["paper"] = [
        known.get(quantity) if explainer == first else None
        for explainer, quantity in zip(rows["explainer"], rows["quantity"], strict=True)
    ]
    return rows.astype({"paper": float})


def page(rows: pd.DataFrame, title: str) -> str:
    """A row per experiment and explainer."""
    body = []
    for (name, explainer), group in rows.groupby(["title", "explainer"], sort=False):
        by_quantity = group.set_index("quantity")
        first = by_quantity.iloc[0]
        cells = [html.escape(name), html.escape(explainer), str(first["seeds"]), f"{first['epoch']:g}"]
        body.append(cells + [_cell(by_quantity.loc[quantity]) for quantity in _HEADS])
    caption = (
        "The end of training, in bits: corrected for bias, with its 95% interval for new seeds and a new test set (of "
        "the training set: for new seeds); below it the plug-in value, which the papers give, and how far it is off. "
        "Then what the paper prints or its figure shows, where it is known."
    )
    return render(title, caption, ["task", "explainer", "seeds", "epochs", *_HEADS.values()], body)


def _cell(row: pd.Series) -> str:
    plug_in = f"<br><small>plug-in {row['mean']:.4g}, {row['bias']:+.2g}</small>" if row["bias"] else ""
    return f"{with_interval(row, 'corrected', 'lo', 'hi')}{plug_in}{paper_prints(row['paper'])}"
