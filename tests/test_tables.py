from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.test_phase_changes import EARLY, LATE, NEVER, T_2, phase_rows, rows_of
from workflow_scripts import null_models
from workflow_scripts.config.printed import Printed
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.measures import nulls, per_class
from workflow_scripts.measures.phases import PHASES, QUANTITIES
from workflow_scripts.tables import class_order, phases, ratios, totals


def null_rows(n_seeds=2, **changed):
    """nulls.csv: each seed adds 0.2 to the ratio; p-values 0.01, 0.02, ..."""
    return pd.DataFrame(
        {
            "seed": seed,
            "explainer": "cnn<2>",
            "variant": variant,
            "epoch": 3.0 + 2 * seed,
            "I_LY": 0.25,
            "I_FY": 0.5,
            "ratio": 0.4 + 0.2 * seed,
            "ratio_corrected": 0.5 + 0.2 * seed,
            "ratio_lo": 0.3,
            "ratio_hi": 0.7,
            "excess": 0.1,
            "excess_lo": 0.0,
            "excess_hi": 0.2,
            "epoch_lo": 2.0 + 2 * seed,
            "epoch_hi": 4.0 + 2 * seed,
            **{f"{name}_shared": 0.0 for name in ("I_LY", "I_FY", "ratio", "excess")},
            "null_ratio": 0.125 + number,
            "null_ratio_closed_form": 0.0625 + number,
            "p_value": 0.01 * (1 + seed),
            **changed,
        }
        for seed in range(n_seeds)
        for number, variant in enumerate(nulls.VARIANTS)
    )


def test_ratios_are_means_over_seeds_with_the_largest_p_value():
    found = ratios.at_t0(null_rows(), None).set_index("variant")
    assert list(found.index) == list(nulls.VARIANTS)
    row = found.loc["prior_information"]
    assert row["seeds"] == 2
    assert row[["epoch_mean", "ratio_mean", "I_LY_mean"]].tolist() == pytest.approx([4, 0.5, 0.25])
    limits = row[["ratio_corrected_mean", "ratio_corrected_lo", "ratio_corrected_hi"]].tolist()
    assert limits == pytest.approx([0.6, 0.6 - T_2 * 0.1, 0.6 + T_2 * 0.1])
    assert row[["epoch_lo", "epoch_hi"]].tolist() == pytest.approx([3 - T_2, 5 + T_2])
    assert row[["null_ratio_mean", "null_ratio_closed_form_mean"]].tolist() == pytest.approx([2.125, 2.0625])
    assert row["p_value_largest"] == 0.02


def test_ratios_of_the_paper_stand_beside_ours_where_it_prints_any():
    both = pd.concat([null_rows(explainer=name) for name in ("cnn2", "linear")])
    printed = Printed(source="nowhere", ratios={"cnn2": 0.72, "linear": 0.8}, null_ratios={"linear": 0.31})
    found = ratios.at_t0(both, printed).groupby("explainer")[["paper_ratio", "paper_null_ratio"]].agg(set)
    assert found.loc["linear"].tolist() == [{0.8}, {0.31}]
    assert found.loc["cnn2", "paper_ratio"] == {0.72}
    assert np.isnan([*found.loc["cnn2", "paper_null_ratio"]]).all()
    page = ratios.page(ratios.at_t0(both, printed).assign(title="task"), "table")
    ends = [line.rpartition("<td>")[2] for line in page.splitlines() if line.startswith("<tr>")]
    assert ends == ["0.72</td></tr>", "0.8, null 0.31</td></tr>"]
    unprinted = ratios.at_t0(both, None)
    assert unprinted[["paper_ratio", "paper_null_ratio"]].isna().all(axis=None)
    assert ratios.page(unprinted.assign(title="task"), "table").count("<td></td></tr>") == 2


def test_what_seeds_share_widens_the_interval_of_a_ratio():
    row = ratios.at_t0(null_rows(ratio_shared=0.01), None).iloc[0]
    half = np.hypot(T_2 * 0.1, 1.959964 * 0.1)
    assert row[["ratio_corrected_lo", "ratio_corrected_hi"]].tolist() == pytest.approx([0.6 - half, 0.6 + half])


def test_a_ratio_of_one_seed_has_its_own_interval():
    row = ratios.at_t0(null_rows(1), None).iloc[0]
    assert row[["ratio_corrected_lo", "ratio_corrected_hi", "epoch_lo", "epoch_hi"]].tolist() == [0.3, 0.7, 2, 4]


