"""The study of the second paper: all that is planned for it, and, cut down by the overlay, made from real images."""

import numpy as np
import pandas as pd
import pytest

from tests.workflow import OVERLAY, ROOT, check_figures_and_tables, made_from, outside_of_their_code
from workflow_scripts.audit import verdict
from workflow_scripts.config import study as study_config
from workflow_scripts.config.configfiles import merged

PAPER = ROOT / "experiments" / "schouten2023.yaml"
INITIALISATION = ROOT / "experiments" / "initialisation.yaml"
STUDY = study_config.load(merged([PAPER]))
OF_CLASSES = [name for name, shown in STUDY.figures.items() if shown.kind in ("classes", "class_panels")]
DIGITS = [str(digit) for digit in range(10)]


def test_every_initialisation_is_shown_of_every_network():
    study = study_config.load(merged([INITIALISATION]))
    kinds = [experiment.network.kind for experiment in study.experiments.values()]
    assert {kind: kinds.count(kind) for kind in kinds} == {"cnn": 6, "vit": 7, "linear": 7}
    assert study.figures["initialisation"].experiments == list(study.experiments)


def test_the_overlay_leaves_out_nothing():
    whole, cut = STUDY, study_config.load(merged([PAPER, OVERLAY]))
    assert (cut.figures, cut.tables, list(cut.experiments)) == (whole.figures, whole.tables, list(whole.experiments))
    for name, experiment in whole.experiments.items():
        assert cut.experiments[name].explainers == experiment.explainers
        assert cut.experiments[name].sgd.epochs < experiment.sgd.epochs


def test_the_networks_are_those_of_the_paper():
    vit = STUDY.experiments["mnist_vit"].network.model_dump()
    assert vit == {"kind": "vit", "patch": 4, "layers": 4, "heads": 4, "hidden": 64, "mlp": 128}
    for name, experiment in STUDY.experiments.items():
        assert experiment.init == "pytorch" and experiment.sgd.batch_size == 64
        assert experiment.sgd.lr == (0.01 if experiment.network.kind == "linear" else 0.001)
        assert experiment.sgd.epochs == (50 if name.startswith("mnist") else 100)


@pytest.fixture(scope="module")
def made(tmp_path_factory, shared_data):
    """The results of the study cut down, from the real images."""
    return made_from(PAPER, tmp_path_factory.mktemp("schouten2023"), shared_data)


@pytest.fixture
def results(made):
    return made / "results/tiny"


@pytest.mark.slow
def test_every_figure_and_table_is_made_and_names_what_it_shows(results):
    check_figures_and_tables(results, STUDY)


@pytest.mark.slow
def test_no_job_executes_a_definition_outside_of_its_code(made):
    assert outside_of_their_code(made) == {}


@pytest.mark.slow
@pytest.mark.parametrize("figure", OF_CLASSES)
def test_figures_of_classes_show_every_class_of_the_explainer_asked_for(results, figure):
    points = pd.read_csv(results / f"figures/{figure}.csv", dtype={"class": str})
    shown = STUDY.figures[figure]
    assert list(points["panel"].unique()) == shown.experiments
    for name in shown.experiments:
        of = points[points["panel"] == name]
        explainer = shown.explainer_of(name) or STUDY.experiments[name].explainers[0]
        assert of["explainer"].dropna().unique().tolist() == [explainer]
        parts = of[of["class"].notna()]
        assert set(parts["quantity"]) == ({"I_FY", "mu"} if shown.kind == "classes" else {"I_FY", "mu", "I_LY"})
        assert parts.groupby("quantity")["class"].nunique().eq(10).all()
        assert parts["class"].isin(DIGITS if name.startswith("mnist") else ["frog", *parts["class"]]).all()


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["mnist_cnn", "cifar_vit", "mnist_binary"])
def test_parts_of_the_classes_add_up_to_the_totals(results, experiment):
    for folder in (results / experiment).glob("seed?"):
        parts = pd.read_csv(folder / "classes.csv").groupby(["explainer", "checkpoint"]).sum(numeric_only=True)
        totals = pd.read_csv(folder / "measures.csv").set_index(["explainer", "checkpoint"]).sort_index()
        for name in ("I_FY", "I_LY", "I_FY_given_L", "I_LY_given_F", "mu", "mu_corrected", "I_FY_corrected"):
            np.testing.assert_allclose(parts[name], totals[name], atol=1e-12)


@pytest.mark.slow
def test_the_transformer_learns_and_not_as_the_cnn_does(results):
    """The replication's code stepped another network's optimiser, and so left the transformer as it was."""
    vit, cnn = (np.load(results / f"{name}/seed0/trajectory.npz") for name in ("mnist_vit", "mnist_cnn"))
    assert vit["train_loss"][-1] < vit["train_loss"][0] - 0.05
    assert (vit["test_predictions"][0] != vit["test_predictions"][-1]).mean() > 0.1
    assert (vit["test_predictions"][-1] != cnn["test_predictions"][-1]).any()


@pytest.mark.slow
def test_a_co_trained_explainer_is_the_other_trajectory_at_the_same_checkpoint(results):
    measures = pd.read_csv(results / "mnist_vit/seed1/measures.csv")
    other = pd.read_csv(results / "mnist_cnn/seed1/measures.csv")
    own = measures[measures["explainer"] == "mnist_cnn"].reset_index(drop=True)
    cnn = other[other["explainer"] == "mnist_linear"].reset_index(drop=True)
    np.testing.assert_allclose(own["I_LY"], cnn["I_FY"], atol=1e-12)
    swapped = pd.read_csv(results / "mnist_linear/seed1/measures.csv")
    np.testing.assert_allclose(swapped["I_LY_given_F"], cnn["I_FY_given_L"], atol=1e-12)
    np.testing.assert_allclose(swapped["mu"], cnn["mu"], atol=1e-12)


@pytest.mark.slow
def test_tables_have_a_row_for_every_class_and_tell_the_bias(results):
    order = pd.read_csv(results / "tables/order.csv", dtype={"class": str})
    assert order.groupby("experiment")["class"].nunique().to_dict() == dict.fromkeys(
        STUDY.tables["order"].experiments, 10
    )
    totals = pd.read_csv(results / "tables/totals.csv")
    printed = totals.dropna(subset="paper")[["experiment", "quantity", "paper"]].to_numpy().tolist()
    assert printed == [
        ["mnist_cnn", "I_FY", 3.05],
        ["mnist_cnn", "mu", 2.7],
        ["cifar_cnn", "I_FY", 1.03],
        ["cifar_cnn", "mu", 0.43],
    ]
    biased = totals[totals["quantity"] == "I_FY"]
    assert (biased["bias"] > -1e-9).all() and (biased["bias"] > 0.01).any()
    assert np.allclose(biased["bias"], biased["mean"] - biased["corrected"])


@pytest.mark.slow
def test_the_audit_finds_all_results_current_and_makes_each_kind_again(results, monkeypatch, forked_remakes):
    with monkeypatch.context() as patch:
        patch.setattr(verdict.remake, "LISTED", ())
        assert {report.verdict for report in verdict.Auditor(None, results).audit([results])} == {"CURRENT"}
    figures = {shown.kind: results / f"figures/{name}.svg" for name, shown in STUDY.figures.items()}
    tables = {shown.kind: results / f"tables/{name}.csv" for name, shown in STUDY.tables.items()}
    shown = [*figures.values(), *tables.values()]
    reports = verdict.Auditor(None, results).audit(shown)
    assert [(report.verdict, report.remade) for report in reports] == [("CURRENT", True)] * len(shown)
