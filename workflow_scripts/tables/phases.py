"""N19 Table 1: how each quantity changes in each phase, beside what the paper says."""

import html
from typing import Literal

import pandas as pd

from workflow_scripts.config import paths
from workflow_scripts.config.base import Strict
from workflow_scripts.config.shown import Experiments, check_experiments, titles
from workflow_scripts.drawing.page import render
from workflow_scripts.drawing.rows import read_each, stacked
from workflow_scripts.files import dataframes
from workflow_scripts.measures.phases import PHASES, QUANTITIES

CAPTION = r"""How each quantity changes in each phase of training, with 95% intervals for new seeds and a new test
set, beside what the paper says (Nakkiran et al. 2019, Table 1)."""
#: columns that are read of phases.csv
_COLUMNS = ("explainer", "phase", "quantity", "sign", "change_mean", "below_null_mean")
#: N19 Table 1. A change of a quantity over a phase, or near_0: nearer to 0 than for the null model.
PAPER_TABLE_1 = {
    phase: dict(zip(QUANTITIES, entries.split(), strict=True))
    for phase, entries in {
        "first": "up up up up near_0 down",
        "middle": "up up up flat up near_0",
        "overfitting": "up flat flat flat flat near_0",
    }.items()
}
_SIGNS = {"up": "↑", "down": "↓", "flat": "–", "unknown": "?", "near_0": "≈ 0"}
_HEADS = {
    "train_accuracy": "train accuracy",
    "accuracy": "test accuracy",
    "I_FY": "I(F<sub>t</sub>; Y)",
    "mu": "μ(F<sub>t</sub>; L)",
    "I_FY_given_L": "I(F<sub>t</sub>; Y | L)",
    "I_LY_given_F": "I(L; Y | F<sub>t</sub>)",
}


class Phases(Strict):
    """N19 Table 1: how each quantity changes in each phase, beside what the paper says."""

    kind: Literal["phases"]
    experiments: Experiments


Settings = Phases


def check(settings: Phases, study, key: str) -> None:
    """Raise Wrong for an experiment that the study has not."""
    check_experiments(key, settings.experiments, study)


def inputs(settings: Phases, study) -> dict[str, list[str]]:
    """The phases of each experiment."""
    return {"phases": paths.of_experiments(settings.experiments, "phases.csv")}


def shown(settings: Phases, study) -> dict:
    """Titles."""
    return {"titles": titles(study, settings.experiments)}


def table(job, inputs) -> pd.DataFrame:
    """The phases of each experiment, beside the paper's entries."""
    found = read_each(dataframes.PHASES, job.settings.experiments, inputs["phases"], *_COLUMNS)
    return stacked({name: beside_paper(of) for name, of in found.items()}, job.shown["titles"])


def beside_paper(found: pd.DataFrame) -> pd.DataFrame:
    """N19 Table 1 of one experiment, from phases.csv: the paper's entry beside ours, and whether they agree."""
    rows = found[found["phase"].isin(PHASES)].copy()
    rows["paper"] = [
        PAPER_TABLE_1[phase][quantity] for phase, quantity in zip(rows["phase"], rows["quantity"], strict=True)
    ]
    rows["agrees"] = [_agrees(row) for row in rows.to_dict("records")]
    return rows


def _agrees(row: dict) -> str:
    """`yes`, `no` or `undecided`: by the sign's interval, or for near_0 by the interval of null - quantity.

    A change whose interval contains 0 does not contradict a rise or a fall: it leaves it undecided.
    """
    if row["paper"] == "near_0":
        lo, hi = row["below_null_lo"], row["below_null_hi"]
        return "yes" if lo > 0 else "no" if hi < 0 else "undecided"
    if row["sign"] == row["paper"]:
        return "yes"
    return "undecided" if row["sign"] == "unknown" or (row["sign"] == "flat" and row["paper"] != "flat") else "no"


def page(rows: pd.DataFrame, title: str) -> str:
    """Table 1 as a page: a row per experiment, explainer and phase."""
    body = []
    for (name, explainer, phase), group in rows.groupby(["title", "explainer", "phase"], sort=False):
        by_quantity = group.set_index("quantity")
        row = group.iloc[0]
        cells = [html.escape(name), html.escape(explainer), phase]
        cells.append("none" if row["seeds"] == 0 else f"{row['from_epoch']:.3g} to {row['to_epoch']:.3g}")
        cells += [_sign_cell(by_quantity.loc[quantity]) for quantity in QUANTITIES]
        body.append(cells)
    caption = (
        "Change of each quantity over each phase: sign, mean over seeds, 95% interval for new seeds and a new test "
        "set, wherever T<sub>0</sub> may lie given the noise of the test set; then the paper's entry "
        "(Nakkiran et al. 2019, Table 1) and whether ours agrees. ↑ or ↓: the interval lies above or below 0; –: it "
        "contains 0, which leaves a rise or fall of the paper's undecided. ≈ 0: the value at the end of the phase is "
        "nearer to 0 than for the within-class null model; where its lower limit is 0, its upper one and the p of the "
        "exact test that it is 0, the largest over seeds, are given. Phases end at T<sub>0</sub>, at the start of "
        "overfitting, and at the end of training."
    )
    return render(title, caption, ["task", "explainer", "phase", "epochs", *_HEADS.values()], body)


def _sign_cell(row: pd.Series) -> str:
    if row["seeds"] == 0:
        return "<small>no such phase</small>"
    near = row["paper"] == "near_0"
    ours = f"{_value(row)} <small>(null {row['null']:.3g})</small><br>" if near else _SIGNS[row["sign"]]
    interval = (
        f"<br><small>[{row['change_lo']:+.2g}, {row['change_hi']:+.2g}]</small>" if pd.notna(row["change_lo"]) else ""
    )
    change = f"<small>{row['change_mean']:+.3g}</small>{interval}"
    agrees = row["agrees"]
    return f"{ours} {change}<br><small class={agrees}>paper {_SIGNS[row['paper']]}: {agrees}</small>"


def _value(row: pd.Series) -> str:
    """A quantity that can't be negative, at the end of a phase; at the boundary its upper limit and p."""
    if pd.notna(row["to_lo"]) and row["to_lo"] > 0:
        return f"{row['to_corrected']:.3g}"
    limit = f" (≤ {max(row['to_hi'], 0):.2g}, 95%)" if pd.notna(row["to_hi"]) else ""
    return f"{max(row['to_corrected'], 0):.2g}{limit}, p = {row['to_p']:.2g}"
