"""Singular modes of the data: how a linear network learns them, and the order of classes that they predict."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from workflow_scripts.config import checks, paths
from workflow_scripts.config.base import Name, Strict
from workflow_scripts.config.errors import DamagedResult, Wrong
from workflow_scripts.config.shown import check_experiments, titles
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.files import dataframes, npz

CAPTION = r"""Singular modes u s v\ :sup:`T` of the covariance of labels and inputs. Above, the strongest: v as an
image, with the classes that speak for red (+) and for blue (−). Below left: the strength u\ :sup:`T`\ Wv of each in a
linear network, mean over seeds, with what the theory says of the linearised network (dashed), and if every mode were
learned on its own (dotted). Others: when each class is learned, mean over seeds with 95% interval, against what the
modes predict; ρ is Spearman's rank correlation, mean over seeds with 95% interval, p from permutations of the
classes."""
#: modes shown, the strongest ones
MOST_SHOWN = 5
_VECTORS = {
    "s": npz.Form("f", ("modes",), 0, finite=True),
    "u": npz.Form("f", ("modes", "classes"), finite=True),
    "v": npz.Form("f", ("modes", "..."), finite=True),
}
_COLORS = (style.BLACK, style.BLUE, style.VERMILLION, style.GREEN, style.ORANGE)
_LOOKS = {
    "observed": {"linewidth": 1.8},
    "linear_theory": {"linestyle": (0, (5, 2)), "linewidth": 1.1},
    "decoupled": {"linestyle": (0, (1, 1.5)), "linewidth": 1.1},
}
_BESIDE = {"xytext": (6, -3), "textcoords": "offset points", "fontsize": 8, "color": style.DARK}
_RED, _BLUE = "#b2182b", "#2166ac"


class Modes(Strict):
    """How a linear network learns the singular modes of its data, and the order of classes that they predict."""

    kind: Literal["modes"]
    experiment: Name = Field(description="one with the linear network, three or more classes, and vanilla SGD")
    orders: list[Name] = Field(
        min_length=1, description="experiments of the same task, whose order of classes is compared with the predicted"
    )

    @property
    def experiments(self) -> list[str]:
        """All experiments that the figure shows."""
        return list(dict.fromkeys([self.experiment, *self.orders]))


Settings = Modes


def check(settings: Modes, study, key: str) -> None:
    """Raise Wrong for an experiment that the theory doesn't hold for, and for orders of other tasks."""
    check_experiments(key, settings.experiments, study)
    if why := study.without_modes(settings.experiment):
        raise Wrong("conflict", f"{key}.experiment", f"{settings.experiment!r} {why}")
    checks.unique(f"{key}.orders", settings.orders)
    task = study.experiments[settings.experiment].task
    for experiment in settings.orders:
        if (other := study.experiments[experiment].task) != task:
            raise Wrong("conflict", f"{key}.orders", f"{experiment!r} is on task {other!r}: expected one on {task!r}")


def inputs(settings: Modes, study) -> dict[str, list[str]]:
    """What is known of the linear experiment's modes, and when each experiment compared learned each class."""
    return {
        "modes": [paths.of_experiment(settings.experiment, "modes.csv")],
        "class_modes": [paths.of_experiment(settings.experiment, "class_modes.csv")],
        "vectors": [paths.of_experiment(settings.experiment, "modes.npz")],
        "orders": paths.of_experiments(settings.orders, "order.csv"),
    }


def shown(settings: Modes, study) -> dict:
    """Titles."""
    return {"titles": titles(study, settings.experiments)}


@dataclass(frozen=True)
class Linear:
    """The linear experiment: its modes.csv and class_modes.csv, and the modes s [M], u [M, C], v [M, ...]."""

    name: str
    title: str
    learned: pd.DataFrame
    predicted: pd.DataFrame
    vectors: dict[str, np.ndarray]


@dataclass(frozen=True)
class Order:
    """One experiment: the epoch at which each seed learned each class, [seeds, C], NaN where it never did."""

    name: str
    title: str
    epochs: np.ndarray


def read_order(path: Path, predicted: pd.DataFrame) -> np.ndarray:
    """Epochs [seeds, C] of an order.csv, classes as predicted lists them. Raises StudyError for other classes."""
    table = dataframes.read(path, "class", "seed", "epoch", kind=dataframes.ORDER)
    epochs = table.assign(**{"class": table["class"].astype(str)}).pivot(index="seed", columns="class", values="epoch")
    if set(epochs.columns) != set(predicted["class"]):
        raise DamagedResult(path, f"expected the classes {', '.join(predicted['class'])}")
    return epochs[predicted["class"]].to_numpy(float)


