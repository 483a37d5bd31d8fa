import numpy as np
import pytest
from scipy import stats

from workflow_scripts.measures.seeds import SharedExamples, over_seeds


def test_interval_over_seeds_is_that_of_a_t_test():
    values = np.random.default_rng(11).normal(2, 1, (5, 3))
    found = over_seeds(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found["lo"] == pytest.approx(expected.low)
    assert found["hi"] == pytest.approx(expected.high)
    assert found["mean"] == pytest.approx(values.mean(0))
    assert found["std"] == pytest.approx(stats.tstd(values))
    assert found["seeds"].tolist() == [5, 5, 5]


def test_seeds_without_a_value_are_left_out_of_their_column_alone():
    found = over_seeds(np.array([[1.0, 1], [np.nan, 7], [3, 2], [8, np.nan]]))
    for column, rest in enumerate([[1, 3, 8], [1, 7, 2]]):
        alone = over_seeds(np.array(rest, float))
        assert [found[key][column] for key in alone] == pytest.approx([float(value) for value in alone.values()])
        assert alone["seeds"] == 3


@pytest.mark.filterwarnings("error")
def test_one_seed_has_a_mean_and_no_interval():
    found = over_seeds(np.array([[4.0, np.nan]]))
    assert found["seeds"].tolist() == [1, 0]
    assert found["mean"] == pytest.approx([4, np.nan], nan_ok=True)
    assert np.isnan([found["std"], found["lo"], found["hi"]]).all()


@pytest.mark.filterwarnings("error")
def test_no_seed_at_all_has_nothing():
    found = over_seeds(np.array([]))
    assert found["seeds"] == 0
    assert np.isnan([found[key] for key in ("mean", "std", "lo", "hi")]).all()


def test_what_seeds_share_is_the_covariance_of_their_influences():
    rng = np.random.default_rng(12)
    influence = rng.standard_normal((4, 50)) + rng.standard_normal(50)
    covariance = np.cov(influence, bias=True)
    expected = covariance[~np.eye(4, dtype=bool)].mean() / 50
    shared = SharedExamples()
    for values in influence:
        shared.add("x", values)
    assert shared.variances()["x"] == pytest.approx(expected)
    assert over_seeds(influence.mean(1), expected)["hi"] > over_seeds(influence.mean(1))["hi"]


def test_one_seed_shares_nothing():
    shared = SharedExamples()
    shared.add("x", np.arange(9.0))
    assert shared.variances() == {"x": 0}
