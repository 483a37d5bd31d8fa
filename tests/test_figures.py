"""Figures: what is drawn is what their points say, and what the points say is what was made."""

import itertools
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from tests.refusals import refusal
from workflow_scripts.config import kinds
from workflow_scripts.config.errors import Foreign
from workflow_scripts.config.printed import Printed
from workflow_scripts.config.training import Init
from workflow_scripts.data.datasets import ball
from workflow_scripts.drawing import class_rows
from workflow_scripts.drawing.panel import Panel
from workflow_scripts.drawing.points import Points
from workflow_scripts.figures import boundaries, class_order, class_panels, classes, dynamics, initialisation
from workflow_scripts.files import npz

EPOCHS = np.array([0.0, 1.0, 2.0, 4.0])
PER_EPOCH = 50
I_FY, MU = "I(F$_t$; Y)", "μ(F$_t$; {})"


def summary(explainers, nested):
    """summary.csv with values of their own for every explainer, quantity and checkpoint."""
    quantities = ("I_FY", "I_FY_train", "I_LY", "mu", "mu_null", *(["mu_joint"] if nested else []))
    tables = []
    for number, (explainer, quantity) in enumerate(itertools.product(explainers, quantities)):
        mean = 0.02 * (1 + number) * (np.full(4, 1.0) if quantity == "I_LY" else np.arange(1, 5) / 4)
        index = {"explainer": explainer, "checkpoint": range(4), "step": EPOCHS * PER_EPOCH, "epoch": EPOCHS}
        spread = {"mean": mean, "std": 0.01, "lo": mean - 0.02, "hi": mean + 0.03}
        tables.append(pd.DataFrame({**index, "quantity": quantity, **spread}))
    return pd.concat(tables, ignore_index=True)


def phases(explainers, t0=1.5):
    rows = [
        {"explainer": explainer, "phase": phase, "to_epoch": t0 + n, "to_epoch_lo": t0 + n - 0.5, "to_epoch_hi": t0 + n}
        for n, explainer in enumerate(explainers)
        for phase in ("first", "middle")
    ]
    return pd.DataFrame(rows)


def drawn(explainers=("linear", "cnn"), nested=False, printed=None, axis="epochs", t0=1.5):
    """The figure of one experiment, its summary, and its points."""
    table, points = summary(explainers, nested), Points()
    panel = Panel("digits", "Digits", 2, table, phases(explainers, t0), printed)
    figure = dynamics.drawn([panel], axis, points)
    return figure, table, points.table()


def rows_of(table, explainer, quantity):
    return table[(table["explainer"] == explainer) & (table["quantity"] == quantity)]


@pytest.mark.parametrize(("axis", "x"), [("epochs", "epoch"), ("steps", "step")])
def test_every_curve_of_the_dynamics_is_in_the_points_as_the_summary_has_it(axis, x):
    _, table, points = drawn(nested=True, axis=axis)
    shown = {"I(F$_t$; Y$_S$)  train": ("linear", "I_FY_train"), I_FY: ("linear", "I_FY")}
    for explainer in ("linear", "cnn"):
        shown |= {MU.format(explainer): (explainer, "mu"), f"null of {explainer}": (explainer, "mu_null")}
    shown |= {MU.format("cnn and all before it"): ("cnn", "mu_joint")}
    for series, of in shown.items():
        found, told = points[points["series"] == series], rows_of(table, *of)
        np.testing.assert_array_equal(found[["x", "y"]], told[[x, "mean"]])
        np.testing.assert_array_equal(found[["checkpoint", "quantity"]], told[["checkpoint", "quantity"]])
        if not series.startswith("null"):
            np.testing.assert_array_equal(found[["std", "lo", "hi"]], told[["std", "lo", "hi"]])
    others = set(points["series"]) - set(shown)
    assert others == {"I(L; Y) of linear", "I(L; Y) of cnn", "T$_1$", "T$_2$"}


def test_what_is_on_the_axes_is_in_the_points_and_the_other_way_round():
    figure, _, points = drawn(nested=True, printed=Printed(source="nowhere", I_LY=0.1))
    lines = figure.axes[0].get_lines()
    named = {line.get_label().lstrip("_"): line for line in lines if not line.get_label().startswith("_child")}
    instants = {"T$_1$", "T$_2$"}
    assert set(points["series"]) == set(named) | instants | {"printed: I(L; Y)"}
    for series, line in named.items():
        found = points[points["series"] == series]
        if found["x"].notna().all():
            np.testing.assert_array_equal(line.get_xydata(), found[["x", "y"]])
        else:
            assert set(line.get_ydata()) == set(found["y"])
    at = [line.get_xdata()[0] for line in lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
    assert at == points.loc[points["series"].isin(instants), "x"].tolist() == [1.5, 2.5]


def test_every_explainer_has_its_level_and_t0_is_that_of_the_first():
    _, table, points = drawn()
    for explainer in ("linear", "cnn"):
        (level,) = points.loc[points["series"] == f"I(L; Y) of {explainer}", "y"]
        assert level == rows_of(table, explainer, "I_LY")["mean"].iloc[-1]
    instants = points[points["series"].str.startswith("T$")]
    assert instants[["series", "explainer", "x", "lo", "hi"]].to_numpy().tolist() == [["T$_0$", "linear", 1.5, 1, 1.5]]


def test_instants_count_in_steps_where_the_axis_does_and_are_missing_without_a_t0():
    _, _, points = drawn(axis="steps")
    assert points.loc[points["series"] == "T$_0$", ["x", "lo", "hi"]].to_numpy().tolist() == [[75, 50, 75]]
    _, _, points = drawn(t0=np.nan)
    assert not points["series"].str.startswith("T$").any()


@pytest.mark.parametrize(("axis", "scale"), [("epochs", 1), ("steps", PER_EPOCH)])
def test_what_the_paper_prints_is_marked_where_its_figure_has_it(axis, scale):
    figure, _, points = drawn(axis=axis, printed=Printed(source="nowhere", t0=3, I_LY=0.1, I_FY=0.2, mu=0.15))
    marks = points[points["series"].str.startswith("printed: ")].set_index("series")[["x", "y"]]
    assert {name: mark.tolist() for name, mark in marks.iterrows()} == {
        "printed: I(L; Y)": [0, 0.1],
        "printed: I(F; Y) at the end": [4 * scale, 0.2],
        "printed: μ at the end": [4 * scale, 0.15],
        "printed: T0": [3 * scale, 0],
    }
    on_axes = sorted(line.get_xydata()[0].tolist() for line in figure.axes[0].get_lines() if line.get_marker() == "D")
    assert on_axes == sorted(marks.to_numpy().tolist())
    assert "printed in the paper" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_what_the_paper_prints_beyond_the_axis_or_not_at_all_is_left_out():
    figure, _, points = drawn(printed=Printed(source="nowhere", t0=15, ratios={"linear": 0.8}))
    assert not points["series"].str.startswith("printed").any()
    assert "printed in the paper" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_panels_stand_in_the_order_asked_for_with_their_titles():
    points = Points()
    panels = [Panel(name, name.upper(), 2, summary(["linear"], False), phases(["linear"]), None) for name in "cab"]
    figure = dynamics.drawn(panels, "epochs", points)
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["C", "A", "B"]
    assert list(pd.concat(points.tables)["panel"].unique()) == ["c", "a", "b"]


@pytest.fixture
def plane(tmp_path):
    """A disc of 1,600 examples; a network that says −, then x1 > 0, then the truth; an explainer that says x2 > 0.

    On the test set the explainer says x1 > 0.
    """
    arrays = ball.make(ball.Ball(kind="ball", train=1600, test=500, noise=0.1, grid=21), None)
    npz.save(tmp_path / "data.npz", **arrays)
    network, explainer = {}, {}
    for part in ("test", "grid"):
        x, concept = arrays[f"{part}_inputs"], arrays[f"{part}_labels"]
        said = np.stack([np.zeros(len(x)), x[:, 0] > 0.01, concept])
        network[f"{part}_predictions"] = said.astype(np.uint8)
        explainer[f"{part}_predictions"] = (x[:, 0] > 0.01).astype(np.uint8)
    explainer["grid_predictions"] = (arrays["grid_inputs"][:, 1] > 0.01).astype(np.uint8)
    npz.save(
        tmp_path / "trajectory.npz",
        steps=np.array([0, 10, 40]),
        epochs=np.array([0.0, 0.4, 1.6]),
        test_sha256="",
        **network,
    )
    npz.save(tmp_path / "linear.npz", **explainer)
    row = boundaries.read(
        "disc", "Disc", tmp_path / "data.npz", tmp_path / "trajectory.npz", {"linear": tmp_path / "linear.npz"}
    )
    points = Points()
    figure = boundaries.drawn([row], [0, 12, 999], points)
    return arrays, figure, points.table()


def test_the_checkpoint_nearest_to_each_step_is_shown(plane):
    _, figure, points = plane
    assert list(points["panel"].unique()) == ["disc step 0", "disc step 10", "disc step 40"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["step 0", "step 10", "step 40"]


def test_the_points_hold_all_examples_that_are_shown_and_which_of_them_are_noise(plane):
    arrays, figure, points = plane
    for panel, axes in zip(points["panel"].unique(), figure.axes, strict=True):
        found = points[(points["panel"] == panel) & points["series"].isin(["example", "noise"])]
        assert len(found) == boundaries.MOST_SHOWN == 1500
        np.testing.assert_array_equal(found[["x", "y"]], arrays["train_inputs"][:1500])
        np.testing.assert_array_equal(found["label"], arrays["train_labels"][:1500])
        np.testing.assert_array_equal(found["series"] == "noise", arrays["train_flipped"][:1500])
        examples, noise = axes.collections[:2]
        np.testing.assert_array_equal(examples.get_offsets(), found[["x", "y"]])
        np.testing.assert_array_equal(noise.get_offsets(), found.loc[found["series"] == "noise", ["x", "y"]])


def test_the_points_hold_the_boundaries_of_network_explainer_and_concept(plane):
    _, _, points = plane

    def boundary(series, step):
        found = points[(points["panel"] == f"disc step {step}") & (points["series"] == f"boundary of {series}")]
        return found[["x", "y"]].to_numpy()

    assert len(boundary("network", 0)) == 0, "it says the same everywhere"
    np.testing.assert_allclose(boundary("network", 10)[:, 0], 0.05, atol=1e-6)
    assert set(np.round(boundary("network", 10)[:, 1], 6)) == set(np.round(np.linspace(-1, 1, 21), 6))
    for step in (0, 10, 40):
        np.testing.assert_allclose(boundary("linear", step)[:, 1], 0.05, atol=1e-6)
        x, y = boundary("concept", step).T
        assert len(x) > 40 and (abs(y - 0.4 * np.sin(4 * x)) < 0.16).all(), "within a step of the grid, slope 1.6"
    np.testing.assert_array_equal(boundary("network", 40), boundary("concept", 40))


def test_below_each_panel_stand_the_accuracy_and_the_share_that_the_explainer_accounts_for(plane):
    arrays, figure, _ = plane
    said = [axes.get_xlabel() for axes in figure.axes]
    assert said[0] == f"accuracy {(arrays['test_labels'] == 0).mean():.2f}", "nothing to have a share of"
    assert said[1].endswith(", μ/I = 1.00"), "on the test set they say the same"
    assert said[2].startswith("accuracy 1.00, μ/I = 0.")


def start(name, network="cnn", init="pytorch", scale=1.0, warm_up=(0.5, 3), t0=(2.0, 3), level=1.0):
    """An experiment of three seeds and 4 epochs; warm_up and t0: epoch, and the seeds that have one."""
    tables = []
    for quantity, height in (("I_FY", level), ("I_LY", 0.5), ("mu", level / 2)):
        mean = height * np.array([0.0, 0.25, 0.5, 1.0]) if quantity != "I_LY" else height
        values = {"seeds": 3, "mean": mean, "std": 0.1, "corrected": mean - 0.01, "lo": mean - 0.2, "hi": mean + 0.2}
        index = {"explainer": "linear", "checkpoint": range(4), "step": EPOCHS * PER_EPOCH, "epoch": EPOCHS}
        tables.append(pd.DataFrame({**index, "quantity": quantity, **values}))
    spans = pd.DataFrame(
        {"phase": phase, "seeds": seeds, "to_epoch": at, "to_epoch_lo": at - 0.25, "to_epoch_hi": at + 0.5}
        for phase, (at, seeds) in (("warm_up", warm_up), ("first", t0))
    ).assign(explainer="linear", quantity="I_FY")
    others = [spans.assign(quantity="mu", to_epoch=99), spans.assign(explainer="t0", to_epoch=99)]
    return initialisation.Run(name, network, init, scale, pd.concat(tables), pd.concat([*others, spans]))


NETWORKS = ["linear", "MLP", "CNN", "ResNet", "ViT"]
STARTS = [
    start("small", scale=0.3, warm_up=(4.0, 3), t0=(np.nan, 0), level=0.02),
    start("he", init="he_uniform"),
    start("vit", "vit", warm_up=(np.nan, 0), t0=(3.0, 1)),
    start("plain", level=2.0),
    start("xavier", init="xavier_uniform"),
]


@pytest.fixture(scope="module")
def starts():
    points = Points()
    return initialisation.drawn(STARTS, points), points.table().set_index("panel")


def test_initialisations_have_a_panel_per_network_and_stand_in_their_order(starts):
    figure, _ = starts
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["CNN", "ViT", "", "end of the warm-up", "T$_0$", "at the end of training"]
    for axes in figure.axes[3:]:
        words = [label.get_text() for label in axes.get_xticklabels()]
        assert words == ["Xavier", "He", "PyTorch", "PyTorch\n× 0.3"]
    lines = {line.get_label(): line for line in figure.axes[0].get_lines() if line.get_label().startswith("I(F")}
    assert list(lines) == [f"I(F$_t$; Y), {name}" for name in ("Xavier", "He", "PyTorch", "PyTorch × 0.3")]
    assert len({line.get_color() for line in lines.values()}) == 4
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:6] == ["Xavier", "He", "PyTorch", "PyTorch × 0.3", "CNN", "ViT"]


def test_curves_of_initialisations_are_those_of_the_summary(starts):
    figure, points = starts
    for run in STARTS:
        found = points.loc[run.name][points.loc[run.name, "series"].str.startswith("I(F$_t$")]
        np.testing.assert_array_equal(found[["x", "y", "std"]], run.curve("I_FY")[["step", "mean", "std"]])
        axes = figure.axes[run.network == "vit"]
        (line,) = (line for line in axes.get_lines() if line.get_label() == f"I(F$_t$; Y), {run.start}")
        np.testing.assert_array_equal(line.get_xydata(), found[["x", "y"]])


def marked(axes):
    """Where markers stand, and whether they are filled."""
    marks = [line for line in axes.get_lines() if line.get_marker() != "None" and np.isfinite(line.get_ydata()).all()]
    return {tuple(line.get_xydata()[0]): line.get_markerfacecolor() != "white" for line in marks}


def test_ends_of_spans_count_in_steps_with_their_intervals_and_keep_what_they_are_about(starts):
    figure, points = starts
    for title, phase, epoch in (("end of the warm-up", "warm_up", 0.5), ("T$_0$", "first", 2.0)):
        row = points.loc["he"][points.loc["he", "series"] == f"{title}, CNN, He"].iloc[0]
        assert row[["y", "lo", "hi"]].tolist() == [PER_EPOCH * at for at in (epoch, epoch - 0.25, epoch + 0.5)]
        assert row[["explainer", "quantity", "phase"]].tolist() == ["linear", "I_FY", phase]
        axes = figure.axes[3 if phase == "warm_up" else 4]
        assert marked(axes)[row["x"], row["y"]]
        assert [[row["x"]] * 2, [row["lo"], row["hi"]]] in [
            np.transpose(line.get_xydata()).tolist() for line in axes.lines
        ]


def test_what_no_seed_has_is_marked_open_and_what_some_have_is_counted(starts):
    figure, points = starts
    warm_up, t0 = figure.axes[3:5]

    def ticks(axes):
        return {label.get_text(): at for label, at in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)}

    def at(name, series):
        return points.loc[name][points.loc[name, "series"] == series].iloc[0]

    never = at("small", "T$_0$, CNN, PyTorch × 0.3: not reached")
    assert np.isnan(never["y"]) and marked(t0)[never["x"], ticks(t0)["not\nreached"]] is False
    lasting = at("small", "end of the warm-up, CNN, PyTorch × 0.3: not reached")
    assert marked(warm_up)[lasting["x"], ticks(warm_up)["not\nreached"]] is False
    none = at("vit", "end of the warm-up, ViT, PyTorch: none")
    assert ticks(warm_up)["none"] == 0 and marked(warm_up)[none["x"], 0] is False
    assert [text.get_text() for text in t0.texts] == ["1 of 3"] and not warm_up.texts
    some = at("vit", "T$_0$, ViT, PyTorch")
    assert t0.texts[0].xy == (some["x"], some["hi"]) and marked(t0)[some["x"], some["y"]]


def test_the_end_of_training_has_corrected_values_of_mu_and_of_all_that_the_network_knows(starts):
    figure, points = starts
    for run in STARTS:
        found = points.loc[run.name][points.loc[run.name, "checkpoint"] == 3].set_index("quantity")
        for quantity in ("mu", "I_FY"):
            told = run.curve(quantity).iloc[-1]
            row = found.loc[[quantity]].iloc[-1]
            assert row[["y", "lo", "hi"]].tolist() == told[["corrected", "lo", "hi"]].tolist()
            assert (row["x"], row["y"]) in marked(figure.axes[5])


def test_every_network_and_every_initialisation_has_a_name():
    networks = kinds.names("training.networks")
    runs = [start(f"{kind} {init}", kind, init) for kind, init in itertools.product(networks, get_args(Init))]
    figure = initialisation.drawn(runs, Points())
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    named = words[len(get_args(Init)) : len(get_args(Init)) + len(networks)]
    assert words[: len(get_args(Init))] == ["Xavier", "He", "PyTorch"] and sorted(named) == sorted(NETWORKS)
    assert [axes.get_title(loc="left") for axes in figure.axes[: len(networks)]] == named


def test_a_co_trained_explainer_has_a_line_where_a_fixed_one_has_a_level():
    table, points = summary(("linear", "cnn"), False), Points()
    learns = (table["explainer"] == "cnn") & (table["quantity"] == "I_LY")
    table.loc[learns, "mean"] = [0.0, 0.1, 0.2, 0.3]
    dynamics.drawn([Panel("digits", "Digits", 2, table, phases(("linear", "cnn")), None)], "epochs", points)
    drawn = points.table()
    assert drawn.loc[drawn["series"] == "I(L$_t$; Y) of cnn", "y"].tolist() == [0.0, 0.1, 0.2, 0.3]
    assert (drawn["series"] == "I(L; Y) of linear").sum() == 1


