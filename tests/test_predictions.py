"""Fixed and co-trained explainers beside a network's trajectory."""

import numpy as np
import pytest

from tests.refusals import refusal
from workflow_scripts.config.errors import Foreign
from workflow_scripts.files import npz
from workflow_scripts.measures import information, intervals, predictions
from workflow_scripts.measures.comparison import Comparison

LABELS = {"test": np.array([0, 1, 2, 0]), "train": np.array([1, 2])}
SAID = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 2, 0]], dtype=np.uint8)


def trajectory(path, **changes):
    arrays = {
        "steps": np.array([0, 5, 10]),
        "epochs": np.array([0.0, 0.5, 1.0]),
        "test_sha256": "abc",
        "test_predictions": SAID,
        "train_predictions": SAID[:, :2],
    }
    npz.save(path, **arrays | changes)
    return path


@pytest.fixture
def network(tmp_path):
    path = trajectory(tmp_path / "network.npz")
    return path, predictions.of_network(path, LABELS, 3, "train")


def test_a_fixed_explainer_says_the_same_at_every_checkpoint(network, tmp_path):
    npz.save(tmp_path / "linear.npz", test_predictions=SAID[1])
    said = predictions.of_explainer(tmp_path / "linear.npz", *network, LABELS["test"], 3)
    np.testing.assert_array_equal(said, SAID[1])


def test_a_co_trained_explainer_says_what_it_does_at_each_checkpoint(network, tmp_path):
    other = trajectory(tmp_path / "other.npz", test_predictions=SAID[::-1])
    np.testing.assert_array_equal(predictions.of_explainer(other, *network, LABELS["test"], 3), SAID[::-1])


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({"steps": np.array([0, 5, 11])}, "3 checkpoints {network} batch_size epochs"),
        ({"steps": np.array([0, 5]), "test_predictions": SAID[:2]}, "2 checkpoints {network} 3 batch_size epochs"),
        ({"test_sha256": "abd"}, "test {network} task"),
        ({"test_predictions": SAID[:, 1:]}, "test_predictions 4 3"),
        ({"test_predictions": SAID + 1}, "test_predictions 4 3"),
    ],
)
def test_a_co_trained_explainer_that_cannot_be_compared_is_refused(changes, holds, network, tmp_path):
    other = trajectory(tmp_path / "other.npz", **changes)
    with refusal(Foreign, other, holds.format(network=network[0])):
        predictions.of_explainer(other, *network, LABELS["test"], 3)


def test_a_co_trained_explainer_leads_by_what_it_knows_in_the_end(network):
    f, y = network[1]["test_predictions"], LABELS["test"]
    fixed, cotrained = (intervals.lead(Comparison.of(f, l, y, 3).at_end().counts) for l in (SAID[-1], SAID))
    for name, values in fixed.items():
        np.testing.assert_array_equal(cotrained[name], values)
    known = information.measures(information.joint_counts(SAID, SAID[-1], LABELS["test"], 3))
    np.testing.assert_allclose(cotrained["lead"], known["I_FY"] - known["I_LY"])
    assert cotrained["lead"][0] < 0 and cotrained["lead"][-1] == 0
