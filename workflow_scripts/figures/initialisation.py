"""S23, future work: how several networks learn from several initialisations."""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from workflow_scripts.config import paths
from workflow_scripts.config.base import Strict
from workflow_scripts.config.errors import Wrong
from workflow_scripts.config.shown import Experiments, check_experiments
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.files import dataframes

CAPTION = r"""Networks trained from several initialisations; × multiplies the initial weights and biases. Above:
I(F\ :sub:`t`\ ; Y), the mean over seeds and one standard deviation. Below: the end of the warm-up, the first step at
which I(F\ :sub:`t`\ ; Y) reaches a tenth of its largest value ("none": it does before training; "not reached": not
even at the end is it surely above 0), T\ :sub:`0`\ , where the network first does as well as the explainer L, and at
the end of training μ(F; L) and, fainter, I(F; Y), corrected for bias; upright lines are 95% intervals for new seeds
and a new test set. Means over fewer than all seeds say how many (Schouten & Toonen 2023 ask what initialisation
does)."""
#: the columns that are read of summary.csv and of phases.csv
_SUMMARY = ("explainer", "checkpoint", "step", "epoch", "quantity", "seeds", "mean", "std", "corrected", "lo", "hi")
_PHASES = ("explainer", "phase", "quantity", "seeds", "to_epoch", "to_epoch_lo", "to_epoch_hi")
_NETWORKS = {"linear": "linear", "mlp": "MLP", "cnn": "CNN", "preact_resnet": "ResNet", "vit": "ViT"}
_INITS = {"xavier_uniform": "Xavier", "he_uniform": "He", "pytorch": "PyTorch"}
_COLORS = dict(zip(_INITS, (style.BLUE, style.GREEN, style.BLACK), strict=True))
_MARKERS = ("o", "s", "^", "D", "v")
_SYMLOG = {"linthresh": 1, "linscale": 0.5}  # from the first step on logarithmic, with room for step 0
_SIZE = 5.5
_HOLLOW = {"linestyle": "", "markersize": _SIZE, "markerfacecolor": "white"}


class Initialisation(Strict):
    """S23, future work: the warm-up, T0 and mu of networks from several initialisations, a panel per network."""

    kind: Literal["initialisation"]
    experiments: Experiments


Settings = Initialisation


def check(settings: Initialisation, study, key: str) -> None:
    """Raise Wrong for experiments that differ in more than network and initialisation, or not even in these."""
    check_experiments(key, settings.experiments, study)
    experiments = {name: study.experiments[name] for name in settings.experiments}
    networks, starts = {}, {}
    first_name, first = next(iter(experiments.items()))
    for name, experiment in experiments.items():
        for what, found, expected in (
            ("task", experiment.task, first.task),
            ("first explainer", experiment.explainers[0], first.explainers[0]),
        ):
            if found != expected:
                raise Wrong(
                    "conflict",
                    f"{key}.experiments",
                    f"the {what} of {name!r} is {found!r}, that of {first_name!r} {expected!r}: "
                    "show experiments with the same",
                )
        kind = experiment.network.kind
        if networks.setdefault(kind, experiment.network) != experiment.network:
            raise Wrong(
                "conflict", f"{key}.experiments", f"{name!r} has another network of kind {kind}: show one of a kind"
            )
        other = starts.setdefault((kind, experiment.init, experiment.init_scale), name)
        if other != name:
            raise Wrong(
                "repeated",
                f"{key}.experiments",
                f"{other!r} and {name!r} have the same network and initialisation: keep one",
            )


def inputs(settings: Initialisation, study) -> dict[str, list[str]]:
    """The summary and the phases of each experiment."""
    names = settings.experiments
    return {
        "summaries": paths.of_experiments(names, "summary.csv"),
        "phases": paths.of_experiments(names, "phases.csv"),
    }


def shown(settings: Initialisation, study) -> dict:
    """The kind of each experiment's network, and how it starts."""
    return {"initial": {name: _initial(study.experiments[name]) for name in settings.experiments}}


def _initial(experiment) -> dict:
    return {"network": experiment.network.kind, "init": experiment.init, "scale": experiment.init_scale}


