"""Singular modes: theory against integration and gradient descent, the order of classes, the stage, the figure."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy.stats import spearmanr

from tests.refusals import assert_mistake, refusal
from tests.workflow import planned
from workflow_scripts import decompose, plot
from workflow_scripts.config import jobs, study
from workflow_scripts.config.base import parse, parse_json
from workflow_scripts.config.errors import Damaged, Foreign, Misconfigured, Misused, Unfit
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, hashing, npz
from workflow_scripts.measures import singular_modes

C = 4


def examples(n=400, d=6, seed=0):
    """Inputs with a mean, correlated features and classes of unequal frequency, and labels."""
    rng = np.random.default_rng(seed)
    y = rng.choice(C, n, p=[0.4, 0.3, 0.2, 0.1])
    x = rng.standard_normal((C, d))[y] + rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) / 2 + 0.7
    return x, y


def planted(s=(0.5, 0.2, 0.05), d=8):
    """Moments with these singular values, of white inputs whose mean is orthogonal to every mode; u, v."""
    rng = np.random.default_rng(1)
    u = np.linalg.qr(np.column_stack([np.ones(C), rng.standard_normal((C, C - 1))]))[0][:, 1:].T
    v = np.linalg.qr(rng.standard_normal((d, C - 1)))[0].T
    mean, frequency = rng.standard_normal(d), np.full(C, 1 / C)
    mean -= mean @ v.T @ v
    yx = (u.T * s) @ v + np.outer(frequency, mean)
    return singular_modes.Moments(frequency, mean, 2 * np.eye(d) + np.outer(mean, mean), yx), u, v


def test_moments_are_those_of_the_definition_whatever_the_chunks(monkeypatch):
    x, y = examples()
    monkeypatch.setattr(singular_modes, "_CHUNK", 37)
    found, onehot = singular_modes.moments(x.reshape(-1, 1, 2, 3), y, C), np.eye(C)[y]
    np.testing.assert_allclose(found.xx, x.T @ x / len(x))
    np.testing.assert_allclose(found.yx, onehot.T @ x / len(x))
    np.testing.assert_allclose(found.mean, x.mean(0))
    np.testing.assert_allclose(found.frequency, onehot.mean(0))
    images = np.arange(48, dtype=np.uint8).reshape(12, 1, 2, 2)
    np.testing.assert_allclose(singular_modes.moments(images, y[:12], C).mean, images.reshape(12, 4).mean(0) / 255)


def test_planted_modes_are_found_strongest_first_with_the_largest_part_of_u_positive():
    moments, u, v = planted()
    found = singular_modes.decompose(moments)
    np.testing.assert_allclose(found.s, [0.5, 0.2, 0.05])
    np.testing.assert_allclose(found.rates, 2)
    signs = np.sum(found.u * u, 1)
    np.testing.assert_allclose(abs(signs), 1)
    np.testing.assert_allclose(found.v, signs[:, None] * v, atol=1e-12)
    assert (found.u[range(3), abs(found.u).argmax(1)] > 0).all()


def test_modes_tell_classes_apart_and_are_fewer_than_the_classes():
    x, y = examples()
    found = singular_modes.decompose(singular_modes.moments(x, y, C))
    assert found.s.shape == (C - 1,) and (np.diff(found.s) < 0).all()
    np.testing.assert_allclose(found.u.sum(1), 0, atol=1e-12)
    np.testing.assert_allclose(found.rates, (x @ found.v.T).var(0))
    means = np.stack([x[y == k].mean(0) - x.mean(0) for k in range(C)])
    np.testing.assert_allclose(np.bincount(y)[:, None] / len(y) * means, (found.u.T * found.s) @ found.v, atol=1e-12)


def test_classes_with_the_same_mean_have_no_modes():
    x, y = np.tile([[1.0, 2.0], [-1.0, 0.0]], (C, 1)), np.repeat(np.arange(C), 2)
    with pytest.raises(Unfit):
        singular_modes.decompose(singular_modes.moments(x, y, C))


def integrated(moments, weights, bias, end, steps=20_000):
    """W at the end of the linearised gradient flow, by the midpoint rule."""
    x2 = np.block([[moments.xx, moments.mean[:, None]], [moments.mean, 1.0]])
    drive = np.column_stack([moments.yx, moments.frequency]) - np.append(moments.mean, 1) / C
    centre = np.eye(C) - 1 / C
    w, h = np.column_stack([weights, bias]), end / steps
    for _ in range(steps):
        middle = w + h / 2 * (drive - centre @ w @ x2 / C)
        w = w + h * (drive - centre @ middle @ x2 / C)
    return w[:, :-1]


def start(d, scale, seed=3):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((C, d)), scale * rng.standard_normal(C)


def test_the_linear_theory_is_the_linearised_gradient_flow():
    x, y = examples()
    moments = singular_modes.moments(x, y, C)
    found = singular_modes.decompose(moments)
    weights, bias = start(x.shape[1], 0.3)
    times = np.array([0, 0.5, 3, 40])
    told = singular_modes.LinearTheory(moments, found).strengths(weights, bias, times)
    for time, strengths in zip(times, told, strict=True):
        expected = singular_modes.strengths(integrated(moments, weights, bias, time), found)
        np.testing.assert_allclose(strengths, expected, rtol=1e-5, atol=1e-7)


def test_the_linear_theory_bears_features_that_never_change_and_ends_at_the_least_squares_solution():
    x, y = examples()
    x = np.column_stack([x, np.zeros(len(x)), x[:, 0], np.full(len(x), 2.0)])
    moments = singular_modes.moments(x, y, C)
    found = singular_modes.decompose(moments)
    (told,) = singular_modes.LinearTheory(moments, found).strengths(np.zeros((C, x.shape[1])), np.zeros(C), [1e6])
    limit = C * (moments.yx - np.outer(moments.frequency, moments.mean)) @ np.linalg.pinv(np.cov(x.T, bias=True))
    np.testing.assert_allclose(told, singular_modes.strengths(limit, found), rtol=1e-6)


def test_gradient_descent_on_the_softmax_loss_follows_the_linear_theory_while_outputs_are_near_uniform():
    x, y = examples()
    moments = singular_modes.moments(x, y, C)
    found = singular_modes.decompose(moments)
    weights, bias = start(x.shape[1], 1e-3)
    layer = torch.nn.Linear(x.shape[1], C).double()
    layer.load_state_dict({"weight": torch.tensor(weights), "bias": torch.tensor(bias)})
    optimizer, lr, steps = torch.optim.SGD(layer.parameters(), lr=1e-4), 1e-4, 500
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(layer(torch.tensor(x)), torch.tensor(y)).backward()
        optimizer.step()
    reached = singular_modes.strengths(layer.weight.detach().numpy(), found)
    (told,) = singular_modes.LinearTheory(moments, found).strengths(weights, bias, [lr * steps])
    initial = singular_modes.strengths(weights, found)
    assert (abs(reached - initial) > 1e-3).all()
    np.testing.assert_allclose(reached - initial, told - initial, rtol=0.03)


def test_decoupled_modes_are_exact_for_white_inputs_and_not_for_others():
    times = np.array([0.0, 1, 5, 30])
    moments, _, _ = planted()
    weights, bias = start(8, 0.2)
    found = singular_modes.decompose(moments)
    told = singular_modes.decoupled(singular_modes.strengths(weights, found), found, times)
    np.testing.assert_allclose(
        told, singular_modes.LinearTheory(moments, found).strengths(weights, bias, times), atol=1e-10
    )
    np.testing.assert_allclose(told[0], singular_modes.strengths(weights, found))
    x, y = examples()
    moments = singular_modes.moments(x, y, C)
    found = singular_modes.decompose(moments)
    weights, bias = np.zeros((C, x.shape[1])), np.zeros(C)
    told = singular_modes.decoupled(np.zeros(C - 1), found, times)
    exact = singular_modes.LinearTheory(moments, found).strengths(weights, bias, times)
    assert abs(told - exact)[-1].max() > 0.1


def test_a_decoupled_mode_is_halfway_to_c_s_over_lambda_at_c_ln_2_over_lambda():
    found = singular_modes.Modes(np.array([0.3, 0.1]), np.eye(2, C), np.eye(2, 5), np.array([2.0, 0.5]))
    told = singular_modes.decoupled(np.zeros(2), found, np.array([C * np.log(2) / 2, C * np.log(2) / 0.5, 1e9]))
    assert told[0, 0] == pytest.approx(C * 0.3 / 2 / 2) and told[1, 1] == pytest.approx(C * 0.1 / 0.5 / 2)
    np.testing.assert_allclose(told[2], [C * 0.3 / 2, C * 0.1 / 0.5])


def test_a_class_is_half_learned_when_its_logit_at_its_mean_input_is_half_of_its_limit():
    x, y = examples()
    moments = singular_modes.moments(x, y, C)
    found = singular_modes.decompose(moments)
    times, parts = singular_modes.learning_times(found, moments.frequency)
    ends = np.append(times, 1e9)
    weights = np.einsum("tm,mc,md->tcd", singular_modes.decoupled(np.zeros(C - 1), found, ends), found.u, found.v)
    for k, time in enumerate(times):
        logits = weights[:, k] @ (x[y == k].mean(0) - x.mean(0))
        assert logits[-1] == pytest.approx(parts[k].sum())
        assert time > 0 and logits[k] == pytest.approx(logits[-1] / 2)


def test_classes_of_one_mode_alone_are_learned_in_the_order_of_their_rates():
    u = np.array([[1, -1, 0, 0], [0, 0, 1, -1]]) / np.sqrt(2)
    found = singular_modes.Modes(np.array([0.3, 0.2]), u, np.eye(2, 5), np.array([0.5, 2.0]))
    times, parts = singular_modes.learning_times(found, np.full(C, 0.25))
    np.testing.assert_allclose(times, C * np.log(2) / np.array([0.5, 0.5, 2, 2]))
    assert parts.argmax(1).tolist() == [0, 0, 1, 1]


def test_rank_correlation_is_spearmans_with_ties_averaged_over_seeds():
    rng = np.random.default_rng(0)
    predicted = np.array([1, 2, 2, 4, 5, 7, 8.0])
    measured = np.round(rng.random((5, 7)) * 6 + predicted / 2)
    found = singular_modes.rank_correlation(predicted, measured)
    of_each = [spearmanr(predicted, each).statistic for each in measured]
    assert found["rho"] == pytest.approx(np.mean(of_each)) and found["seeds"] == 5
    half = 2.7764451052 * np.std(of_each, ddof=1) / np.sqrt(5)
    assert (found["lo"], found["hi"]) == pytest.approx((found["rho"] - half, found["rho"] + half))


def test_a_perfect_order_has_the_smallest_p_and_a_reversed_one_the_largest():
    predicted = np.arange(10.0)
    found = singular_modes.rank_correlation(predicted, np.exp(np.tile(predicted, (3, 1))))
    assert found == {"rho": pytest.approx(1), "lo": pytest.approx(1), "hi": pytest.approx(1), "p": 1e-4, "seeds": 3}
    assert singular_modes.rank_correlation(predicted, -predicted[None])["p"] == 1
    assert np.isnan(singular_modes.rank_correlation(predicted, -predicted[None])["lo"]), "one seed has no interval"


def test_the_p_value_is_the_share_of_all_orders_that_agree_as_well():
    predicted, measured = np.arange(4.0), np.array([[0, 1, 3, 2], [1, 0, 2, 3.0]])
    rho = singular_modes.rank_correlation(predicted, measured)["rho"]
    all_of_them = [
        np.mean([spearmanr(order, each).statistic for each in measured]) for order in itertools.permutations(range(4))
    ]
    exact = np.mean(np.array(all_of_them) >= rho - 1e-9)
    assert singular_modes.rank_correlation(predicted, measured)["p"] == pytest.approx(exact, abs=0.01)


def test_a_class_never_learned_is_last_and_a_seed_that_learns_all_at_once_is_left_out():
    predicted = np.arange(5.0)
    last = singular_modes.rank_correlation(predicted, np.array([[0, 1, 2, 3, np.nan]]))
    assert last["rho"] == pytest.approx(1)
    found = singular_modes.rank_correlation(predicted, np.array([[0, 1, 2, 3, 4.0], [1, 1, 1, 1, 1], [0, 1, 2, 4, 3]]))
    assert found["seeds"] == 2 and found["rho"] == pytest.approx(0.95)
    nothing = singular_modes.rank_correlation(predicted, np.ones((2, 5)))
    assert nothing["seeds"] == 0 and np.isnan([nothing["rho"], nothing["p"]]).all()


STUDY = """
study: tiny
seeds: [1, 0]
device: cpu
datasets: {digits: {kind: digits, test: 400}}
tasks:
  ten: {dataset: digits}
  three: {dataset: digits, groups: {low: [0, 1, 2], middle: [3, 4, 5], high: [6, 7, 8, 9]}}
  two: {dataset: digits, groups: {low: [0, 1, 2, 3, 4], high: [5, 6, 7, 8, 9]}}
