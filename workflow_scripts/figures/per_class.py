"""S23 Figs 2 to 8: what the network knows of each class during training, and what of it an explainer accounts for."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.figures import dynamics

_COLUMNS = 5
_DASHED, _THIN = (0, (6, 3)), 0.9


@dataclass(frozen=True)
class Row:
    """One experiment and one of its explainers: a panel of all classes together, and its rows of classes.csv."""

    together: dynamics.Panel
    explainer: str
    classes: pd.DataFrame


def read(together: dynamics.Panel, classes: pd.DataFrame, explainer: str | None) -> Row:
    """The rows of one explainer, None: the first; together, classes: with those of all explainers."""
    name = classes["explainer"].iloc[0] if explainer is None else explainer
    return Row(together.of(name), name, classes[classes["explainer"] == name])


def overview(rows: list[Row], points: Points):
    """A row per experiment: totals, I(F_t;Y=y) of every class, and mu of every class."""
    figure, axes = style.panels(len(rows), 3, 4.9, 3.5)
    explainers = dict(zip(dict.fromkeys(row.explainer for row in rows), itertools.cycle(style.EXPLAINERS)))
    for places, row in zip(axes, rows, strict=True):
        dynamics.draw_panel(places[0], row.together, "epochs", explainers, points)
        places[0].set_title(row.together.title)
        _every_class(places[1], row, "I_FY", points)
        places[1].set_title("I(F$_t$; Y = y) of each class")
        _every_class(places[2], row, "mu", points)
        places[2].set_title(f"μ(F$_t$; {row.explainer}) of each class")
        lowest, highest = zip(*(place.get_ylim() for place in places[1:]), strict=True)
        for place, quantity in zip(places[1:], ("I_FY", "mu"), strict=True):
            place.set_ylim(min(lowest), max(highest))
            _name_ends(place, row, quantity)
    dynamics.add_legend(figure, axes.flat, points)
    return figure


def small_multiples(row: Row, points: Points):
    """A panel per class, all with the same axes: I(F_t;Y=y), mu and I(L;Y=y), bands and intervals over seeds."""
    names = list(dict.fromkeys(row.classes["class"]))
    columns = min(_COLUMNS, len(names))
    figure, axes = style.panels(-(-len(names) // columns), columns, 2.5, 2.2, sharex=True, sharey=True)
    for spare in axes.flat[len(names) :]:
        spare.set_axis_off()
    series = dict(iter(row.classes.groupby(["class", "quantity"])))
    looks = {
        "I_FY": ("I(F$_t$; Y = y)", {"color": style.BLACK}),
        "mu": (f"μ(F$_t$; {row.explainer})", {"color": style.VERMILLION}),
        "I_LY": ("I(L; Y = y)", {"color": style.BLUE, "linestyle": _DASHED, "linewidth": _THIN}),
    }
    for place, name in zip(axes.flat, names, strict=False):
        for quantity, (label, look) in looks.items():
            of = series[name, quantity]
            shown = of.drop(columns=["std", "lo", "hi"]) if quantity == "I_LY" else of
            points.line(place, row.together.name, label, of["epoch"], of["mean"], shown, **look)
        place.set_title(name)
        place.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    tops = [row.classes.loc[row.classes["quantity"] == quantity, "mean"] for quantity in looks]
    lowest, highest = min(top.min() for top in tops), max(top.max() for top in tops)
    axes[0, 0].set(xlim=(0, row.classes["epoch"].max()), ylim=(min(0, 1.2 * lowest), 1.08 * highest))
    axes[-1, columns // 2].set_xlabel("SGD epochs")
    axes[len(axes) // 2, 0].set_ylabel("information (bits)")
    figure.suptitle(row.together.title, fontsize=10, fontweight="bold", x=0.02, ha="left")
    handles = [Line2D([], [], label=label, **look) for label, look in looks.values()]
    handles += [
        Patch(color=style.GREY, alpha=0.22, linewidth=0, label="band: ± 1 std over seeds"),
        Line2D([], [], color=style.GREY, linewidth=0.5, label="thin lines: 95% interval"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def _every_class(axes, row: Row, quantity: str, points: Points) -> None:
    """A line with a band over seeds for every class, its name at the line's end."""
    shown = row.classes[row.classes["quantity"] == quantity]
    for (_, of), color in zip(shown.groupby("class", sort=False), itertools.cycle(style.CLASSES)):
        label = "_I(F$_t$; Y = y)" if quantity == "I_FY" else f"_μ(F$_t$; {row.explainer})"
        banded = of.drop(columns=["lo", "hi"]).assign(lo=np.nan, hi=np.nan)
        points.line(
            axes, row.together.name, label, of["epoch"], of["mean"], banded, band=0.1, color=color, linewidth=1.3
        )
    axes.set(xlabel="SGD epochs", ylabel="information (bits)", xlim=(0, float(shown["epoch"].max())))
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set_ylim(min(0, 1.1 * shown["mean"].min()), 1.08 * shown["mean"].max())


def _name_ends(axes, row: Row, quantity: str) -> None:
    """Names to the right of the axes at the heights where lines end, moved apart where they would overlap."""
    shown = row.classes[row.classes["quantity"] == quantity]
    ends = shown.groupby("class", sort=False)["mean"].last()
    colors = dict(zip(ends.index, itertools.cycle(style.CLASSES)))
    bottom, top = axes.get_ylim()
    gap = 0.055 * (top - bottom)
    ends = ends.sort_values(kind="stable")
    ordered, heights = ends.index, ends.tolist()
    for _ in range(10 * len(heights)):
        for below, above in itertools.pairwise(range(len(heights))):
            overlap = heights[below] + gap - heights[above]
            if overlap > 0:
                heights[below] -= overlap / 2
                heights[above] += overlap / 2
    below_title = max(0.0, heights[-1] - top)
    for name, height in zip(ordered, heights, strict=True):
        place = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
        axes.annotate(name, (1.02, height - below_title), **place, va="center", fontsize=8, color=colors[name])
