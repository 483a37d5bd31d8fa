"""When test examples are learned, whether seeds and networks agree on their order, and which are first and last."""

import itertools
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

import numpy as np
import pandas as pd

from workflow_scripts.config import paths
from workflow_scripts.config.base import Strict
from workflow_scripts.config.errors import DamagedResult, Wrong
from workflow_scripts.config.shown import Experiments, check_experiments, titles
from workflow_scripts.config.tasks import Task
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points

CAPTION = r"""When networks learn the examples of the test set. An example is learned at the first checkpoint from
which on it is right to the end of training. Left: the share learned by each epoch; lines are means over seeds, filled
bands one standard deviation, thin lines the 95% interval for new seeds and a new test set. Right: Spearman's rank
correlation of the order in which two seeds learn the examples, mean over pairs of seeds, with its 95% interval for
new seeds and new test examples: two seeds of one network on the diagonal, of two networks below it. Within class: the
same of ranks centred within each class. Below: the examples with the lowest and the highest mean rank, and their
classes."""
#: examples shown of those learned first, and of those learned last
SHOWN = 8
_COLORS = (style.BLACK, *style.EXPLAINERS)


class Agreement(Strict):
    """When test examples are learned, and whether seeds and networks agree on the order; experiments of one task."""

    kind: Literal["agreement"]
    experiments: Experiments


Settings = Agreement


def check(settings: Agreement, study, key: str) -> None:
    """Raise Wrong for an experiment that the study has not, and for one on another task than the first."""
    check_experiments(key, settings.experiments, study)
    first, *others = settings.experiments
    for name in others:
        task, its_first = study.experiments[name].task, study.experiments[first].task
        if study.tasks[task] != study.tasks[its_first]:
            raise Wrong(
                "conflict",
                f"{key}.experiments",
                f"{name!r} is on task {task!r}, {first!r} on {its_first!r}: name experiments on one task",
            )


def inputs(settings: Agreement, study) -> dict[str, list[str]]:
    """The arrays of the data set of all, and when each experiment learned each example."""
    return {
        "data": [paths.dataset(study.dataset_of(settings.experiments[0]))],
        "examples": paths.of_experiments(settings.experiments, "examples.csv"),
    }


def shown(settings: Agreement, study) -> dict:
    """Titles, and the task of all."""
    task = study.tasks[study.experiments[settings.experiments[0]].task]
    return {"titles": titles(study, settings.experiments), "task": task.model_dump(mode="json")}


@dataclass(frozen=True)
class Images:
    """The test images, [N, channels, height, width], uint8 or float from 0 to 1, and the name of each one's class."""

    pixels: np.ndarray
    names: list[str]


def draw(job, inputs, points: Points):
    """Read the examples and draw them. Raises StudyError where the data set has other examples."""
    from workflow_scripts.data import tasks
    from workflow_scripts.measures import learning_order, per_class

    class_of, epochs = learning_order.read_epochs(inputs["examples"])
    (path,), task = inputs["data"], Task(**job.shown["task"])
    data = tasks.load(path, task)
    labels, pixels = data.labels["test"], data.inputs["test"]
    if len(pixels) != len(class_of):
        raise DamagedResult(inputs["examples"][0], f"{len(class_of)} examples, expected {len(pixels)}")
    names = per_class.class_names(path, task)
    images = Images(pixels, [names[label] for label in labels]) if pixels.ndim == 4 else None
    of_each = dict(zip(job.settings.experiments, epochs, strict=True))
    return drawn(of_each, job.shown["titles"], class_of, images, points)


def drawn(
    epochs: dict[str, np.ndarray], title_of: dict[str, str], classes: np.ndarray, images: Images | None, points: Points
):
    """A panel of the share learned, a matrix of the agreement, and below them images, if there are any.

    epochs: experiment -> when each seed learns each test example, [S, N], inf: never; title_of: experiment -> its
    title; classes: [N].
    """
    from workflow_scripts.measures import learning_order

    figure, axes = style.panels(2 if images else 1, 2, 4.8, 2.8 if images else 3.9)
    _shares(axes[0, 0], epochs, title_of, points)
    _matrix(axes[0, 1], learning_order.pairwise_agreements(epochs, classes), title_of, points)
    if images:
        axes[0, 0].get_gridspec().set_height_ratios([5, 1])
        rank = learning_order.mean_ranks(list(epochs.values()))
        first_to_last = np.argsort(rank, kind="stable")
        _strip(axes[1, 0], "learned first: lowest mean rank", first_to_last[:SHOWN], rank, images, points)
        _strip(axes[1, 1], "learned last: highest mean rank", first_to_last[::-1][:SHOWN], rank, images, points)
    return figure