@dataclass(frozen=True)
class Run:
    """One experiment: network kind, init and init_scale as in the config, its summary.csv and its phases.csv."""

    name: str
    network: str
    init: str
    scale: float
    summary: pd.DataFrame
    phases: pd.DataFrame

    @property
    def start(self) -> str:
        """The initialisation in words."""
        return _INITS[self.init] + (f" × {self.scale:g}" if self.scale != 1 else "")

    @property
    def architecture(self) -> str:
        """The kind of network in words."""
        return _NETWORKS.get(self.network, self.network)

    @property
    def explainer(self) -> str:
        """The first explainer."""
        return self.summary["explainer"].iloc[0]

    def curve(self, quantity: str) -> pd.DataFrame:
        """The rows of the summary about a quantity, one per checkpoint."""
        of = self.summary
        return of[(of["explainer"] == self.explainer) & (of["quantity"] == quantity)]

    def span(self, phase: str) -> pd.DataFrame:
        """The row of a phase about I(F;Y)."""
        of = self.phases
        return of[(of["explainer"] == self.explainer) & (of["phase"] == phase) & (of["quantity"] == "I_FY")]


def draw(job, inputs, points: Points):
    """Read the experiments and draw them."""
    runs = []
    for name, summary, spans in zip(job.settings.experiments, inputs["summaries"], inputs["phases"], strict=True):
        tables = (
            dataframes.read(summary, *_SUMMARY, kind=dataframes.SUMMARY),
            dataframes.read(spans, *_PHASES, kind=dataframes.PHASES),
        )
        dataframes.check_same("explainer", spans, tables[1], summary, tables[0])
        runs.append(Run(name, **job.shown["initial"][name], summary=tables[0], phases=tables[1]))
    return drawn(runs, points)


def drawn(runs: list[Run], points: Points):
    """Above I(F_t;Y), a panel per network; below, by initialisation, end of warm-up, T0, and mu and I(F;Y) at the end.

    Networks stand in the order given; initialisations as Xavier, He, PyTorch, then by scale.
    """
    networks = list(dict.fromkeys(run.network for run in runs))
    runs = sorted(runs, key=lambda run: (run.scale != 1, run.scale, list(_INITS).index(run.init)))
    colors = _colors(runs)
    looks = _looks(runs, networks, colors)
    last = max(float(run.summary["step"].max()) for run in runs)
    figure, axes = style.panels(2, max(3, len(networks)), 4.3, 3.3)
    above, below = axes[0, : len(networks)], axes[1, :3]
    for spare in set(axes.flat) - {*above, *below}:
        spare.set_axis_off()
    for place, network in zip(above, networks, strict=True):
        _curves(place, [run for run in runs if run.network == network], colors, last, points)
    top = max(place.get_ylim()[1] for place in above)
    for place in above:
        place.set_ylim(0, top)
    _instants(below[0], runs, looks, "warm_up", "end of the warm-up", last, points)
    _instants(below[1], runs, looks, "first", "T$_0$", last, points)
    _ends(below[2], runs, looks, points)
    for place in below:
        place.set_xticks(range(len(colors)), [start.replace(" ×", "\n×") for start in colors])
        place.set_xlim(-0.5, len(colors) - 0.5)
        place.grid(False, axis="x")
    _legend(figure, networks, colors)
    return figure


