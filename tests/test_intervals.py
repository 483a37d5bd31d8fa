import numpy as np
import pytest
from scipy import special, stats

from workflow_scripts.measures import corrections, exact_tests, information, intervals, per_class
from workflow_scripts.measures.seeds import SharedExamples, over_seeds

QUANTITIES = tuple(information.TERMS)


def table(kind):
    rng = np.random.default_rng(7)
    return {
        "2 classes": rng.poisson(5, (2, 2, 2)),
        "3 classes, zeros and ones": rng.poisson(0.8, (3, 3, 3)),
        "constant F": np.array([[[7, 1], [0, 4]], [[0, 0], [0, 0]]]),
        "F is L": np.array([[[9, 1], [0, 0]], [[0, 0], [2, 8]]]),
    }[kind]


KINDS = ("2 classes", "3 classes, zeros and ones", "constant F", "F is L")


def quantity_of_density(p, name):
    """An information quantity in bits, as the sum of the entropies (scipy) that define it."""

    def entropy(axes):
        keep = p.sum(axis=tuple(i for i, axis in enumerate("fly") if axis not in axes))
        return stats.entropy(keep.ravel(), base=2)

    def between(a, b, given=""):
        return entropy(a + given) + entropy(b + given) - entropy(a + b + given) - entropy(given)

    if name == "mu":
        return between("f", "y") - between("f", "y", "l")
    pair, _, given = name.removeprefix("I_").lower().partition("_given_")
    return between(*pair, given)


def density(l_accuracy, agree, f_accuracy_else):
    """P(f, l, y): y balanced, l right with l_accuracy; f copies l with probability agree, else y with its accuracy."""
    p = np.zeros((2, 2, 2))
    for f, l, y in np.ndindex(2, 2, 2):
        of_l = l_accuracy if l == y else 1 - l_accuracy
        of_y = f_accuracy_else if f == y else 1 - f_accuracy_else
        p[f, l, y] = 0.5 * of_l * (agree * (f == l) + (1 - agree) * of_y)
    return p


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
    assert intervals._excess([n], [p])[0] == pytest.approx(expected, abs=2e-4)


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


def test_ratio_is_mu_over_information_and_is_omitted_where_there_is_none():
    p = density(0.85, 0.5, 0.9)
    counts = np.stack([np.rint(p * 2000), np.rint(density(0.85, 0.0, 0.5) * 2000)]).astype(int)
    found = intervals.ratio(counts)
    expected = quantity_of_density(counts[0] / counts[0].sum(), "mu") / quantity_of_density(counts[0] / 2000, "I_FY")
    assert found["ratio"][0] == pytest.approx(expected, abs=1e-3)
    assert found["ratio_lo"][0] < found["ratio_corrected"][0] < found["ratio_hi"][0] <= 1
    assert all(np.isnan(values[1]) for values in found.values())


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_the_classes_add_up(kind):
    counts = table(kind)
    parts, whole, best = per_class.parts(counts), information.measures(counts), corrections.corrected(counts)
    for name in QUANTITIES:
        assert parts[name].sum(-1) == pytest.approx(whole[name], abs=1e-12)
        assert parts[f"{name}_corrected"].sum(-1) == pytest.approx(best[name], abs=1e-12)
        assert (parts[f"{name}_lo"] < parts[f"{name}_hi"]).all()


def test_correction_takes_the_bias_away():
    p = density(0.85, 0.5, 0.9)
    drawn = np.random.default_rng(10).multinomial(200, p.ravel(), size=40_000).reshape(-1, 2, 2, 2)
    truth = quantity_of_density(p, "I_FY_given_L")
    plug_in = information.measures(drawn)["I_FY_given_L"].mean() - truth
    assert abs(corrections.corrected(drawn)["I_FY_given_L"].mean() - truth) < 0.15 * plug_in


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
