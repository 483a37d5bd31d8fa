from itertools import product
from math import log2

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from workflow_scripts.measures import corrections, information, intervals, per_class, phases, rounding


def counted(f, l, y, n_classes):
    counts = np.zeros([n_classes] * 3, dtype=int)
    for cell in zip(f, l, y, strict=True):
        counts[cell] += 1
    return counts


def labels_of(counts):
    return np.repeat(np.argwhere(counts >= 0), counts.ravel(), axis=0).T


def information_between(joint):
    """I(A;B) in bits by its definition, from a table of counts [a, b]."""
    total = joint.sum()
    return sum(
        joint[a, b] / total * log2(joint[a, b] * total / (joint[a].sum() * joint[:, b].sum()))
        for a, b in product(*map(range, joint.shape))
        if joint[a, b] > 0
    )


def information_given(joint):
    """I(A;B|C) in bits by its definition, the mean of I(A;B) within each c, from counts [a, b, c]."""
    parts = [joint[..., c] for c in range(joint.shape[-1]) if joint[..., c].sum() > 0]
    return sum(part.sum() / joint.sum() * information_between(part) for part in parts)


def exact_counts(p_y, l_given_y, f_given_l, total):
    """Counts [f, l, y] of the chain Y -> L -> F that are exactly its densities times total."""
    counts = total * np.einsum("y,yl,lf->fly", p_y, l_given_y, f_given_l)
    assert np.allclose(counts, counts.round())
    return counts.round().astype(int)


def symmetric(accuracy):
    return np.array([[accuracy, 1 - accuracy], [1 - accuracy, accuracy]])


def nested_labels(k, n_classes=3, n=400, checkpoints=4):
    """f [T, N], k explainers, every second one co-trained: [N] or [T, N], and y [N]."""
    rng = np.random.default_rng(k)
    y = rng.integers(n_classes, size=n)

    def like_y(*shape):
        return np.where(rng.random(shape) < 0.7, y, rng.integers(n_classes, size=shape)).astype(np.uint8)

    return like_y(checkpoints, n), [like_y(*([checkpoints] * (i % 2)), n) for i in range(k)], y


@pytest.mark.parametrize("k", [1, 2, 3])
def test_joint_counts_given_several_explainers_count_every_tuple(k):
    f, several, y = nested_labels(k)
    counts, l = information.joint_counts_given_several(f, several, y, 3)
    tuples = np.stack([np.broadcast_to(values, f.shape) for values in several], -1)
    value_of = {}
    for t, i in np.ndindex(*f.shape):
        assert value_of.setdefault(tuple(tuples[t, i]), l[t, i]) == l[t, i]
    assert sorted(value_of.values()) == list(range(len(value_of))), "a value for every tuple that occurs"
    expected = np.zeros((len(f), 3, len(value_of), 3), dtype=int)
    for t, i in np.ndindex(*f.shape):
        expected[t, f[t, i], value_of[tuple(tuples[t, i])], y[i]] += 1
    np.testing.assert_array_equal(counts, expected)


def test_joint_counts_given_one_explainer_are_the_ordinary_ones():
    f, (explainer,), y = nested_labels(1)
    counts, l = information.joint_counts_given_several(f, [explainer], y, 3)
    np.testing.assert_array_equal(counts, information.joint_counts(f, explainer, y, 3))
    np.testing.assert_array_equal(l, np.broadcast_to(explainer, f.shape))


def test_tuples_of_many_explainers_take_no_more_values_than_there_are_examples():
    rng = np.random.default_rng(3)
    several = [rng.integers(10, size=50) for _ in range(30)]
    counts, l = information.joint_counts_given_several(rng.integers(10, size=(2, 50)), several, several[0], 10)
    assert counts.shape == (2, 10, 50, 10) and l.max() == 49


@pytest.mark.parametrize("k", [1, 2, 3])
def test_mu_of_several_explainers_is_what_they_explain_together(k):
    f, several, y = nested_labels(k)
    counts, l = information.joint_counts_given_several(f, several, y, 3)
    found = information.measures(counts)["mu"]
    for t in range(len(f)):
        joint = np.zeros((3, 3, l.max() + 1), dtype=int)
        np.add.at(joint, (f[t], y, l[t]), 1)
        assert found[t] == pytest.approx(information_between(joint.sum(-1)) - information_given(joint), abs=1e-12)


