import numpy as np
import pytest

from tests.joint_counts import KINDS, QUANTITIES, density, quantity_of_density, table
from workflow_scripts.measures import information, intervals


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", QUANTITIES)
def test_deviation_is_that_of_the_numerical_derivative(kind, name):
    p = table(kind) / table(kind).sum()
    step = 1e-6
    variance = 0.0
    for cell in zip(*np.nonzero(p), strict=True):
        towards = -p
        towards[cell] += 1
        change = quantity_of_density(p + step * towards, name) - quantity_of_density(p - step * towards, name)
        variance += p[cell] * (change / (2 * step)) ** 2
    counts = table(kind)
    found = intervals.deviation(intervals.influence(counts)[name], counts)
    assert found == pytest.approx(np.sqrt(variance), abs=1e-7)


def test_deviation_of_a_symmetric_channel_is_the_analytic_one():
    counts = np.array([[90, 10], [10, 90]])[:, None, :]
    expected = np.sqrt(0.9 * 0.1) * np.log2(0.9 / 0.1)
    assert intervals.deviation(intervals.influence(counts)["I_FY"], counts) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("error")
def test_limits_are_finite_and_ordered_for_any_table(kind):
    counts = table(kind)
    found = intervals.with_intervals(counts)
    assert found["n"] == counts.sum()
    for name in QUANTITIES:
        lo, hi = found[f"{name}_lo"], found[f"{name}_hi"]
        assert np.isfinite([lo, hi]).all() and lo < hi
        assert name == "mu" or lo >= 0
        assert found[name] == pytest.approx(quantity_of_density(counts / counts.sum(), name), abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "names"),
    [
        (np.array([[[450, 50], [0, 0]], [[0, 0], [40, 460]]]), ("I_FY_given_L", "I_LY_given_F")),
        (np.array([[[450, 50], [40, 460]], [[0, 0], [0, 0]]]), ("I_FY", "I_FL", "I_FY_given_L", "I_FL_given_Y")),
        (np.pad(np.array([[[450, 50], [40, 460]]] * 2), ((0, 1),) * 3), ("I_FY", "I_FY_given_L")),
    ],
    ids=["F is L", "F is constant", "a class is empty"],
)
@pytest.mark.filterwarnings("error")
def test_at_the_boundary_the_lower_limit_is_0_and_the_upper_is_not(counts, names):
    found = intervals.with_intervals(counts)
    for name in names:
        assert found[f"{name}_lo"] == 0 < found[f"{name}_hi"] < 0.05


def test_limits_of_all_checkpoints_are_those_of_each():
    counts = np.random.default_rng(8).poisson(3, (5, 3, 3, 3))
    together = intervals.with_intervals(counts)
    drawn = {f"{name}{end}" for name in information.CONDITIONAL for end in ("_p", "_lo")}
    for t, alone in enumerate(map(intervals.with_intervals, counts)):
        for name in set(alone) - drawn:
            assert together[name][t] == pytest.approx(alone[name], abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("co_trained", [False, True])
def test_mu_of_one_nested_explainer_is_the_ordinary_one_with_its_interval(n_classes, co_trained):
    rng = np.random.default_rng(n_classes)
    f, y = rng.integers(n_classes, size=(4, 300)), rng.integers(n_classes, size=300)
    l = np.where(rng.random((4, 300) if co_trained else 300) < 0.8, y, rng.integers(n_classes, size=300))
    f = np.where(rng.random((4, 300)) < 0.5, l, f)
    ordinary = intervals.with_intervals(information.joint_counts(f, l, y, n_classes))
    counts, _ = information.joint_counts_given_several(f, [l], y, n_classes)
    found = intervals.performance_correlation(counts)
    assert set(found) == {"mu", "mu_corrected", "mu_lo", "mu_hi"}
    for name, values in found.items():
        assert values == pytest.approx(ordinary[name], abs=1e-12)


def test_ratio_is_mu_over_information_and_is_omitted_where_there_is_none():
    p = density(0.85, 0.5, 0.9)
    counts = np.stack([np.rint(p * 2000), np.rint(density(0.85, 0.0, 0.5) * 2000)]).astype(int)
    found = intervals.ratio(counts)
    expected = quantity_of_density(counts[0] / counts[0].sum(), "mu") / quantity_of_density(counts[0] / 2000, "I_FY")
    assert found["ratio"][0] == pytest.approx(expected, abs=1e-3)
    assert found["ratio_lo"][0] < found["ratio_corrected"][0] < found["ratio_hi"][0] <= 1
    assert all(np.isnan(values[1]) for values in found.values())
