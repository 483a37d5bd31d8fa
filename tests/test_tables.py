from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workflow_scripts import measure, null_models, summarize
from workflow_scripts.config.printed import Printed
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.measures import information, nulls, per_class, phases
from workflow_scripts.tables import class_order, ratios, totals
from workflow_scripts.tables import phases as table_1

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
    return rows_of(pd.concat([summarize.phase_table(name, runs[name], ends, {}) for name in "ab"]))


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


def test_measures_hold_the_quantities_of_each_part_of_the_data():
    test, train = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    trajectory = {
        "steps": np.array([0, 5]),
        "epochs": np.array([0.0, 0.5]),
        "test_predictions": np.array([[0, 1, 0, 1], [0, 0, 1, 1]]),
        "train_predictions": np.array([[0, 1, 0, 1], [0, 0, 1, 1]]),
    }
    said, f = np.array([1, 0, 1, 1]), trajectory["test_predictions"]
    counts = information.joint_counts(f, said, test, 2)
    found = measure.measure(trajectory, said, counts, {"test": test, "train": train}, "linear")
    assert tuple(found.columns) == measure.COLUMNS
    assert found["epoch"].tolist() == [0, 0.5]
    assert found["accuracy"].tolist() == [0.5, 1]
    assert found["train_accuracy"].tolist() == [1, 0.5]
    assert found["I_FY"].tolist() == pytest.approx([0, 1])
    assert found["I_FY_train"].tolist() == pytest.approx([1, 0])
    assert found["explainer_accuracy"].tolist() == [0.75, 0.75]
    assert found["mu"].tolist() == pytest.approx([information.measures(_counts(found_f))["mu"] for found_f in (0, 1)])
    assert found["mu_null"].tolist() == pytest.approx([0, found["I_LY"][1]])


def _counts(checkpoint):
    f = [[0, 1, 0, 1], [0, 0, 1, 1]][checkpoint]
    counts = np.zeros((2, 2, 2), dtype=int)
    np.add.at(counts, (f, [1, 0, 1, 1], [0, 0, 1, 1]), 1)
    return counts


def test_a_summary_has_the_mean_and_interval_of_every_quantity_and_no_limits_of_seeds():
    index = {"explainer": "a", "checkpoint": [0, 1], "step": [0, 9], "epoch": [0.0, 0.5], "n": 100}
    first, second = (
        pd.DataFrame({**index, "I_FY": [0.1, i_fy], "I_FY_lo": 0.0, "I_FY_hi": 1.0, "mu": [0.0, mu]})
        for i_fy, mu in ((0.2, -0.1), (0.4, np.nan))
    )
    found = summarize.summary([first, second], {})
    assert found["quantity"].tolist() == ["I_FY", "mu"] * 2
    assert found["epoch"].tolist() == [0, 0, 0.5, 0.5]
    assert found["seeds"].tolist() == [2, 2, 2, 1]
    assert found["mean"].tolist() == pytest.approx([0.1, 0, 0.3, -0.1])
    assert found["std"].tolist() == pytest.approx([0, 0, np.sqrt(0.02), np.nan], nan_ok=True)
    assert found["lo"].tolist() == pytest.approx([0.1, 0, 0.3 - T_2 * 0.1, np.nan], nan_ok=True)
    assert found["hi"].tolist() == pytest.approx([0.1, 0, 0.3 + T_2 * 0.1, np.nan], nan_ok=True)
    shared = summarize.summary([first, second], {"I_FY": np.array([0.04, 0.0])})
    assert shared["hi"].tolist() == pytest.approx([0.1 + 1.959964 * 0.2, 0, 0.3 + T_2 * 0.1, np.nan], nan_ok=True)


def seeds_that_share_a_test_set(folder, monkeypatch, n=200, checkpoints=3):
    """Predictions of three seeds and of two explainers of each, and the inputs of the summary made of them."""
    rng = np.random.default_rng(9)
    y = rng.integers(2, size=n)
    monkeypatch.setattr(tasks, "load_labels", lambda path, task: ({"test": y}, 2))
    hard = rng.random(n)

    def right(*shape):
        return np.where(rng.random((*shape, n)) + hard < 1.3, y, 1 - y)

    seeds = [(right(checkpoints), [right(), right()]) for _ in range(3)]
    inputs = SimpleNamespace(data=None, trajectories=[], explainers=[])
    for seed, (f, explained) in enumerate(seeds):
        inputs.trajectories.append(folder / f"t{seed}.npz")
        about = {"steps": np.arange(checkpoints), "epochs": np.arange(checkpoints) / 2, "test_sha256": ""}
        npz.save(inputs.trajectories[-1], **about, test_predictions=f.astype(np.uint8))
        for number, l in enumerate(explained):
            inputs.explainers.append(folder / f"x{seed}{number}.npz")
            npz.save(inputs.explainers[-1], test_predictions=l.astype(np.uint8))
    return seeds, y, inputs


