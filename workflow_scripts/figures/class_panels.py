"""S23 Figs 3 and 5: what the network knows of each class during training, a panel per class."""

from typing import Literal

from pydantic import Field

from workflow_scripts.config import paths
from workflow_scripts.config.base import Name, Strict
from workflow_scripts.config.shown import check_experiments, check_explainers, n_classes, printed, titles
from workflow_scripts.drawing import class_rows, style
from workflow_scripts.drawing.class_rows import Row
from workflow_scripts.drawing.points import Points

CAPTION = r"""The part of each class in I(F\ :sub:`t`\ ; Y), in I(L; Y), and in μ(F\ :sub:`t`\ ; L), what the
explainer L accounts for of the network's; one scale for all (Schouten & Toonen 2023, Figs 3, 5, 7 and 8). Lines are
means over seeds, filled bands one standard deviation, thin lines the 95% interval for new seeds and a new test set."""
#: panels side by side
_COLUMNS = 5


class ClassPanels(Strict):
    """S23 Figs 3 and 5: I(F_t;Y=y), mu and I(L;Y=y) of one experiment, a panel per class."""

    kind: Literal["class_panels"]
    experiment: Name = Field(description="a name under experiments")
    explainer: Name | None = Field(None, description="one of its explainers; null: the first")

    @property
    def experiments(self) -> list[str]:
        """The experiment shown, as a list."""
        return [self.experiment]

    def explainer_of(self, experiment: str) -> str | None:
        """The explainer shown; None: the first."""
        return self.explainer


Settings = ClassPanels


def check(settings: ClassPanels, study, key: str) -> None:
    """Raise Wrong for an experiment that the study has not, and for an explainer that the experiment has not."""
    check_experiments(key, settings.experiments, study)
    check_explainers(key, settings, study)


def inputs(settings: ClassPanels, study) -> dict[str, list[str]]:
    """The summary, the phases and the classes of the experiment."""
    return {
        "summaries": [paths.of_experiment(settings.experiment, "summary.csv")],
        "phases": [paths.of_experiment(settings.experiment, "phases.csv")],
        "classes": [paths.of_experiment(settings.experiment, "classes.csv")],
    }


def shown(settings: ClassPanels, study) -> dict:
    """Its title, its number of classes, and what a paper prints."""
    names = settings.experiments
    return {
        "titles": titles(study, names),
        "n_classes": n_classes(study, names),
        "printed": printed(study, names),
    }


def draw(job, inputs, points: Points):
    """Read the experiment and draw it."""
    (row,) = class_rows.read(job, inputs)
    return drawn(row, points)


def drawn(row: Row, points: Points):
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
        "I_LY": ("I(L; Y = y)", {"color": style.BLUE, "linestyle": style.LEVEL, "linewidth": 0.9}),
    }
    for place, name in zip(axes.flat, names, strict=False):
        for quantity, (label, look) in looks.items():
            of = series[name, quantity]
            spread = of.drop(columns=["std", "lo", "hi"]) if quantity == "I_LY" else of
            points.line(place, row.together.name, label, of["epoch"], of["mean"], spread, **look)
        place.set_title(style.literal(name))
        style.whole_numbers(place.xaxis)
    tops = [row.classes.loc[row.classes["quantity"] == quantity, "mean"] for quantity in looks]
    lowest, highest = min(top.min() for top in tops), max(top.max() for top in tops)
    axes[0, 0].set(xlim=(0, row.classes["epoch"].max()), ylim=(min(0, 1.2 * lowest), 1.08 * highest))
    axes[-1, columns // 2].set_xlabel("SGD epochs")
    axes[len(axes) // 2, 0].set_ylabel("information (bits)")
    figure.suptitle(style.literal(row.together.title), fontsize=10, fontweight="bold", x=0.02, ha="left")
    handles = [style.key(label=label, **look) for label, look in looks.values()]
    handles += [style.band(), style.thin_lines()]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure
