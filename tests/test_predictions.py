"""Fixed and co-trained explainers beside a network's trajectory."""

import numpy as np
import pytest

from workflow_scripts.config.errors import StudyError
from workflow_scripts.files import npz
from workflow_scripts.measures import information, predictions

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
    ("changes", "words"),
    [
        ({"steps": np.array([0, 5, 11])}, "its 3 checkpoints are not those of {network} (3): train both with the same"),
        (
            {"steps": np.array([0, 5]), "test_predictions": SAID[:2]},
            "its 2 checkpoints are not those of {network} (3): train both with the same batch_size, epochs and check",
        ),
        ({"test_sha256": "abd"}, "its test set or label map is not that of {network}: train both on the same task"),
        ({"test_predictions": SAID[:, 1:]}, "expected 4 examples of 3 groups: made from other data"),
        ({"test_predictions": SAID + 1}, "expected 4 examples of 3 groups: made from other data"),
    ],
)
def test_a_co_trained_explainer_that_cannot_be_compared_is_refused(changes, words, network, tmp_path):
    other = trajectory(tmp_path / "other.npz", **changes)
    with pytest.raises(StudyError) as error:
        predictions.of_explainer(other, *network, LABELS["test"], 3)
    assert str(error.value).startswith(f"{other}: ") and words.format(network=network[0]) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_co_trained_explainer_leads_by_what_it_knows_in_the_end(network):
    found = network[1]
    fixed = predictions.lead(found, SAID[-1], LABELS["test"], 3)
    cotrained = predictions.lead(found, SAID, LABELS["test"], 3)
    for name, values in fixed.items():
        np.testing.assert_array_equal(cotrained[name], values)
    known = information.measures(information.joint_counts(SAID, SAID[-1], LABELS["test"], 3))
    np.testing.assert_allclose(cotrained["lead"], known["I_FY"] - known["I_LY"])
    assert cotrained["lead"][0] < 0 and cotrained["lead"][-1] == 0
