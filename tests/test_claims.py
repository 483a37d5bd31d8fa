"""Verdicts about the paper's claims, from tables made for each of them."""

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.config.printed import Printed
from workflow_scripts.measures import nulls
from workflow_scripts.tables import claims

SUPPORTED, NOT, UNDECIDED, SILENT = claims.SUPPORTED, claims.NOT_SUPPORTED, claims.UNDECIDED, claims.SILENT
NAN = float("nan")


def null_rows(explainer="linear", excess=(0.2, 0.2), epochs=(3.0, 5.0), width=0.5, limits=(0.1, 0.3)):
    """nulls.csv of one explainer: a seed for each excess over the within-class null, with its T0; limits: its own."""
    return pd.DataFrame(
        {
            "seed": seed,
            "explainer": explainer,
            "variant": variant,
            "epoch": epoch,
            "epoch_lo": epoch - width,
            "epoch_hi": epoch + width,
            "I_LY": 0.25,
            "I_FY": 0.5,
            "ratio": 0.6,
            "ratio_corrected": 0.7,
            "ratio_lo": 0.65,
            "ratio_hi": 0.75,
            "null_ratio": 0.5,
            "null_ratio_closed_form": 0.5,
            "p_value": 0.01,
            **dict.fromkeys([f"{name}_shared" for name in ("I_LY", "I_FY", "ratio", "excess")], 0.0),
            "excess": value if variant == nulls.WITHIN_CLASS else NAN,
            "excess_lo": limits[0] if variant == nulls.WITHIN_CLASS else NAN,
            "excess_hi": limits[1] if variant == nulls.WITHIN_CLASS else NAN,
        }
        for seed, (value, epoch) in enumerate(zip(excess, epochs, strict=True))
        for variant in nulls.VARIANTS
    )


def phase_rows(explainer="linear", mu=(-0.01, 0.02), below=(0.1, 0.2), seeds=2):
    """phases.csv of one explainer after T0: intervals of the change of mu, and of the null's I(L;Y|F) less ours."""
    row = {"explainer": explainer, "phase": "after_t0", "seeds": seeds}
    changes = {"change_mean": np.mean(mu), "change_lo": mu[0], "change_hi": mu[1]}
    margins = {"below_null_mean": np.mean(below), "below_null_lo": below[0], "below_null_hi": below[1]}
    of_middle = row | {"phase": "middle", "quantity": "mu", "change_hi": -1.0}
    return pd.DataFrame(
        [
            of_middle,
            row | {"quantity": "mu"} | changes,
            row | {"quantity": "I_LY_given_F"} | dict.fromkeys(changes, -0.4) | margins,
        ]
    )


def verdicts(of_nulls, of_phases, nested=False):
    found = claims.of_experiment(of_nulls, of_phases, nested, None)
    assert tuple(found.columns) == claims.COLUMNS
    return found.set_index(["claim", "explainer"])["verdict"].to_dict()


@pytest.mark.parametrize(
    ("excess", "verdict"),
    [
        ((0.2, 0.2, 0.21), SUPPORTED),
        ((-0.2, -0.2, -0.21), NOT),
        ((0.2, -0.1, 0.2), UNDECIDED),
        ((0.2, NAN, 0.21), SUPPORTED),
        ((NAN, NAN, NAN), UNDECIDED),
    ],
)
def test_claim_1_is_whether_the_ratio_exceeds_that_of_the_null_model(excess, verdict):
    epochs = [NAN if np.isnan(value) else 3.0 for value in excess]
    found = claims.of_experiment(null_rows(excess=excess, epochs=epochs), phase_rows(), False, None)
    row = found.set_index("claim").loc["Claim 1"]
    assert row["verdict"] == verdict
    assert row["seeds"] == np.isfinite(excess).sum()


def test_claim_1_tells_the_ratio_its_null_the_margin_and_what_the_paper_prints():
    paper = Printed(source="nowhere", ratios={"linear": 0.8})
    row = claims.of_experiment(null_rows(), phase_rows(), False, paper).iloc[0]
    assert row[["value", "lo", "hi", "null", "paper"]].tolist() == pytest.approx([0.7, 0.7, 0.7, 0.5, 0.8])
    assert row[["margin", "margin_lo", "margin_hi"]].tolist() == pytest.approx([0.2] * 3)


