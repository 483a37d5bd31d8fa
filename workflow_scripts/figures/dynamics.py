"""N19 Figs 4, 5 and 8: what the network knows during training, and what of it explainers account for."""

import itertools
from typing import Literal

from pydantic import Field

from workflow_scripts.config import paths
from workflow_scripts.config.base import Strict
from workflow_scripts.config.shown import Experiments, check_experiments, n_classes, printed, titles
from workflow_scripts.drawing import panel, style
from workflow_scripts.drawing.points import Points

CAPTION = r"""Lines are means over seeds, filled bands one standard deviation over seeds (the papers' band). Thin
lines enclose the 95% interval, pointwise, for new seeds and a new test set; that of the training set is for new
seeds. I(F\ :sub:`t`\ ; Y) is what the network knows of the label on the test set after t steps, I(F\ :sub:`t`\ ;
Y\ :sub:`S`\ ) on the training set; μ(F\ :sub:`t`\ ; L) is the part of it that the explainer L accounts for. Dotted:
the same μ for a null model that knows as much of Y as L does, and nothing else of F. Dashed: I(L; Y) of each
explainer, and T\ :sub:`0`\ , where the network first does as well as the first one (T\ :sub:`i`\ : as the i-th of
nested ones); shaded is where T\ :sub:`0`\  may lie given the noise of the test set. Dash-dotted: μ for an explainer
together with all simpler ones. Diamonds: what the paper prints. Definitions: Nakkiran et al. 2019, section 2."""


class Dynamics(Strict):
    """N19 Figs 4, 5 and 8: I(F_t;Y), I(F_t;Y_S) and mu(F_t;L) during training, a panel per experiment."""

    kind: Literal["dynamics"]
    experiments: Experiments
    axis: Literal["epochs", "steps"] = Field("epochs", description="what runs to the right")


Settings = Dynamics


def check(settings: Dynamics, study, key: str) -> None:
    """Raise Wrong for an experiment that the study has not."""
    check_experiments(key, settings.experiments, study)


def inputs(settings: Dynamics, study) -> dict[str, list[str]]:
    """The summary and the phases of each experiment."""
    names = settings.experiments
    return {
        "summaries": paths.of_experiments(names, "summary.csv"),
        "phases": paths.of_experiments(names, "phases.csv"),
    }


def shown(settings: Dynamics, study) -> dict:
    """Titles, numbers of classes, and what papers print."""
    names = settings.experiments
    return {
        "titles": titles(study, names),
        "n_classes": n_classes(study, names),
        "printed": printed(study, names),
    }


def draw(job, inputs, points: Points):
    """Read the experiments and draw them."""
    return drawn(panel.read(job, inputs), job.settings.axis, points)


def drawn(panels: list[panel.Panel], axis: str, points: Points):
    """A panel per experiment, at most two side by side, one legend below; axis: epochs or steps."""
    columns = min(2, len(panels))
    figure, axes = style.panels(-(-len(panels) // columns), columns, *((4.6, 3.4) if columns > 1 else (6.4, 4.8)))
    for spare in axes.flat[len(panels) :]:
        spare.set_axis_off()
    explainers = dict.fromkeys(explainer for each in panels for explainer in each.summary["explainer"].unique())
    colors = dict(zip(explainers, itertools.cycle(style.EXPLAINERS)))
    for place, each in zip(axes.flat, panels, strict=False):
        panel.draw_panel(place, each, axis, colors, points)
        place.set_title(style.literal(each.title))
    panel.add_legend(figure, axes.flat, points)
    return figure
