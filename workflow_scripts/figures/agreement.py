"""When test examples are learned, whether seeds and networks agree on their order, and which are first and last."""

import itertools
from dataclasses import dataclass
from textwrap import wrap

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.measures import learning_order

#: examples shown of those learned first, and of those learned last
SHOWN = 8
_COLORS = (style.BLACK, *style.EXPLAINERS)
_MAP = matplotlib.colormaps["Blues"]


@dataclass(frozen=True)
class Images:
    """The test images, [N, channels, height, width], uint8 or float from 0 to 1, and the name of each one's class."""

    pixels: np.ndarray
    names: list[str]


def draw(
    epochs: dict[str, np.ndarray], titles: dict[str, str], classes: np.ndarray, images: Images | None, points: Points
):
    """A panel of the share learned, a matrix of the agreement, and below them images, if there are any.

    epochs: experiment -> when each seed learns each test example, [S, N], inf: never; classes: [N].
    """
    figure, axes = style.panels(2 if images else 1, 2, 4.8, 2.8 if images else 3.9)
    _shares(axes[0, 0], epochs, titles, points)
    _matrix(axes[0, 1], learning_order.pairwise_agreements(epochs, classes), titles, points)
    if images:
        axes[0, 0].get_gridspec().set_height_ratios([5, 1])
        rank = learning_order.mean_ranks(list(epochs.values()))
        first_to_last = np.argsort(rank, kind="stable")
        _strip(axes[1, 0], "learned first: lowest mean rank", first_to_last[:SHOWN], rank, images, points)
        _strip(axes[1, 1], "learned last: highest mean rank", first_to_last[::-1][:SHOWN], rank, images, points)
    return figure


def _shares(axes, epochs: dict[str, np.ndarray], titles: dict[str, str], points: Points) -> None:
    handles, after_start = [], []
    for (name, times), color in zip(epochs.items(), itertools.cycle(_COLORS), strict=False):
        share = pd.DataFrame(learning_order.share_learned(times))
        after_start += share["epoch"][share["epoch"] > 0].tolist()
        points.line(axes, name, titles[name], share["epoch"], share["mean"], share, color=color)
        handles.append(Line2D([], [], color=color, label=titles[name]))
    handles.append(Patch(color=style.GREY, alpha=0.22, linewidth=0, label="band: ± 1 std over seeds"))
    handles.append(Line2D([], [], color=style.GREY, linewidth=0.5, label="thin lines: 95% interval"))
    axes.set_xscale("symlog", linthresh=10 ** np.floor(np.log10(min(after_start, default=1))), linscale=0.5)
    axes.set(xlim=(0, max(after_start, default=1)), ylim=(0, 1), xlabel="epoch", ylabel="share of the test examples")
    axes.set_title("Learned by then, for good")
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))


def _matrix(axes, rows: list[dict], titles: dict[str, str], points: Points) -> None:
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
        told = [_interval(row, "lo", "hi")]
        if np.isfinite(row["rho_within_class"]):
            told += [f"within class {_number(row['rho_within_class'])}"]
            told += [_interval(row, "rho_within_class_lo", "rho_within_class_hi")]
        axes.annotate("\n".join(told), xytext=(0, 0), va="top", fontsize=7 * size, linespacing=1.4, **look)
        points.keep(panel=[row["experiment"]], series="agreement", x=x, y=row["rho"], **_rest(row))
    axes.imshow(rho, cmap=_MAP, vmin=0, vmax=1)
    labels = ["\n".join(wrap(titles[name], 14)) for name in names]
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
    axes.set_xticks(starts + (width - 1) / 2, names)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title(title.capitalize())
    points.keep(series=title, x=np.arange(len(chosen)), y=rank[chosen], example=chosen, label=names)
