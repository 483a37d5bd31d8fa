import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.refusals import refusal
from tests.workflow import ROOT
from workflow_scripts import distill
from workflow_scripts.config.errors import Unfit
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.data.datasets.digits import Digits, make
from workflow_scripts.files import npz


@pytest.fixture
def problem(tmp_path):
    """A linear task of two classes with its data file, and the inputs of a distillation."""
    rng = np.random.default_rng(0)
    arrays = {"class_names": np.array(["no", "yes"])}
    for part, n in (("train", 400), ("test", 300), ("fresh", 200), ("grid", 9)):
        x = rng.standard_normal((n, 4)).astype(np.float32)
        arrays |= {f"{part}_inputs": x, f"{part}_labels": (x[:, 0] + 0.5 * x[:, 1] > 0).astype(np.int64)}
    npz.save(tmp_path / "data.npz", **arrays)
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
    outputs = SimpleNamespace(explainer=problem.folder / "x.npz", state=problem.folder / "resume")
    distill.run(config, problem.inputs, outputs)
    return np.load(outputs.explainer)


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
    npz.save(problem.inputs.final_labels, **{f"{part}_labels": labels, "step": 77})
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
    of_task = tasks.test_digest(tasks.load(problem.inputs.data, Task(dataset="d")))
    npz.save(problem.inputs.trajectory, **made, epochs=made["steps"] / 10, test_sha256=of_task)
    npz.save(problem.inputs.reference, test_predictions=reference.astype(np.uint8))


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


def test_not_converging_is_an_error_that_says_what_to_do(problem):
    with refusal(Unfit, "fit.max_iterations", "1 fit.C"):
        distilled(problem, labels="true", fit={"solver": "logistic", "max_iterations": 1})


FITS = {
    "components": {"solver": "logistic", "components": 4},
    "quadratic": {"solver": "logistic", "components": 4, "degree": 2},
    "tree": {"solver": "tree", "max_depth": 4, "min_leaf": 5},
    "neighbours": {"solver": "nearest_neighbours", "neighbours": 5},
}
EACH_FIT = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


@EACH_FIT
@pytest.mark.parametrize("part", ["train", "fresh"])
def test_every_family_is_fitted_to_final_labels_and_predicts_test_and_grid(problem, fit, part):
    problem.inputs.final_labels = problem.folder / "final.npz"
    labels = 1 - problem.arrays[f"{part}_labels"].astype(np.uint8)
    npz.save(problem.inputs.final_labels, **{f"{part}_labels": labels, "step": 77})
    found = distilled(problem, labels="final", inputs=part, fit=fit)
    assert found["test_accuracy"] < 0.25 and found["labels_step"] == 77 and found["n_fit"] == len(labels)
    assert found["test_predictions"].shape == (300,) and found["grid_predictions"].shape == (9,)
    assert found["test_predictions"].dtype == found["grid_predictions"].dtype == np.uint8


@EACH_FIT
def test_every_family_is_fitted_to_the_labels_at_t0(problem, fit):
    trajectory_of(problem, [0.5, 0.7, 0.85, 0.95])
    found = distilled(problem, labels="t0", reference="r", fit=fit)
    assert found["labels_step"] == 20 and found["test_accuracy"] > 0.7


def test_the_agreement_is_with_the_labels_fitted_to_and_is_not_computed_for_neighbours(problem):
    def agreement(fit):
        return distilled(problem, labels="true", fit=fit)["fit_agreement"]

    assert agreement({"solver": "tree", "max_depth": 1000}) == 1
    assert 0.7 < agreement({"solver": "tree", "max_depth": 1}) < 1
    assert np.isnan(agreement(FITS["neighbours"]))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    arrays = make(Digits(kind="digits", train=600, test=300), None)
    rng = np.random.default_rng(0)
    npz.save(path, **arrays)
    npz.save(path.with_name("final.npz"), train_labels=rng.integers(10, size=600).astype(np.uint8), step=3)
    return path


@pytest.mark.parametrize(
    ("settings", "accuracy", "keys"),
    [
        ({"labels": "true", "fit": {"solver": "logistic", "components": 3}}, 0.65, {"coefficients", "components"}),
        ({"labels": "final", "fit": {"solver": "tree", "max_depth": 3}}, 0, {"depth", "leaves"}),
    ],
)
def test_the_command_gives_the_same_bytes_with_one_thread_and_with_two(tmp_path, digits, settings, accuracy, keys):
    task = Task(dataset="digits").model_dump()
    cfg = {"wildcards": {"explainer": "x"}, "settings": settings, "task": task, "device": "cpu"}
    made = []
    for threads in ("1", "2"):
        made.append(tmp_path / f"{threads}.npz")
        command = [sys.executable, "-m", "workflow_scripts.distill", "--cfg", json.dumps(cfg), "--data", digits]
        command += ["--final-labels", digits.with_name("final.npz"), "--explainer", made[-1]]
        limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **limits}, capture_output=True)
    assert made[0].read_bytes() == made[1].read_bytes()
    found = np.load(made[0])
    assert keys <= set(found.files) and found["test_accuracy"] >= accuracy
    assert set(found["test_predictions"]) <= set(range(10)) and len(set(found["test_predictions"])) > 3
