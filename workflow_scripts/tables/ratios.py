"""N19 Tables 2 and 3: mu(F_T0;L) / I(F_T0;Y), beside the same ratio of every null model."""

import html
import itertools
from typing import Literal

import numpy as np
import pandas as pd

from workflow_scripts.config import paths
from workflow_scripts.config.base import Strict
from workflow_scripts.config.printed import Printed
from workflow_scripts.config.shown import Experiments, check_experiments, printed, titles
from workflow_scripts.drawing.page import render, with_interval
from workflow_scripts.drawing.rows import read_each, stacked
from workflow_scripts.files import dataframes

CAPTION = r"""How much of the network's information about the label at T\ :sub:`0`\  each explainer accounts for,
beside the same ratio of every null model; 95% intervals for new seeds and a new test set (Nakkiran et al. 2019,
Tables 2 and 3)."""
#: column of nulls.csv -> the one that has what the seeds' estimates have in common
_COLUMNS = {
    "epoch": None,
    "I_LY": "I_LY_shared",
    "I_FY": "I_FY_shared",
    "ratio": "ratio_shared",
    "ratio_corrected": "ratio_shared",
    "null_ratio": None,
    "null_ratio_closed_form": None,
    "excess": "excess_shared",
}
#: the limits that a single seed has of its own
_ENDS = {
    "epoch": ("epoch_lo", "epoch_hi"),
    "ratio_corrected": ("ratio_lo", "ratio_hi"),
    "excess": ("excess_lo", "excess_hi"),
}
#: what is read of nulls.csv
NULLS = (
    *("seed", "explainer", "variant", "p_value"),
    *_COLUMNS,
    *dict.fromkeys(filter(None, _COLUMNS.values())),
    *itertools.chain(*_ENDS.values()),
)


class Ratios(Strict):
    """N19 Table 2: mu(F_T0;L)/I(F_T0;Y) beside the same ratio of every null model."""

    kind: Literal["ratios"]
    experiments: Experiments


Settings = Ratios


def check(settings: Ratios, study, key: str) -> None:
    """Raise Wrong for an experiment that the study has not."""
    check_experiments(key, settings.experiments, study)


def inputs(settings: Ratios, study) -> dict[str, list[str]]:
    """The null models of each experiment."""
    return {"nulls": paths.of_experiments(settings.experiments, "nulls.csv")}


def shown(settings: Ratios, study) -> dict:
    """Titles, and what papers print."""
    names = settings.experiments
    return {"titles": titles(study, names), "printed": printed(study, names)}


def table(job, inputs) -> pd.DataFrame:
    """The ratios of each experiment."""
    found = read_each(dataframes.NULLS, job.settings.experiments, inputs["nulls"], *NULLS)
    made = {name: at_t0(of, Printed.of(name, job.shown)) for name, of in found.items()}
    return stacked(made, job.shown["titles"])


def at_t0(found: pd.DataFrame, paper: Printed | None) -> pd.DataFrame:
    """N19 Table 2 of one experiment from nulls.csv: rows (explainer, variant), means and 95% intervals over seeds.

    The intervals of I_LY, I_FY, ratio_corrected and excess speak of new seeds and a new test set; a single seed has
    its own. That of T0's epoch reaches from the earliest to the latest T0 that the test set allows, and to other seeds.
    paper_ratio, paper_null_ratio: what the paper prints, if anything.
    """
    from workflow_scripts.measures.seeds import over_seeds

    of_paper, null_of_paper = (paper.ratios, paper.null_ratios) if paper else ({}, {})
    rows = []
    for (explainer, variant), group in found.groupby(["explainer", "variant"], sort=False):
        row = {"explainer": explainer, "variant": variant}
        for column, shared in _COLUMNS.items():
            common = float(group[shared].iloc[0]) if shared else 0.0
            over = over_seeds(group[column].to_numpy(float), common)
            row |= {f"{column}_{key}": float(over[key]) for key in ("mean", "std", "lo", "hi")}
        row["seeds"] = int(over_seeds(group["epoch"].to_numpy(float))["seeds"])
        for column, ends in _ENDS.items():
            if row["seeds"] == 1:
                lo, hi = (float(group[end].dropna().iloc[0]) if group[end].notna().any() else np.nan for end in ends)
                row |= {f"{column}_lo": lo, f"{column}_hi": hi}
        if row["seeds"] > 1:
            row["epoch_lo"] = float(over_seeds(group["epoch_lo"].to_numpy(float))["lo"])
            certain = group["epoch_hi"].notna().all()
            row["epoch_hi"] = float(over_seeds(group["epoch_hi"].to_numpy(float))["hi"]) if certain else np.nan
        row |= {"p_value_largest": group["p_value"].max()}
        row |= {
            "paper_ratio": of_paper.get(explainer, np.nan),
            "paper_null_ratio": null_of_paper.get(explainer, np.nan),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def page(rows: pd.DataFrame, title: str) -> str:
    """Table 2 as a page: a row per experiment and explainer, the nulls' closed forms side by side."""
    from workflow_scripts.measures import nulls

    head = ["task", "explainer", "seeds", "T<sub>0</sub> (epochs)", "I(L; Y)", "μ / I(F<sub>T0</sub>; Y)"]
    head += [f"null: {variant.replace('_', ' ')}" for variant in nulls.VARIANTS] + [
        "above the last null",
        "p",
        "printed",
    ]
    body = []
    for (name, explainer), group in rows.groupby(["title", "explainer"], sort=False):
        by_variant = group.set_index("variant")
        row = by_variant.loc[nulls.WITHIN_CLASS]
        cells = [
            html.escape(name),
            html.escape(explainer),
            str(row["seeds"]),
            _with_interval(row, "epoch"),
            _with_interval(row, "I_LY"),
            f"<b>{_with_interval(row, 'ratio_corrected')}</b>"
            + (f"<br><small>plug-in {row['ratio_mean']:.3g}</small>" if pd.notna(row["ratio_mean"]) else ""),
        ]
        reached = row["seeds"] > 0
        for variant in nulls.VARIANTS:
            exact, sampled = by_variant.loc[variant, ["null_ratio_closed_form_mean", "null_ratio_mean"]]
            cells.append(f"{exact:.3f}<br><small>sampled {sampled:.3f}</small>" if reached else "none")
        cells.append(_with_interval(row, "excess"))
        cells.append(f"≤ {row['p_value_largest']:.2g}" if reached else "none")
        cells.append(_printed(row))
        body.append(cells)
    caption = (
        "How much of F's information about Y at T<sub>0</sub> the explainer accounts for, against random classifiers "
        "that know as much of Y (Nakkiran et al. 2019, Tables 2 and 3). Mean over seeds, corrected for bias, with its "
        "95% interval for new seeds and a new test set; T<sub>0</sub>: from the earliest to the latest that the test "
        "set allows (none: a lead over the explainer is never certain). Nulls in closed form, below it the mean of the "
        "sampled ones. Above the last null: the ratio less that of the within-class null (approximate for many "
        "classes). p: that of the within-class permutation test, the largest over seeds. "
        "Printed: the paper's ratio and that of its null model, where it is known."
    )
    return render(title, caption, head, body)


def _with_interval(row: pd.Series, column: str) -> str:
    return with_interval(row, *(f"{column}_{key}" for key in ("mean", "lo", "hi")))


def _printed(row: pd.Series) -> str:
    if pd.isna(row["paper_ratio"]):
        return ""
    return f"{row['paper_ratio']:g}" + ("" if pd.isna(null := row["paper_null_ratio"]) else f", null {null:g}")