def draw(job, inputs, points: Points):
    """Read the modes and the orders, and draw them. Raises StudyError for an order of other classes."""
    title_of, name = job.shown["titles"], job.settings.experiment
    (learned,), (of_class,), (vectors,) = (inputs[each] for each in ("modes", "class_modes", "vectors"))
    predicted = dataframes.read(of_class, "class", "predicted_epoch", kind=dataframes.CLASS_MODES)
    linear = Linear(
        name,
        title_of[name],
        dataframes.read(
            learned, "mode", "quantity", "checkpoint", "step", "epoch", "mean", "std", "lo", "hi", kind=dataframes.MODES
        ),
        predicted.assign(**{"class": predicted["class"].astype(str)}),
        npz.load(vectors, "s", "u", "v", forms=_VECTORS, classes=len(predicted)),
    )
    orders = [
        Order(other, title_of[other], read_order(path, linear.predicted))
        for other, path in zip(job.settings.orders, inputs["orders"], strict=True)
    ]
    return drawn(linear, orders, points)


def drawn(linear: Linear, orders: list[Order], points: Points):
    """The strongest modes as images, where they are; their strengths during training; then a panel per order."""
    images = _are_images(linear)
    columns = 2 if len(orders) in (1, 3) else 3
    rows = -(-(1 + len(orders)) // columns)
    width = max(4.1 * columns, 8.2)
    figure, parts = style.stacked(width, [width / 5.6 + 0.35] * images + [3.5 * rows])
    if images:
        _images(parts[0], linear)
    axes = parts[-1].subplots(rows, columns, squeeze=False).flat
    for spare in axes[1 + len(orders) :]:
        spare.set_axis_off()
    _strengths(axes[0], linear, points)
    for place, order in zip(axes[1:], orders, strict=False):
        _order(place, order, linear, points)
    figure.draw_without_rendering()  # so that panels have their size
    for place, order in zip(axes[1:], orders, strict=False):
        _name(place, linear.predicted, order)
    return figure


def _images(part, linear: Linear) -> None:
    classes = linear.predicted["class"].to_numpy()
    strongest = slice(0, MOST_SHOWN)
    s, u, v = (linear.vectors[name][strongest] for name in ("s", "u", "v"))
    for place, number in zip(part.subplots(1, MOST_SHOWN), range(MOST_SHOWN), strict=True):
        place.set_axis_off()
        if number < len(s):
            image = v[number].transpose(1, 2, 0) / abs(v[number]).max()
            place.imshow(image[..., 0] if image.shape[2] == 1 else 0.5 + image / 2, cmap="RdBu_r", vmin=-1, vmax=1)
            place.set_title(f"mode {number + 1}, s = {s[number]:.2f}", loc="center", color=_COLORS[number])
            for sign, color, y in ((1, _RED, -0.04), (-1, _BLUE, -0.15)):
                words = f"{'+' if sign > 0 else '−'} {_spoken_for(classes, sign * u[number])}"
                place.text(0.5, y, words, transform=place.transAxes, ha="center", va="top", fontsize=8, color=color)


def _spoken_for(classes: np.ndarray, u: np.ndarray) -> str:
    """The classes with at least half of the largest positive part of u, at most three, the largest first."""
    strongest = [k for k in np.argsort(-u, kind="stable") if u[k] >= u.max() / 2]
    return ", ".join(map(style.literal, classes[strongest[:3]]))


def _strengths(axes, linear: Linear, points: Points) -> None:
    table = linear.learned
    strongest = range(1, 1 + min(MOST_SHOWN, int(table["mode"].max())))
    for mode, (quantity, look) in itertools.product(strongest, _LOOKS.items()):
        rows = table[(table["mode"] == mode) & (table["quantity"] == quantity)]
        of = rows if quantity == "observed" else rows.drop(columns=["std", "lo", "hi"])
        series = f"{_words(quantity)}, mode {mode}"
        points.line(axes, linear.name, series, rows["epoch"], rows["mean"], of, color=_COLORS[mode - 1], **look)
    end = float(table["epoch"].max())
    axes.set_xscale("symlog", linthresh=10 ** np.floor(np.log10(end / 20)), linscale=0.6)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlim=(0, end), xlabel="SGD epochs", ylabel="strength of the mode,  u$^⊤$W$_t$v")
    axes.set_title(f"{style.literal(linear.title)}: modes")
    handles = [style.key(color=style.GREY, label=_words(quantity), **look) for quantity, look in _LOOKS.items()]
    handles.append(style.band("± 1 std over seeds"))
    handles.append(style.thin_lines("95% interval"))
    if not _are_images(linear):
        handles += [style.key(color=_COLORS[mode - 1], label=f"mode {mode}") for mode in strongest]
    axes.legend(handles=handles, loc="upper left", fontsize=8)