def _colors(runs: list[Run]) -> dict[str, str]:
    """Initialisation -> colour: named ones apart, scaled ones from light to dark."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    starts = {run.start: run for run in runs}
    scaled = sum(run.scale != 1 for run in starts.values())
    ramp = iter(colormaps["YlOrRd"](np.linspace(0.4, 0.95, scaled)))
    return {start: _COLORS[run.init] if run.scale == 1 else to_hex(next(ramp)) for start, run in starts.items()}


def _looks(runs: list[Run], networks: list[str], colors: dict[str, str]) -> dict[str, dict]:
    """Experiment -> where its marks stand, and what they look like."""
    starts, width = list(colors), 0.6 / len(networks)
    looks = {}
    for run in runs:
        number = networks.index(run.network)
        x = starts.index(run.start) + width * (number - (len(networks) - 1) / 2)
        looks[run.name] = {"x": x, "color": colors[run.start], "marker": _MARKERS[number % len(_MARKERS)]}
    return looks


def _curves(axes, runs: list[Run], colors: dict[str, str], last: float, points: Points) -> None:
    """I(F_t;Y) of one network, and I(L;Y) of the explainers behind T0: one line if they are of the task."""
    for run in runs:
        known, best = run.curve("I_FY"), run.curve("I_LY").iloc[-1:]
        known = known.assign(lo=np.nan, hi=np.nan)  # intervals of so many lines would hide them
        look = {"color": colors[run.start], "linewidth": 1.4}
        points.line(axes, run.name, f"I(F$_t$; Y), {run.start}", known["step"], known["mean"], known, **look)
        points.level(axes, run.name, f"I(L; Y) of {run.explainer}", float(best["mean"].iloc[0]), style.GREY, best)
    axes.set(title=runs[0].architecture, xlabel="SGD step", ylabel="I(F$_t$; Y) (bits)")
    axes.set_xscale("symlog", **_SYMLOG)
    _count_steps(axes.xaxis, last)
    axes.set_xlim(0, last)


def _instants(axes, runs: list[Run], looks: dict, phase: str, title: str, last: float, points: Points) -> None:
    """The step at which a phase ends; a tick names where those are marked that have none."""
    named = {}
    for run in runs:
        row, look = run.span(phase), looks[run.name]
        series = f"{title}, {run.architecture}, {run.start}"
        per_epoch = float(run.summary["step"].max() / run.summary["epoch"].max())
        end, lo, hi = (float(row[name].iloc[0]) * per_epoch for name in ("to_epoch", "to_epoch_lo", "to_epoch_hi"))
        if word := _missing(run, phase):
            series, end, lo, hi = f"{series}: {word}", np.nan, np.nan, np.nan
            named[word] = 0.0 if word == "none" else 8 * last
            axes.plot(look["x"], named[word], **_HOLLOW, marker=look["marker"], markeredgecolor=look["color"])
        points.estimate(axes, run.name, series, y=end, lo=lo, hi=hi, of=row, **look)
        found, trained = int(row["seeds"].iloc[0]), int(run.curve("I_FY")["seeds"].max())
        if 0 < found < trained:
            top = np.nanmax([end, hi, named.get(word, np.nan)])
            place = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": 6.5}
            place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
            axes.annotate(f"{found} of {trained}", (look["x"], top), **place)
    axes.set(title=title, ylabel="SGD step")
    axes.set_yscale("symlog", **_SYMLOG)
    _count_steps(axes.yaxis, last, named)
    axes.set_ylim(-0.4, 24 * last if max(named.values(), default=0) else 3 * last)


def _missing(run: Run, phase: str) -> str:
    """Why a phase has no end to show, if it has none: the warm-up is over at once, or it or T0 never comes."""
    row = run.span(phase).iloc[0]
    if row["seeds"] == 0:
        return "none" if phase == "warm_up" else "not reached"
    lasts = phase == "warm_up" and np.isclose(row["to_epoch"], run.summary["epoch"].max())
    return "not reached" if lasts else ""


def _ends(axes, runs: list[Run], looks: dict, points: Points) -> None:
    """mu(F;L), and fainter I(F;Y), at the last checkpoint: corrected values."""
    for run in runs:
        for quantity, symbol, look in (("I_FY", "I(F; Y)", {"alpha": 0.35}), ("mu", "μ(F; L)", {"zorder": 3})):
            row = run.curve(quantity).iloc[-1:]
            end, lo, hi = (float(row[name].iloc[0]) for name in ("corrected", "lo", "hi"))
            series = f"{symbol}, {run.architecture}, {run.start}"
            points.estimate(axes, run.name, series, y=end, lo=lo, hi=hi, of=row, **looks[run.name], **look)
    axes.set(title="at the end of training", ylabel="information (bits)")
    axes.set_ylim(min(0, axes.get_ylim()[0]), None)


def _count_steps(axis, last: float, named: dict[str, float] | None = None) -> None:
    """Ticks at step 0 and at powers of ten, and further ones with a name."""
    from matplotlib.ticker import NullLocator

    decades = 10 ** np.arange(int(np.log10(last)) + 1)
    ticks = {0: "0"} | {step: f"$10^{power}$" for power, step in enumerate(decades)}
    ticks |= {step: word for word, step in (named or {}).items()}
    axis.set_ticks(list(ticks), [word.replace("not ", "not\n") for word in ticks.values()])
    axis.set_minor_locator(NullLocator())


def _legend(figure, networks: list[str], colors: dict[str, str]) -> None:
    handles = {start: style.key(color=color, linewidth=2.2) for start, color in colors.items()}
    look = {"color": style.DARK, "linestyle": "", "markersize": _SIZE}
    handles |= {
        _NETWORKS.get(network, network): style.key(marker=marker, **look)
        for network, marker in zip(networks, itertools.cycle(_MARKERS), strict=False)
    }
    handles["faint: I(F; Y)"] = style.key(marker=_MARKERS[0], alpha=0.35, **look)
    handles["open: in no seed"] = style.key(marker=_MARKERS[0], markerfacecolor="white", **look)
    handles["dashed: I(L; Y)"] = style.key(color=style.GREY, linewidth=0.9, linestyle=style.LEVEL)
    handles["band: ± 1 std over seeds"] = style.band()
    handles["upright lines: 95% interval"] = style.key(color=style.GREY, linewidth=1.1)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=7)
