"""What each class contributes, when it is learned, and what seeds have in common through the test set."""

import numpy as np
import pandas as pd
import pytest

from tests import joint_counts
from workflow_scripts.config.tasks import Task
from workflow_scripts.files import npz
from workflow_scripts.measures import corrections, information, intervals, per_class
from workflow_scripts.measures.comparison import Comparison

NAMES = ["zero", "1", "two"]


def simulated(checkpoints: int, examples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of a network [T, N] and of an explainer [N] that get better, and labels [N] of three classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(examples) % 3
    known = rng.random((checkpoints, examples)) < np.linspace(0.1, 0.9, checkpoints)[:, None]
    f = np.where(known, y, rng.integers(3, size=(checkpoints, examples)))
    return f.astype(np.uint8), np.where(rng.random(examples) < 0.7, y, 0).astype(np.uint8), y


def measured(f: np.ndarray, l: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    index = pd.DataFrame({"explainer": "linear", "checkpoint": range(len(f)), "step": 0, "epoch": np.arange(len(f))})
    return per_class.table(information.joint_counts(f, l, y, 3), index, NAMES)


def test_parts_of_the_classes_add_up_to_every_quantity_and_to_its_corrected_value():
    f, l, y = simulated(4, 500)
    table, counts = measured(f, l, y), information.joint_counts(f, l, y, 3)
    sums = table.groupby("checkpoint").sum(numeric_only=True)
    best = corrections.corrected(counts)
    for name, whole in information.measures(counts).items():
        if name != "accuracy":
            np.testing.assert_allclose(sums[name], whole, atol=1e-12)
            np.testing.assert_allclose(sums[f"{name}_corrected"], best[name], atol=1e-12)
    np.testing.assert_array_equal(sums["n"], 500)
    assert table["class"].tolist() == NAMES * 4


@pytest.mark.parametrize("kind", joint_counts.KINDS)
def test_parts_add_up_and_have_intervals_for_any_table(kind):
    counts = joint_counts.table(kind)
    parts, whole, best = per_class.parts(counts), information.measures(counts), corrections.corrected(counts)
    for name in information.TERMS:
        assert parts[name].sum(-1) == pytest.approx(whole[name], abs=1e-12)
        assert parts[f"{name}_corrected"].sum(-1) == pytest.approx(best[name], abs=1e-12)
        assert (parts[f"{name}_lo"] < parts[f"{name}_hi"]).all()


def test_parts_are_the_sum_of_equation_4_of_s23():
    f, l, y = simulated(1, 300)
    p = information.joint_counts(f[0], l, y, 3) / 300
    part = np.zeros(3)
    for a, b, c in np.argwhere(p):
        given_l = p[:, b, :].sum()
        fy, f_alone, y_alone = p[a, b, c] / given_l, p[a, b].sum() / given_l, p[:, b, c].sum() / given_l
        part[c] += p[a, b, c] * np.log2(fy / (f_alone * y_alone))
    np.testing.assert_allclose(measured(f, l, y)["I_FY_given_L"], part, atol=1e-12)


def test_accuracy_of_a_class_is_that_of_its_examples():
    f, l, y = simulated(2, 90)
    table = measured(f, l, y)
    for (at, name), row in table.groupby(["checkpoint", "class"]):
        of_class = y == NAMES.index(name)
        assert row["accuracy"].item() == pytest.approx(np.mean(f[at][of_class] == y[of_class]))


def order_of(parts: dict[str, list[float]], lo: dict[str, float]) -> pd.DataFrame:
    """Tables as per_class.table makes them, of one seed, with these values of I(F_t;Y=y)."""
    rows = [
        {"class": name, "checkpoint": at, "step": 10 * at, "epoch": at / 2, "I_FY": value, "I_FY_lo": lo[name]}
        for name, values in parts.items()
        for at, value in enumerate(values)
    ]
    return pd.DataFrame(rows).sort_values("checkpoint", kind="stable")


def test_a_class_is_learned_at_the_first_half_of_its_end_and_not_at_all_if_its_end_may_be_0():
    lo = dict.fromkeys(NAMES, 0.01) | {"two": 0.0}
    one = order_of({"zero": [0.0, 0.1, 0.05, 0.2], "1": [0.0, 0.1, 0.15, 0.3], "two": [0.0, 0.1, 0.0, 0.01]}, lo)
    two = order_of({"zero": [0.0, 0.0, 0.0, 0.2], "1": [0.3, 0.3, 0.3, 0.3], "two": [0.0, 0.1, 0.0, 0.01]}, lo)
    found = per_class.learning_times([one, two], [4, 7])
    assert found["class"].tolist() == ["zero", "zero", "1", "1", "two", "two"]
    assert found["seed"].tolist() == [4, 7] * 3
    np.testing.assert_array_equal(found["checkpoint"], [1, 3, 2, 0, np.nan, np.nan])
    np.testing.assert_array_equal(found["epoch"], [0.5, 1.5, 1.0, 0.0, np.nan, np.nan])
    order = per_class.mean_learning_times(found)
    assert order["class"].tolist() == NAMES and order["seeds"].tolist() == [2, 2, 0]
    np.testing.assert_array_equal(order["rank"], [2, 1, np.nan])
    np.testing.assert_allclose(order["final"], [0.2, 0.3, 0.01])
    assert order["lo"][0] < 0.5 and order["hi"][0] > 1.5 and np.isnan(order["lo"][2])


@pytest.mark.parametrize("name", per_class.QUANTITIES)
def test_class_influences_are_the_derivatives_of_the_parts(name):
    f, l, y = simulated(1, 400, seed=3)
    counts = information.joint_counts(f[0], l, y, 3).astype(float) + 2
    own, others = per_class.class_influence(counts, name)

    def parts(given: np.ndarray) -> np.ndarray:
        if name == "accuracy":
            return np.diagonal(given.sum(1)) / given.sum((0, 1))
        p = given / given.sum()
        return (p * intervals.influence(given)[name]).sum((0, 1))

    step = 1e-6
    for cell in [(0, 0, 0), (1, 0, 2), (2, 2, 1), (1, 1, 1)]:
        moved = counts * (1 - step)
        moved[cell] += step * counts.sum()
        slope = (parts(moved) - parts(counts)) / step
        found = others[cell[0], cell[1]].copy()
        found[cell[2]] += own[cell]
        mean = (counts / counts.sum() * own).sum((0, 1)) + (counts.sum(-1, keepdims=True) / counts.sum() * others).sum(
            (0, 1)
        )
        np.testing.assert_allclose(found - mean, slope, rtol=1e-3, atol=1e-4)


def test_variance_in_common_is_that_of_examples_seed_by_seed():
    f, l, y = simulated(3, 200)
    g, _, _ = simulated(3, 200, seed=9)
    g = np.where(np.arange(200) % 2, f, g)
    seeds = [Comparison.of(predicted, l, y, 3) for predicted in (f, g)]
    found = per_class.shared_variances(seeds)
    assert set(found) == set(per_class.QUANTITIES) and found["mu"].shape == (3, 3)
    t, c = 1, 2
    by_example = []
    for compared in seeds:
        own, others = per_class.class_influence(compared.counts, "mu")
        a = compared.f[t]
        by_example.append(others[t, a, l, c] + np.where(y == c, own[t, a, l, c], 0))
    covariance = np.cov(by_example, ddof=0)[0, 1] / 200
    assert found["mu"][t, c] == pytest.approx(max(covariance, 0), rel=1e-9)


@pytest.mark.parametrize(("groups", "names"), [(None, ["a", "7"]), ({"x": [1], "y": [0]}, ["x", "y"])])
def test_names_are_those_of_the_groups_or_of_the_data(groups, names, tmp_path):
    npz.save(tmp_path / "data.npz", class_names=np.array(["a", "7"]))
    assert per_class.class_names(tmp_path / "data.npz", Task(dataset="d", groups=groups)) == names
