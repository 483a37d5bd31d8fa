"""Theorem 1 of N19: accuracy on the training set and on the distribution during SGD."""

import itertools
from typing import Literal

import pandas as pd
from pydantic import Field

from workflow_scripts.config import checks, paths
from workflow_scripts.config.base import Name, Strict
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.files import dataframes

CAPTION = r"""A linear model trained by SGD on x = η y e\ :sub:`1` + e\ :sub:`k`, where η = −1 with probability p:
accuracy on the training set, and on the whole distribution in closed form (Nakkiran et al. 2019, Theorem 1). Solid
lines start inside the theorem's condition, w\ :sub:`0`\ (1) ≥ −n\ :sup:`0.99` and \|w\ :sub:`0`\ (i)\| < 1 − 2p,
dashed ones outside. Lines are means over training sets, filled bands one standard deviation; thin lines enclose the
95% interval of the mean. The theorem's limit is 1 − p."""
_COLUMNS = ("noise", "init", "inside", "step", "quantity", "mean", "std", "lo", "hi")
_ROWS = {"train_accuracy": "train accuracy", "population_accuracy": "population accuracy"}
_COLORS = (style.BLACK, *style.EXPLAINERS)
_DASHED = (0, (3, 1.5))
_BESIDE = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 8, "color": style.DARK}


class Theorem1Dynamics(Strict):
    """N19 Theorem 1: accuracy on the training set and on the distribution during SGD, a column per noise level."""

    kind: Literal["theorem1"]
    simulation: Name = Field(description="a name under simulations")


Settings = Theorem1Dynamics


def check(settings: Theorem1Dynamics, study, key: str) -> None:
    """Raise Wrong for a simulation that the study has not."""
    checks.named(f"{key}.simulation", "simulation", settings.simulation, study.simulations)


def inputs(settings: Theorem1Dynamics, study) -> dict[str, list[str]]:
    """The table of the simulation."""
    return {"simulations": [paths.simulation(settings.simulation)]}


def shown(settings: Theorem1Dynamics, study) -> dict:
    """It shows nothing else of the study."""
    return {}


def draw(job, inputs, points: Points):
    """A column per noise level p, a line with band per initial weights."""
    (path,) = inputs["simulations"]
    table = dataframes.read(path, *_COLUMNS, kind=dataframes.SIMULATION)
    levels = table["noise"].unique()
    colors = dict(zip(table["init"].unique(), itertools.cycle(_COLORS)))
    figure, axes = style.panels(len(_ROWS), len(levels), 4.6, 2.6)
    for column, noise in enumerate(levels):
        for axis, (quantity, name) in zip(axes[:, column], _ROWS.items(), strict=True):
            rows = table[(table["noise"] == noise) & (table["quantity"] == quantity)]
            _panel(axis, f"{name}, p = {noise:g}", rows, colors, points)
            axis.set_ylabel(name)
        points.level(axis, f"{name}, p = {noise:g}", "1 − p", 1 - noise, style.DARK, rows[["noise"]].iloc[:1])
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
    handles = [style.key(color=color, label=style.literal(name)) for name, color in colors.items()]
    handles += [
        style.key(color=style.DARK, linewidth=0.9, linestyle=style.LEVEL, label="1 − p"),
        style.key(color=style.GREY, label="solid: inside the theorem's condition"),
        style.key(color=style.GREY, linestyle=_DASHED, label="dashed: outside"),
        style.band("band: ± 1 std over repetitions"),
        style.thin_lines(),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=4)
