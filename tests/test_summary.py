import numpy as np
import pandas as pd
import pytest

from tests.test_phase_changes import T_2
from workflow_scripts.measures import information, phase_changes, summary
from workflow_scripts.measures.comparison import Comparison


def test_a_summary_has_the_mean_and_interval_of_every_quantity_and_no_limits_of_seeds():
    index = {"explainer": "a", "checkpoint": [0, 1], "step": [0, 9], "epoch": [0.0, 0.5], "n": 100}
    first, second = (
        pd.DataFrame({**index, "I_FY": [0.1, i_fy], "I_FY_lo": 0.0, "I_FY_hi": 1.0, "mu": [0.0, mu]})
        for i_fy, mu in ((0.2, -0.1), (0.4, np.nan))
    )
    nothing = dict.fromkeys(("I_FY", "mu"), np.zeros(2))
    found = summary.table([first, second], nothing)
    assert found["quantity"].tolist() == ["I_FY", "mu"] * 2
    assert found["epoch"].tolist() == [0, 0, 0.5, 0.5]
    assert found["seeds"].tolist() == [2, 2, 2, 1]
    assert found["mean"].tolist() == pytest.approx([0.1, 0, 0.3, -0.1])
    assert found["std"].tolist() == pytest.approx([0, 0, np.sqrt(0.02), np.nan], nan_ok=True)
    assert found["lo"].tolist() == pytest.approx([0.1, 0, 0.3 - T_2 * 0.1, np.nan], nan_ok=True)
    assert found["hi"].tolist() == pytest.approx([0.1, 0, 0.3 + T_2 * 0.1, np.nan], nan_ok=True)
    shared = summary.table([first, second], nothing | {"I_FY": np.array([0.04, 0.0])})
    assert shared["hi"].tolist() == pytest.approx([0.1 + 1.959964 * 0.2, 0, 0.3 + T_2 * 0.1, np.nan], nan_ok=True)


def test_no_quantity_of_the_test_set_gets_an_interval_for_new_seeds_alone():
    index = {"explainer": "a", "checkpoint": [0], "step": [0], "epoch": [0.0], "n": 100}
    runs = [pd.DataFrame({**index, "I_FY_train": 0.2, "train_accuracy": 0.7}) for _ in range(2)]
    assert summary.table(runs, {})["quantity"].tolist() == ["I_FY_train", "train_accuracy"]
    with pytest.raises(KeyError, match="lead"):
        summary.table([table.assign(lead=0.1) for table in runs], {})


def seeds_that_share_a_test_set(n=200, checkpoints=3):
    """Predictions [T, N] of three seeds with those of two explainers of each, [N], and the labels."""
    rng = np.random.default_rng(9)
    y, hard = rng.integers(2, size=n), rng.random(n)

    def right(*shape):
        return np.where(rng.random((*shape, n)) + hard < 1.3, y, 1 - y).astype(np.uint8)

    return [(right(checkpoints), [right(), right()]) for _ in range(3)], y


def share_of(quantity, f, l, y):
    """What each example adds to its plug-in value at one checkpoint: its log densities, counted one by one."""
    examples = list(zip(f.tolist(), l, y.tolist(), strict=True))
    found = np.zeros(len(examples))
    for axes, sign in information.TERMS[quantity].items():
        kept = ["FLY".index(axis) for axis in axes]
        cells = [tuple(example[axis] for axis in kept) for example in examples]
        found -= [sign * np.log2(cells.count(cell) / len(cells)) for cell in cells]
    return found