@pytest.mark.parametrize(("limits", "verdict"), [((0.1, 0.3), SUPPORTED), ((-0.1, 0.5), UNDECIDED), ((-2, -1), NOT)])
def test_a_single_seed_is_judged_by_its_own_interval(limits, verdict):
    row = claims.of_experiment(null_rows(excess=[0.2], epochs=[3.0], limits=limits), phase_rows(), False, None).iloc[0]
    assert row["verdict"] == verdict and row["seeds"] == 1
    assert row[["lo", "hi", "margin_lo", "margin_hi"]].tolist() == [0.65, 0.75, *limits]


@pytest.mark.parametrize(
    ("mu", "below", "verdict"),
    [
        ((-0.01, 0.02), (0.1, 0.2), SUPPORTED),
        ((0.01, 0.02), (0.1, 0.2), SUPPORTED),
        ((-0.03, -0.02), (0.1, 0.2), NOT),
        ((-0.01, 0.02), (-0.2, -0.1), NOT),
        ((-0.01, 0.02), (-0.1, 0.1), UNDECIDED),
        ((-0.01, 0.02), (NAN, NAN), UNDECIDED),
        ((NAN, NAN), (0.1, 0.2), UNDECIDED),
    ],
)
def test_claim_2_is_whether_little_of_the_explainer_is_lost_and_mu_does_not_fall(mu, below, verdict):
    found = claims.of_experiment(null_rows(), phase_rows(mu=mu, below=below), False, None)
    row = found.set_index("claim").loc["Claim 2"]
    assert row["verdict"] == verdict
    assert row[["lo", "hi", "margin_lo", "margin_hi"]].tolist() == pytest.approx([*mu, *below], nan_ok=True)


@pytest.mark.parametrize(
    ("late", "changed", "verdict"),
    [
        ({}, {}, SUPPORTED),
        ({"epochs": (0.0, 2.0)}, {}, NOT),
        ({"epochs": (3.0, 5.0)}, {}, UNDECIDED),
        ({"width": 9.0}, {}, UNDECIDED),
        ({"epochs": (9.0, NAN)}, {}, UNDECIDED),
        ({"excess": (-0.2, -0.2)}, {}, NOT),
        ({}, {"mu": (-0.03, -0.02)}, NOT),
        ({}, {"below": (-0.1, 0.1)}, UNDECIDED),
    ],
    ids=["later", "earlier", "at once", "noisy", "one never", "claim 1 fails", "claim 2 fails", "claim 2 undecided"],
)
def test_conjecture_1_needs_an_order_and_both_claims_of_every_explainer(late, changed, verdict):
    late = {"epochs": (9.0, 11.0), **late}
    of_nulls = pd.concat([null_rows("cnn2", epochs=(3.0, 5.0)), null_rows("cnn4", **late)], ignore_index=True)
    of_phases = pd.concat([phase_rows("cnn2"), phase_rows("cnn4", **changed)], ignore_index=True)
    assert verdicts(of_nulls, of_phases, nested=True)["Conjecture 1", "cnn2, cnn4"] == verdict
    assert ("Conjecture 1", "cnn2, cnn4") not in verdicts(of_nulls, of_phases)


def test_conjecture_1_tells_by_how_much_later_wherever_each_t0_may_lie():
    of_nulls = pd.concat([null_rows("cnn2", epochs=(3.0, 5.0)), null_rows("cnn4", epochs=(9.0, 11.0))])
    of_phases = pd.concat([phase_rows("cnn2"), phase_rows("cnn4")])
    row = claims.of_experiment(of_nulls, of_phases, True, None).iloc[-1]
    assert row[["seeds", "value", "lo", "hi"]].tolist() == [2, 6, 5, 7]
    one = claims.of_experiment(of_nulls[of_nulls["seed"] == 0], of_phases, True, None).iloc[-1]
    assert one[["seeds", "value", "lo", "hi"]].tolist() == [1, 6, 5, 7]


