"""Draw one figure and write every plotted point beside it."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from workflow_scripts import files, information, stage, style, tables
from workflow_scripts.config.analysis import Figure
from workflow_scripts.config.base import JobConfig

#: columns that say what a point is about, so that it can be traced to the rows it comes from
_ABOUT = ("explainer", "checkpoint", "quantity", "phase")
_ACCURACIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Config(JobConfig):
    """What the stage reads; titles and n_classes: experiment -> title, number of groups."""

    settings: Figure
    titles: dict[str, str]
    n_classes: dict[str, int]


class Points:
    """Draws on axes and keeps every drawn point, so that the CSV is what the picture shows.

    of: the rows of the table that the points come from; what these rows are about is kept beside the points.
    """

    def __init__(self):
        self.tables: list[pd.DataFrame] = []

    def line(self, axes, panel: str, series: str, x, y, of: pd.DataFrame | None = None, **look) -> None:
        """A line; a series that starts with _ stays out of the legend.

        Where of has columns std, lo and hi: the band y +- std, and the interval between thin lines.
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        axes.plot(x, y, label=series, **look)
        spread = {"std": np.nan, "lo": np.nan, "hi": np.nan}
        if of is not None and "std" in of:
            spread = {name: of[name].to_numpy(float) for name in spread}
            edge = {"color": look["color"], "linewidth": 0.5, "alpha": 0.75}
            axes.fill_between(x, y - spread["std"], y + spread["std"], color=look["color"], alpha=0.22, linewidth=0)
            axes.plot(x, np.column_stack([spread["lo"], spread["hi"]]), **edge)
        self._keep(of, {"panel": panel, "series": series.lstrip("_"), "x": x, "y": y, **spread})

    def level(self, axes, panel: str, series: str, y: float, color: str, of: pd.DataFrame) -> None:
        """A dashed horizontal line."""
        axes.axhline(y, color=color, linewidth=0.9, linestyle=(0, (6, 3)), zorder=1, label=series)
        self._keep(of, {"panel": [panel], "series": [series], "x": [np.nan], "y": [y]})

    def instant(self, axes, panel: str, series: str, x: float, lo: float, hi: float, of: pd.DataFrame) -> None:
        """A dashed vertical line with its name at the bottom, and its interval shaded."""
        if np.isfinite([lo, hi]).all():
            axes.axvspan(max(lo, axes.get_xlim()[0]), min(hi, axes.get_xlim()[1]), color=style.GREY, alpha=0.12, lw=0)
        axes.axvline(x, color=style.GREY, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        side, gap = ("right", -3) if x > np.mean(axes.get_xlim()) else ("left", 3)
        place = {"xycoords": ("data", "axes fraction"), "xytext": (gap, 3), "textcoords": "offset points"}
        axes.annotate(series, (x, 0), **place, ha=side, fontsize=8, color=style.DARK)
        self._keep(of, {"panel": [panel], "series": [series], "x": [x], "y": [np.nan], "lo": [lo], "hi": [hi]})

    def _keep(self, of: pd.DataFrame | None, points: dict) -> None:
        about = {} if of is None else {key: of[key].to_numpy() for key in _ABOUT if key in of}
        self.tables.append(pd.DataFrame(points | about))


def run(config: Config, inputs, outputs) -> None:
    """Write the figure as PDF, PNG and SVG, and its points."""
    points = Points()
    if config.settings.kind == "information_accuracy":
        figure = information_accuracy(points)
    else:
        for flag, paths in (("--summaries", inputs.summaries), ("--phases", inputs.phases)):
            files.check_number(flag, paths, len(config.settings.experiments))
        summaries = [
            tables.read(path, "explainer", "epoch", "quantity", "mean", "std", "lo", "hi") for path in inputs.summaries
        ]
        phase_tables = [
            tables.read(path, "explainer", "phase", "to_epoch", "to_epoch_lo", "to_epoch_hi") for path in inputs.phases
        ]
        figure = dynamics(config, summaries, phase_tables, points)
    style.save(figure, outputs.pdf, outputs.png, outputs.svg, outputs.key)
    tables.write(outputs.points, pd.concat(points.tables, ignore_index=True))


def information_accuracy(points: Points):
    """N19 Fig 3: I(F;Y) = 1 - h(P[F = Y]) for unbiased binary F and Y."""
    figure, axes = style.panels(1, 1, 4.2, 3.1)
    axes = axes[0, 0]
    accuracy = np.linspace(0.5, 1, 501)
    series = "I(F; Y) = 1 − h(accuracy)"
    bits = information.information_of_accuracy(accuracy)
    points.line(axes, "", series, accuracy, bits, color=style.BLUE, linewidth=2)
    axes.set(
        xlim=(0.5, 1),
        ylim=(0, 1.02),
        xlabel="accuracy  P[F = Y]",
        ylabel="I(F; Y)  (bits)",
        title="Information and accuracy",
    )
    return figure


def dynamics(config: Config, summaries: list[pd.DataFrame], phase_tables: list[pd.DataFrame], points: Points):
    """N19 Fig 4: a panel per experiment, at most two side by side, one legend below."""
    names = config.settings.experiments
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    figure, axes = style.panels(rows, columns)
    for spare in axes.flat[len(names) :]:
        spare.set_axis_off()
    explainers = dict.fromkeys(explainer for summary in summaries for explainer in summary["explainer"].unique())
    colors = dict(zip(explainers, itertools.cycle(style.EXPLAINERS)))
    for panel, name, summary, found in zip(axes.flat, names, summaries, phase_tables, strict=False):
        _dynamics_panel(panel, name, summary, found, colors, points)
        panel.set_title(config.titles[name])
        _accuracy_axis(panel, config.n_classes[name])
    handles = {}
    for panel in axes.flat:
        handles |= {label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    handles["dotted: its null model"] = Line2D([], [], color=style.GREY, linestyle=(0, (1, 1.5)), linewidth=1.1)
    band = Patch(color=style.GREY, alpha=0.22, linewidth=0)
    handles["band: ± 1 std over seeds"] = band
    handles["thin lines: 95% interval"] = Line2D([], [], color=style.GREY, linewidth=0.5)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5 if columns > 1 else 2)
    return figure


def _dynamics_panel(axes, name: str, summary: pd.DataFrame, found: pd.DataFrame, colors: dict, points: Points) -> None:
    explainers = list(dict.fromkeys(summary["explainer"]))
    series = dict(iter(summary.groupby(["explainer", "quantity"])))

    def draw(label: str, explainer: str, quantity: str, **look) -> None:
        of = series[explainer, quantity]
        points.line(axes, name, label, of["epoch"], of["mean"], of, **look)

    draw("I(F$_t$; Y$_S$)  train", explainers[0], "I_FY_train", color=style.GREY, linewidth=1.2)
    draw("I(F$_t$; Y)", explainers[0], "I_FY", color=style.BLACK, linewidth=2)
    for explainer in explainers:
        color = colors[explainer]
        draw(f"μ(F$_t$; {explainer})", explainer, "mu", color=color)
        null = series[explainer, "mu_null"]
        dotted = {"color": color, "linestyle": (0, (1, 1.5)), "linewidth": 1.1}
        nulls = null.drop(columns=["std", "lo", "hi"])
        points.line(axes, name, f"_null of {explainer}", null["epoch"], null["mean"], nulls, **dotted)
    axes.set(xlabel="SGD epochs", ylabel="information (bits)", xlim=(0, float(summary["epoch"].max())))
    best = series[explainers[0], "I_LY"].iloc[-1:]
    points.level(axes, name, f"I(L; Y) of {explainers[0]}", float(best["mean"].iloc[0]), colors[explainers[0]], best)
    first = found[(found["explainer"] == explainers[0]) & (found["phase"] == "first")].iloc[:1]
    t0 = float(first["to_epoch"].iloc[0])
    if np.isfinite(t0):
        points.instant(axes, name, "T$_0$", t0, *first[["to_epoch_lo", "to_epoch_hi"]].iloc[0], first)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]) if series[explainers[0], "mu"]["mean"].min() < -0.01 else 0)


def _accuracy_axis(axes, n_classes: int) -> None:
    """The accuracy that corresponds to each height, on the right, through I = 1 - h(accuracy)."""
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


if __name__ == "__main__":
    stage.main(
        run,
        Config,
        inputs={
            "summaries*": "summary of each experiment shown (.csv)",
            "phases*": "phases of each experiment shown (.csv)",
        },
        outputs={name: f"the figure (.{name})" for name in ("pdf", "png", "svg")}
        | {"points": "every plotted point (.csv)"},
    )