def test_many_classes_have_a_line_corrected_for_bias():
    table, points = summary(("linear",), False).assign(corrected=lambda rows: rows["mean"] - 0.01), Points()
    dynamics.drawn([Panel("digits", "Digits", 10, table, phases(("linear",)), None)], "epochs", points)
    drawn = points.table()
    corrected = drawn.loc[drawn["series"] == f"{I_FY}, corrected", "y"].to_numpy()
    np.testing.assert_allclose(corrected, drawn.loc[drawn["series"] == I_FY, "y"] - 0.01)


def rows_of_classes(names):
    """classes.csv of one explainer: a class's values are its number times the epoch."""
    rows = [
        {"explainer": "linear", "class": name, "quantity": quantity, "epoch": epoch, "checkpoint": at}
        | {"mean": (1 + number) * epoch / 50, "std": 0.01, "lo": 0.0, "hi": 0.5}
        for at, epoch in enumerate(EPOCHS)
        for quantity in ("I_FY", "mu", "I_LY")
        for number, name in enumerate(names)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("names", [["zero", "one", "two"], [f"class {k}" for k in range(12)]], ids=["few", "many"])
def test_small_multiples_have_a_panel_per_class_on_one_scale(names):
    table = summary(("linear", "cnn"), False).assign(corrected=0.1)
    panel, points = Panel("net", "Net", len(names), table, phases(("linear", "cnn")), None), Points()
    row = class_rows.row(panel, rows_of_classes(names), None)
    figure = class_panels.drawn(row, points)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in shown] == names
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in shown}) == 1
    drawn = points.table()
    assert drawn.groupby("class")["quantity"].nunique().to_dict() == dict.fromkeys(names, 3)
    overview = Points()
    figure = classes.drawn([row], overview)
    told = [text.get_text() for text in figure.axes[1].texts]
    assert sorted(told) == sorted(names)
    heights = [text.xy[1] for text in figure.axes[1].texts]
    assert np.diff(heights).min() > 0
    assert set(pd.concat(overview.tables)["explainer"].dropna()) == {"linear"}


