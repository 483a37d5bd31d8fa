import numpy as np
import pytest
from scipy import stats

from workflow_scripts import information, uncertainty

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
def test_corrected_values_are_the_brute_force_jackknife(kind):
    counts = table(kind)
    n = counts.sum()
    labels = np.repeat(np.argwhere(counts >= 0), counts.ravel(), axis=0).T
    without = np.stack(
        [information.joint_counts(*np.delete(labels, i, axis=1), n_classes=len(counts)) for i in range(n)]
    )
    plug_in, left_out = information.measures(counts), information.measures(without)
    found = uncertainty.corrected(counts)
    for name in QUANTITIES:
        assert found[name] == pytest.approx(n * plug_in[name] - (n - 1) * left_out[name].mean(), abs=1e-12)


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
    assert uncertainty.influence_deviation(table(kind))[name] == pytest.approx(np.sqrt(variance), abs=1e-7)


def test_deviation_of_a_symmetric_channel_is_the_analytic_one():
    counts = np.array([[90, 10], [10, 90]])[:, None, :]
    expected = np.sqrt(0.9 * 0.1) * np.log2(0.9 / 0.1)
    assert uncertainty.influence_deviation(counts)["I_FY"] == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_lie_evenly_about_the_corrected_value(kind):
    counts = table(kind)
    found = uncertainty.with_intervals(counts)
    assert found["n"] == counts.sum()
    for name in QUANTITIES:
        half = stats.norm.ppf(0.975) * uncertainty.influence_deviation(counts)[name] / np.sqrt(counts.sum())
        expected = uncertainty.corrected(counts)[name] + np.array([-half, half])
        assert [found[f"{name}_lo"], found[f"{name}_hi"]] == pytest.approx(expected, abs=1e-12)
        assert found[name] == pytest.approx(quantity_of_density(counts / counts.sum(), name), abs=1e-12)


def test_intervals_of_all_checkpoints_are_those_of_each():
    counts = np.random.default_rng(8).poisson(3, (5, 3, 3, 3))
    together = uncertainty.with_intervals(counts)
    for t, alone in enumerate(map(uncertainty.with_intervals, counts)):
        assert {name: values[t] for name, values in together.items()} == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize("p", [density(0.85, 0.5, 0.9), density(0.75, 0.1, 0.97)], ids=["like L", "far better than L"])
@pytest.mark.parametrize("name", ["I_FY", "mu", "I_FY_given_L"])
def test_intervals_cover_the_true_value_in_95_percent_of_the_draws(p, name):
    drawn = np.random.default_rng(9).multinomial(2000, p.ravel(), size=4000).reshape(-1, 2, 2, 2)
    found = uncertainty.with_intervals(drawn)
    truth = quantity_of_density(p, name)
    covered = (found[f"{name}_lo"] <= truth) & (truth <= found[f"{name}_hi"])
    assert 0.935 <= covered.mean() <= 0.965


def test_correction_takes_the_bias_away():
    p = density(0.85, 0.5, 0.9)
    drawn = np.random.default_rng(10).multinomial(200, p.ravel(), size=40_000).reshape(-1, 2, 2, 2)
    truth = quantity_of_density(p, "I_FY_given_L")
    plug_in = information.measures(drawn)["I_FY_given_L"].mean() - truth
    assert abs(uncertainty.corrected(drawn)["I_FY_given_L"].mean() - truth) < 0.15 * plug_in


def test_interval_over_seeds_is_that_of_a_t_test():
    values = np.random.default_rng(11).normal(2, 1, (5, 3))
    found = uncertainty.over_seeds(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found["lo"] == pytest.approx(expected.low)
    assert found["hi"] == pytest.approx(expected.high)
    assert found["mean"] == pytest.approx(values.mean(0))
    assert found["std"] == pytest.approx(stats.tstd(values))
    assert found["seeds"].tolist() == [5, 5, 5]


def test_seeds_without_a_value_are_left_out_of_their_column_alone():
    found = uncertainty.over_seeds(np.array([[1.0, 1], [np.nan, 7], [3, 2], [8, np.nan]]))
    for column, rest in enumerate([[1, 3, 8], [1, 7, 2]]):
        alone = uncertainty.over_seeds(np.array(rest, float))
        assert [found[key][column] for key in alone] == pytest.approx([float(value) for value in alone.values()])
        assert alone["seeds"] == 3


@pytest.mark.filterwarnings("error")
def test_one_seed_has_a_mean_and_no_interval():
    found = uncertainty.over_seeds(np.array([[4.0, np.nan]]))
    assert found["seeds"].tolist() == [1, 0]
    assert found["mean"] == pytest.approx([4, np.nan], nan_ok=True)
    assert np.isnan([found["std"], found["lo"], found["hi"]]).all()


@pytest.mark.filterwarnings("error")
def test_no_seed_at_all_has_nothing():
    found = uncertainty.over_seeds(np.array([]))
    assert found["seeds"] == 0
    assert np.isnan([found[key] for key in ("mean", "std", "lo", "hi")]).all()
