"""Theorem 1 of N19: accuracy on the training set and on the distribution during SGD."""

import itertools

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points

COLUMNS = ("noise", "init", "inside", "step", "quantity", "mean", "std", "lo", "hi")
_ROWS = {"train_accuracy": "train accuracy", "population_accuracy": "population accuracy"}
_COLORS = (style.BLACK, *style.EXPLAINERS)
_DASHED = (0, (3, 1.5))
_BESIDE = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 8, "color": style.DARK}


def draw(table: pd.DataFrame, points: Points):
    """A column per noise level p, a line with band per initial weights; table: of the simulation, with COLUMNS."""
    levels = table["noise"].unique()
    colors = dict(zip(table["init"].unique(), itertools.cycle(_COLORS)))
    figure, axes = style.panels(len(_ROWS), len(levels), 4.6, 2.6)
    for column, noise in enumerate(levels):
        for axis, (quantity, name) in zip(axes[:, column], _ROWS.items(), strict=True):
            shown = table[(table["noise"] == noise) & (table["quantity"] == quantity)]
            _panel(axis, f"{name}, p = {noise:g}", shown, colors, points)
            axis.set_ylabel(name)
        points.level(axis, f"{name}, p = {noise:g}", "1 − p", 1 - noise, style.DARK, shown[["noise"]].iloc[:1])
        axis.annotate("1 − p", (1, 1 - noise), xycoords=axis.get_yaxis_transform(), **_BESIDE)
        axis.set_xlabel("SGD step")
        axes[0, column].set_title(f"p = {noise:g}")
    for axis in axes.flat:
        axis.label_outer()
    _legend(figure, colors)
    return figure


def _panel(axes, panel: str, table: pd.DataFrame, colors: dict[str, str], points: Points) -> None:
    for name, rows in table.groupby("init", sort=False):
        line = "solid" if rows["inside"].iloc[0] else _DASHED
        points.line(axes, panel, name, rows["step"], rows["mean"], rows, color=colors[name], linestyle=line)
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set(xlim=(0, float(table["step"].max())), ylim=(-0.03, 1.03))


def _legend(figure, colors: dict[str, str]) -> None:
    handles = {name: Line2D([], [], color=color) for name, color in colors.items()}
    handles["1 − p"] = Line2D([], [], color=style.DARK, linewidth=0.9, linestyle=(0, (6, 3)))
    handles["solid: inside the theorem's condition"] = Line2D([], [], color=style.GREY)
    handles["dashed: outside"] = Line2D([], [], color=style.GREY, linestyle=_DASHED)
    handles["band: ± 1 std over repetitions"] = Patch(color=style.GREY, alpha=0.22, linewidth=0)
    handles["thin lines: 95% interval"] = Line2D([], [], color=style.GREY, linewidth=0.5)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, columnspacing=4)
