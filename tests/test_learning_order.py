"""When each test example is learned, whether seeds and networks agree on it, and what is shown of both."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import spearmanr

from benchmarks import agreement as simulated
from tests.refusals import assert_mistake, refusal
from tests.workflow import TINY
from workflow_scripts import order_examples, plot, tabulate
from workflow_scripts.config import study
from workflow_scripts.config.base import parse
from workflow_scripts.config.errors import Damaged, Foreign, Misconfigured
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.drawing.points import Points
from workflow_scripts.figures import agreement as figure_of_agreement
from workflow_scripts.files import npz
from workflow_scripts.measures import learning_order

SEEDS = {"a": 4, "b": 3}
TASK = {"dataset": "pictures", "groups": {"low": [0, 1], "high": [2]}, "leave_out": [3]}


@pytest.fixture(scope="module")
def drawn():
    """Classes of 150 examples, and the checkpoints, often tied, at which 4 and 3 seeds of two networks learn them."""
    classes, a, b = simulated.draw("seeds differ", 4, 150, np.random.default_rng(5))
    return classes, a, b[:3]


def mean_rho(pairs):
    return np.mean([spearmanr(*pair).statistic for pair in pairs])


def test_an_example_is_learned_when_it_is_right_for_good():
    y = np.array([1, 0, 1, 1, 0])
    predictions = np.array(
        [
            [1, 1, 1, 0, 1],
            [1, 0, 0, 1, 1],
            [1, 1, 1, 1, 0],
            [1, 0, 1, 0, 0],
        ],
        np.uint8,
    )
    # always right; right at last, after a lucky guess; forgotten once; wrong at the end; right from the third on
    assert learning_order.checkpoint_learned(predictions, y).tolist() == [0, 3, 2, 4, 2]
    assert learning_order.checkpoint_learned(predictions[:1], y).tolist() == [0, 1, 0, 1, 1]


def test_agreement_is_the_mean_of_spearmans_over_the_pairs(drawn):
    _, a, b = drawn
    within, between = learning_order.agreement(a), learning_order.agreement(a, b)
    assert (within.pairs, between.pairs) == (6, 12)
    assert within.rho == pytest.approx(mean_rho(itertools.combinations(a, 2)), abs=1e-12)
    assert between.rho == pytest.approx(mean_rho(itertools.product(a, b)), abs=1e-12)
    assert learning_order.agreement(b, a) == pytest.approx(between)


def test_agreement_depends_on_the_order_alone_and_never_is_last_and_tied(drawn):
    _, a, _ = drawn
    epochs = np.where(a == a.max(), np.inf, a**2 / 7.0)
    assert np.isinf(epochs).sum() > 4
    assert learning_order.agreement(epochs) == learning_order.agreement(a)


def test_within_classes_it_does_not_count_that_classes_follow_each_other(drawn):
    classes, a, b = drawn
    apart = a + 100 * classes
    assert learning_order.agreement(apart).rho > 0.9 > learning_order.agreement(apart, classes=classes).rho
    ranks = [pd.Series(of_seed).rank() for of_seed in a]
    centred = [of_seed - of_seed.groupby(classes).transform("mean") for of_seed in ranks]
    expected = np.mean([np.corrcoef(*pair)[0, 1] for pair in itertools.combinations(centred, 2)])
    assert learning_order.agreement(a, classes=classes).rho == pytest.approx(expected, abs=1e-12)
    assert learning_order.agreement(a, b, np.zeros(150)) == learning_order.agreement(a, b), (
        "a single class is all there is"
    )


@pytest.mark.parametrize("within", [False, True], ids=["all", "within classes"])
def test_the_part_of_the_examples_is_that_of_the_delete_one_jackknife(drawn, within):
    classes, a, _ = drawn

    def found(kept):
        return learning_order.agreement(a[:2, kept], classes=classes[kept] if within else None)

    n = np.arange(150)
    jackknife = np.sqrt(149 * np.var([found(n != i).rho for i in n]))
    everything = found(n >= 0)
    assert (everything.hi - everything.rho) / 1.96 == pytest.approx(jackknife, rel=0.05), "two seeds: no other part"


def test_the_part_of_the_seeds_is_that_of_the_delete_one_jackknife(drawn):
    _, a, _ = drawn
    n, t = 40, 3.182446305284263
    many = np.tile(a, n)  # the same order n times: the part of the examples falls by n, that of the seeds stays
    left = [learning_order.agreement(np.delete(a, seed, 0)).rho for seed in range(4)]
    variances = [
        ((each.hi - each.lo) / 2) ** 2 for each in (learning_order.agreement(a), learning_order.agreement(many))
    ]
    of_seeds = (n * variances[1] - variances[0]) / (n - 1)
    assert of_seeds == pytest.approx(t**2 * 3 * np.var(left), rel=1e-6)


def test_nothing_is_said_of_one_seed_nor_of_seeds_that_tell_nothing_apart(drawn):
    _, a, b = drawn
    alone = learning_order.agreement(a[:1])
    assert alone.pairs == 0 and np.isnan(alone[1:]).all()
    constant = learning_order.agreement(np.zeros((3, 150)))
    assert constant.pairs == 3 and np.isnan(constant[1:]).all()
    beside = learning_order.agreement(a[:1], b[:1])
    assert beside.pairs == 1 and beside.lo < beside.rho < beside.hi, "for new examples"


def test_identical_seeds_agree_wholly(drawn):
    _, a, _ = drawn
    assert learning_order.agreement(a[[0, 0, 0]]) == pytest.approx((3, 1, 1, 1))
    assert learning_order.agreement(-a[:1], a[:1]).rho == pytest.approx(-1)


@pytest.mark.parametrize("setting", simulated.SETTINGS)
def test_the_intervals_cover_for_new_seeds_and_new_examples(setting):
    found = simulated.covered(setting, 5, 500, 150, np.random.default_rng(11))
    assert all(of >= 87 for of in found.values()), "about 92% at worst, less 2.5 standard errors of 150 simulations"


def test_the_truth_of_the_simulation_is_what_many_seeds_and_examples_give():
    classes, a, b = simulated.draw("little agreement", 60, 20_000, np.random.default_rng(12))
    found = (learning_order.agreement(a), learning_order.agreement(a, classes=classes), learning_order.agreement(a, b))
    for of, true in zip(found, simulated.truth("little agreement", seeds=100).values(), strict=True):
        assert of.lo <= true <= of.hi and of.hi - of.lo < 0.05


def test_the_share_learned_rises_to_all_but_those_never_learned():
    epochs = np.array([[0, 0.5, np.inf, 2], [0.5, 0.5, 1, np.inf]])
    share = learning_order.share_learned(epochs)
    assert share["epoch"].tolist() == [0, 0.5, 1, 2]
    assert share["mean"].tolist() == [0.125, 0.5, 0.625, 0.75]
    assert share["std"][0] == pytest.approx(np.std([0.25, 0], ddof=1))


def test_mean_ranks_weigh_experiments_alike():
    first, second = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3.0]]), np.array([[3, 2, np.inf]])
    np.testing.assert_allclose(learning_order.mean_ranks([first, second]), [1 / 3, 1 / 3, 5 / 6])


def test_a_hundred_seeds_of_ten_thousand_examples_take_seconds_and_megabytes(tmp_path):
    rng = np.random.default_rng(3)
    epochs = rng.choice(np.append(np.geomspace(0.001, 50, 60), np.nan), (100, 10_000))
    table = order_examples.table(np.repeat(["a", "b"], 5000), dict(enumerate(epochs)))
    path = tmp_path / "examples.csv"
    table.to_csv(path, index=False)
    assert path.stat().st_size < 25e6
    classes, (back,) = learning_order.read_epochs([path])
    np.testing.assert_array_equal(back, np.where(np.isnan(epochs), np.inf, epochs))
    assert np.bincount(classes).tolist() == [5000, 5000]
    assert learning_order.agreement(back).pairs == 4950


@pytest.fixture
def made(tmp_path, drawn):
    """The files of two experiments on pictures of 5x4 pixels in three classes, two groups of which are told apart."""
    rng = np.random.default_rng(6)
    labels = rng.integers(4, size=200)
    arrays = {"class_names": np.array(["n", "o", "p", "q"]), "source_hashes": np.array([], str)}
    for part in tasks.PARTS:
        kept = slice(None) if part in ("train", "test") else slice(0)
        images = rng.integers(256, size=(200, 3, 5, 4), dtype=np.uint8)[kept]
        arrays |= {f"{part}_inputs": images, f"{part}_labels": labels[kept]}
    npz.save(tmp_path / "data.npz", **arrays)
    y = np.array([0, 0, 1])[labels[labels < 3]]
    difficulty, checkpoints = rng.standard_normal(len(y)), np.arange(6)[:, None]
    for name, seeds in SEEDS.items():
        paths = [tmp_path / f"{name}{seed}.npz" for seed in range(seeds)]
        for path in paths:
            late = checkpoints < 2 + difficulty + rng.standard_normal(len(y))
            about = {"steps": np.arange(6), "epochs": np.arange(6) / 2, "test_sha256": ""}
            npz.save(path, **about, test_predictions=(y ^ late).astype(np.uint8))
        config = order_examples.Config(wildcards={"experiment": name}, seeds=list(range(seeds)), task=Task(**TASK))
        inputs = SimpleNamespace(data=tmp_path / "data.npz", trajectories=paths)
        order_examples.run(config, inputs, SimpleNamespace(examples=tmp_path / f"{name}.csv"))
    return tmp_path, y


def test_the_table_has_a_row_per_example_of_the_task(made):
    folder, y = made
    table = pd.read_csv(folder / "a.csv")
    assert table["example"].tolist() == list(range(len(y)))
    assert table["class"].tolist() == [("low", "high")[label] for label in y]
    each = table[[f"seed{seed}" for seed in range(SEEDS["a"])]]
    assert table["learned"].tolist() == each.notna().sum(axis=1).tolist() and (table["learned"] < 4).any()
    np.testing.assert_allclose(table["mean"], each.mean(axis=1))
    np.testing.assert_allclose(table["std"], each.std(axis=1))
    trajectory = npz.load(folder / "a1.npz", "epochs", "test_predictions")
    at = learning_order.checkpoint_learned(trajectory["test_predictions"], y)
    np.testing.assert_array_equal(each["seed1"], np.append(trajectory["epochs"], np.nan)[at])


def shown(folder, data=None):
    """The CSVs of the figure and of the table of both experiments, and the page."""
    titles = {"a": "Network <a>", "b": "Network b"}
    settings = {"kind": "agreement", "experiments": list(SEEDS)}
    paths = [folder / f"{name}.csv" for name in SEEDS]
    outputs = {name: folder / f"shown.{name}" for name in ("pdf", "png", "svg", "csv", "html")}
    outputs |= {"points": folder / "points.csv", "key": "k"}
    files = [data or folder / "data.npz", *paths]
    cfg = {"settings": settings, "inputs": {"data": ["data.npz"], "examples": ["a.csv", "b.csv"]}}
    cfg |= {"wildcards": {"figure": "shown"}, "shown": {"titles": titles, "task": TASK}}
    plot.run(parse(plot.Config, cfg, "cfg"), SimpleNamespace(inputs=files), SimpleNamespace(**outputs))
    cfg |= {"wildcards": {"table": "shown"}, "inputs": {"examples": ["a.csv", "b.csv"]}, "shown": {"titles": titles}}
    tabulate.run(parse(tabulate.Config, cfg, "cfg"), SimpleNamespace(inputs=paths), SimpleNamespace(**outputs))
    return pd.read_csv(outputs["points"]), pd.read_csv(outputs["csv"]), outputs["html"].read_text()


def test_the_figure_and_the_table_say_the_same(made):
    folder, _ = made
    points, table, page = shown(folder)
    assert table[["experiment", "other", "pairs"]].to_numpy().tolist() == [["a", "a", 6], ["a", "b", 12], ["b", "b", 3]]
    _, (a, b) = learning_order.read_epochs([folder / "a.csv", folder / "b.csv"])
    np.testing.assert_array_equal(table.loc[1, ["rho", "lo", "hi"]].astype(float), learning_order.agreement(a, b)[1:])
    cells = points[points["series"] == "agreement"]
    columns = ["lo", "hi", "other", "pairs", "rho_within_class", "rho_within_class_lo", "rho_within_class_hi"]
    assert cells[["panel", "y", *columns]].to_numpy().tolist() == table[["experiment", "rho", *columns]].values.tolist()
    assert "Network &lt;a&gt;" in page and f"<b>{table['rho'][0]:.3g}" in page and page.count("<tr>") == 4


def test_the_points_hold_the_curves_and_the_examples_that_are_shown(made):
    folder, y = made
    points, _, _ = shown(folder)
    _, epochs = learning_order.read_epochs([folder / "a.csv", folder / "b.csv"])
    for name, title, of_each in (("a", "Network <a>", epochs[0]), ("b", "Network b", epochs[1])):
        curve = points[(points["panel"] == name) & (points["series"] == title)]
        np.testing.assert_array_equal(curve["y"], learning_order.share_learned(of_each)["mean"])
    rank = learning_order.mean_ranks(epochs)
    for series, best in (
        ("learned first: lowest mean rank", min),
        ("learned last: highest mean rank", max),
    ):
        strip = points[points["series"] == series]
        assert len(strip) == figure_of_agreement.SHOWN == strip["example"].nunique()
        assert strip["y"].iloc[0] == best(rank) and strip["y"].iloc[0] == best(strip["y"])
        assert strip["label"].tolist() == [("low", "high")[y[int(example)]] for example in strip["example"]]


def test_the_examples_shown_are_the_pictures_of_the_test_set():
    rng = np.random.default_rng(8)
    pixels = rng.integers(256, size=(20, 1, 6, 5), dtype=np.uint8)
    epochs = {"a": rng.permutation(20)[None].astype(float)}
    images, titles = figure_of_agreement.Images(pixels, ["c"] * 20), {"a": "A"}
    figure = figure_of_agreement.drawn(epochs, titles, np.zeros(20), images, Points())
    strip = figure.axes[2].get_images()[0].get_array()
    first = pixels[np.argmin(epochs["a"][0]), 0] / 255
    np.testing.assert_allclose(strip[:, :5], np.repeat(first[..., None], 3, axis=2))
    assert len(figure_of_agreement.drawn(epochs, titles, np.zeros(20), None, Points()).axes) == 2, "no pictures"


def test_tables_of_other_examples_are_refused(made):
    folder, _ = made
    table = pd.read_csv(folder / "b.csv")
    table.iloc[1:].to_csv(folder / "b.csv", index=False)
    with refusal(Foreign, folder / "b.csv", f"{folder / 'a.csv'}"):
        shown(folder)
    table.drop(columns=[name for name in table if name.startswith("seed")]).to_csv(folder / "b.csv", index=False)
    with refusal(Damaged, folder / "b.csv", "seed"):
        shown(folder)


def test_data_with_another_number_of_examples_are_refused(made):
    folder, _ = made
    with np.load(folder / "data.npz") as archive:
        arrays = dict(archive)
    kept = np.append(np.flatnonzero(arrays["test_labels"] == 0)[1:], np.flatnonzero(arrays["test_labels"] > 0))
    for kind in ("inputs", "labels"):
        arrays[f"test_{kind}"] = arrays[f"test_{kind}"][kept]
    npz.save(folder / "other.npz", **arrays)
    with refusal(Damaged, folder / "a.csv", "examples"):
        shown(folder, folder / "other.npz")


@pytest.mark.parametrize("part", ["figures", "tables"])
def test_experiments_on_different_tasks_are_refused_in_one_line(part):
    config = yaml.safe_load(TINY.read_text())
    config[part]["order"] = {"kind": "agreement", "experiments": ["digits", "sinusoid"]}
    with pytest.raises(Misconfigured) as raised:
        study.load(config, "study.yaml")
    assert_mistake(raised.value, f"{part}.order.experiments", "conflict", "'sinusoid' 'digits' 'low_high'")