def test_what_seeds_share_of_mu_is_the_covariance_of_what_each_example_adds():
    seeds, y = seeds_that_share_a_test_set()
    for index in (0, 1):
        alone = summary.shared_variances([Comparison.of(f, explained[index], y, 2) for f, explained in seeds])["mu"]
        together = [Comparison.of_several(f, explained[: index + 1], y, 2) for f, explained in seeds]
        for found, first in ((alone, index), (summary.shared_variance("mu", together), 0)):
            for t in range(3):
                adds = [
                    share_of("mu", f[t], list(zip(*(l.tolist() for l in explained[first : index + 1]), strict=True)), y)
                    for f, explained in seeds
                ]
                covariance = np.cov(adds, bias=True)
                between = covariance[~np.eye(3, dtype=bool)].mean()
                assert between > 0
                assert found[t] == pytest.approx(between / len(y)), (index, first)


def test_what_seeds_share_of_the_lead_is_against_what_an_explainer_is_in_the_end():
    seeds, y = seeds_that_share_a_test_set()
    moving = [np.stack([f[1], f[0], explained[0]]) for f, explained in seeds]
    for explainers in ([explained[0] for _, explained in seeds], moving):
        compared = [Comparison.of(f, l, y, 2) for (f, _), l in zip(seeds, explainers, strict=True)]
        found = summary.shared_variances(compared)["lead"]
        for t in range(3):
            adds = [
                share_of("I_FY", f[t], explained[0].tolist(), y) - share_of("I_LY", f[t], explained[0].tolist(), y)
                for f, explained in seeds
            ]
            between = np.cov(adds, bias=True)[~np.eye(3, dtype=bool)].mean()
            assert found[t] == pytest.approx(max(between, 0) / len(y))
        assert found.max() > 0


def test_what_seeds_share_of_a_change_is_that_of_the_difference_between_its_ends():
    seeds, y = seeds_that_share_a_test_set()
    compared = [Comparison.of(f, explained[0], y, 2) for f, explained in seeds]
    spans = [{"t0": {"first": bounds, "middle": None}} for bounds in ((0, 2), (0, 1), (1, 2))]
    found = phase_changes.shared_variances(compared, spans)
    assert {(candidate, phase) for candidate, phase, _, _ in found} == {("t0", "first")}
    ends = [
        [share_of("mu", f[t], [(l,) for l in explained[0].tolist()], y) for t in of_candidate["t0"]["first"]]
        for (f, explained), of_candidate in zip(seeds, spans, strict=True)
    ]
    for what, adds in (("change", [last - first for first, last in ends]), ("end", [last for _, last in ends])):
        between = np.cov(adds, bias=True)[~np.eye(3, dtype=bool)].mean() / len(y)
        assert found[phase_changes.Estimate("t0", "first", "mu", what)] == pytest.approx(max(between, 0))


def test_a_summary_of_nested_explainers_has_mu_joint_with_what_seeds_share():
    index = {"explainer": "b", "checkpoint": [0], "step": [0], "epoch": [0.0]}
    columns = {"mu_joint_lo": 0.0, "mu_joint_hi": 1.0}
    first, second = (
        pd.DataFrame({**index, "mu_joint": value, "mu_joint_corrected": value - 0.1, **columns}) for value in (0.3, 0.5)
    )
    row = summary.table([first, second], {"mu_joint": np.array([0.04])}).iloc[0]
    half = np.hypot(T_2 * 0.1, 1.959964 * 0.2)
    assert row[["quantity", "seeds", "mean"]].tolist() == ["mu_joint", 2, 0.4]
    assert row[["corrected", "lo", "hi"]].tolist() == pytest.approx([0.3, 0.3 - half, 0.3 + half])


def test_a_single_seed_has_the_interval_of_its_measures():
    index = {"explainer": "a", "checkpoint": [0], "step": [0], "epoch": [0.0]}
    one = pd.DataFrame({**index, "I_FY": 0.2, "I_FY_corrected": 0.1, "I_FY_lo": 0.0, "I_FY_hi": 0.3, "I_FY_p": 0.5})
    row = summary.table([one], {"I_FY": np.zeros(1)}).iloc[0]
    assert row[["quantity", "mean", "corrected", "lo", "hi"]].tolist() == ["I_FY", 0.2, 0.1, 0.0, 0.3]
