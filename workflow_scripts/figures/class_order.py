"""When each class is learned: the first epoch with half of the final I(F_t;Y=y), of one or several networks."""

from typing import Literal

import pandas as pd

from workflow_scripts.config import paths
from workflow_scripts.config.base import Strict
from workflow_scripts.config.shown import Experiments, check_experiments, titles
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.files import dataframes

CAPTION = r"""When each class is learned: the first checkpoint at which its part of I(F\ :sub:`t`\ ; Y) is half of
what it is at the end of training. Large marks are means over seeds with their 95% t interval, small ones single
seeds."""
_MARKERS = "osD^vP"


class ClassOrder(Strict):
    """When each class is learned: the epoch at which I(F_t;Y=y) is half of what it is at the end (S23 section 4)."""

    kind: Literal["class_order"]
    experiments: Experiments


Settings = ClassOrder


def check(settings: ClassOrder, study, key: str) -> None:
    """Raise Wrong for an experiment that the study has not."""
    check_experiments(key, settings.experiments, study)


def inputs(settings: ClassOrder, study) -> dict[str, list[str]]:
    """When each experiment learned each class."""
    return {"orders": paths.of_experiments(settings.experiments, "order.csv")}


def shown(settings: ClassOrder, study) -> dict:
    """Titles."""
    return {"titles": titles(study, settings.experiments)}


def draw(job, inputs, points: Points):
    """Read the orders and draw them."""
    orders = [
        dataframes.read(path, "class", "seed", "epoch", "final", kind=dataframes.ORDER) for path in inputs["orders"]
    ]
    for path, order in zip(inputs["orders"], orders, strict=True):
        dataframes.check_same("class", path, order, inputs["orders"][0], orders[0])
    return drawn(dict(zip(job.settings.experiments, orders, strict=True)), job.shown["titles"], points)


def drawn(orders: dict[str, pd.DataFrame], title_of: dict[str, str], points: Points):
    """Classes from top to bottom as the first experiment learns them; orders: experiment -> its order.csv."""
    from workflow_scripts.measures import per_class

    first = per_class.mean_learning_times(next(iter(orders.values())))
    names = first.sort_values("epoch", kind="stable")["class"].tolist()
    figure, axes = style.panels(1, 1, 6.6, 1.5 + 0.34 * len(names))
    place = axes[0, 0]
    handles = []
    for number, (experiment, found) in enumerate(orders.items()):
        look = {
            "color": style.EXPLAINERS[number % len(style.EXPLAINERS)],
            "marker": _MARKERS[number % len(_MARKERS)],
            "linestyle": "",
        }
        shift = (number - (len(orders) - 1) / 2) * 0.6 / len(orders)
        of_seeds = found.assign(height=found["class"].map(names.index) + shift)
        place.plot(of_seeds["epoch"], of_seeds["height"], markersize=3, alpha=0.45, markeredgewidth=0, **look)
        mean = per_class.mean_learning_times(found)
        mean["height"] = mean["class"].map(names.index) + shift
        place.hlines(mean["height"], mean["lo"].clip(lower=0), mean["hi"], color=look["color"], linewidth=1.2)
        place.plot(mean["epoch"], mean["height"], markersize=6.5, **look)
        for _, never in mean[mean["epoch"].isna()].iterrows():
            at = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "center"}
            place.annotate("not learned", (0.99, never["height"]), **at, fontsize=7, color=look["color"])
        kept = {"x": mean["epoch"], "y": mean["height"], "lo": mean["lo"], "hi": mean["hi"], "class": mean["class"]}
        points.keep(panel=experiment, series="mean over seeds", **kept)
        kept = {"x": of_seeds["epoch"], "y": of_seeds["height"], "seed": of_seeds["seed"], "class": of_seeds["class"]}
        points.keep(panel=experiment, series="of each seed", **kept)
        handles.append(style.key(label=style.literal(title_of[experiment]), **look))
    place.set(yticks=range(len(names)), yticklabels=[*map(style.literal, names)], ylim=(len(names) - 0.5, -0.5))
    epochs = pd.concat([found["epoch"] for found in orders.values()]).dropna()
    earliest = float(epochs[epochs > 0].min()) if (epochs > 0).any() else 1.0
    place.set_xscale("symlog", linthresh=earliest, linscale=0.4)
    place.xaxis.set_major_formatter("{x:g}")
    place.set_xlabel("SGD epochs until I(F$_t$; Y = y) is half of what it is at the end")
    place.set_xlim(0, 1.3 * max([1.0, *epochs]))
    handles.append(style.key(color=style.GREY, linewidth=1.2, label="95% interval over seeds (small marks)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
