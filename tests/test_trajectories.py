"""The file of a trajectory: what is in it, and what is refused when it is read."""

import numpy as np
import pytest

from tests.refusals import refusal
from workflow_scripts.config.errors import Damaged, Foreign
from workflow_scripts.data.tasks import PARTS
from workflow_scripts.training import trajectories
from workflow_scripts.training.trajectories import Trajectory

STEPS = np.array([0, 4, 8])
LABELS = {"train": np.zeros(5, int), "test": np.zeros(4, int), "fresh": np.zeros(0, int), "grid": np.zeros(2, int)}


def example(weights):
    rng = np.random.default_rng(0)
    said = {part: rng.integers(3, size=(3, len(labels))).astype(np.uint8) for part, labels in LABELS.items()}
    losses = {part: rng.random(3, np.float32) for part in PARTS}
    return Trajectory(STEPS, STEPS / 4, said, losses, weights, "abc")


@pytest.fixture
def saved(tmp_path):
    made = example({"1.weight": np.ones((3, 3, 2), np.float32), "1.bias": np.zeros((3, 3), np.float32)})
    trajectories.save(tmp_path / "t.npz", made, "123", 0.5)
    return made, tmp_path / "t.npz"


def test_the_file_has_the_arrays_that_the_docs_name(saved, tmp_path):
    weights = ["weights.1.weight", "weights.1.bias"]
    known = ["steps", "epochs", *(f"{part}_predictions" for part in PARTS), "train_loss", "test_loss", *weights]
    known += ["test_sha256", "pretraining_accuracy", "weights_sha256"]
    with np.load(saved[1]) as archive:
        assert archive.files == known
        assert archive["pretraining_accuracy"] == 0.5 and archive["weights_sha256"] == "123"
    trajectories.save(tmp_path / "plain.npz", example({}), "123")
    with np.load(tmp_path / "plain.npz") as archive:
        assert archive.files == [name for name in known if name not in weights]
        assert np.isnan(archive["pretraining_accuracy"])


def test_what_is_saved_is_read_again(saved):
    made, path = saved
    found = trajectories.load(path, LABELS, 3, "test", "fresh")
    assert found.test_sha256 == "abc" and list(found.predictions) == ["test", "fresh"] and not found.weights
    for values, expected in ((found.steps, made.steps), (found.epochs, made.epochs)):
        np.testing.assert_array_equal(values, expected)
    for part, values in found.predictions.items():
        np.testing.assert_array_equal(values, made.predictions[part])
    weights = trajectories.load_weights(path, {"1.weight": (3, 2), "1.bias": (3,)}).weights
    for name, values in made.weights.items():
        np.testing.assert_array_equal(weights[name], values)
    assert trajectories.load_weights_digest(path) == "123"


@pytest.mark.parametrize(
    ("labels", "n_classes"),
    [(LABELS | {"test": np.zeros(3, int)}, 3), (LABELS, 2)],
    ids=["other examples", "fewer classes"],
)
def test_predictions_on_other_data_or_of_another_task_are_refused(labels, n_classes, saved):
    with refusal(Foreign, saved[1], "test_predictions"):
        trajectories.load(saved[1], labels, n_classes, "test")


@pytest.mark.parametrize("shapes", [{"1.weight": (3, 4)}, {"1.weight": (3, 2), "1.bias": (4,)}])
def test_weights_of_another_shape_are_refused(shapes, saved):
    with refusal(Foreign, saved[1], f"weights.{list(shapes)[-1]}"):
        trajectories.load_weights(saved[1], shapes)


def test_a_trajectory_without_what_is_asked_for_is_refused(tmp_path):
    trajectories.save(tmp_path / "t.npz", example({}), "123")
    with refusal(Damaged, tmp_path / "t.npz", "'weights.1.weight'"):
        trajectories.load_weights(tmp_path / "t.npz", {"1.weight": (3, 2)})
