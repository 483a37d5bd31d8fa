"""N19 Figs 1 (right) and 6: decision boundaries in the plane at chosen steps, with the data and the label noise."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from workflow_scripts.config import paths
from workflow_scripts.config.base import Seed, Strict
from workflow_scripts.config.errors import Unfit, Wrong
from workflow_scripts.config.shown import Experiments, check_experiments, titles
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.files import npz

CAPTION = r"""What one network says of each point of the unit disc at several steps of training, its decision boundary
(black), that of each explainer (dashed), and the curve that labels follow but for noise (dotted). Points are training
examples, ringed where their label is noise. Below: accuracy on the test set, whose labels have as much noise, and the
share μ(F\ :sub:`t`\ ; L) / I(F\ :sub:`t`\ ; Y) that the explainer accounts for there (Nakkiran et al. 2019, Figs 1
and 6)."""
#: training examples shown, the first ones: more would hide the boundary
MOST_SHOWN = 1500
_SIDES = (style.ORANGE, style.SKY)
_LINES = (style.VERMILLION, style.BLUE, style.GREEN, style.PURPLE)
_DASHED, _DOTTED = (0, (4, 2)), (0, (1, 1.2))
_NOISE = {"marker": "o", "markersize": 5, "linestyle": "", "markerfacecolor": "none", "markeredgecolor": style.BLACK}


class Boundaries(Strict):
    """N19 Figs 1 (right) and 6: decision boundaries in the plane at chosen steps; data of kind ball."""

    kind: Literal["boundaries"]
    experiments: Experiments
    steps: list[Annotated[int, Field(ge=0)]] = Field(
        min_length=1, description="SGD steps to show: the checkpoint nearest to each"
    )
    seed: Seed | None = Field(None, description="the seed shown; null: the first of each experiment")


Settings = Boundaries


def check(settings: Boundaries, study, key: str) -> None:
    """Raise Wrong for experiments that are not in the plane, or not trained with the seed."""
    check_experiments(key, settings.experiments, study)
    for experiment in settings.experiments:
        if (kind := study.datasets[study.dataset_of(experiment)].kind) != "ball":
            raise Wrong(
                "conflict", f"{key}.experiments", f"{experiment!r} is on data of kind {kind}: expected ball, a plane"
            )
        if settings.seed is not None and settings.seed not in study.seeds_of(experiment):
            raise Wrong(
                "conflict", f"{key}.seed", f"{experiment!r} is not trained with seed {settings.seed}: name one it has"
            )


def inputs(settings: Boundaries, study) -> dict[str, list[str]]:
    """The data set and the trajectory of each experiment; the explainers of the first, then those of the second."""
    seeds = dict.fromkeys(settings.experiments, settings.seed)
    if settings.seed is None:
        seeds = {name: study.seeds_of(name)[0] for name in seeds}
    return {
        "data": [paths.dataset(study.dataset_of(name)) for name in seeds],
        "trajectories": [paths.of_seed(name, seed, "trajectory.npz") for name, seed in seeds.items()],
        "explainers": [
            paths.explainer(study, name, seed, explainer)
            for name, seed in seeds.items()
            for explainer in study.experiments[name].explainers
        ],
    }


def shown(settings: Boundaries, study) -> dict:
    """Titles, and the names of the explainers of each experiment."""
    names = settings.experiments
    return {
        "titles": titles(study, names),
        "explainers": {name: study.experiments[name].explainers for name in names},
    }


@dataclass(frozen=True)
class Row:
    """One experiment, one seed: predictions on the grid, and what they are compared with.

    x: float[N, 2] training inputs, y: their labels, flipped: which of these are noise; axis: float[G], the grid's
    coordinates; network: uint8[T, G, G] (axes: step, x2, x1) at steps int64[T]; explainers: name -> the same of each;
    concept: int64[G, G], labels without noise; share: name -> mu(F_t;L) / I(F_t;Y) of the test set, float[T].
    """

    name: str
    title: str
    x: np.ndarray
    y: np.ndarray
    flipped: np.ndarray
    axis: np.ndarray
    concept: np.ndarray
    steps: np.ndarray
    network: np.ndarray
    accuracy: np.ndarray
    explainers: dict[str, np.ndarray]
    share: dict[str, np.ndarray]


def read(name: str, title: str, data: Path, trajectory: Path, explainers: dict[str, Path]) -> Row:
    """A row from the files of an experiment. Raises StudyError unless the data lie in the plane and have a grid."""
    from workflow_scripts.data import parts, tasks
    from workflow_scripts.measures import information, predictions
    from workflow_scripts.training import trajectories

    names = ("train_inputs", "train_labels", "train_flipped", "test_labels", "grid_inputs", "grid_labels")
    arrays = npz.load(data, *names, forms=parts.FORMS)
    side = int(np.sqrt(len(arrays["grid_labels"])))
    plane = (arrays["train_inputs"].shape[1:], arrays["grid_inputs"].shape[1:]) == ((2,), (2,))
    if side < 2 or side**2 != len(arrays["grid_labels"]) or not plane:
        raise Unfit(data, "no grid of points in the plane: show experiments on data of kind ball")
    for array in ("train_labels", "test_labels", "grid_labels"):
        tasks.check_groups(data, array, arrays[array], 2)
    labels = {part: arrays[f"{part}_labels"] for part in ("test", "grid")}
    found = trajectories.load(trajectory, labels, 2, *labels)
    test = found.predictions["test"]
    said = {
        key: {part: predictions.of_explainer(path, trajectory, vars(found), y, 2, part) for part, y in labels.items()}
        for key, path in explainers.items()
    }
    measured = {
        key: information.measures(information.joint_counts(test, of_parts["test"], labels["test"], 2))
        for key, of_parts in said.items()
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        share = {key: values["mu"] / values["I_FY"] for key, values in measured.items()}
    return Row(
        name,
        title,
        *(arrays[f"train_{kind}"] for kind in ("inputs", "labels", "flipped")),
        axis=arrays["grid_inputs"][:side, 0],
        concept=arrays["grid_labels"].reshape(side, side),
        steps=found.steps,
        network=found.predictions["grid"].reshape(-1, side, side),
        accuracy=(test == labels["test"]).mean(-1),
        explainers={
            key: np.broadcast_to(of_parts["grid"].reshape(-1, side, side), (len(test), side, side))
            for key, of_parts in said.items()
        },
        share=share,
    )


def draw(job, inputs, points: Points):
    """Read the experiments and draw them."""
    names, explainers = job.settings.experiments, iter(inputs["explainers"])
    rows = [
        read(
            name,
            job.shown["titles"][name],
            data,
            trajectory,
            {explainer: next(explainers) for explainer in job.shown["explainers"][name]},
        )
        for name, data, trajectory in zip(names, inputs["data"], inputs["trajectories"], strict=True)
    ]
    return drawn(rows, job.settings.steps, points)


def drawn(rows: list[Row], steps: list[int], points: Points):
    """A row of panels per experiment, a panel per step: the checkpoint nearest to each."""
    figure, axes = style.panels(len(rows), len(steps), 2.6, 2.95)
    colors = dict(zip(dict.fromkeys(key for row in rows for key in row.explainers), itertools.cycle(_LINES)))
    for places, row in zip(axes, rows, strict=True):
        for place, step in zip(places, steps, strict=True):
            _panel(place, row, int(np.argmin(abs(row.steps - step))), colors, points)
        places[0].set_ylabel(style.literal(row.title), fontweight="bold", labelpad=8)
    handles = [
        *(
            style.patch(color=_light(side), label=f"network says {sign}")
            for side, sign in zip(_SIDES, "−+", strict=True)
        ),
        style.key(color=style.BLACK, linewidth=1.4, label="its boundary"),
        style.key(color=style.GREY, linewidth=1.1, linestyle=_DOTTED, label="the curve without noise"),
        *(style.key(color=color, linestyle=_DASHED, label=f"boundary of {key}") for key, color in colors.items()),
        style.key(marker="o", markersize=3, linestyle="", color=_SIDES[1], label="training example"),
        style.key(label="its label is noise", **_NOISE),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4 if len(steps) > 2 else 2))
    return figure


def _panel(axes, row: Row, at: int, colors: dict, points: Points) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Circle

    panel = f"{row.name} step {row.steps[at]}"
    limit = float(row.axis[-1])
    disc = Circle((0, 0), 1, transform=axes.transData, facecolor="none", edgecolor=style.GREY, linewidth=0.8)
    axes.add_patch(disc)
    image = np.array([to_rgba(_light(side)) for side in _SIDES])[row.network[at]]
    axes.imshow(image, extent=(-limit, limit, -limit, limit), origin="lower", clip_path=disc, zorder=0)
    first = slice(0, MOST_SHOWN)
    x, y, noise = row.x[first], row.y[first], row.flipped[first]
    size = 40 / max(len(x), 100) ** 0.5
    axes.scatter(*x.T, s=size, c=np.array(_SIDES)[y], linewidth=0, zorder=2)
    axes.scatter(*x[noise].T, s=2.2 * size, facecolor="none", edgecolor=style.BLACK, linewidth=0.5, zorder=3)
    points.keep(panel=panel, series=np.where(noise, "noise", "example"), x=x[:, 0], y=x[:, 1], label=y)
    _boundary(axes, panel, "concept", row, row.concept, disc, points, colors=style.GREY, linestyles=[_DOTTED])
    for key, values in row.explainers.items():
        _boundary(axes, panel, key, row, values[at], disc, points, colors=colors[key], linestyles=[_DASHED])
    _boundary(axes, panel, "network", row, row.network[at], disc, points, colors=style.BLACK)
    axes.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03), xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)
    axes.set_title(f"step {row.steps[at]:,}")
    words = [f"accuracy {row.accuracy[at]:.2f}"]
    words += [f"μ/I = {row.share[key][at]:.2f}" for key in row.explainers if np.isfinite(row.share[key][at])]
    axes.set_xlabel(", ".join(words), fontsize=8)


def _boundary(axes, panel: str, series: str, row: Row, says: np.ndarray, disc, points: Points, **look) -> None:
    """The line between the two labels of a grid, clipped to the disc."""
    if says.min() == says.max():
        return
    lines = axes.contour(row.axis, row.axis, says, levels=[0.5], linewidths=1.4, zorder=4, **look)
    lines.set_clip_path(disc)
    for number, line in enumerate(lines.allsegs[0]):
        points.keep(panel=panel, series=f"boundary of {series}", piece=number, x=line[:, 0], y=line[:, 1])


def _light(color: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgba

    return tuple(0.65 + 0.35 * part for part in to_rgba(color)[:3])