def _shares(axes, epochs: dict[str, np.ndarray], title_of: dict[str, str], points: Points) -> None:
    from workflow_scripts.measures import learning_order

    handles, after_start = [], []
    for (name, times), color in zip(epochs.items(), itertools.cycle(_COLORS), strict=False):
        share = pd.DataFrame(learning_order.share_learned(times))
        after_start += share["epoch"][share["epoch"] > 0].tolist()
        points.line(axes, name, title_of[name], share["epoch"], share["mean"], share, color=color)
        handles.append(style.key(color=color, label=style.literal(title_of[name])))
    handles += [style.band(), style.thin_lines()]
    axes.set_xscale("symlog", linthresh=10 ** np.floor(np.log10(min(after_start, default=1))), linscale=0.5)
    axes.set(xlim=(0, max(after_start, default=1)), ylim=(0, 1), xlabel="epoch", ylabel="share of the test examples")
    axes.set_title("Learned by then, for good")
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))


def _matrix(axes, rows: list[dict], title_of: dict[str, str], points: Points) -> None:
    """Rank correlations between seeds: of one experiment on the diagonal, of two below it."""
    names = list(dict.fromkeys(row["experiment"] for row in rows))
    size = min(1.0, 4 / len(names))
    rho = np.full((len(names), len(names)), np.nan)
    for row in rows:
        x, y = names.index(row["experiment"]), names.index(row["other"])
        rho[y, x] = row["rho"]
        look = {"xy": (x, y), "ha": "center", "color": "white" if row["rho"] > 0.6 else style.BLACK}
        look |= {"textcoords": "offset points"}
        axes.annotate(_number(row["rho"]), xytext=(0, 6 * size), fontsize=12 * size, fontweight="bold", **look)
        words = [_interval(row, "lo", "hi")]
        if np.isfinite(row["rho_within_class"]):
            words += [f"within class {_number(row['rho_within_class'])}"]
            words += [_interval(row, "rho_within_class_lo", "rho_within_class_hi")]
        axes.annotate("\n".join(words), xytext=(0, 0), va="top", fontsize=7 * size, linespacing=1.4, **look)
        points.keep(panel=[row["experiment"]], series="agreement", x=x, y=row["rho"], **_rest(row))
    axes.imshow(rho, cmap="Blues", vmin=0, vmax=1)
    labels = ["\n".join(map(style.literal, wrap(title_of[name], 14))) for name in names]
    axes.set_xticks(range(len(names)), labels)
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(length=0, labelsize=8 * size)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title("Do seeds agree on the order? (rank correlation)")


def _rest(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in ("experiment", "rho")}


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−") if np.isfinite(value) else "–"


def _interval(row: dict, lo: str, hi: str) -> str:
    return f"[{_number(row[lo])}, {_number(row[hi])}]" if np.isfinite(row[lo]) else ""


def _strip(axes, title: str, chosen: np.ndarray, rank: np.ndarray, images: Images, points: Points) -> None:
    """Images side by side, the name of its class below each."""
    height, width = images.pixels.shape[2:]
    gap = max(1, width // 8)
    frame = np.ones((height, len(chosen) * (width + gap) - gap, 3))
    starts = np.arange(len(chosen)) * (width + gap)
    for start, example in zip(starts, chosen, strict=True):
        pixels = np.moveaxis(images.pixels[example], 0, -1)
        frame[:, start : start + width] = pixels / 255 if pixels.dtype == np.uint8 else pixels.clip(0, 1)
    axes.imshow(frame, interpolation="nearest")
    names = [images.names[example] for example in chosen]
    axes.set_xticks(starts + (width - 1) / 2, [*map(style.literal, names)])
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title(title.capitalize())
    points.keep(series=title, x=np.arange(len(chosen)), y=rank[chosen], example=chosen, label=names)
