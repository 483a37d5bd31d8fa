"""Make one table of the paper: numbers as CSV, and a page to read."""

import html

import numpy as np
import pandas as pd

from workflow_scripts import files, nulls, phases, stage, tables
from workflow_scripts.config.analysis import Table
from workflow_scripts.config.base import JobConfig
from workflow_scripts.uncertainty import over_seeds

#: N19 Table 1. A change of a quantity over a phase, or near_0: nearer to 0 than for the null model.
PAPER_TABLE_1 = {
    phase: dict(zip(phases.QUANTITIES, entries.split(), strict=True))
    for phase, entries in {
        "first": "up up up up near_0 down",
        "middle": "up up up flat up near_0",
        "overfitting": "up flat flat flat flat near_0",
    }.items()
}
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
_SIGNS = {"up": "↑", "down": "↓", "flat": "–", "unknown": "?", "near_0": "≈ 0"}
_HEADS = {
    "train_accuracy": "train accuracy",
    "accuracy": "test accuracy",
    "I_FY": "I(F<sub>t</sub>; Y)",
    "mu": "μ(F<sub>t</sub>; L)",
    "I_FY_given_L": "I(F<sub>t</sub>; Y | L)",
    "I_LY_given_F": "I(L; Y | F<sub>t</sub>)",
}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; margin: 2rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
caption {{ text-align: left; max-width: 60rem; padding-bottom: 1rem; color: #444; }}
th, td {{ padding: .35rem .8rem; text-align: left; border-bottom: 1px solid #e2e2e2; vertical-align: top; }}
thead th {{ border-bottom: 2px solid #444; }}
small {{ color: #666; white-space: nowrap; }}
.yes {{ color: #00684c; }} .no {{ color: #a63c00; }} .undecided {{ color: #666; }}
</style>
<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></html>
"""


class Config(JobConfig):
    """What the stage reads; titles and n_classes: experiment -> title, number of groups."""

    settings: Table
    titles: dict[str, str]
    n_classes: dict[str, int]


def run(config: Config, inputs, outputs) -> None:
    """Write the table as CSV and as a page."""
    files.check_number("--tables", inputs.tables, len(config.settings.experiments))
    make, render, columns = {
        "ratios": (ratios, ratios_page, ("explainer", "variant", "ratio", "ratio_corrected", "p_value")),
        "phases": (signs, signs_page, ("explainer", "phase", "quantity", "sign")),
    }[config.settings.kind]
    table = pd.concat(
        [
            make(tables.read(path, *columns)).assign(experiment=name, title=config.titles[name])
            for name, path in zip(config.settings.experiments, inputs.tables, strict=True)
        ],
        ignore_index=True,
    )
    first = ["experiment", "title"]
    table = table[first + [column for column in table.columns if column not in first]]
    tables.write(outputs.csv, table)
    outputs.html.write_text(render(table, config.wildcards["table"]))


def ratios(found: pd.DataFrame) -> pd.DataFrame:
    """N19 Table 2 of one experiment from nulls.csv: rows (explainer, variant), means and 95% intervals over seeds.

    The intervals of I_LY, I_FY, ratio_corrected and excess speak of new seeds and a new test set; a single seed has
    its own. That of T0's epoch reaches from the earliest to the latest T0 that the test set allows, and to other seeds.
    """
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
        rows.append(row | {"p_value_largest": group["p_value"].max()})
    return pd.DataFrame(rows)


def signs(found: pd.DataFrame) -> pd.DataFrame:
    """N19 Table 1 of one experiment, from phases.csv: the paper's entry beside ours, and whether they agree."""
    table = found.copy()
    table["paper"] = [
        PAPER_TABLE_1[phase][quantity] for phase, quantity in zip(table["phase"], table["quantity"], strict=True)
    ]
    table["agrees"] = [_agrees(row) for row in table.to_dict("records")]
    return table


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


def ratios_page(table: pd.DataFrame, title: str) -> str:
    """Table 2 as a page: a row per experiment and explainer, the nulls' closed forms side by side."""
    head = ["task", "explainer", "seeds", "T<sub>0</sub> (epochs)", "I(L; Y)", "μ / I(F<sub>T0</sub>; Y)"]
    head += [f"null: {variant.replace('_', ' ')}" for variant in nulls.VARIANTS] + ["above the last null", "p"]
    body = []
    for (name, explainer), group in table.groupby(["title", "explainer"], sort=False):
        by_variant = group.set_index("variant")
        row = by_variant.loc[nulls.WITHIN_CLASS]
        cells = [
            html.escape(name),
            html.escape(explainer),
            str(row["seeds"]),
            _with_interval(row, "epoch"),
            _with_interval(row, "I_LY"),
            f"<b>{_with_interval(row, 'ratio_corrected')}</b><br><small>plug-in {row['ratio_mean']:.3g}</small>",
        ]
        reached = row["seeds"] > 0
        for variant in nulls.VARIANTS:
            exact, sampled = by_variant.loc[variant, ["null_ratio_closed_form_mean", "null_ratio_mean"]]
            cells.append(f"{exact:.3f}<br><small>sampled {sampled:.3f}</small>" if reached else "none")
        cells.append(_with_interval(row, "excess"))
        cells.append(f"≤ {row['p_value_largest']:.2g}" if reached else "none")
        body.append(cells)
    caption = (
        "How much of F's information about Y at T<sub>0</sub> the explainer accounts for, against random classifiers "
        "that know as much of Y (Nakkiran et al. 2019, Table 2). Mean over seeds, corrected for bias, with its 95% "
        "interval for new seeds and a new test set; T<sub>0</sub>: from the earliest to the latest that the test set "
        "allows (none: a lead over the explainer is never certain). Nulls in closed form, below it the mean of the "
        "sampled ones. Above the last null: the ratio less that of the within-class null (approximate for many "
        "classes). p: that of the within-class permutation test, the largest over seeds."
    )
    return _page(title, caption, head, body)


def signs_page(table: pd.DataFrame, title: str) -> str:
    """Table 1 as a page: a row per experiment, explainer and phase."""
    body = []
    for (name, explainer, phase), group in table.groupby(["title", "explainer", "phase"], sort=False):
        by_quantity = group.set_index("quantity")
        row = group.iloc[0]
        cells = [html.escape(name), html.escape(explainer), phase]
        cells.append("none" if row["seeds"] == 0 else f"{row['from_epoch']:.3g} to {row['to_epoch']:.3g}")
        cells += [_sign_cell(by_quantity.loc[quantity]) for quantity in phases.QUANTITIES]
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
    return _page(title, caption, ["task", "explainer", "phase", "epochs", *_HEADS.values()], body)


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


def _with_interval(row: pd.Series, column: str) -> str:
    mean, lo, hi = (row[f"{column}_{key}"] for key in ("mean", "lo", "hi"))
    interval = f" <small>[{lo:.3g}, {hi:.3g}]</small>" if pd.notna(lo) else ""
    return "none" if pd.isna(mean) else f"{mean:.3g}{interval}"


def _page(title: str, caption: str, head: list[str], body: list[list[str]]) -> str:
    rows = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for cells in body)
    return _PAGE.format(
        title=html.escape(title), caption=caption, head="".join(f"<th>{cell}</th>" for cell in head), body=rows
    )


if __name__ == "__main__":
    stage.main(
        run,
        Config,
        inputs={"tables+": "nulls.csv (kind ratios) or phases.csv (kind phases) of each experiment shown"},
        outputs={"csv": "the table (.csv)", "html": "the table as a page (.html)"},
    )
