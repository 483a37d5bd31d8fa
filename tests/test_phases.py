import numpy as np
import pytest

from workflow_scripts.measures import phases

# the best checkpoint is 4, its lower limit 0.75
I_FY = np.array([0.0, 0.2, 0.5, 0.8, 0.9, 0.85])
I_FY_LO = I_FY - 0.15


@pytest.mark.parametrize(
    ("i_fy", "i_ly", "t0"),
    [
        ([0.0, 0.3, 0.6, 0.2], 0.3, 1),
        ([0.0, 0.3, 0.6, 0.2], 0.31, 2),
        ([0.5, 0.1], 0.4, 0),
        ([0.0, 0.3], 0.4, None),
    ],
    ids=["equal", "above", "at once", "never"],
)
def test_t0_is_the_first_checkpoint_that_does_as_well_as_the_explainer(i_fy, i_ly, t0):
    assert phases.first_crossing(np.array(i_fy) - i_ly) == t0


@pytest.mark.parametrize(("t0", "start"), [(0, 3), (2, 3), (3, 3), (4, 4), (5, 5)])
def test_overfitting_starts_where_the_curve_reaches_the_lower_limit_of_its_best(t0, start):
    assert phases.overfitting_start(I_FY, I_FY_LO, t0) == start


def test_a_better_checkpoint_before_t0_does_not_count():
    assert phases.overfitting_start(np.array([0.9, 0.1, 0.2, 0.4]), np.array([0.8, 0.0, 0.1, 0.3]), 1) == 3


def test_overfitting_starts_at_the_best_checkpoint_when_its_corrected_limit_lies_above_it():
    i_fy = np.array([0.1, 0.3, 0.2])
    assert phases.overfitting_start(i_fy, i_fy + 0.01, 0) == 1


@pytest.mark.parametrize(
    ("t0", "expected"),
    [
        (2, {"first": (0, 2), "middle": (2, 3), "overfitting": (3, 5), "after_t0": (2, 5)}),
        (0, {"first": None, "middle": (0, 3), "overfitting": (3, 5), "after_t0": (0, 5)}),
        (3, {"first": (0, 3), "middle": None, "overfitting": (3, 5), "after_t0": (3, 5)}),
        (5, {"first": (0, 5), "middle": None, "overfitting": None, "after_t0": None}),
        (None, {"first": None, "middle": None, "overfitting": None, "after_t0": None}),
    ],
)
@pytest.mark.parametrize(("warm", "warm_up"), [(1, (0, 1)), (0, None)])
def test_phases_meet_at_t0_and_at_the_start_of_overfitting_and_the_warm_up_needs_neither(t0, expected, warm, warm_up):
    assert phases.boundaries(I_FY, I_FY_LO, t0, warm) == {**expected, "warm_up": warm_up}
    assert set(phases.SPANS) == {*expected, "warm_up"}


def test_a_curve_that_ends_at_its_best_has_no_overfitting():
    found = phases.boundaries(np.array([0.0, 0.4, 0.9]), np.array([0.0, 0.35, 0.85]), 1, 1)
    assert found["overfitting"] is None and found["middle"] == found["after_t0"] == (1, 2)


@pytest.mark.parametrize(
    ("lo", "hi", "expected"),
    [
        (0.1, 0.2, "up"),
        (-0.2, -0.1, "down"),
        (-0.1, 0.1, "flat"),
        (0.0, 0.2, "flat"),
        (-0.2, 0.0, "flat"),
        (np.nan, np.nan, "unknown"),
    ],
)
def test_sign_says_on_which_side_of_zero_the_interval_lies(lo, hi, expected):
    assert phases.sign(lo, hi) == expected


def test_t0_lies_between_a_possible_and_a_certain_lead():
    lead = np.array([-0.5, -0.1, 0.05, 0.1, 0.4])
    assert phases.crossing_interval(lead - 0.2, lead + 0.2, 2) == (1, 4)
    assert phases.crossing_interval(lead - 0.6, lead + 0.6, 2) == (0, None)
    assert phases.crossing_interval(lead, lead, 2) == (2, 2)


@pytest.mark.parametrize(
    ("i_fy", "noise", "ends"),
    [
        ([0.0, 0.05, 0.1, 0.5, 1.0], 0.0, (2, 2, 2)),
        ([0.0, 0.05, 0.099, 0.5, 1.0, 0.02], 0.0, (3, 3, 3)),
        ([0.0, 0.05, 0.101, 0.5, 1.0], 0.06, (1, 2, 3)),
        ([0.0, 0.05, 0.101, 0.2, 0.21], 0.2, (0, 1, 4)),
        ([0.2, 0.1, 0.5, 1.0], 0.0, (0, 0, 0)),
        ([0.0, 0.0, 0.0, 0.0], 0.0, (3, 3, 3)),
        ([0.0, 0.02, 0.01, 0.0], 0.03, (3, 3, 3)),
        ([0.4], 0.0, (0, 0, 0)),
    ],
    ids=[
        "equal to a tenth",
        "a tenth of the best, not of the last",
        "noise",
        "a level that is never certain",
        "known before training",
        "nothing is ever known",
        "nothing is certainly known",
        "one checkpoint",
    ],
)
def test_the_warm_up_ends_where_a_tenth_of_the_most_is_known(i_fy, noise, ends):
    i_fy = np.array(i_fy)
    assert phases.warm_up_ends(i_fy, i_fy - noise, i_fy + noise) == dict(zip(phases.CANDIDATES, ends, strict=True))


def test_a_corrected_interval_beside_the_value_leaves_the_end_of_the_warm_up_inside():
    i_fy = np.array([0.0, 0.2, 1.0])
    assert phases.warm_up_ends(i_fy, i_fy - 0.15, i_fy - 0.12) == {"earliest": 1, "t0": 1, "latest": 2}
    assert phases.warm_up_ends(i_fy, i_fy + 0.11, i_fy + 0.12) == {"earliest": 0, "t0": 1, "latest": 1}
