"""What one network knows during training, and what of it explainers account for: a panel of several figures."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.config.printed import Printed
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.files import dataframes

_ACCURACIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_TABLES = ("summary", "phases")
_SUMMARY = ("explainer", "step", "epoch", "quantity", "mean", "std", "lo", "hi", "corrected")
_PHASES = ("explainer", "phase", "to_epoch", "to_epoch_lo", "to_epoch_hi")
_DOTTED, _DASHED, _DASHDOTTED = (0, (1, 1.5)), (0, (3, 1.2)), (0, (5, 1.5, 1, 1.5))


@dataclass(frozen=True)
class Panel:
    """One experiment: its summary.csv and phases.csv, and what a paper prints for it."""

    name: str
    title: str
    n_classes: int
    summary: pd.DataFrame
    phases: pd.DataFrame
    printed: Printed | None

    def of(self, explainer: str) -> "Panel":
        """The same of one explainer alone."""
        own = {name: table[table["explainer"] == explainer] for name, table in vars(self).items() if name in _TABLES}
        return replace(self, **own)


def read(job, inputs: dict[str, list[Path]]) -> list[Panel]:
    """A panel per experiment shown; inputs: summaries and phases of each.

    Raises StudyError where one is damaged, lacks a column, or is not of the other's explainers.
    """
    read = []
    for name, path, spans in zip(job.settings.experiments, inputs["summaries"], inputs["phases"], strict=True):
        summary = dataframes.read(path, *_SUMMARY, kind=dataframes.SUMMARY)
        found = dataframes.read(spans, *_PHASES, kind=dataframes.PHASES)
        dataframes.check_same("explainer", spans, found, path, summary)
        title, n_classes = job.shown["titles"][name], job.shown["n_classes"][name]
        read.append(Panel(name, title, n_classes, summary, found, Printed.of(name, job.shown)))
    return read


def add_legend(figure, axes, points: Points) -> None:
    """All that panels show, each once, below them; as many columns as fit."""
    handles = {}
    for place in axes:
        handles |= {label: handle for handle, label in zip(*place.get_legend_handles_labels(), strict=True)}
    handles["dotted: its null model"] = style.key(color=style.GREY, linestyle=_DOTTED, linewidth=1.1)
    handles |= {handle.get_label(): handle for handle in (style.band(), style.thin_lines())}
    if any(table["series"].iloc[0].endswith("corrected") for table in points.tables):
        handles["dashed: corrected for bias"] = style.key(color=style.GREY, linestyle=_DASHED, linewidth=1.1)
    if any(table["series"].iloc[0].startswith("printed") for table in points.tables):
        handles["printed in the paper"] = style.key(color=style.GREY, linestyle="", **_MARK)
    longest = max(len(re.sub(r"[$_{}\\]", "", label)) for label in handles)
    fitting = int(figure.get_figwidth() / (0.075 * longest + 0.55))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=max(1, min(5, fitting)))


def draw_panel(axes, panel: Panel, axis: str, colors: dict, points: Points) -> None:
    """One experiment; axis: epochs or steps; colors: explainer -> colour."""
    summary = panel.summary
    explainers = list(dict.fromkeys(summary["explainer"]))
    series = dict(iter(summary.groupby(["explainer", "quantity"])))
    x = {"epochs": "epoch", "steps": "step"}[axis]
    per_epoch = float(summary[x].max() / summary["epoch"].max())

    def line(label: str, explainer: str, quantity: str, **look) -> None:
        of = series[explainer, quantity]
        points.line(axes, panel.name, label, of[x], of["mean"], of, **look)

    def corrected(label: str, explainer: str, quantity: str, color: str) -> None:
        of = series[explainer, quantity].drop(columns=["std", "lo", "hi"])
        if panel.n_classes > 2:  # with two it can't be told from the plug-in value
            look = {"color": color, "linestyle": _DASHED, "linewidth": 1.1}
            points.line(axes, panel.name, f"_{label}, corrected", of[x], of["corrected"], of, **look)

    line("I(F$_t$; Y$_S$)  train", explainers[0], "I_FY_train", color=style.GREY, linewidth=1.2)
    line("I(F$_t$; Y)", explainers[0], "I_FY", color=style.BLACK, linewidth=2)
    corrected("I(F$_t$; Y)", explainers[0], "I_FY", style.BLACK)
    nested = (explainers[0], "mu_joint") in series
    for explainer in explainers:
        color = colors[explainer]
        line(f"μ(F$_t$; {explainer})", explainer, "mu", color=color)
        corrected(f"μ(F$_t$; {explainer})", explainer, "mu", color)
        if nested and explainer != explainers[0]:
            label = f"μ(F$_t$; {explainer} and all before it)"
            line(label, explainer, "mu_joint", color=color, linestyle=_DASHDOTTED, linewidth=1.2)
        null = series[explainer, "mu_null"].drop(columns=["std", "lo", "hi"])
        look = {"color": color, "linestyle": _DOTTED, "linewidth": 1.1}
        points.line(axes, panel.name, f"_null of {explainer}", null[x], null["mean"], null, **look)
    axes.set(xlabel=f"SGD {axis}", ylabel="information (bits)", xlim=(0, float(summary[x].max())))
    for explainer in explainers:
        known = series[explainer, "I_LY"]
        if known["mean"].nunique() == 1:
            best = known.iloc[-1:]
            label = f"I(L; Y) of {explainer}"
            points.level(axes, panel.name, label, float(best["mean"].iloc[0]), colors[explainer], best)
        else:
            look = {"color": colors[explainer], "linestyle": style.LEVEL, "linewidth": 0.9}
            known = known.drop(columns=["std", "lo", "hi"])
            points.line(axes, panel.name, f"I(L$_t$; Y) of {explainer}", known[x], known["mean"], known, **look)
    for number, explainer in enumerate(explainers if nested else explainers[:1]):
        found = panel.phases
        first = found[(found["explainer"] == explainer) & (found["phase"] == "first")].iloc[:1]
        t0, lo, hi = (float(first[name].iloc[0]) * per_epoch for name in ("to_epoch", "to_epoch_lo", "to_epoch_hi"))
        if np.isfinite(t0):
            points.instant(axes, panel.name, f"T$_{number + 1 if nested else 0}$", t0, lo, hi, first)
    style.whole_numbers(axes.xaxis, 6 if axis == "steps" else "auto")
    if panel.printed:
        _mark_printed(axes, panel, per_epoch, colors[explainers[0]], points)
    lowest = min(series[explainer, "mu"]["mean"].min() for explainer in explainers)
    axes.set_ylim(1.3 * lowest if lowest < -0.01 else 0, min(axes.get_ylim()[1], 1.04 * np.log2(panel.n_classes)))
    _accuracy_axis(axes, panel.n_classes)


_MARK = {"marker": "D", "markersize": 5, "markerfacecolor": "white", "markeredgewidth": 1.3, "clip_on": False}


def _mark_printed(axes, panel: Panel, per_epoch: float, color: str, points: Points) -> None:
    """What the paper prints, where its figure has it: the explainer on the left, the end on the right, T0 below."""
    paper, (_, end) = panel.printed, axes.get_xlim()
    marks = {
        "I(L; Y)": (0.0, paper.I_LY, color),
        "I(F; Y) at the end": (end, paper.I_FY, style.BLACK),
        "μ at the end": (end, paper.mu, color),
        "T0": (None if paper.t0 is None else paper.t0 * per_epoch, 0.0, style.GREY),
    }
    for name, (x, y, edge) in marks.items():
        if x is not None and y is not None and x <= end:
            points.mark(axes, panel.name, f"printed: {name}", x, y, markeredgecolor=edge, **_MARK)


def _accuracy_axis(axes, n_classes: int) -> None:
    """The accuracy that corresponds to each height, on the right, through I = 1 - h(accuracy)."""
    from workflow_scripts.measures import information

    top = axes.get_ylim()[1]
    ticks: dict[str, float] = {}
    for accuracy in (a for a in _ACCURACIES if a * n_classes >= 1):
        height = float(information.information_of_accuracy(accuracy, n_classes))
        if height <= top and all(height - other >= 0.05 * top for other in ticks.values()):
            ticks[f"{accuracy:g}"] = height
    right = axes.twinx()
    right.grid(False)
    right.set_ylim(axes.get_ylim())
    right.set_yticks(list(ticks.values()), list(ticks))
    right.set_ylabel("accuracy", color=style.DARK)
    right.spines["right"].set_visible(True)
