import numpy as np
import pandas as pd
import pytest

from workflow_scripts.measures import phase_changes, phases

T_2 = 12.706204736  # 97.5% point of Student's t with one degree of freedom: two seeds


def measures_of_seed(i_fy, i_ly=0.5):
    """Measures of F against a, and against b whose T0 is that of a; I(F;Y|b) is I(F;Y) - 0.4."""
    columns = {
        "checkpoint": range(6),
        "step": [0, 10, 20, 40, 80, 160],
        "epoch": [0.0, 1, 2, 4, 8, 16],
        "train_accuracy": [0.5, 0.6, 0.7, 0.8, 0.9, 1],
        "accuracy": i_fy,
        "I_FY": i_fy,
        "I_FY_lo": np.array(i_fy) - 0.15,
        "I_FY_hi": np.array(i_fy) + 0.15,
        "mu": 0.3,
        "I_FY_given_L": np.array(i_fy) - 0.4,
        "I_LY_given_F": [0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
        "mu_null": 0.1,
    }
    return pd.concat(
        [_rows(name, columns, np.array(i_fy), known) for name, known in (("a", i_ly), ("b", 0.85))],
        ignore_index=True,
    )


def _rows(name, columns, i_fy, i_ly, noise=0.0):
    lead = i_fy - i_ly
    limits = {"lead": lead, "lead_lo": lead - noise, "lead_hi": lead + noise}
    return pd.DataFrame({"explainer": name, **columns, "I_LY": i_ly, **limits})


EARLY = measures_of_seed([0.0, 0.2, 0.5, 0.8, 0.9, 0.85])  # T0 at 2, overfitting from 3


LATE = measures_of_seed([0.0, 0.2, 0.4, 0.8, 0.9, 0.85])  # T0 at 3, where overfitting starts at once


NEVER = measures_of_seed([0.0, 0.2, 0.5, 0.8, 0.9, 0.85], i_ly=0.95)


def rows_of(found):
    return found.set_index(["explainer", "phase", "quantity"])


def phase_rows(tables):
    ends = [phases.candidates(table[table["explainer"] == "a"].reset_index(drop=True)) for table in tables]
    runs = {name: [table[table["explainer"] == name].reset_index(drop=True) for table in tables] for name in "ab"}
    return rows_of(pd.concat([phase_changes.table(name, runs[name], ends, {}) for name in "ab"]))


def test_a_change_allows_for_every_t0_that_the_test_set_does():
    i_fy = np.array([0.0, 0.2, 0.5, 0.8, 0.9, 0.85])
    columns = {name: EARLY[EARLY["explainer"] == "a"][name].to_numpy() for name in EARLY if name not in ("explainer",)}
    noisy = [_rows("a", columns, i_fy, 0.5, noise=0.31)] * 2
    ends = [phases.candidates(table) for table in noisy]
    row = rows_of(phase_changes.table("a", noisy, ends, {})).loc[("a", "first", "I_FY")]
    assert row[["to_epoch", "to_epoch_lo", "to_epoch_hi"]].tolist() == [2, 1, 8]
    assert row[["change_mean", "change_lo", "change_hi"]].tolist() == pytest.approx([0.5, 0.2, 0.9])


@pytest.mark.parametrize("explainer", ["a", "b"])
def test_phases_end_at_the_t0_of_the_reference(explainer):
    found = phase_rows([EARLY])
    ends = [found.loc[(explainer, phase, "mu"), ["from_epoch", "to_epoch"]].tolist() for phase in phases.PHASES]
    assert ends == [[0, 2], [2, 4], [4, 16]]


@pytest.mark.parametrize("explainer", ["a", "b"])
def test_after_t0_reaches_from_the_t0_of_the_reference_to_the_end(explainer):
    found = phase_rows([EARLY]).loc[(explainer, "after_t0")]
    assert (found[["from_epoch", "to_epoch"]] == [2, 16]).all(axis=None)
    assert found.loc["I_LY_given_F", "change_mean"] == pytest.approx(-0.3)
    assert found.loc["I_LY_given_F", "below_null_mean"] == pytest.approx({"a": 0.5, "b": 0.85}[explainer] - 0.1)
    together = phase_rows([EARLY, LATE, NEVER]).loc[(explainer, "after_t0", "mu")]
    assert together["seeds"] == 2 and together["from_epoch"] == 3


def test_a_phase_states_the_change_over_it_with_its_interval():
    row = phase_rows([EARLY, LATE]).loc[("b", "first", "I_FY")]
    assert row["seeds"] == 2
    assert row[["from_mean", "to_mean", "change_mean"]].tolist() == pytest.approx([0, 0.65, 0.65])
    assert row["change_std"] == pytest.approx(np.sqrt(0.045))
    assert row[["change_lo", "change_hi"]].tolist() == pytest.approx([0.65 - T_2 * 0.15, 0.65 + T_2 * 0.15])
    assert row["sign"] == "flat"
    assert row[["to_epoch", "to_epoch_lo", "to_epoch_hi"]].tolist() == pytest.approx([3, 3 - T_2, 3 + T_2])
    assert np.isnan(row["null"])


@pytest.mark.parametrize(
    ("phase", "quantity", "sign"),
    [
        ("overfitting", "I_FY", "up"),
        ("overfitting", "I_LY_given_F", "down"),
        ("overfitting", "mu", "flat"),
        ("middle", "I_FY", "unknown"),
    ],
)
def test_a_change_has_the_sign_that_its_seeds_agree_on(phase, quantity, sign):
    assert phase_rows([EARLY, LATE]).loc[("a", phase, quantity), "sign"] == sign


def test_the_null_model_leaves_the_information_that_its_mu_does_not_explain():
    found = phase_rows([EARLY, LATE]).loc[("b", "first")]
    assert found.loc["mu", "null"] == pytest.approx(0.1)
    assert found.loc["I_FY_given_L", "null"] == pytest.approx(0.65 - 0.1)
    assert found.loc["I_LY_given_F", "null"] == pytest.approx(0.85 - 0.1)
    below = ["below_null_mean", "below_null_lo", "below_null_hi"]
    assert found.loc["I_FY_given_L", below].tolist() == pytest.approx([0.3, 0.3, 0.3])
    assert found.loc["I_LY_given_F", below].tolist() == pytest.approx([0.5, 0.5 - T_2 * 0.05, 0.5 + T_2 * 0.05])


def test_seeds_without_a_phase_are_left_out_of_it():
    found = phase_rows([EARLY, LATE, NEVER])
    assert [found.loc[("a", phase, "mu"), "seeds"] for phase in phases.PHASES] == [2, 1, 2]
    assert found.loc[("a", "middle", "I_FY"), "change_mean"] == pytest.approx(0.3)


def test_an_experiment_that_never_reaches_t0_has_phases_without_values():
    found = phase_rows([NEVER]).query("phase != 'warm_up'")
    assert (found["seeds"] == 0).all()
    assert (found["sign"] == "unknown").all()
    assert found[["to_epoch", "change_mean", "null"]].isna().all(axis=None)


def test_the_warm_up_needs_no_t0_and_allows_for_the_noise_of_the_test_set_and_for_seeds():
    ends = ["seeds", "from_epoch", "to_epoch", "to_epoch_lo", "to_epoch_hi"]
    several = phase_rows([EARLY, NEVER])
    assert several.loc[("a", "warm_up", "I_FY"), ends].astype(float).tolist()[:3] == [2, 0, 1]
    assert np.isnan(several.loc[("a", "warm_up", "I_FY"), "to_epoch_lo"]), "no warm-up at all can't be excluded"
    sure = [table.assign(I_FY_lo=table["I_FY"] - 0.1, I_FY_hi=table["I_FY"] + 0.05) for table in (EARLY, NEVER)]
    assert phase_rows(sure).loc[("a", "warm_up", "I_FY"), ends].tolist() == [2, 0, 1, 1, 1]
    slower = measures_of_seed([0.0, 0.05, 0.5, 0.8, 0.9, 0.85]).assign(I_FY_lo=sure[0]["I_FY"], I_FY_hi=0.0)
    found = phase_rows([EARLY.assign(I_FY_lo=EARLY["I_FY"]), slower]).loc[("a", "warm_up", "I_FY")]
    assert found["to_epoch"] == 1.5 and found["change_mean"] == pytest.approx(0.35)
