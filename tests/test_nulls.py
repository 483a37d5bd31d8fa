import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

from workflow_scripts.measures import information, nulls

MIXTURES = tuple(name for name in nulls.VARIANTS if name != nulls.WITHIN_CLASS)


def labels(n_classes, n=3000, f_copies_l=0.5, seed=12):
    """Unbalanced y; l right in 70% and leaning to class 0; f copies l in some cases, else y in 80%."""
    rng = np.random.default_rng(seed)
    prior = np.arange(2, n_classes + 2) / np.arange(2, n_classes + 2).sum()
    y = rng.choice(n_classes, n, p=prior)
    l = np.where(rng.random(n) < 0.7, y, rng.integers(n_classes, size=n) * (rng.random(n) < 0.5))
    f = np.where(rng.random(n) < 0.8, y, rng.integers(n_classes, size=n))
    return np.where(rng.random(n) < f_copies_l, l, f), l, y


def counts_of(n_classes, **settings):
    return information.joint_counts(*labels(n_classes, **settings), n_classes)


def bits(joint):
    """I(A;B) by its definition, from counts or densities [a, b]."""
    p = joint / joint.sum()
    return sum(p[a, b] * np.log2(p[a, b] / (p[a].sum() * p[:, b].sum())) for a, b in np.argwhere(p > 0))


def mu_of(joint):
    """I(F;Y) - I(F;Y|L) from [f, l, y], conditioning by hand."""
    conditional = sum(joint[:, l].sum() * bits(joint[:, l]) for l in range(joint.shape[1]) if joint[:, l].sum() > 0)
    return bits(joint.sum(1)) - conditional / joint.sum()


def bias_of_mu(n_classes, n):
    """The bias of plug-in mu to first order, without its sign."""
    return (n_classes - 1) ** 3 / (2 * n * np.log(2))


def permuted_within_class(l, y, rng):
    drawn = l.copy()
    for k in np.unique(y):
        drawn[y == k] = rng.permutation(l[y == k])
    return drawn


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("variant", nulls.VARIANTS)
def test_every_class_has_a_distribution_of_null_labels(variant, n_classes):
    given_y, _ = nulls.channel(counts_of(n_classes), variant)
    assert given_y.shape == (n_classes, n_classes)
    assert given_y.sum(1) == pytest.approx(1)
    assert (given_y >= 0).all()


def null_ratio(accuracy, variant):
    """mu(F;L~) / I(F;Y) in closed form where F and L are right equally often, on balanced classes."""
    right, wrong = round(1e6 * accuracy), round(1e6 * (1 - accuracy))
    fy = np.array([[right, wrong], [wrong, right]])
    counts = np.einsum("fy,ly->fly", fy, fy)
    given_y, _ = nulls.channel(counts, variant)
    return nulls.closed_form(counts, given_y) / information.measures(counts)["I_FY"]


@pytest.mark.parametrize("variant", nulls.VARIANTS)
def test_the_printed_0_31_of_task_iii_is_not_what_the_null_gives_at_its_accuracy(variant):
    assert null_ratio(0.57, variant) == pytest.approx(0.02, abs=0.002)
    accuracies = np.arange(0.55, 0.96, 0.005)
    ratios = np.array([null_ratio(accuracy, variant) for accuracy in accuracies])
    assert (np.diff(ratios) > 0).all(), "it takes each value once"
    assert np.interp(0.31, ratios, accuracies) == pytest.approx(0.785, abs=0.002)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("variant", nulls.VARIANTS)
def test_a_null_model_matches_the_explainer_in_what_its_name_says(variant, n_classes):
    _, l, y = labels(n_classes)
    given_y, _ = nulls.channel(counts_of(n_classes), variant)
    joint = np.bincount(y)[:, None] / len(y) * given_y
    matched_accuracy = np.trace(joint) == pytest.approx((l == y).mean())
    matched_information = bits(joint) == pytest.approx(mutual_info_score(l, y) / np.log(2))
    within = variant == nulls.WITHIN_CLASS
    assert matched_accuracy == (within or variant.endswith("accuracy"))
    assert matched_information == (within or variant.endswith("information"))


@pytest.mark.parametrize("variant", MIXTURES)
def test_random_labels_of_a_mixture_are_uniform_or_as_frequent_as_the_classes(variant):
    y = labels(3)[2]
    given_y, p = nulls.channel(counts_of(3), variant)
    random = np.full(3, 1 / 3) if variant.startswith("uniform") else np.bincount(y) / len(y)
    assert 0 < p < 1
    for k in range(3):
        assert given_y[k] == pytest.approx(p * (np.arange(3) == k) + (1 - p) * random)


