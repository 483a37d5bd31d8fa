import numpy as np
import pytest
from scipy import special, stats

from tests.joint_counts import KINDS, density, quantity_of_density, table
from workflow_scripts.measures import corrections, information


@pytest.mark.parametrize("kind", KINDS)
def test_corrected_pairs_are_the_brute_force_jackknife(kind):
    counts = table(kind)
    n = counts.sum()
    labels = np.repeat(np.argwhere(counts >= 0), counts.ravel(), axis=0).T
    without = np.stack(
        [information.joint_counts(*np.delete(labels, i, axis=1), n_classes=len(counts)) for i in range(n)]
    )
    plug_in, left_out = information.measures(counts), information.measures(without)
    found = corrections.corrected(counts)
    for name in information.PAIRS:
        assert found[name] == pytest.approx(n * plug_in[name] - (n - 1) * left_out[name].mean(), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_corrected_values_keep_the_identities_of_mu(kind):
    found = corrections.corrected(table(kind))
    for conditional, (pair, _) in information.CONDITIONAL.items():
        assert found["mu"] == pytest.approx(found[pair] - found[conditional], abs=1e-12)


@pytest.mark.parametrize("n", [1, 5, 40, 400, 10_000])
@pytest.mark.parametrize("p", [0.0, 0.001, 0.02, 0.3, 0.9, 0.999, 1.0])
def test_excess_of_a_binomial_is_its_sum(n, p):
    x = np.arange(n + 1)
    expected = stats.binom.pmf(x, n, p) @ special.xlogy(x, x) - special.xlogy(n * p, n * p)
    assert corrections._excess([n], [p])[0] == pytest.approx(expected, abs=2e-4)


def test_correction_takes_the_bias_away():
    p = density(0.85, 0.5, 0.9)
    drawn = np.random.default_rng(10).multinomial(200, p.ravel(), size=40_000).reshape(-1, 2, 2, 2)
    truth = quantity_of_density(p, "I_FY_given_L")
    plug_in = information.measures(drawn)["I_FY_given_L"].mean() - truth
    assert abs(corrections.corrected(drawn)["I_FY_given_L"].mean() - truth) < 0.15 * plug_in