def test_a_lead_that_is_never_certain_leaves_t0_without_an_upper_limit():
    assert np.isnan(ratios.at_t0(null_rows(epoch_hi=np.nan), None).iloc[0]["epoch_hi"])


def test_null_models_of_seeds_that_never_reach_t0_make_a_table_without_values(tmp_path, monkeypatch):
    y = np.array([0, 0, 1, 1])
    monkeypatch.setattr(tasks, "load_labels", lambda path, task: ({"test": y}, 2))
    paths = [tmp_path / name for name in ("trajectory.npz", "explainer.npz", "nulls.csv")]
    steps = {"steps": np.array([0]), "epochs": np.array([0.0])}
    npz.save(paths[0], **steps, test_sha256="", test_predictions=np.array([[0, 1, 0, 1]]))
    npz.save(paths[1], test_predictions=y)
    config = SimpleNamespace(
        seeds=[3],
        task=None,
        explainers=["linear"],
        references={"linear": "linear"},
        nulls=SimpleNamespace(seed=0, draws=9),
    )
    inputs = SimpleNamespace(data=None, trajectories=paths[:1], explainers=paths[1:2])
    null_models.run(config, inputs, SimpleNamespace(nulls=paths[2]))
    found = ratios.at_t0(dataframes.read(paths[2]), None)
    assert found["variant"].tolist() == list(nulls.VARIANTS)
    assert (found["seeds"] == 0).all()
    assert "none" in ratios.page(found.assign(title="task"), "table")


@pytest.mark.parametrize(
    ("row", "agrees"),
    [
        ({"paper": "up", "sign": "up"}, "yes"),
        ({"paper": "up", "sign": "flat"}, "undecided"),
        ({"paper": "up", "sign": "down"}, "no"),
        ({"paper": "flat", "sign": "down"}, "no"),
        ({"paper": "flat", "sign": "unknown"}, "undecided"),
        ({"paper": "near_0", "sign": "up", "below_null_lo": 0.1, "below_null_hi": 0.2}, "yes"),
        ({"paper": "near_0", "sign": "down", "below_null_lo": -0.2, "below_null_hi": -0.1}, "no"),
        ({"paper": "near_0", "sign": "flat", "below_null_lo": -0.1, "below_null_hi": 0.1}, "undecided"),
        ({"paper": "near_0", "sign": "flat", "below_null_lo": np.nan, "below_null_hi": np.nan}, "undecided"),
    ],
)
def test_agreement_is_of_signs_or_for_near_0_with_the_null_model(row, agrees):
    assert phases._agrees(row) == agrees


def test_signs_stand_beside_those_of_the_paper():
    found = rows_of(phases.beside_paper(phase_rows([EARLY, LATE]).reset_index()))
    columns = ["sign", "paper", "agrees"]
    assert found.loc[("b", "first", "train_accuracy"), columns].tolist() == ["flat", "up", "undecided"]
    assert found.loc[("b", "first", "I_FY_given_L"), "agrees"] == "yes"
    assert found.loc[("b", "middle", "mu"), columns].tolist() == ["unknown", "flat", "undecided"]
    assert found.loc[("b", "overfitting", "I_FY"), columns].tolist() == ["up", "flat", "no"]
    assert found.loc[("b", "overfitting", "I_LY_given_F"), columns].tolist() == ["down", "near_0", "yes"]
    assert found.loc[("b", "middle", "I_LY_given_F"), "agrees"] == "undecided"


@pytest.mark.parametrize(
    ("quantity", "entries"),
    [
        ("train_accuracy", ["up", "up", "up"]),
        ("accuracy", ["up", "up", "flat"]),
        ("I_FY", ["up", "up", "flat"]),
        ("mu", ["up", "flat", "flat"]),
        ("I_FY_given_L", ["near_0", "up", "flat"]),
        ("I_LY_given_F", ["down", "near_0", "near_0"]),
    ],
)
def test_entries_of_the_paper_are_those_printed(quantity, entries):
    found = rows_of(phases.beside_paper(phase_rows([EARLY]).reset_index()))
    assert [found.loc[("a", phase, quantity), "paper"] for phase in PHASES] == entries


def test_the_ratios_page_shows_the_numbers_and_escapes_names():
    page = ratios.page(ratios.at_t0(null_rows(), None).assign(title="cats & <dogs>"), "Table <2>")
    assert "<title>Table &lt;2&gt;</title>" in page
    assert "<td>cats &amp; &lt;dogs&gt;</td><td>cnn&lt;2&gt;</td><td>2</td>" in page
    assert "<b>0.6 <small>[-0.671, 1.87]</small></b><br><small>plug-in 0.5</small>" in page
    assert "<td>4 <small>[-9.71, 17.7]</small></td>" in page
    for number in range(5):
        assert f"<td>{0.0625 + number:.3f}<br><small>sampled {number}.125</small></td>" in page
    assert "<td>≤ 0.02</td>" in page