explainers: {linear: {labels: true}}
experiments:
  ten: &linear
    title: Ten
    task: ten
    network: {kind: linear}
    sgd: {lr: 0.05, batch_size: 32, epochs: 2}
    explainers: [linear]
  mlp: {<<: *linear, title: MLP, network: {kind: mlp, widths: [8]}}
  two: {<<: *linear, task: two}
  three: {<<: *linear, task: three}
  momentum: {<<: *linear, sgd: {lr: 0.05, batch_size: 32, epochs: 2, momentum: 0.5}}
  decay: {<<: *linear, sgd: {lr: 0.05, batch_size: 32, epochs: 2, weight_decay: 0.5}}
  pretrained: {<<: *linear, pretraining: {lr: 0.05, batch_size: 32, epochs: 2}}
figures:
  modes: {kind: modes, experiment: ten, orders: [mlp, ten]}
"""


def load(**figure):
    config = yaml.safe_load(STUDY)
    config["figures"]["modes"] |= figure
    return study.load(config, "study.yaml")


@pytest.mark.parametrize(
    ("figure", "key", "kind", "holds"),
    [
        ({"experiment": "mlp"}, "experiment", "conflict", "'mlp' linear"),
        ({"experiment": "two"}, "experiment", "conflict", "'two' 2 3"),
        ({"experiment": "momentum"}, "experiment", "conflict", "'momentum' momentum"),
        ({"experiment": "decay"}, "experiment", "conflict", "'decay' weight_decay"),
        ({"experiment": "pretrained"}, "experiment", "conflict", "'pretrained' pretraining"),
        ({"orders": ["three"]}, "orders", "conflict", "'three' 'ten'"),
        ({"orders": ["mlp", "mlp"]}, "orders", "repeated", "'mlp'"),
        ({"orders": []}, "orders", "too_short", ""),
        ({"orders": ["tan"]}, "experiments", "unknown_name", "'tan' 'ten'"),
    ],
)
def test_a_figure_of_modes_that_the_theory_does_not_hold_for_is_one_line(figure, key, kind, holds):
    with pytest.raises(Misconfigured) as raised:
        load(**figure)
    assert_mistake(raised.value, f"figures.modes.{key}", kind, holds)


def test_the_stage_takes_its_config_of_experiments_with_modes_alone():
    of = load()
    assert of.with_modes() == ["ten", "three"]
    given = jobs.settings(of, "decompose", experiment="ten")
    assert given["seeds"] == [0, 1] and given["lr"] == 0.05
    assert parse_json(decompose.Config, hashing.canonical_json(given)).model_dump(mode="json") == given
    with refusal(Misused, "decompose", "'mlp' mlp"):
        jobs.settings(of, "decompose", experiment="mlp")


@pytest.mark.slow
def test_the_modes_of_a_linear_network_follow_its_training(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    options = {"configfiles": (tmp_path / "study.yaml",)}
    expected = {"prepare_data": 1, "train": 2, "decompose": 1}
    assert planned(tmp_path, "results/tiny/ten/class_modes.csv", **options) == expected


PER_EPOCH = 25


@pytest.fixture
def made(tmp_path):
    """Images of four classes, three seeds of a linear network's weights, and what the stage makes of them."""
    x, y = examples(n=800, d=4)
    images = (255 * (x - x.min()) / np.ptp(x)).astype(np.uint8).reshape(-1, 1, 2, 2)
    arrays = {"class_names": np.array(["0", "one", "two", "3"])}
    for part, n in (("train", 800), ("test", 100), ("fresh", 0), ("grid", 0)):
        arrays |= {f"{part}_inputs": images[:n], f"{part}_labels": y[:n]}
    npz.save(tmp_path / "data.npz", **arrays)
    steps = np.array([0, 5, 25, 100])
    of_task = tasks.test_digest(tasks.load(tmp_path / "data.npz", Task(dataset="d")))
    for seed in range(3):
        weights = np.random.default_rng(seed).standard_normal((4, C, 4)) / 10 + steps[:, None, None] / 100
        values = {"weights.1.weight": weights.astype(np.float32), "weights.1.bias": np.zeros((4, C), np.float32)}
        npz.save(tmp_path / f"t{seed}.npz", steps=steps, epochs=steps / PER_EPOCH, test_sha256=of_task, **values)
    run(tmp_path)
    return tmp_path