def _order(axes, order: Order, linear: Linear, points: Points) -> None:
    from workflow_scripts.measures import singular_modes
    from workflow_scripts.measures.seeds import over_seeds

    names, x = linear.predicted["class"].to_numpy(), linear.predicted["predicted_epoch"].to_numpy(float)
    found = over_seeds(order.epochs)
    y, lo, hi = (found[name] for name in ("mean", "lo", "hi"))
    of = singular_modes.rank_correlation(x, order.epochs)
    interval = f"  [{of['lo']:.2f}, {of['hi']:.2f}]" if np.isfinite(of["lo"]) else ""
    words = f"ρ = {of['rho']:.2f}{interval},  p = {of['p']:.2g}"
    axes.errorbar(x, y, [y - lo, hi - y], fmt="o", color=style.BLUE, markersize=4.5, elinewidth=0.6, label=words)
    if never := x[np.isnan(y)].tolist():
        edge = {"transform": axes.get_xaxis_transform(), "marker": "^", "linestyle": "", "color": style.BLUE}
        axes.plot(never, [0.97] * len(never), **edge, markersize=5, markerfacecolor="white", label="never learned")
        for name, at in zip(names[np.isnan(y)], never, strict=True):
            axes.annotate(style.literal(name), (at, 0.97), xycoords=axes.get_xaxis_transform(), **_BESIDE)
    points.keep(panel=order.name, series="learned", x=x, y=y, lo=lo, hi=hi, **{"class": names})
    rho = {"y": of["rho"], "lo": of["lo"], "hi": of["hi"], "p": of["p"]}
    points.keep(panel=[order.name], series=f"rank correlation with {order.name}", x=np.nan, **rho)
    _scale(axes, x, y, hi)
    axes.set_title(f"{style.literal(order.title)}: order of classes")
    axes.set(xlabel="predicted epoch: half of the final logit", ylabel="epoch: half of the final I(F$_t$; Y = y)")
    axes.legend(loc="upper left", fontsize=8, handletextpad=0.2)


def _name(axes, predicted: pd.DataFrame, order: Order) -> None:
    """The class beside each marker, at the corner where it meets the fewest markers and other names."""
    from workflow_scripts.measures.seeds import over_seeds

    measured = predicted.assign(epoch=over_seeds(order.epochs)["mean"]).dropna(subset="epoch")
    markers = measured[["predicted_epoch", "epoch"]].to_numpy()
    middles = axes.transData.transform(markers) * 72 / axes.figure.dpi
    taken = np.hstack([middles - 3, middles + 3])
    for name, at, middle in zip(measured["class"], markers, middles, strict=True):
        width = 5 * len(name)
        gaps = np.array([[5, 3], [-5 - width, 3], [5, -10], [-5 - width, -10]])
        boxes = np.hstack([middle + gaps, middle + gaps + [width, 7]])
        best = int(np.argmin([_meets(box, taken) for box in boxes]))
        taken = np.vstack([taken, boxes[best]])
        look = {"xytext": gaps[best], "textcoords": "offset points", "fontsize": 8, "color": style.DARK}
        axes.annotate(style.literal(name), at, **look, annotation_clip=False)


def _meets(box: np.ndarray, others: np.ndarray) -> int:
    """How many others a box overlaps; boxes: left, bottom, right, top, [..., 4]."""
    return np.count_nonzero((box[:2] < others[:, 2:]).all(1) & (box[2:] > others[:, :2]).all(1))


def _scale(axes, x: np.ndarray, y: np.ndarray, hi: np.ndarray) -> None:
    """Logarithmic axes, but linear near 0 where a class is learned from the start."""
    from matplotlib.ticker import LogLocator, NullLocator

    positive = y[y > 0]
    least = positive.min() if len(positive) else 1.0
    top = np.nanmax(np.concatenate([positive, hi, [least]]))
    axes.set_xscale("log")
    axes.set_xlim(x.min() / 1.25, 1.25 * x.max())
    if (y == 0).any():
        axes.set_yscale("symlog", linthresh=least, linscale=0.4)
        axes.set_ylim(-least / 4, 1.6 * top)
    else:
        axes.set_yscale("log")
        axes.set_ylim(least / 1.8, 1.6 * top)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())


def _words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _are_images(linear: Linear) -> bool:
    return linear.vectors["v"].ndim == 4