@pytest.mark.parametrize("never", [False, True])
def test_the_order_of_classes_has_marks_for_means_and_seeds_and_says_what_is_never_learned(never):
    epochs = [np.nan] * 4 if never else [3.0, 5.0, 1.0, np.nan]
    found = pd.DataFrame({"class": ["cat", "cat", "dog", "dog"], "seed": [0, 1, 0, 1], "epoch": epochs, "final": 0.2})
    points = Points()
    figure = class_order.drawn({"net": found}, {"net": "Net"}, points)
    drawn = points.table()
    means = drawn[drawn["series"] == "mean over seeds"].set_index("class")["x"].to_dict()
    assert means == pytest.approx({"cat": np.nan, "dog": np.nan} if never else {"cat": 4, "dog": 1}, nan_ok=True)
    assert [text.get_text() for text in figure.axes[0].texts] == ["not learned"] * (2 * never)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == (["cat", "dog"] if never else ["dog", "cat"])


def test_a_co_trained_explainer_has_the_boundary_of_the_same_step(plane, tmp_path):
    paths = tmp_path / "data.npz", tmp_path / "trajectory.npz"
    row = boundaries.read("disc", "Disc", *paths, {"twin": paths[1]})
    np.testing.assert_array_equal(row.explainers["twin"], row.network)
    points = Points()
    boundaries.drawn([row], [10, 40], points)
    drawn = points.table()
    for _, panel in drawn.groupby("panel"):
        own, twin = (panel[panel["series"] == f"boundary of {name}"] for name in ("network", "twin"))
        assert len(own) and own[["x", "y"]].to_numpy().tolist() == twin[["x", "y"]].to_numpy().tolist()
    short = npz.load(paths[1], "steps", "test_sha256", "test_predictions", "grid_predictions")
    short = {name: values[1:] if values.ndim else values for name, values in short.items()}
    npz.save(tmp_path / "short.npz", **short)
    with refusal(Foreign, tmp_path / "short.npz"):
        boundaries.read("disc", "Disc", *paths, {"twin": tmp_path / "short.npz"})