def run(folder, out=None, **changed):
    """The stage on these files; the folder of its products."""
    out = out or folder
    given = {"data": folder / "data.npz", "trajectories": [folder / f"t{seed}.npz" for seed in range(3)]}
    names = {"modes": "modes.csv", "class_modes": "class_modes.csv", "vectors": "modes.npz"}
    task = {"dataset": "d", "groups": None, "leave_out": []}
    cfg = {"wildcards": {}, "seeds": [0, 1, 2], "task": changed.pop("task", task), "lr": 0.1}
    config = parse(decompose.Config, cfg, "cfg")
    decompose.run(
        config, SimpleNamespace(**(given | changed)), SimpleNamespace(**{k: out / v for k, v in names.items()})
    )


def test_the_tables_have_every_mode_quantity_checkpoint_and_class(made):
    learned, of_class = dataframes.read(made / "modes.csv"), dataframes.read(made / "class_modes.csv")
    vectors = npz.load(made / "modes.npz", "s", "u", "v", "lambda")
    assert vectors["v"].shape == (3, 1, 2, 2) and vectors["u"].shape == (3, C)
    keys = ["mode", "quantity", "checkpoint"]
    assert len(learned) == 3 * 3 * 4 and not learned.duplicated(keys).any() and (learned["seeds"] == 3).all()
    start_of = learned[learned["checkpoint"] == 0].pivot(index="mode", columns="quantity", values="mean")
    np.testing.assert_allclose(start_of["decoupled"], start_of["observed"], rtol=1e-6)
    np.testing.assert_allclose(start_of["linear_theory"], start_of["observed"], rtol=1e-6)
    weights = np.stack([np.load(made / f"t{seed}.npz")["weights.1.weight"] for seed in range(3)])
    observed = np.einsum("mc,stcd,md->mst", vectors["u"], weights, vectors["v"].reshape(3, 4))
    told = learned[learned["quantity"] == "observed"].set_index(["mode", "checkpoint"])
    np.testing.assert_allclose(told["mean"], observed.mean(1).ravel(), rtol=1e-6)
    np.testing.assert_allclose(told["std"], observed.std(1, ddof=1).ravel(), rtol=1e-5)
    assert of_class["class"].astype(str).tolist() == ["0", "one", "two", "3"]
    data = np.load(made / "data.npz")
    moments = singular_modes.moments(data["train_inputs"], data["train_labels"], C)
    times, parts = singular_modes.learning_times(singular_modes.decompose(moments), moments.frequency)
    np.testing.assert_allclose(of_class["predicted_epoch"], times / 0.1 / PER_EPOCH)
    assert of_class["predicted_rank"].tolist() == (1 + np.argsort(np.argsort(times))).tolist()
    assert of_class["dominant_mode"].tolist() == (1 + parts.argmax(1)).tolist()