def share_of_mu(f, l, y):
    """What each example adds to plug-in mu(F;L) of one checkpoint: its log densities, counted one by one."""
    examples = list(zip(f.tolist(), l, y.tolist(), strict=True))
    found = np.zeros(len(examples))
    for axes, sign in information.TERMS["mu"].items():
        kept = ["FLY".index(axis) for axis in axes]
        cells = [tuple(example[axis] for axis in kept) for example in examples]
        found -= [sign * np.log2(cells.count(cell) / len(cells)) for cell in cells]
    return found


def test_what_seeds_share_of_mu_is_the_covariance_of_what_each_example_adds(tmp_path, monkeypatch):
    seeds, y, inputs = seeds_that_share_a_test_set(tmp_path, monkeypatch)
    config = SimpleNamespace(task=None, explainers=["a", "b"], nested=True)
    for index in (0, 1):
        examples = (summarize._examples(config, inputs, seed, index) for seed in range(3))
        found, _ = summarize._shared(examples, [{}] * 3)
        for quantity, first in (("mu", index), ("mu_joint", 0)):
            for t in range(3):
                adds = [
                    share_of_mu(f[t], list(zip(*(l.tolist() for l in explained[first : index + 1]), strict=True)), y)
                    for f, explained in seeds
                ]
                covariance = np.cov(adds, bias=True)
                between = covariance[~np.eye(3, dtype=bool)].mean()
                assert between > 0
                assert found[quantity][t] == pytest.approx(between / len(y)), (quantity, index)


def test_a_summary_of_nested_explainers_has_mu_joint_with_what_seeds_share():
    index = {"explainer": "b", "checkpoint": [0], "step": [0], "epoch": [0.0]}
    columns = {"mu_joint_lo": 0.0, "mu_joint_hi": 1.0}
    first, second = (
        pd.DataFrame({**index, "mu_joint": value, "mu_joint_corrected": value - 0.1, **columns}) for value in (0.3, 0.5)
    )
    row = summarize.summary([first, second], {"mu_joint": np.array([0.04])}).iloc[0]
    half = np.hypot(T_2 * 0.1, 1.959964 * 0.2)
    assert row[["quantity", "seeds", "mean"]].tolist() == ["mu_joint", 2, 0.4]
    assert row[["corrected", "lo", "hi"]].tolist() == pytest.approx([0.3, 0.3 - half, 0.3 + half])


def test_a_single_seed_has_the_interval_of_its_measures():
    index = {"explainer": "a", "checkpoint": [0], "step": [0], "epoch": [0.0]}
    one = pd.DataFrame({**index, "I_FY": 0.2, "I_FY_corrected": 0.1, "I_FY_lo": 0.0, "I_FY_hi": 0.3, "I_FY_p": 0.5})
    row = summarize.summary([one], {}).iloc[0]
    assert row[["quantity", "mean", "corrected", "lo", "hi"]].tolist() == ["I_FY", 0.2, 0.1, 0.0, 0.3]


def test_a_change_allows_for_every_t0_that_the_test_set_does():
    i_fy = np.array([0.0, 0.2, 0.5, 0.8, 0.9, 0.85])
    columns = {name: EARLY[EARLY["explainer"] == "a"][name].to_numpy() for name in EARLY if name not in ("explainer",)}
    noisy = [_rows("a", columns, i_fy, 0.5, noise=0.31)] * 2
    ends = [phases.candidates(table) for table in noisy]
    row = rows_of(summarize.phase_table("a", noisy, ends, {})).loc[("a", "first", "I_FY")]
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
    assert table_1._agrees(row) == agrees


def test_signs_stand_beside_those_of_the_paper():
    found = rows_of(table_1.beside_paper(phase_rows([EARLY, LATE]).reset_index()))
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
    found = rows_of(table_1.beside_paper(phase_rows([EARLY]).reset_index()))
    assert [found.loc[("a", phase, quantity), "paper"] for phase in phases.PHASES] == entries


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
    table = table_1.beside_paper(found).assign(title="cats & <dogs>")
    page = table_1.page(table, "Table <1>")
    assert "<title>Table &lt;1&gt;</title>" in page
    assert "<td>cats &amp; &lt;dogs&gt;</td><td>cnn&lt;2&gt;</td><td>middle</td><td>2 to 4</td>" in page
    assert "↑ <small>+0.3</small><br><small>[+0.3, +0.3]</small><br><small class=yes>paper ↑: yes</small>" in page
    assert "0.1 <small>(null 0.4)</small><br> <small>+0.5</small><br><small>[+0.5, +0.5]</small>" in page
    assert "class=no>paper –: no</small>" in page


def test_the_signs_page_says_where_a_phase_is_missing():
    table = table_1.beside_paper(phase_rows([NEVER]).reset_index()).assign(title="task")
    page = table_1.page(table, "table")
    assert page.count("<td>none</td>") == 6  # two explainers, three phases
    assert page.count("no such phase") == 6 * len(phases.QUANTITIES)


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
    table = per_class.order(found)
    assert table.set_index("class")["rank"].to_dict() == pytest.approx({"cat": 2, "dog": 1, "eel": np.nan}, nan_ok=True)
    page = class_order.page(table.assign(title="Net"), "order")
    assert page.index("<b>dog</b><br>1.5") < page.index("<b>cat</b><br>4") < page.index("<b>eel</b><br>none")
