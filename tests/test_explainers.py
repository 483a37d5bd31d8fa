"""The explainers that scikit-learn fits: what each family can and can't tell, and that its bits are fixed."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_info

from tests.refusals import refusal
from workflow_scripts.config import kinds
from workflow_scripts.config.base import parse
from workflow_scripts.config.errors import Unfit
from workflow_scripts.config.explainers import Explainer
from workflow_scripts.data.tasks import TaskData
from workflow_scripts.explainers import _scikit
from workflow_scripts.explainers._solver import Problem
from workflow_scripts.explainers.logistic import MAX_TERMS

FITS = {
    "linear": {"solver": "logistic"},
    "components": {"solver": "logistic", "components": 3},
    "quadratic": {"solver": "logistic", "components": 3, "degree": 2},
    "tree": {"solver": "tree", "max_depth": 5},
    "neighbours": {"solver": "nearest_neighbours", "neighbours": 3},
}
EACH_FIT = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


def fitted(x, y, fit, **predicted):
    settings = parse(Explainer, {"labels": "true", "fit": fit}, "study.yaml")
    inputs = {"train": x, "test": x[:0], "fresh": x[:0], "grid": x[:0], **predicted}
    data = TaskData(inputs, {"train": y}, int(max(y)) + 1)
    problem = Problem(data, settings.network, "cpu", "fp32", None)
    return kinds.of("explainers", settings.fit.solver).fit(settings.fit, problem)


def accuracy(fit, rule, scale=1.0, n=600):
    """On new inputs of a rule of four normal features."""
    x = np.random.default_rng(0).standard_normal((2 * n, 4)).astype(np.float32) * np.float32(scale)
    y = rule(x).astype(int)
    return np.mean(fitted(x[:n], y[:n], fit, test=x[n:])["test_predictions"] == y[n:])


def test_plain_logistic_regression_is_scikit_learns_to_the_last_bit():
    images, y = load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8).astype(np.uint8)
    found = fitted(images[:500], y[:500], {"solver": "logistic", "C": 0.5, "max_iterations": 2000}, test=images[500:])
    direct = LogisticRegression(C=0.5, max_iter=2000).fit(images[:500].reshape(500, -1) / np.float64(255), y[:500])
    assert found["coefficients"].tobytes() == direct.coef_.tobytes()
    assert found["intercepts"].tobytes() == direct.intercept_.tobytes()
    np.testing.assert_array_equal(found["test_predictions"], direct.predict(images[500:].reshape(-1, 64) / 255.0))
    known = {"fit_predictions", "test_predictions", "grid_predictions", "coefficients", "intercepts", "iterations"}
    assert set(found) == known


def test_logistic_regression_minimises_its_own_objective():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((200, 3)), rng.integers(2, size=200)
    found = fitted(x, y, {"solver": "logistic", "C": 0.7}, test=x[:5])
    w, b = found["coefficients"][0], found["intercepts"][0]
    residual = 1 / (1 + np.exp(-(x @ w + b))) - y
    np.testing.assert_allclose(0.7 * residual @ x + w, 0, atol=0.02)
    np.testing.assert_allclose(0.7 * residual.sum(), 0, atol=0.02)
    np.testing.assert_array_equal(found["test_predictions"], (x[:5] @ w + b > 0))
    assert found["grid_predictions"].dtype == np.uint8 and found["grid_predictions"].shape == (0,)


def test_a_quadratic_model_learns_the_sign_of_a_product_which_no_linear_one_does():
    def product(x):
        return x[:, 0] * x[:, 1] > 0

    assert accuracy({"solver": "logistic", "degree": 2}, product) > 0.95
    assert accuracy({"solver": "logistic"}, product) < 0.6


def test_a_quadratic_model_learns_a_circle():
    assert accuracy({"solver": "logistic", "degree": 2}, lambda x: (x**2).sum(1) > 3) > 0.95


def test_components_hide_a_direction_of_low_variance():
    scale, rule = [1, 1, 1, 0.1], (lambda x: x[:, 3] > 0)
    assert accuracy({"solver": "logistic", "components": 3}, rule, scale) < 0.6
    assert accuracy({"solver": "logistic", "components": 4}, rule, scale) > 0.95


def test_with_all_components_a_linear_model_is_the_one_without():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((300, 4)) @ rng.standard_normal((4, 4)) + 1
    y = (x[:, 0] + rng.standard_normal(300) > 1).astype(int)
    plain, turned = (fitted(x, y, {"solver": "logistic"} | more) for more in ({}, {"components": 4}))
    np.testing.assert_allclose(turned["coefficients"] @ turned["components"], plain["coefficients"], atol=5e-3)


def test_what_is_stored_of_a_quadratic_model_makes_its_predictions():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((200, 5)), rng.integers(3, size=200)
    found = fitted(x, y, FITS["quadratic"])
    z = (x - found["mean"]) @ found["components"].T
    np.testing.assert_allclose(z.var(0, ddof=1), found["explained_variance"])
    terms = np.hstack([z, np.stack([z[:, i] * z[:, j] for i in range(3) for j in range(i, 3)], 1)])
    scores = (terms - found["term_means"]) / found["term_scales"] @ found["coefficients"].T + found["intercepts"]
    np.testing.assert_array_equal(scores.argmax(1), found["fit_predictions"])


def test_a_tree_learns_a_rule_along_the_axes_if_it_may_be_deep_enough():
    def corner(x):
        return (x[:, 1] > 0) & (x[:, 2] > 0.5)

    assert accuracy({"solver": "tree", "max_depth": 2}, corner) > 0.97
    assert accuracy({"solver": "tree", "max_depth": 1}, corner) < 0.9
    assert accuracy({"solver": "tree", "max_depth": 2, "min_leaf": 300}, corner) < 0.9


def test_depth_and_leaves_of_a_tree_are_told():
    x = np.arange(8)[:, None].astype(np.float32)
    found = fitted(x, np.arange(8) % 2, {"solver": "tree", "max_depth": 9})
    assert found["leaves"] == 8 and 3 <= found["depth"] <= 7
    np.testing.assert_array_equal(found["fit_predictions"], np.arange(8) % 2)


def test_one_neighbour_learns_by_heart():
    rng = np.random.default_rng(4)
    x, y = rng.integers(256, size=(300, 1, 6, 6), dtype=np.uint8), rng.integers(10, size=300)
    found = fitted(x, y, {"solver": "nearest_neighbours", "neighbours": 1}, test=x[::-1])
    np.testing.assert_array_equal(found["test_predictions"], y[::-1])
    assert set(found) == {"test_predictions", "grid_predictions"}


def test_the_nearest_neighbours_are_those_that_all_distances_give():
    images, y = load_digits(return_X_y=True)
    images = images.astype(np.uint8)
    found = fitted(images[:700], y[:700], FITS["neighbours"], test=images[700:])
    squared = ((images[700:, None].astype(int) - images[None, :700]) ** 2).sum(2)
    nearest = np.argsort(squared, axis=1, kind="stable")[:, :3]
    votes = np.stack([(y[nearest] == group).sum(1) for group in range(10)], 1)
    np.testing.assert_array_equal(found["test_predictions"], votes.argmax(1))


def test_of_equally_distant_neighbours_the_first_counts_and_of_equal_votes_the_lowest():
    x = np.array([[0, 3], [0, 3], [4, 3], [4, 3]], np.uint8)
    one = fitted(x, np.array([1, 0, 0, 1]), {"solver": "nearest_neighbours", "neighbours": 1}, test=x)
    assert one["test_predictions"].tolist() == [1, 1, 0, 0]
    two = fitted(x, np.array([2, 1, 1, 2]), {"solver": "nearest_neighbours", "neighbours": 2}, test=x)
    assert two["test_predictions"].tolist() == [1, 1, 1, 1]


@EACH_FIT
def test_ten_classes_are_told_apart(fit):
    images, y = load_digits(return_X_y=True)
    found = fitted(images[:1200].astype(np.float32), y[:1200], fit, test=images[1200:].astype(np.float32))
    assert np.mean(found["test_predictions"] == y[1200:]) > 0.55
    assert found["test_predictions"].dtype == np.uint8 and set(found["test_predictions"]) == set(range(10))


@EACH_FIT
def test_labels_of_one_class_give_the_constant_function(fit):
    x = np.random.default_rng(0).standard_normal((20, 4))
    found = fitted(x, np.ones(20, int), fit, test=x[:4])
    assert found["test_predictions"].tolist() == [1, 1, 1, 1] and found["grid_predictions"].shape == (0,)


@EACH_FIT
def test_the_same_is_fitted_twice_to_the_last_bit(fit):
    images, y = load_digits(return_X_y=True)
    one, two = (fitted(images[:300].astype(np.float32), y[:300], fit, test=images[300:]) for _ in range(2))
    assert one.keys() == two.keys()
    assert all(np.asarray(one[key]).tobytes() == np.asarray(two[key]).tobytes() for key in one)


def test_images_count_as_zero_to_one():
    images = np.array([[[0, 255]], [[51, 102]]], dtype=np.uint8)
    np.testing.assert_allclose(_scikit.zero_to_one(images), [[0, 1], [0.2, 0.4]])


def test_every_library_has_one_thread_while_a_model_is_fitted(monkeypatch):
    seen = []
    for method in ("fit", "predict"):
        own = getattr(DecisionTreeClassifier, method)

        def watched(model, *given, own=own):
            seen.append(threadpool_info())
            return own(model, *given)

        monkeypatch.setattr(DecisionTreeClassifier, method, watched)
    fitted(np.zeros((4, 1)), np.arange(4), FITS["tree"])
    assert len(seen) == 2
    assert all(len(pools) > 1 and {pool["num_threads"] for pool in pools} == {1} for pools in seen)


@pytest.mark.parametrize(
    ("fit", "key", "holds"),
    [
        ({"solver": "logistic", "components": 5}, "components", "5 4 20"),
        ({"solver": "nearest_neighbours", "neighbours": 21}, "neighbours", "21 20"),
        ({"solver": "tree", "max_depth": 1, "min_leaf": 21}, "min_leaf", "21 20"),
    ],
)
def test_what_so_few_inputs_or_features_cannot_give_is_refused(fit, key, holds):
    x = np.random.default_rng(0).standard_normal((20, 4))
    with refusal(Unfit, f"fit.{key}", holds):
        fitted(x, np.arange(20) % 2, fit)


def test_as_many_components_as_inputs_are_refused():
    with refusal(Unfit, "fit.components", "3 2 9"):
        fitted(np.eye(3, 9), np.arange(3) % 2, {"solver": "logistic", "components": 3})


def test_products_of_too_many_features_are_refused_before_any_is_made():
    images = np.zeros((10, 1, 28, 28), np.uint8)
    with refusal(Unfit, "fit.degree", f"2 308504 784 {MAX_TERMS} components"):
        fitted(images, np.arange(10), {"solver": "logistic", "degree": 2})