def test_the_same_inputs_give_the_same_bytes(made, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    run(made, again)
    for name in ("modes.csv", "class_modes.csv", "modes.npz"):
        assert (again / name).read_bytes() == (made / name).read_bytes()


def test_what_the_stage_cannot_use_is_one_line_and_leaves_nothing(made, tmp_path):
    arrays = dict(np.load(made / "t1.npz"))
    bare = {name: values for name, values in arrays.items() if not name.startswith("weights")}
    later = arrays | {"steps": arrays["steps"] * 2}
    wide = arrays | {"weights.1.weight": np.zeros((4, C, 9), np.float32)}
    two = {"dataset": "d", "groups": {"a": [0, 1], "b": [2, 3]}, "leave_out": []}
    (tmp_path / "out").mkdir()
    for name, other, kind, holds in (
        ("bare", bare, Damaged, "'weights.1.weight' steps epochs test_sha256"),
        ("later", later, Foreign, f"{made / 't0.npz'}"),
        ("wide", wide, Foreign, "[4, 4, 9] [4, 4, 4]"),
    ):
        npz.save(tmp_path / f"{name}.npz", **other)
        given = [made / "t0.npz", tmp_path / f"{name}.npz", made / "t2.npz"]
        with refusal(kind, tmp_path / f"{name}.npz", holds):
            run(made, tmp_path / "out", trajectories=given)
    with refusal(Unfit, made / "data.npz", "2 3"):
        run(made, tmp_path / "out", task=two)
    with refusal(Misused, "--trajectories", "3 1"):
        run(made, tmp_path / "out", trajectories=[made / "t0.npz"])
    assert not list((tmp_path / "out").iterdir())


def order(folder, name, epochs):
    """An order.csv: epochs [seeds, C]."""
    rows = [
        {"class": label, "seed": seed, "checkpoint": 1, "step": 1, "epoch": epoch, "final": 0.2}
        for seed, each in enumerate(epochs)
        for label, epoch in zip(["0", "one", "two", "3"], each, strict=True)
    ]
    dataframes.write(folder / name, pd.DataFrame(rows).sort_values("class"))
    return folder / name


def drawn(folder, orders):
    settings = {"kind": "modes", "experiment": "ten", "orders": [f"e{k}" for k in range(len(orders))]}
    names = ["ten", *settings["orders"]]
    given = {
        "class_modes": ["class_modes.csv"],
        "modes": ["modes.csv"],
        "orders": [str(path) for path in orders],
        "vectors": ["modes.npz"],
    }
    cfg = {"wildcards": {}, "settings": settings, "inputs": given, "shown": {"titles": {name: name for name in names}}}
    inputs = SimpleNamespace(inputs=[folder / path for paths in given.values() for path in paths])
    outputs = SimpleNamespace(**{name: folder / f"f.{name}" for name in ("pdf", "png", "svg")}, key="0" * 16)
    outputs.points = folder / "points.csv"
    plot.run(parse(plot.Config, cfg, "cfg"), inputs, outputs)
    return pd.read_csv(outputs.points)


def test_the_points_hold_the_strengths_the_learning_epochs_and_the_rank_correlation(made):
    epochs = np.array([[3, 1, 2, 4], [2, 1, 2, 5.0], [2, 0, 1, np.nan]])
    points = drawn(made, [order(made, "a.csv", epochs), order(made, "b.csv", np.zeros((3, C)))])
    learned = pd.read_csv(made / "modes.csv")
    shown = points[points["mode"].notna()].merge(learned, on=["mode", "quantity", "checkpoint"], suffixes=("", "_told"))
    assert len(shown) == len(learned) and set(shown["panel"]) == {"ten"}
    np.testing.assert_array_equal(shown[["x", "y"]], shown[["epoch", "mean"]])
    predicted = pd.read_csv(made / "class_modes.csv")["predicted_epoch"].to_numpy()
    of = points[(points["panel"] == "e0") & (points["series"] == "learned")]
    assert of["class"].tolist() == ["0", "one", "two", "3"]
    np.testing.assert_array_equal(of["x"], predicted)
    np.testing.assert_allclose(of["y"], [7 / 3, 2 / 3, 5 / 3, 4.5])
    (rho,) = points[points["series"] == "rank correlation with e0"].to_dict("records")
    expected = singular_modes.rank_correlation(predicted, epochs)
    assert [rho[name] for name in ("y", "lo", "hi", "p")] == pytest.approx(
        [expected[k] for k in ("rho", "lo", "hi", "p")]
    )
    (none,) = points[points["series"] == "rank correlation with e1"].to_dict("records")
    assert np.isnan(none["y"]), "all classes are tied"


def test_inputs_that_are_no_images_have_no_images_of_modes(made):
    vectors = dict(np.load(made / "modes.npz"))
    npz.save(made / "modes.npz", **(vectors | {"v": vectors["v"].reshape(3, 4)}))
    points = drawn(made, [order(made, "a.csv", np.array([[2.0, 1, np.nan, 3]]))])
    assert points.loc[points["series"] == "learned", "y"].isna().tolist() == [False, False, True, False]


def test_an_order_of_other_classes_is_one_line(made):
    path = order(made, "a.csv", np.ones((1, C)))
    path.write_text(path.read_text().replace("one", "won"))
    with refusal(Damaged, path, "0 one"):
        drawn(made, [path])
