"""S23 Figs 2, 4 and 6 to 8: what the network knows of each class, and what of it an explainer accounts for."""

import itertools
from typing import Literal

import numpy as np
from pydantic import Field

from workflow_scripts.config import checks, paths
from workflow_scripts.config.base import Name, Strict
from workflow_scripts.config.shown import (
    Experiments,
    check_experiments,
    check_explainers,
    n_classes,
    printed,
    titles,
)
from workflow_scripts.drawing import class_rows, panel, style
from workflow_scripts.drawing.class_rows import Row
from workflow_scripts.drawing.points import Points

CAPTION = r"""Left: all classes together, on the test set I(F\ :sub:`t`\ ; Y), on the training set I(F\ :sub:`t`\ ;
Y\ :sub:`S`\ ), and μ(F\ :sub:`t`\ ; L), the part that the explainer L accounts for; short dashes are these corrected
for bias, thin lines the 95% interval for new seeds and a new test set. Middle and right: the part of each class y in
I(F\ :sub:`t`\ ; Y) and in μ, which add up to it (Schouten & Toonen 2023, Eqs 3 and 4, Figs 2, 4 and 6 to 8). Lines
are means over seeds, filled bands one standard deviation."""


class Classes(Strict):
    """S23 Figs 2, 4, 6, 7 and 8: a row per experiment: all classes together, I(F_t;Y=y) of each, and mu of each."""

    kind: Literal["classes"]
    experiments: Experiments
    explainers: dict[Name, Name] = Field(
        {}, description="experiment -> which of its explainers is shown; of the others the first"
    )

    def explainer_of(self, experiment: str) -> str | None:
        """The explainer shown; None: the first."""
        return self.explainers.get(experiment)


Settings = Classes


def check(settings: Classes, study, key: str) -> None:
    """Raise Wrong for an experiment that the study has not, and for an explainer that an experiment has not."""
    check_experiments(key, settings.experiments, study)
    for experiment in settings.explainers:
        here = dict.fromkeys(settings.experiments)
        checks.named(f"{key}.explainers", "experiment of this figure", experiment, here)
    check_explainers(key, settings, study)


def inputs(settings: Classes, study) -> dict[str, list[str]]:
    """The summary, the phases and the classes of each experiment."""
    names = settings.experiments
    return {
        "summaries": paths.of_experiments(names, "summary.csv"),
        "phases": paths.of_experiments(names, "phases.csv"),
        "classes": paths.of_experiments(names, "classes.csv"),
    }


def shown(settings: Classes, study) -> dict:
    """Titles, numbers of classes, and what papers print."""
    names = settings.experiments
    return {
        "titles": titles(study, names),
        "n_classes": n_classes(study, names),
        "printed": printed(study, names),
    }


def draw(job, inputs, points: Points):
    """Read the experiments and draw them."""
    return drawn(class_rows.read(job, inputs), points)


def drawn(rows: list[Row], points: Points):
    """A row per experiment: totals, I(F_t;Y=y) of every class, and mu of every class."""
    figure, axes = style.panels(len(rows), 3, 4.9, 3.5)
    colors = dict(zip(dict.fromkeys(row.explainer for row in rows), itertools.cycle(style.EXPLAINERS)))
    for places, row in zip(axes, rows, strict=True):
        panel.draw_panel(places[0], row.together, "epochs", colors, points)
        places[0].set_title(style.literal(row.together.title))
        _every_class(places[1], row, "I_FY", points)
        places[1].set_title("I(F$_t$; Y = y) of each class")
        _every_class(places[2], row, "mu", points)
        places[2].set_title(f"μ(F$_t$; {row.explainer}) of each class")
        lowest, highest = zip(*(place.get_ylim() for place in places[1:]), strict=True)
        for place, quantity in zip(places[1:], ("I_FY", "mu"), strict=True):
            place.set_ylim(min(lowest), max(highest))
            _name_ends(place, row, quantity)
    panel.add_legend(figure, axes.flat, points)
    return figure


def _every_class(axes, row: Row, quantity: str, points: Points) -> None:
    """A line with a band over seeds for every class, its name at the line's end."""
    found = row.classes[row.classes["quantity"] == quantity]
    for (_, of), color in zip(found.groupby("class", sort=False), itertools.cycle(style.CLASSES)):
        label = "_I(F$_t$; Y = y)" if quantity == "I_FY" else f"_μ(F$_t$; {row.explainer})"
        banded = of.drop(columns=["lo", "hi"]).assign(lo=np.nan, hi=np.nan)
        points.line(
            axes, row.together.name, label, of["epoch"], of["mean"], banded, band=0.1, color=color, linewidth=1.3
        )
    axes.set(xlabel="SGD epochs", ylabel="information (bits)", xlim=(0, float(found["epoch"].max())))
    style.whole_numbers(axes.xaxis)
    axes.set_ylim(min(0, 1.1 * found["mean"].min()), 1.08 * found["mean"].max())


def _name_ends(axes, row: Row, quantity: str) -> None:
    """Names to the right of the axes at the heights where lines end, moved apart where they would overlap."""
    found = row.classes[row.classes["quantity"] == quantity]
    ends = found.groupby("class", sort=False)["mean"].last()
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
        axes.annotate(
            style.literal(name), (1.02, height - below_title), **place, va="center", fontsize=8, color=colors[name]
        )