def test_the_ratios_page_says_none_where_no_seed_reached_t0():
    page = ratios.page(
        ratios.at_t0(null_rows(epoch=np.nan, ratio=np.nan, ratio_corrected=np.nan), None).assign(title="task"), "table"
    )
    assert "<td>none</td>" in page
    assert "<b>none</b>" in page


def test_the_signs_page_shows_the_numbers_and_escapes_names():
    found = phase_rows([EARLY, EARLY]).reset_index().replace({"explainer": {"b": "cnn<2>"}})
    table = phases.beside_paper(found).assign(title="cats & <dogs>")
    page = phases.page(table, "Table <1>")
    assert "<title>Table &lt;1&gt;</title>" in page
    assert "<td>cats &amp; &lt;dogs&gt;</td><td>cnn&lt;2&gt;</td><td>middle</td><td>2 to 4</td>" in page
    assert "↑ <small>+0.3</small><br><small>[+0.3, +0.3]</small><br><small class=yes>paper ↑: yes</small>" in page
    assert "0.1 <small>(null 0.4)</small><br> <small>+0.5</small><br><small>[+0.5, +0.5]</small>" in page
    assert "class=no>paper –: no</small>" in page


def test_the_signs_page_says_where_a_phase_is_missing():
    table = phases.beside_paper(phase_rows([NEVER]).reset_index()).assign(title="task")
    page = phases.page(table, "table")
    assert page.count("<td>none</td>") == 6  # two explainers, three phases
    assert page.count("no such phase") == 6 * len(QUANTITIES)


def summary_rows(mean: float, corrected: float, quantities=("accuracy", "I_FY", "I_LY", "mu")) -> pd.DataFrame:
    rows = [
        {"explainer": explainer, "epoch": epoch, "quantity": quantity, "seeds": 2, "mean": mean * epoch}
        | {"corrected": corrected * epoch, "lo": 0.1, "hi": 0.3}
        for explainer in ("linear", "other")
        for epoch in (0.0, 1.0)
        for quantity in (*quantities, *set(totals._HEADS) - set(quantities))
    ]
    return pd.DataFrame(rows)


def test_totals_are_those_of_the_last_checkpoint_with_their_bias_and_the_papers_beside_the_first_explainer():
    found = totals.at_the_end(summary_rows(0.25, 0.2), Printed(source="nowhere", I_FY=0.3, mu=0.1))
    assert len(found) == 2 * len(totals._HEADS) and (found["epoch"] == 1).all()
    assert found["bias"].tolist() == pytest.approx([0.05] * len(found))
    told = found.dropna(subset="paper").set_index(["explainer", "quantity"])["paper"].to_dict()
    assert told == {("linear", "I_FY"): 0.3, ("linear", "mu"): 0.1}
    page = totals.page(found.assign(title="a < b"), "totals")
    assert "a &lt; b" in page and "plug-in 0.25, +0.05" in page and page.count("paper 0.3") == 1
    assert totals.at_the_end(summary_rows(0.25, 0.25), None)["paper"].isna().all()


def test_a_rounding_error_of_nothing_is_told_as_nothing():
    page = totals.page(totals.at_the_end(summary_rows(1e-16, -3e-17), None).assign(title="t"), "totals").partition(
        "<tbody>"
    )[2]
    assert "e-1" not in page and "plug-in 0" not in page


def test_classes_stand_in_the_order_in_which_they_are_learned():
    found = pd.DataFrame(
        {"class": ["cat", "cat", "dog", "dog", "eel", "eel"], "seed": [0, 1] * 3, "final": [0.3, 0.3, 0.2, 0.2, 0, 0]}
        | {"epoch": [3.0, 5.0, 1.0, 2.0, np.nan, np.nan]}
    )
    table = per_class.mean_learning_times(found)
    assert table.set_index("class")["rank"].to_dict() == pytest.approx({"cat": 2, "dog": 1, "eel": np.nan}, nan_ok=True)
    page = class_order.page(table.assign(title="Net"), "order")
    assert page.index("<b>dog</b><br>1.5") < page.index("<b>cat</b><br>4") < page.index("<b>eel</b><br>none")