def table(kind):
    rng = np.random.default_rng(5)
    if kind == "constant F":
        counts = np.zeros((3, 3, 3), dtype=int)
        counts[1] = rng.integers(0, 9, (3, 3))
    elif kind == "constant L":
        counts = np.zeros((3, 3, 3), dtype=int)
        counts[:, 2] = rng.integers(0, 9, (3, 3))
    elif kind == "no example of class 1":
        counts = rng.integers(0, 9, (3, 3, 3))
        counts[..., 1] = 0
    elif kind == "one example":
        counts = counted([1], [0], [1], 2)
    else:
        counts = rng.poisson({"2 classes": 20, "3 classes": 5, "10 classes": 0.6}[kind], [int(kind.split()[0])] * 3)
    return counts


KINDS = ("2 classes", "3 classes", "10 classes", "constant F", "constant L", "no example of class 1", "one example")


@pytest.mark.parametrize("chunk", [1, 60, 95, 1 << 22])
@pytest.mark.parametrize(("f_time", "l_time"), [((), ()), ((5,), ()), ((), (5,)), ((5,), (5,))])
@pytest.mark.parametrize(("n_classes", "dtype"), [(2, np.int64), (10, np.uint8)])
def test_joint_counts_are_those_of_a_loop(monkeypatch, chunk, f_time, l_time, n_classes, dtype):
    monkeypatch.setattr(information, "_CHUNK", chunk)
    rng = np.random.default_rng(1)
    f, l, y = (rng.integers(n_classes, size=(*time, 30)).astype(dtype) for time in (f_time, l_time, ()))
    found = information.joint_counts(f, l, y, n_classes)
    time = f_time or l_time
    assert found.shape == (*time, *[n_classes] * 3)
    for t in np.ndindex(*time):
        assert (found[t] == counted(f[t] if f_time else f, l[t] if l_time else l, y, n_classes)).all()


@pytest.mark.parametrize("chunk", [1, 60, 1 << 22])
@pytest.mark.parametrize("time", [(), (4,)])
def test_pair_counts_are_joint_counts_with_a_constant_explainer(monkeypatch, chunk, time):
    monkeypatch.setattr(information, "_CHUNK", chunk)
    rng = np.random.default_rng(2)
    f, y = rng.integers(10, size=(*time, 30)).astype(np.uint8), rng.integers(10, size=30).astype(np.uint8)
    found = information.pair_counts(f, y, 10)
    assert found.shape == (*time, 10, 1, 10)
    for t in np.ndindex(*time):
        assert (found[t][:, 0] == counted(f[t], np.zeros(30, int), y, 10)[:, 0]).all()


@pytest.mark.parametrize(
    ("f", "l", "y", "message"),
    [
        ([0, 1, 0], [0, 1], [0, 1], "one evaluation set"),
        ([0, 1], [0, 1, 0], [0, 1], "one evaluation set"),
        ([[0, 1, 1]], [0, 1], [0, 1], "one evaluation set"),
        ([0, 1], [0, 1], [[0, 1], [0, 1]], "one evaluation set"),
        ([[[0, 1]]], [0, 1], [0, 1], "one evaluation set"),
        ([[0, 1], [1, 1]], [[0, 1], [1, 1], [0, 0]], [0, 1], "different length"),
        ([0, 2], [0, 1], [0, 1], "outside 0..1"),
        ([0, 1], [-1, 1], [0, 1], "outside 0..1"),
        ([0, 1], [0, 1], [0, 2], "outside 0..1"),
    ],
    ids=["long f", "long l", "long f_t", "2-D y", "3-D f", "T differs", "f too large", "negative l", "y too large"],
)
def test_labels_that_do_not_fit_together_are_an_error(f, l, y, message):
    with pytest.raises(ValueError, match=message):
        information.joint_counts(np.array(f), np.array(l), np.array(y), 2)


@pytest.mark.parametrize("counts", [np.zeros((2, 2, 2), int), np.stack([np.eye(2)[None], np.zeros((1, 2, 2))])])
def test_an_empty_evaluation_set_is_an_error(counts):
    with pytest.raises(ValueError, match="empty"):
        information.measures(counts)


def test_counts_without_three_axes_are_an_error():
    with pytest.raises(ValueError, match="axes"):
        information.measures(np.eye(2))


