import numpy as np
import pytest

from workflow_scripts.measures import information, per_checkpoint
from workflow_scripts.measures.comparison import Comparison


def test_measures_hold_the_quantities_of_each_part_of_the_data():
    test, train = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    trajectory = {
        "steps": np.array([0, 5]),
        "epochs": np.array([0.0, 0.5]),
        "test_predictions": np.array([[0, 1, 0, 1], [0, 0, 1, 1]]),
        "train_predictions": np.array([[0, 1, 0, 1], [0, 0, 1, 1]]),
    }
    compared = Comparison.of(trajectory["test_predictions"], np.array([1, 0, 1, 1]), test, 2)
    found = per_checkpoint.table("linear", trajectory, compared, train, 2)
    assert tuple(found.columns) == per_checkpoint.COLUMNS
    assert found["epoch"].tolist() == [0, 0.5]
    assert found["accuracy"].tolist() == [0.5, 1]
    assert found["train_accuracy"].tolist() == [1, 0.5]
    assert found["I_FY"].tolist() == pytest.approx([0, 1])
    assert found["I_FY_train"].tolist() == pytest.approx([1, 0])
    assert found["explainer_accuracy"].tolist() == [0.75, 0.75]
    assert found["mu"].tolist() == pytest.approx([information.measures(_counts(found_f))["mu"] for found_f in (0, 1)])
    assert found["mu_null"].tolist() == pytest.approx([0, found["I_LY"][1]])


def _counts(checkpoint):
    f = [[0, 1, 0, 1], [0, 0, 1, 1]][checkpoint]
    counts = np.zeros((2, 2, 2), dtype=int)
    np.add.at(counts, (f, [1, 0, 1, 1], [0, 0, 1, 1]), 1)
    return counts
