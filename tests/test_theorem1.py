"""Theorem 1: the simulation against brute force, enumeration and the closed form of its limit; its table and figure."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from tests.refusals import assert_mistake
from workflow_scripts import plot, simulate
from workflow_scripts.config.base import parse
from workflow_scripts.config.errors import Misconfigured
from workflow_scripts.config.simulations import Simulation
from workflow_scripts.data.datasets.theorem1 import Samples, dense, draw
from workflow_scripts.files import dataframes
from workflow_scripts.measures import theorem1

LR = 0.07


def settings(*each):
    """noise, first, others of several settings."""
    return tuple(np.array(column, float) for column in zip(*each, strict=True))


def enumerated(w, noise):
    """P[sign <w, x> = y] by its definition: over all y, eta and k; a tie counts one half."""
    found = 0.0
    for y, eta, k in itertools.product((-1, 1), (-1, 1), range(1, len(w))):
        x = np.zeros(len(w))
        x[0], x[k] = eta * y, 1
        right = {0: 0.5, y: 1.0}.get(int(np.sign(w @ x)), 0.0)
        found += right * 0.5 * (noise if eta == -1 else 1 - noise) / (len(w) - 1)
    return found


def brute_force(samples, dimension, of, epochs, rng, steps):
    """Dense SGD of each repetition and setting on the same draws: w at each of these steps, [T, R, S, d]."""
    repetitions, n = samples.k.shape
    noise, first, others = of
    signs = rng.choice([-1.0, 1.0], (repetitions, n))
    examples = np.arange(repetitions * n).reshape(repetitions, n)
    orders = np.concatenate([rng.permuted(examples, axis=1) for _ in range(epochs)], axis=1) % n
    found = np.empty((len(steps), repetitions, len(noise), dimension))
    for r, s in itertools.product(range(repetitions), range(len(noise))):
        x = dense(Samples(samples.k[r], samples.eta[r, :, s], samples.y[r]), dimension).astype(float)
        w = np.resize([others[s], -others[s]], dimension)
        for k, sign in zip(samples.k[r][::-1], signs[r][::-1], strict=True):
            w[k] = sign * others[s]  # the first example with this k decides
        w[0] = first[s]
        found[steps == 0, r, s] = w
        for step, i in enumerate(orders[r], start=1):
            y = samples.y[r, i]
            w += 2 * LR * (1 - y * (w @ x[i])) * y * x[i]
            found[steps == step, r, s] = w
    return found


# d = 12 with 9 examples: many repeated k, some with contradicting labels
@pytest.mark.parametrize(("dimension", "n"), [(12, 9), (200, 10)])
def test_the_sparse_simulation_is_dense_sgd_with_its_population_accuracy_by_the_definition(dimension, n):
    of = settings((0.1, 0, 0), (0.3, 1, 0), (0.3, -4, 0.2), (0.0, 0, 0.7), (0.5, -2, 0.5))
    rng = np.random.default_rng(5)
    samples = draw(rng, (4, n), dimension, of[0])
    if dimension == 12:
        assert any(len(set(k)) < n for k in samples.k)
    state = rng.bit_generator.state
    steps, found = theorem1.simulate(samples, dimension, *of, LR, 6, rng)
    assert steps[0] == 0 and steps[-1] == 6 * n and (np.diff(steps) > 0).all()
    rng.bit_generator.state = state
    w = brute_force(samples, dimension, of, 6, rng, steps)
    np.testing.assert_allclose(found["first_weight"], w[..., 0], rtol=0, atol=1e-12)
    for t, r, s in itertools.product(range(0, len(steps), 5), range(4), range(len(of[0]))):
        assert found["population_accuracy"][t, r, s] == pytest.approx(enumerated(w[t, r, s], of[0][s]), abs=1e-12)
        x = dense(Samples(samples.k[r], samples.eta[r, :, s], samples.y[r]), dimension).astype(float)
        margins = samples.y[r] * (x @ w[t, r, s])
        expected = np.mean((margins > 0) + 0.5 * (margins == 0))
        assert found["train_accuracy"][t, r, s] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.5])
@pytest.mark.parametrize(
    ("w1", "own", "others"), [(0, [0, 0], 0), (1, [1, -1], 1), (-1, [0.5, 2], 1), (0, [0, 3], 0.5)]
)
def test_population_accuracy_counts_a_tie_as_one_half(w1, own, others, noise):
    w = np.array([w1, *own, others, -others, others], float)
    found = theorem1.population_accuracy(
        np.array([[w1]], float), np.array(own, float)[:, None], np.array([0, 1]), noise, np.array([others]), len(w)
    )
    assert found.item() == pytest.approx(enumerated(w, noise), abs=1e-15)


def test_sgd_ends_at_the_interpolating_solution_nearest_to_its_start():
    of = settings((0.1, 0, 0), (0.3, 1, 0.5), (0.3, -30, 0), (0.0, 0, 2), (0.5, 2, 0.3))
    noise, first, others = of
    n, dimension, repetitions = 12, 10**6, 5
    rng = np.random.default_rng(0)
    samples = draw(rng, (repetitions, n), dimension, noise)
    assert all(len(set(k)) == n for k in samples.k)
    state = rng.bit_generator.state
    _, found = theorem1.simulate(samples, dimension, *of, 0.2, 400, rng)
    rng.bit_generator.state = state
    signs = rng.choice([-1.0, 1.0], (repetitions, n))
    start = samples.eta * (samples.y * signs)[..., None] * others
    limit = (first + samples.eta.sum(1) - start.sum(1)) / (1 + n)
    np.testing.assert_allclose(found["first_weight"][-1], limit, rtol=0, atol=1e-9)
    assert (found["train_accuracy"][-1] == 1).all()


def test_the_closed_form_of_the_limit_is_the_least_displacement_that_interpolates():
    rng = np.random.default_rng(1)
    samples = draw(rng, 8, 40, 0.3)
    assert len(set(samples.k)) == 8
    z, w0 = dense(samples, 40) * samples.y[:, None], rng.standard_normal(40)
    limit = w0 + np.linalg.pinv(z) @ (1 - z @ w0)
    signal = samples.eta * samples.y * w0[samples.k]
    assert limit[0] == pytest.approx((w0[0] + samples.eta.sum() - signal.sum()) / 9)
    np.testing.assert_allclose(limit[samples.k], samples.y * (1 - samples.eta * limit[0]))


def test_inside_the_condition_the_population_accuracy_ends_at_1_less_p_and_outside_elsewhere():
    of = settings((0.1, 0, 0), (0.1, -5, 0.4), (0.3, 1, 0), (0.1, 0, 1.2), (0.1, -(100**1.5), 0))
    noise, first, others = of
    rng = np.random.default_rng(0)
    samples = draw(rng, (20, 100), 10**6, noise)
    _, found = theorem1.simulate(samples, 10**6, *of, 0.1, 60, rng)
    inside = theorem1.inside(noise, first, others, 100)
    assert inside.tolist() == [True, True, True, False, False]
    assert (found["train_accuracy"][-1] == 1).mean() > 0.95
    end = np.median(found["population_accuracy"][-1], axis=0)
    np.testing.assert_allclose(end, [0.9, 0.9, 0.7, 0.5, 0.1], atol=1e-3)


def test_the_condition_is_strict_in_the_other_weights_and_not_in_the_first():
    n = 50
    inside = theorem1.inside(0.25, np.array([-(n**0.99), -(n**0.999), 0, 0]), np.array([0, 0, 0.5, 0.4999]), n)
    assert inside.tolist() == [True, False, False, True]
    assert not theorem1.inside(0.5, 0.0, 0.0, n), "no weight is below 1 - 2p = 0"


def test_samples_have_their_distribution_and_several_noise_levels_the_same_uniform_numbers():
    samples = draw(np.random.default_rng(0), 20_000, 5, np.array([0.1, 0.3, 0.0, 0.5]))
    assert samples.eta.shape == (20_000, 4)
    np.testing.assert_allclose((samples.eta == -1).mean(0), [0.1, 0.3, 0, 0.5], atol=0.015)
    assert ((samples.eta[:, 0] == -1) <= (samples.eta[:, 1] == -1)).all()
    np.testing.assert_allclose(np.bincount(samples.k, minlength=5) / 20_000, [0, 0.25, 0.25, 0.25, 0.25], atol=0.015)
    assert abs(samples.y.mean()) < 0.03 and abs((samples.y * samples.eta[:, 3]).mean()) < 0.03


SMALL = {
    "dimension": 400,
    "examples": 10,
    "noise": [0.3, 0.1],
    "inits": {"zero": {}, "far": {"first": -2, "first_power": 1.5}},
    "epochs": 3,
    "repetitions": 6,
}


def simulation(**changed):
    return parse(Simulation, SMALL | changed, "study.yaml")


def test_the_table_has_a_row_for_each_noise_init_step_and_quantity_with_intervals_over_repetitions():
    table = simulate.simulation(simulation())
    keys = ["noise", "init", "step", "quantity"]
    assert not table.duplicated(keys).any()
    assert list(table["noise"].unique()) == [0.3, 0.1] and list(table["init"].unique()) == ["zero", "far"]
    assert (table["repetitions"] == 6).all()
    assert ((table["init"] == "zero") == (table["inside"] == 1)).all()
    start = table[table["step"] == 0].set_index(["noise", "init", "quantity"])
    assert start.loc[(0.1, "far", "first_weight"), "mean"] == pytest.approx(-2 * 10**1.5)
    assert start.loc[(0.3, "zero", "population_accuracy"), "mean"] == 0.5
    assert start.loc[(0.3, "far", "population_accuracy"), "mean"] == 0.3
    assert table["step"].max() == 30
    spread = table[table["std"] > 0]
    half = student_t.ppf(0.975, 5) * spread["std"] / np.sqrt(6)
    np.testing.assert_allclose(spread["hi"] - spread["mean"], half, rtol=1e-7, atol=1e-15)
    assert (table["min"] <= table["mean"] + 1e-12).all() and (table["mean"] <= table["max"] + 1e-12).all()


def test_the_same_seed_gives_the_same_bytes_and_a_setting_does_not_depend_on_the_others(tmp_path):
    for name in ("a.csv", "b.csv"):
        config = simulate.Config(wildcards={"simulation": "s"}, settings=simulation())
        simulate.run(config, None, SimpleNamespace(table=tmp_path / name))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    table, alone = simulate.simulation(simulation()), simulate.simulation(simulation(noise=[0.1], inits={"zero": {}}))
    same = table[(table["noise"] == 0.1) & (table["init"] == "zero")].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, alone, check_exact=True)
    other = simulate.simulation(simulation(seed=1))
    assert not other["mean"].equals(table["mean"])


def test_one_repetition_has_no_interval():
    table = simulate.simulation(simulation(repetitions=1))
    assert table[["std", "lo", "hi"]].isna().all(axis=None) and table["mean"].notna().all()


@pytest.mark.parametrize(
    ("changed", "key", "kind", "holds"),
    [
        ({"noise": [0.6]}, "noise[0]", "less_than_equal", "0.5 0.6"),
        ({"noise": [0.1, 0.1]}, "noise", "repeated", ""),
        ({"noise": []}, "noise", "too_short", ""),
        ({"inits": {}}, "inits", "too_short", ""),
        ({"inits": {"1": {}}}, "inits.1", "string_pattern_mismatch", "'1'"),
        ({"inits": {"a": {"others": -1}}}, "inits.a.others", "greater_than_equal", "0 -1"),
        ({"inits": {"a": {"frist": -1}}}, "inits.a", "unknown_key", "'frist' 'first'"),
        ({"lr": 0.5}, "lr", "less_than", "0.5"),
        ({"repetitions": 10**6}, "", "too_many", "repetitions examples noise inits 20000000"),
    ],
)
def test_a_mistake_in_a_simulation_is_one_line(changed, key, kind, holds):
    with pytest.raises(Misconfigured) as raised:
        simulation(**changed)
    assert_mistake(raised.value, key, kind, holds)


def test_the_figure_holds_every_mean_of_both_accuracies_and_the_level_1_less_p(tmp_path):
    dataframes.write(tmp_path / "s.csv", simulate.simulation(simulation()))
    figure = {"settings": {"kind": "theorem1", "simulation": "s"}, "inputs": {"simulations": ["s.csv"]}, "shown": {}}
    config = parse(plot.Config, {"wildcards": {"figure": "f"}, **figure}, "cfg")
    outputs = SimpleNamespace(**{name: tmp_path / f"f.{name}" for name in ("pdf", "png", "svg")}, key="0" * 16)
    outputs.points = tmp_path / "points.csv"
    plot.run(config, SimpleNamespace(inputs=[tmp_path / "s.csv"]), outputs)
    points, table = pd.read_csv(outputs.points), pd.read_csv(tmp_path / "s.csv")
    level = points[points["x"].isna()]
    assert dict(zip(level["noise"], level["y"], strict=True)) == {0.3: 0.7, 0.1: 0.9}
    keys = ["noise", "init", "step", "quantity"]
    drawn = points[points["x"].notna()].merge(table, on=keys, suffixes=("", "_told"))
    assert len(drawn) == (table["quantity"] != "first_weight").sum() == len(points) - 2
    for point, told in (("x", "step"), ("y", "mean"), ("std", "std_told"), ("lo", "lo_told"), ("hi", "hi_told")):
        np.testing.assert_array_equal(drawn[point], drawn[told])