def simulated(population, train=(0.99, 1.0), inside=1, noise=0.1):
    """A simulation's table with one noise level and initialisation; (lo, hi) of both accuracies at the last step."""
    rows = [
        {
            "noise": noise,
            "init": "w* <1>",
            "inside": inside,
            "step": step,
            "repetitions": 7,
            "quantity": f"{of}_accuracy",
        }
        | {"mean": np.mean(limits) if step else 0.5, "lo": limits[0] if step else 0.4, "hi": limits[1] if step else 0.6}
        for of, limits in (("train", train), ("population", population))
        for step in (0, 30)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("population", "train", "inside", "verdict"),
    [
        ((0.85, 0.9), (0.99, 1.0), 1, SUPPORTED),
        ((0.5, 0.6), (0.99, 1.0), 1, NOT),
        ((0.85, 0.9), (0.5, 0.6), 1, NOT),
        ((0.65, 0.75), (0.99, 1.0), 1, UNDECIDED),
        ((0.85, 0.9), (0.7, 0.8), 1, UNDECIDED),
        ((NAN, NAN), (0.99, 1.0), 1, UNDECIDED),
        ((0.85, 0.9), (0.99, 1.0), 0, SILENT),
        ((0.1, 0.2), (0.99, 1.0), 0, SILENT),
    ],
)
def test_theorem_1_is_whether_both_accuracies_end_nearer_to_what_it_says_than_to_chance(
    population, train, inside, verdict
):
    row = claims.theorem_1(simulated(population, train, inside)).iloc[0]
    assert row["verdict"] == verdict and row["seeds"] == 7
    halfway = (0.9 + 0.5) / 2
    expected = [np.mean(population) - halfway, *(limit - halfway for limit in population)]
    assert row[["margin", "margin_lo", "margin_hi"]].tolist() == pytest.approx(expected, nan_ok=True)
    assert row["paper"] == pytest.approx(0.9 if inside else NAN, nan_ok=True)


def test_the_page_escapes_names_and_shows_every_verdict_with_its_numbers():
    failing = phase_rows("cnn<4>", mu=(-0.03, -0.02))
    of_nulls = pd.concat([null_rows("cnn2"), null_rows("cnn<4>", epochs=(9.0, 11.0), excess=(0.2, -0.2))])
    paper = Printed(source="nowhere", ratios={"cnn2": 0.72})
    rows = pd.concat(
        [
            claims.of_experiment(of_nulls, pd.concat([phase_rows("cnn2"), failing]), True, paper),
            claims.theorem_1(simulated((0.85, 0.9), inside=0)),
        ]
    ).assign(title="cats & <dogs>")
    page = claims.page(rows, "Claims <1>")
    assert "<title>Claims &lt;1&gt;</title>" in page
    assert page.count("<td>cats &amp; &lt;dogs&gt;</td>") == len(rows) == 6
    assert "<td>cnn&lt;4&gt;</td>" in page and "<td>p = 0.1, w* &lt;1&gt;</td>" in page
    assert "<td>0.7 <small>[0.7, 0.7]</small><br><small>paper 0.72</small></td><td>0.5</td>" in page
    assert "<td>+0.2 <small>[+0.2, +0.2]</small></td><td><span class=yes>supported</span></td>" in page
    shown = [verdict for verdict in (SUPPORTED, NOT, UNDECIDED, SILENT) if f">{verdict}</span>" in page]
    assert shown == [SUPPORTED, NOT, UNDECIDED, SILENT]
    assert [line.count("<td>") for line in page.splitlines() if line.startswith("<tr>")] == [9] * 6


def test_the_page_says_none_where_no_seed_reached_t0():
    of_nulls = null_rows(excess=(NAN, NAN), epochs=(NAN, NAN)).assign(ratio_corrected=NAN)
    of_phases = phase_rows(mu=(NAN, NAN), below=(NAN, NAN), seeds=0)
    page = claims.page(claims.of_experiment(of_nulls, of_phases, False, None).assign(title="task"), "claims")
    assert page.count("<td>0</td><td>none</td>") == 2
    assert page.count(">undecided</span>") == 2 and "nan" not in page.partition("<tbody>")[2]
