import numpy as np
import pytest
from scipy import special, stats

from workflow_scripts.measures import exact_tests


def test_random_tables_keep_the_margins_and_follow_fishers_distribution():
    counts = np.array([[3, 2], [1, 4]])
    drawn = exact_tests.random_tables(counts, 20_000, np.random.default_rng(4))
    assert (drawn.sum(-1) == counts.sum(-1)).all() and (drawn.sum(-2) == counts.sum(-2)).all()
    expected = stats.hypergeom.pmf(np.arange(6), 10, 5, 4)
    assert np.bincount(drawn[:, 0, 0], minlength=6) / 20_000 == pytest.approx(expected, abs=0.012)


def test_exact_p_values_of_a_two_by_two_table_are_those_of_the_sum_over_tables():
    counts = np.array([[[8, 2]], [[3, 9]]])
    tables = np.array([[[x, 10 - x], [11 - x, 1 + x]] for x in range(11)])
    weight = stats.hypergeom.pmf(np.arange(11), 22, 11, 10)
    statistic = special.xlogy(tables, tables).sum((-2, -1))
    expected = weight[statistic >= special.xlogy(counts, counts).sum() - 1e-9].sum()
    found = exact_tests.independence_p(counts, "I_FY_given_L", draws=20_000)
    assert found == pytest.approx(expected, abs=0.01)