@pytest.mark.parametrize("kind", KINDS)
def test_measures_follow_the_definitions(kind):
    counts = table(kind)
    found = information.measures(counts)
    expected = {
        "accuracy": sum(counts[k, :, k].sum() for k in range(len(counts))) / counts.sum(),
        "I_FY": information_between(counts.sum(1)),
        "I_LY": information_between(counts.sum(0)),
        "I_FL": information_between(counts.sum(2)),
        "I_FY_given_L": information_given(counts.transpose(0, 2, 1)),
        "I_LY_given_F": information_given(counts.transpose(1, 2, 0)),
        "I_FL_given_Y": information_given(counts),
        "mu": information_between(counts.sum(1)) - information_given(counts.transpose(0, 2, 1)),
    }
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_unconditional_information_is_that_of_scikit_learn(kind):
    f, l, y = labels_of(table(kind))
    found = information.measures(table(kind))
    for name, (a, b) in {"I_FY": (f, y), "I_LY": (l, y), "I_FL": (f, l)}.items():
        assert found[name] == pytest.approx(mutual_info_score(a, b) / np.log(2), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_both_predictors_together_know_the_sum_of_the_chain_rule(kind):
    counts = table(kind)
    f, l, y = labels_of(counts)
    together = mutual_info_score(f * len(counts) + l, y) / np.log(2)
    found = information.measures(counts)
    assert found["I_LY"] + found["I_FY_given_L"] == pytest.approx(together, abs=1e-12)
    assert found["I_FY"] + found["I_LY_given_F"] == pytest.approx(together, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pair", ["FY L", "LY F", "FL Y"])
def test_mu_is_what_conditioning_takes_from_any_of_the_three_pairs(kind, pair):
    of, given = pair.split()
    found = information.measures(table(kind))
    assert found["mu"] == pytest.approx(found[f"I_{of}"] - found[f"I_{of}_given_{given}"], abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 10])
def test_a_perfect_network_knows_all_and_shares_what_the_explainer_knows(n_classes):
    l, y = labels_of(np.random.default_rng(3).integers(1, 9, (1, n_classes, n_classes)))[1:]
    l, y = np.tile(l, n_classes), (y[None] + np.arange(n_classes)[:, None]).ravel() % n_classes  # y is balanced
    found = information.measures(information.joint_counts(y, l, y, n_classes))
    assert found["accuracy"] == 1
    assert found["I_FY"] == pytest.approx(log2(n_classes))
    assert found["mu"] == pytest.approx(mutual_info_score(l, y) / np.log(2), abs=1e-12)
    assert found["I_LY_given_F"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("f", [np.array([1.0, 0, 0]), np.array([2, 3, 5]) / 10], ids=["constant", "independent"])
def test_a_network_that_knows_nothing_of_the_rest_has_no_information(f):
    ly = np.random.default_rng(4).integers(1, 9, (3, 3))
    found = information.measures(np.round(10 * f[:, None, None] * ly).astype(int))
    for name in ("I_FY", "I_FL", "I_FY_given_L", "I_FL_given_Y", "mu"):
        assert found[name] == pytest.approx(0, abs=1e-12)
    assert found["I_LY_given_F"] == pytest.approx(information_between(ly))


def test_an_explainer_from_which_the_network_is_drawn_explains_all_it_knows():
    counts = exact_counts(np.array([0.5, 0.5]), symmetric(0.9), symmetric(0.8), 1000)
    found = information.measures(counts)
    a = 0.9 * 0.8 + 0.1 * 0.2
    known = 1 + a * log2(a) + (1 - a) * log2(1 - a)
    assert found["mu"] == pytest.approx(known)
    assert found["I_FY"] == pytest.approx(known)
    assert found["I_FY_given_L"] == pytest.approx(0, abs=1e-12)


def test_mu_is_minus_one_bit_where_only_both_together_give_the_label():
    f, l = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    found = information.measures(information.joint_counts(f, l, f ^ l, 2))
    assert found["mu"] == pytest.approx(-1)
    assert found["I_FY_given_L"] == pytest.approx(1)
    assert found["I_FY"] == pytest.approx(0, abs=1e-12)


def test_measures_of_all_checkpoints_are_those_of_each():
    counts = np.random.default_rng(6).poisson(0.7, (6, 10, 10, 10))
    together = information.measures(counts)
    for t, alone in enumerate(map(information.measures, counts)):
        assert {name: values[t] for name, values in together.items()} == pytest.approx(alone, abs=1e-13)


@pytest.mark.parametrize(
    ("accuracy", "n_classes", "bits"),
    [(0.5, 2, 0), (1, 2, 1), (0, 2, 1), (0.9, 2, 0.5310044064107188), (1, 10, log2(10)), (0.1, 10, 0)],
)
def test_information_of_accuracy_has_the_known_values(accuracy, n_classes, bits):
    assert information.information_of_accuracy(accuracy, n_classes) == pytest.approx(bits, abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_information_of_accuracy_is_that_of_a_classifier_that_errs_evenly(n_classes):
    table = np.ones((n_classes, n_classes), int) + np.eye(n_classes, dtype=int) * (3 * (n_classes - 1) - 1)
    found = information.measures(table[:, None, :])
    assert found["accuracy"] == 0.75
    assert information.information_of_accuracy(0.75, n_classes) == pytest.approx(found["I_FY"])


def drawn_counts(seed, n_classes):
    """A random table [f, l, y] with some cells empty."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 10 ** rng.integers(1, 5), [n_classes] * 3) * rng.integers(0, 2, [n_classes] * 3)


INDEPENDENT = {
    "F": ("I_FY", "I_FL", "mu", "I_FY_given_L", "I_FL_given_Y"),
    "L": ("I_LY", "I_FL", "mu", "I_LY_given_F", "I_FL_given_Y"),
    "Y": ("I_FY", "I_LY", "mu", "I_FY_given_L", "I_LY_given_F"),
}


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("axis", INDEPENDENT)
def test_what_is_0_in_exact_arithmetic_is_0(seed, axis):
    rng = np.random.default_rng(seed)
    alone, pair = rng.integers(1, 100, 2 + seed % 9), rng.integers(0, 100, (2 + seed % 9, 2 + seed % 9)) + 1
    counts = np.moveaxis(alone[:, None, None] * pair, 0, information.AXES.index(axis))
    found = information.measures(counts)
    assert {name: float(found[name]) for name in INDEPENDENT[axis]} == dict.fromkeys(INDEPENDENT[axis], 0.0)
    parts = per_class.parts(counts)
    assert all((parts[name] == 0).all() for name in INDEPENDENT[axis] if name not in ("I_FL", "mu"))


@pytest.mark.parametrize("seed", range(40))
def test_a_network_that_is_its_explainer_with_other_names_of_the_classes_leads_by_0(seed):
    rng, n_classes = np.random.default_rng(seed), 2 + seed % 9
    known = drawn_counts(seed, n_classes)[0] + 1
    counts = np.zeros([n_classes] * 3, int)
    counts[rng.permutation(n_classes), np.arange(n_classes)] = known
    assert {name: float(value) for name, value in intervals.lead(counts).items()} == dict.fromkeys(
        ("lead", "lead_lo", "lead_hi"), 0.0
    )
    found, best = information.measures(counts), corrections.corrected(counts)
    assert found["I_FY_given_L"] == found["I_LY_given_F"] == 0
    assert rounding.settled(best["I_FY"] - best["I_LY"]) == 0


@pytest.mark.parametrize("seed", range(40))
def test_ties_are_decided_by_no_rounding(seed):
    """Checkpoints with the same counts under other names of the classes know as much: the first of them counts."""
    rng, n_classes = np.random.default_rng(seed), 2 + seed % 9
    one = drawn_counts(seed, n_classes) + 1
    counts = np.stack([one[np.ix_(*(rng.permutation(n_classes) for _ in range(3)))] for _ in range(6)])
    found = information.measures(counts)
    assert all(rounding.first_of_largest(found[name]) == 0 for name in information.TERMS)
    assert all((rounding.settled(found[name] - found[name][::-1]) == 0).all() for name in information.TERMS)
    reference = found["I_FY"][rng.integers(6)]
    assert phases.first_crossing(found["I_FY"] - reference) == 0
    assert phases.crossing_interval(found["I_FY"] - reference, found["I_FY"] - reference, 0) == (0, 0)
    lower = found["I_FY"] * 0.9
    assert phases.overfitting_start(found["I_FY"], found["I_FY"], 2) == 2
    assert phases.warm_up_ends(found["I_FY"], lower, found["I_FY"]) == dict.fromkeys(phases.CANDIDATES, 0)


def test_what_is_small_but_not_0_is_kept():
    counts = np.zeros((2, 1, 2), int)
    counts[:, 0] = [[10_000, 10_000], [10_000, 10_050]]
    assert 1e-9 < information.measures(counts)["I_FY"] < 1e-5
    assert rounding.settled(np.array([1e-11, -1e-11, np.nan]))[:2].tolist() == [1e-11, -1e-11]