@pytest.mark.parametrize("variant", MIXTURES)
@pytest.mark.parametrize(("knows", "p"), [("all", 1), ("nothing", 0)])
def test_an_explainer_at_the_limits_has_a_null_model_at_the_limits(variant, knows, p):
    y = np.repeat([0, 1], 50)
    l = y if knows == "all" else np.tile([0, 1], 50)
    assert nulls.channel(information.joint_counts(y, l, y, 2), variant)[1] == pytest.approx(p, abs=1e-6)


def test_an_explainer_that_is_always_wrong_has_no_accuracy_to_match_but_all_the_information():
    y = np.repeat([0, 1], 50)
    counts = information.joint_counts(y, 1 - y, y, 2)
    assert nulls.channel(counts, "uniform_accuracy")[1] == 0
    assert nulls.channel(counts, "uniform_information")[1] == 1


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("variant", nulls.VARIANTS)
def test_the_closed_form_is_mu_of_the_exact_joint_density(variant, n_classes):
    counts = counts_of(n_classes)
    given_y, _ = nulls.channel(counts, variant)
    joint = np.einsum("fy,yl->fly", counts.sum(1) / counts.sum(), given_y)
    assert nulls.closed_form(counts, given_y) == pytest.approx(mu_of(joint), abs=1e-10)
    for y in range(n_classes):  # F and L~ are independent given Y
        assert bits(joint[..., y]) == pytest.approx(0, abs=1e-10)


def test_the_closed_form_of_all_checkpoints_is_that_of_each_within_class():
    counts = np.stack([counts_of(3, f_copies_l=share) for share in (0, 0.5, 1)])
    expected = [nulls.closed_form(each, nulls.channel(each, nulls.WITHIN_CLASS)[0]) for each in counts]
    assert nulls.closed_form(counts) == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_a_class_without_examples_leaves_the_closed_form_finite():
    f, l, y = labels(2)
    two, three = (information.joint_counts(f, l, y, n_classes) for n_classes in (2, 3))
    assert nulls.closed_form(three) == pytest.approx(nulls.closed_form(two))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("variant", nulls.VARIANTS)
def test_the_closed_form_is_the_mean_over_labels_drawn_one_by_one(variant, n_classes):
    f, l, y = labels(n_classes, n=20_000)
    counts = information.joint_counts(f, l, y, n_classes)
    given_y, p = nulls.channel(counts, variant)
    rng = np.random.default_rng(13)
    mu = []
    for _ in range(20):
        if variant == nulls.WITHIN_CLASS:
            drawn = permuted_within_class(l, y, rng)
        else:
            random = rng.integers(n_classes, size=len(y)) if variant.startswith("uniform") else rng.choice(y, len(y))
            drawn = np.where(rng.random(len(y)) < p, y, random)
        mu.append(mu_of(information.joint_counts(f, drawn, y, n_classes)))
    exact = nulls.closed_form(counts, given_y)
    assert np.mean(mu) == pytest.approx(exact, abs=4 * stats.sem(mu) + bias_of_mu(n_classes, len(y)))
    assert exact > 20 * stats.sem(mu)


@pytest.mark.parametrize("n_classes", [2, 10])
def test_the_sampled_mean_is_the_closed_form_within_its_error(n_classes):
    counts = 1000 * counts_of(n_classes)
    for row in nulls.compare(counts, 200, np.random.default_rng(14)):
        error = 4 * row["null_mu_std"] / np.sqrt(200) + 2 * bias_of_mu(n_classes, counts.sum())
        assert row["null_mu"] == pytest.approx(row["null_mu_closed_form"], abs=error), row["variant"]
        assert error < 0.001


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("variant", nulls.VARIANTS)
def test_draws_leave_the_network_and_the_labels_as_they_are(variant, n_classes):
    counts = counts_of(n_classes, n=500)
    drawn = nulls.sample(counts, variant, 20, np.random.default_rng(15))
    assert drawn.shape == (20, *counts.shape)
    assert (drawn >= 0).all()
    assert (drawn.sum(2) == counts.sum(1)).all()
    assert (drawn.sum(1) == counts.sum(0)).all() == (variant == nulls.WITHIN_CLASS)
    assert len({draw.tobytes() for draw in drawn}) > 1


