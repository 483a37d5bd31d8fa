"""The intervals cover: simulations from known distributions (benchmarks/coverage.py), with fixed seeds."""

import numpy as np
import pytest

from benchmarks import coverage
from workflow_scripts.measures import exact_tests, information, intervals, per_class

pytestmark = pytest.mark.thorough

SIZES = (2000, 10_000)


def simulated(density, n, simulations, seed=1):
    found = intervals.with_intervals(coverage.draw(density, n, simulations, np.random.default_rng(seed)))
    return found, coverage.truth(density)


@pytest.mark.parametrize("setting", coverage.TWO)
@pytest.mark.parametrize("n", SIZES)
def test_two_classes(setting, n):
    found, true = simulated(coverage.TWO[setting], n, 2000)
    covers = coverage.covered(found, true)
    for name in ("I_FY", "mu", "I_FY_given_L"):
        if true[name] > 0:
            assert 93 <= covers[name] <= 97, name
    for name, (_, _) in information.CONDITIONAL.items():
        if true[name] == 0:
            assert covers[name] >= 96, name
            assert 3 <= 100 * np.mean(found[f"{name}_p"] <= 0.05) <= 7, name


@pytest.mark.parametrize("setting", coverage.TWO)
def test_two_classes_and_few_examples(setting):
    found, true = simulated(coverage.TWO[setting], 360, 2000)
    covers = coverage.covered(found, true)
    assert all(covers[name] >= (96 if name in information.CONDITIONAL and true[name] == 0 else 89) for name in true)


@pytest.mark.parametrize("n", [360, *SIZES])
def test_the_percentile_bootstrap_would_not_cover_0(n):
    rng = np.random.default_rng(2)
    counts = coverage.draw(coverage.TWO["a: F knows Y through L alone"], n, 100, rng)
    assert coverage.bootstrap_covered(counts, "I_FY_given_L", 0.0, rng) < 60


@pytest.mark.parametrize("setting", coverage.NESTED)
def test_mu_of_three_nested_explainers(setting):
    density = coverage.NESTED[setting]
    drawn = coverage.draw(density, 2000, 300, np.random.default_rng(6))
    found, true = intervals.performance_correlation(drawn), coverage.truth(density)["mu"]
    covers = np.mean((found["mu_lo"] <= true) & (true <= found["mu_hi"]))
    assert 0.91 <= covers <= 0.99, "3 standard errors about 95%, as 300 simulations allow"
    assert abs(found["mu_corrected"].mean() - true) < abs(found["mu"].mean() - true)


@pytest.mark.slow
@pytest.mark.parametrize("setting", coverage.TEN)
def test_ten_classes(setting):
    found, true = simulated(coverage.TEN[setting], 10_000, 400)
    covers = coverage.covered(found, true)
    for name, value in true.items():
        assert covers[name] >= (95 if value == 0 else 87), name
        if value == 0:
            assert abs(found[f"{name}_corrected"].mean()) <= 0.0025, name
    sizes = [np.mean(found[f"{name}_p"] <= 0.05) for name in information.CONDITIONAL if true[name] == 0]
    assert all(0.02 <= size <= 0.08 for size in sizes), "3 standard errors about 5%, as 400 simulations allow"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["I_FY_given_L", "I_FL_given_Y"])
def test_ten_classes_and_the_size_of_the_exact_test(name):
    counts = coverage.draw(coverage.TEN["b: F at chance"], 10_000, 800, np.random.default_rng(77))
    size = np.mean(exact_tests.independence_p(counts, name) <= 0.05)
    assert 0.027 <= size <= 0.073, "3 standard errors about 5%, as 800 simulations allow"


def test_seeds_that_share_a_test_set():
    found = coverage.seeds_covered(2000, 5, 0.01, 600, np.random.default_rng(3))
    assert all(92 <= both <= 98 for both, _ in found.values())
    assert found["mu"][1] < 85


@pytest.mark.parametrize(("setting", "n"), [("d: F 0.98, L 0.75", 2000), ("n: F hardly more than L", 10_000)])
def test_ratios(setting, n):
    density = coverage.TWO[setting]
    true = coverage.truth(density)
    found = intervals.ratio(coverage.draw(density, n, 1000, np.random.default_rng(4)))
    share = true["mu"] / true["I_FY"]
    assert 0.93 <= np.mean((found["ratio_lo"] <= share) & (share <= found["ratio_hi"])) <= 0.975


@pytest.mark.parametrize("setting", ["d: F 0.98, L 0.75", "n: F hardly more than L"])
def test_parts_of_the_classes(setting):
    density = coverage.TWO[setting]
    true = per_class.parts(np.rint(density * 1e12).astype(np.int64))
    found = per_class.parts(coverage.draw(density, 2000, 1000, np.random.default_rng(5)))
    for name in coverage.truth(density):
        value = np.where(np.abs(true[name]) < 1e-9, 0, true[name])
        assert 0.91 <= np.mean((found[f"{name}_lo"] <= value) & (value <= found[f"{name}_hi"])) <= 0.99, name
