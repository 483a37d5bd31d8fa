from types import SimpleNamespace

import numpy as np
import pytest

from workflow_scripts import distill, files
from workflow_scripts.config.data import Task
from workflow_scripts.config.explainers import Logistic
from workflow_scripts.errors import StudyError

FIT = Logistic(solver="logistic")


@pytest.fixture
def problem(tmp_path):
    """A linear task of two classes with its data file, and the inputs of a distillation."""
    rng = np.random.default_rng(0)
    arrays = {"class_names": np.array(["no", "yes"])}
    for part, n in (("train", 400), ("test", 300), ("fresh", 200), ("grid", 9)):
        x = rng.standard_normal((n, 4)).astype(np.float32)
        arrays |= {f"{part}_inputs": x, f"{part}_labels": (x[:, 0] + 0.5 * x[:, 1] > 0).astype(np.int64)}
    files.save_arrays(tmp_path / "data.npz", **arrays)
    empty = dict.fromkeys(("final_labels", "trajectory", "reference"))
    return SimpleNamespace(arrays=arrays, inputs=SimpleNamespace(data=tmp_path / "data.npz", **empty), folder=tmp_path)


def distilled(problem, **settings):
    config = distill.Config.model_validate(
        {
            "wildcards": {"explainer": "x"},
            "settings": settings,
            "task": Task(dataset="d").model_dump(),
            "device": "cpu",
        }
    )
    outputs = SimpleNamespace(explainer=problem.folder / "x.npz")
    distill.run(config, problem.inputs, outputs)
    return np.load(outputs.explainer)


def test_logistic_regression_minimises_its_own_objective():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((200, 3)), rng.integers(2, size=200)
    fitted = distill.fit_logistic(x, y, {"test": x[:5], "grid": x[:0]}, Logistic(solver="logistic", C=0.7))
    w, b = fitted["coefficients"][0], fitted["intercepts"][0]
    residual = 1 / (1 + np.exp(-(x @ w + b))) - y
    np.testing.assert_allclose(0.7 * residual @ x + w, 0, atol=0.02)
    np.testing.assert_allclose(0.7 * residual.sum(), 0, atol=0.02)
    np.testing.assert_array_equal(fitted["test_predictions"], (x[:5] @ w + b > 0))
    assert fitted["grid_predictions"].dtype == np.uint8 and fitted["grid_predictions"].shape == (0,)


def test_an_explainer_of_true_labels_finds_the_linear_rule(problem):
    found = distilled(problem, labels="true")
    assert found["test_accuracy"] > 0.95
    assert found["labels_step"] == -1 and found["n_fit"] == 400
    np.testing.assert_array_equal(found["test_predictions"].shape, (300,))
    np.testing.assert_array_equal(found["grid_predictions"], problem.arrays["grid_labels"])


@pytest.mark.parametrize("part", ["train", "fresh"])
def test_an_explainer_of_final_labels_fits_them_and_not_the_truth(problem, part):
    x = problem.arrays[f"{part}_inputs"]
    labels = (x[:, 2] > 0).astype(np.uint8)
    problem.inputs.final_labels = problem.folder / "final.npz"
    files.save_arrays(problem.inputs.final_labels, **{f"{part}_labels": labels, "step": 77})
    found = distilled(problem, labels="final", inputs=part)
    test = problem.arrays["test_inputs"]
    assert np.mean(found["test_predictions"] == (test[:, 2] > 0)) > 0.95
    assert found["labels_step"] == 77


def trajectory_of(problem, accuracies):
    """A trajectory that is right on the first share of each part, and an explainer right on 80% of the test set."""
    made = {"steps": np.arange(len(accuracies)) * 10}
    for part in ("train", "test", "fresh"):
        y = problem.arrays[f"{part}_labels"]
        right = np.arange(len(y)) < np.array(accuracies)[:, None] * len(y)
        made[f"{part}_predictions"] = np.where(right, y, 1 - y).astype(np.uint8)
    y = problem.arrays["test_labels"]
    reference = np.where(np.arange(len(y)) < 0.8 * len(y), y, 1 - y)
    problem.inputs.trajectory, problem.inputs.reference = problem.folder / "t.npz", problem.folder / "r.npz"
    files.save_arrays(problem.inputs.trajectory, **made)
    files.save_arrays(problem.inputs.reference, test_predictions=reference.astype(np.uint8))


def test_t0_is_where_the_network_first_does_as_well_as_the_reference(problem):
    trajectory_of(problem, [0.5, 0.7, 0.85, 0.95])
    assert distilled(problem, labels="t0", reference="r")["labels_step"] == 20


def test_without_a_t0_the_best_checkpoint_stands_in_and_the_log_says_so(problem, caplog):
    trajectory_of(problem, [0.5, 0.75, 0.6])
    assert distilled(problem, labels="t0", reference="r")["labels_step"] == 10
    assert "never reaches r" in caplog.text


def test_sgd_fits_the_same_rule(problem):
    fit = {"solver": "sgd", "lr": 0.5, "batch_size": 20, "epochs": 20}
    found = distilled(problem, labels="true", fit=fit)
    assert found["test_accuracy"] > 0.95 and found["iterations"] == 400
    np.testing.assert_array_equal(found["grid_predictions"], problem.arrays["grid_labels"])


def test_labels_of_one_class_give_the_constant_function():
    x = np.random.default_rng(0).standard_normal((20, 3))
    fitted = distill.fit_logistic(x, np.ones(20, int), {"test": x[:4]}, FIT)
    assert fitted["test_predictions"].tolist() == [1, 1, 1, 1]


def test_images_count_as_zero_to_one():
    images = np.array([[[0, 255]], [[51, 102]]], dtype=np.uint8)
    np.testing.assert_allclose(distill._features(images), [[0, 1], [0.2, 0.4]])


def test_not_converging_is_an_error_that_says_what_to_do(problem):
    with pytest.raises(StudyError, match="did not converge in 1 iterations: raise it"):
        distilled(problem, labels="true", fit={"solver": "logistic", "max_iterations": 1})