def test_permuted_tables_follow_the_hypergeometric_distribution():
    counts = np.zeros((2, 2, 2), dtype=int)
    counts[..., 0] = [[3, 4], [5, 2]]
    draws = 20_000
    corner = nulls.sample(counts, nulls.WITHIN_CLASS, draws, np.random.default_rng(16))[:, 0, 0, 0]
    for value in range(8):
        p = stats.hypergeom(14, 8, 7).pmf(value)
        assert (corner == value).mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / draws))


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_permuted_tables_are_those_of_permuted_labels(n_classes):
    f, l, y = labels(n_classes, n=400)
    rng = np.random.default_rng(17)
    tables = []
    for _ in range(2000):
        tables.append(information.joint_counts(f, permuted_within_class(l, y, rng), y, n_classes))
    one_by_one = information.measures(np.stack(tables))["mu"]
    sampled = nulls.sample(information.joint_counts(f, l, y, n_classes), nulls.WITHIN_CLASS, 2000, rng)
    at_once = information.measures(sampled)["mu"]
    assert abs(at_once.mean() - one_by_one.mean()) < 4 * np.sqrt((at_once.var() + one_by_one.var()) / 2000)
    assert at_once.var() / one_by_one.var() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_a_network_that_is_mostly_its_explainer_beats_every_draw(n_classes):
    for row in nulls.compare(counts_of(n_classes, f_copies_l=0.9), 99, np.random.default_rng(18)):
        assert row["p_value"] == 0.01
        assert row["mu"] > row["null_mu"] + 5 * row["null_mu_std"]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_p_values_are_uniform_for_an_explainer_that_knows_nothing_of_the_network(n_classes, monkeypatch):
    monkeypatch.setattr(nulls, "VARIANTS", (nulls.WITHIN_CLASS,))
    rng = np.random.default_rng(19)
    found = []
    for seed in range(300):
        counts = counts_of(n_classes, n=400, f_copies_l=0, seed=seed)
        (row,) = nulls.compare(counts, 99, rng)
        found.append(row["p_value"])
    assert 0.02 < np.mean(np.array(found) <= 0.05) < 0.09
    assert np.mean(found) == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 300))


def test_a_comparison_states_the_real_explainer_and_its_ratios():
    counts = counts_of(3)
    rows = list(nulls.compare(counts, 19, np.random.default_rng(20)))
    assert [row["variant"] for row in rows] == list(nulls.VARIANTS)
    for row in rows:
        assert row["I_FY"] == pytest.approx(bits(counts.sum(1)))
        assert row["I_LY"] == pytest.approx(bits(counts.sum(0)))
        assert row["mu"] == pytest.approx(mu_of(counts))
        assert row["ratio"] == pytest.approx(row["mu"] / row["I_FY"])
        assert row["null_ratio"] == pytest.approx(row["null_mu"] / row["I_FY"])
        assert row["null_ratio_closed_form"] == pytest.approx(row["null_mu_closed_form"] / row["I_FY"])


def test_a_network_that_knows_nothing_has_no_ratio():
    y = np.repeat([0, 1], 50)
    counts = information.joint_counts(np.zeros(100, int), np.tile([0, 0, 0, 1], 25), y, 2)
    assert all(np.isnan(row["ratio"]) for row in nulls.compare(counts, 5, np.random.default_rng(0)))


def test_the_same_seed_gives_the_same_rows_and_another_does_not():
    first, again, other = (list(nulls.compare(counts_of(3), 19, np.random.default_rng(seed))) for seed in (1, 1, 2))
    assert str(first) == str(again)  # as text, for NaN is not equal to itself
    assert str(first) != str(other)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_influence_of_the_within_class_null_is_its_numerical_derivative(n_classes):
    counts = counts_of(n_classes, f_copies_l=0.5)
    p = counts / counts.sum()
    psi = nulls.closed_form_influence(counts)
    mean = (p * psi).sum()
    step = 1e-6
    for cell in list(zip(*np.nonzero(p), strict=True))[::3]:
        towards = -p
        towards[cell] += 1
        up, down = (nulls.closed_form(1e6 * (p + sign * step * towards)) for sign in (1, -1))
        assert psi[cell] - mean == pytest.approx((up - down) / (2 * step), abs=1e-5)


def test_the_excess_is_the_ratio_less_that_of_the_strictest_null():
    rows = {row["variant"]: row for row in nulls.compare(counts_of(2, f_copies_l=0.9), 19, np.random.default_rng(21))}
    strictest = rows.pop(nulls.WITHIN_CLASS)
    expected = strictest["ratio"] - strictest["null_ratio_closed_form"]
    assert strictest["excess"] == pytest.approx(expected)
    assert 0 < strictest["excess_lo"] < expected < strictest["excess_hi"]
    assert not any("excess" in row for row in rows.values())
