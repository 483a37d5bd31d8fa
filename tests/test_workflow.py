"""The whole workflow, run as its users run it."""

import json
import runpy
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import yaml

from tests import forks, pets
from tests.workflow import ROOT, STUDIES, TINY, check_figures_and_tables, planned, products, snakemake
from workflow_scripts.audit import verdict
from workflow_scripts.config import jobs
from workflow_scripts.config import study as study_config
from workflow_scripts.config.configfiles import merged
from workflow_scripts.files import hashing
from workflow_scripts.measures import information, per_checkpoint

PREPARED = {"prepare_data": 3}
TRUE = {"distill_true_labels": 4, "distill_true_labels_by_sgd": 1}
EXPLAINERS = TRUE | {"distill_final_labels": 2, "distill_t0_labels": 2, "extract_final": 2}
#: target -> the jobs that the tiny study has for it, where nothing is made
TARGETS = {
    "data": PREPARED,
    "trained": PREPARED | {"train": 6},
    "finals": PREPARED | {"train": 6, "extract_final": 6},
    "explainers": PREPARED | EXPLAINERS | {"train": 4},
    "measures": PREPARED | EXPLAINERS | {"train": 6, "measure": 6, "summarize": 4},
    "nulls": PREPARED | EXPLAINERS | {"train": 6, "null_models": 4},
    "simulations": {"simulate": 1},
    "results/tiny/figures/theorem1.svg": {"simulate": 1, "plot": 1},
    "figures": PREPARED
    | EXPLAINERS
    | {"train": 6, "measure": 5, "null_models": 3, "summarize": 3, "simulate": 1, "plot": 4, "tabulate": 3},
    "all": PREPARED
    | EXPLAINERS
    | {"train": 6, "extract_final": 6, "measure": 6, "null_models": 4, "summarize": 4}
    | {"simulate": 1, "plot": 4, "tabulate": 3},
}


#: what is made with forks and without them
ALIKE = (
    "digits/seed0/measures.csv",
    "figures/fig1.svg",
    "figures/theorem1.svg",
    "sinusoid/seed0/explainers/linear_t0.npz",
    "tables/ten.csv",
    "ten_digits/seed3/final.npz",
    "ten_digits/summary.csv",
)


def of_runs(seeds: int, experiments: int) -> dict[str, int]:
    """Jobs of that many trainings of that many experiments."""
    each = dict.fromkeys(("train", "extract_final", "measure"), seeds)
    return each | dict.fromkeys(("null_models", "summarize"), experiments)


NAKKIRAN = {
    "prepare_data": 6,
    "distill_true_labels": 7,  # a linear one for each task
    "distill_t0_labels": 10,  # task iii
    "distill_final_labels_by_sgd": 30,  # CNN_2, CNN_4, CNN_6
    "simulate": 1,
    "plot": 7,
    "tabulate": 4,
}
SCHOUTEN = {
    "prepare_data": 2,
    "distill_final_labels": 25,  # five families
    "decompose": 2,
    "order_examples": 6,
    "plot": 18,
    "tabulate": 5,
}
#: study -> all jobs that it has
PLANS = {
    "default": of_runs(10, 2)
    | {"prepare_data": 2, "distill_true_labels": 2, "distill_t0_labels": 5, "distill_final_labels": 5}
    | {"simulate": 1, "plot": 3, "tabulate": 2},
    "images": of_runs(6, 2)
    | {"prepare_data": 1, "distill_true_labels": 2, "distill_true_labels_by_sgd": 1, "distill_final_labels": 3}
    | {"plot": 1, "tabulate": 2},
    "initialisation": of_runs(100, 20) | {"prepare_data": 1, "distill_true_labels": 1, "plot": 1, "tabulate": 1},
    "mnist": of_runs(10, 1)
    | {"prepare_data": 1, "distill_true_labels": 1, "distill_final_labels": 10, "plot": 2, "tabulate": 2},
    "nakkiran2019": of_runs(72, 9) | NAKKIRAN,  # 7 experiments with 10 seeds, 2 with one
    "nakkiran2019, tiny": of_runs(15, 9) | NAKKIRAN | {"distill_t0_labels": 2, "distill_final_labels_by_sgd": 6},
    "schouten2023": of_runs(50, 10) | SCHOUTEN,  # 10 experiments, 5 seeds
    "schouten2023, tiny": of_runs(13, 10) | SCHOUTEN | {"distill_final_labels": 10},
    "of the tests": TARGETS["all"],
}


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    """The tiny study, finished, on two cores."""
    folder = tmp_path_factory.mktemp("study")
    for name in ("results", ".snakemake"):
        shutil.copytree(finished / name, folder / name)
    return folder


def test_a_run_makes_every_result_and_leaves_no_scratch(study):
    made = set(products(study))
    for run in ("digits/seed0", "digits/seed1", "ten_digits/seed3", "sinusoid/seed0", "sinusoid/seed1", "disc/seed2"):
        for name in ("trajectory.npz", "network.safetensors", "final.npz", "final.safetensors", "measures.csv"):
            assert f"{run}/{name}" in made
    for experiment in ("digits", "ten_digits", "sinusoid", "disc"):
        assert {f"{experiment}/{name}.csv" for name in ("summary", "phases", "nulls")} <= made
    figures = ("fig1", "fig3", "fig4", "theorem1")
    assert {f"figures/{name}.{kind}" for name in figures for kind in ("pdf", "png", "svg", "csv")} <= made
    assert {f"tables/{name}.{kind}" for name in ("table1", "table2", "claims") for kind in ("csv", "html")} <= made
    assert "simulations/theorem1.csv" in made
    assert "tasks/low_high/explainers/linear.npz" in made, "true-label explainers are fitted once per task"
    assert not [path for path in study.rglob(".*-*") if path.is_dir() and ".snakemake" not in path.parts]


def test_nothing_is_planned_for_a_finished_study_whatever_its_modification_times(study, tmp_path):
    copy = shutil.copytree(study, tmp_path / "copy", copy_function=shutil.copyfile)
    assert planned(copy) == {}


def test_every_product_has_its_provenance_beside_it(study):
    results, told = study / "results/tiny", {}
    for path in results.rglob("*.prov.json"):
        record = json.loads(path.read_text())
        assert record["schema"] == 4
        told |= {str((path.parent / name).relative_to(results)): digest for name, digest in record["outputs"].items()}
        for name, digest in record["inputs"]:
            assert hashing.sha256(results / name) == digest
    assert told == {path: hashing.sha256(results / path) for path in products(study)}


@pytest.mark.slow
def test_the_same_seeds_give_the_same_bytes_on_one_core_without_forks_and_on_two_with_forks(study, tmp_path):
    """Of every stage of the tiny study, fewer jobs, as each takes seconds without forks."""
    both = shutil.copytree(study, tmp_path / "both")
    (both / "results/tiny/study.json").unlink()
    config = {"tables": {"ten": {"kind": "ratios", "experiments": ["ten_digits"]}}}
    (tmp_path / "ten.yaml").write_text(yaml.safe_dump(merged([TINY], config)))
    done = snakemake(both, "results/tiny/tables/ten.csv", configfiles=(tmp_path / "ten.yaml",))
    assert done.returncode == 0, done.stderr
    targets = (f"results/tiny/{name}" for name in ALIKE)
    done = snakemake(tmp_path / "one", *targets, cores=1, forked=False, configfiles=(tmp_path / "ten.yaml",))
    assert done.returncode == 0, done.stderr
    first, second = products(both), products(tmp_path / "one")
    assert second.keys() <= first.keys()
    assert [path for path in second if first[path] != second[path]] == []
    made = [json.loads(path.read_text())["stage"] for path in (tmp_path / "one").rglob("*.prov.json")]
    assert {*jobs.STAGES} - {*made} == {"order_examples", "decompose"}


def test_every_figure_and_table_names_what_it_shows(study):
    check_figures_and_tables(study / "results/tiny", study_config.load(merged([TINY])))


def test_the_audit_makes_every_figure_and_table_again_with_the_same_bytes(study, forked_remakes):
    results = study / "results/tiny"
    shown = [*results.glob("figures/*.svg"), *results.glob("tables/*.csv")]
    reports = verdict.Auditor({"configfiles": [str(TINY)]}, results).audit(shown)
    assert [(report.verdict, report.remade) for report in reports] == [("CURRENT", True)] * 7


def test_seeds_differ(study):
    made = products(study)
    assert made["digits/seed0/trajectory.npz"] != made["digits/seed1/trajectory.npz"]


def test_measures_hold_the_columns_of_the_contract(study):
    table = pd.read_csv(study / "results/tiny/digits/seed0/measures.csv")
    assert tuple(table.columns) == per_checkpoint.COLUMNS + per_checkpoint.JOINT_COLUMNS, "its explainers are nested"
    assert set(table["explainer"]) == {"linear", "linear_sgd", "linear_final"}
    assert np.isfinite(table.drop(columns="explainer")).all(axis=None)
    for total, given in (("I_FY", "I_FY_given_L"), ("I_LY", "I_LY_given_F"), ("I_FL", "I_FL_given_Y")):
        np.testing.assert_allclose(table["mu"], table[total] - table[given], atol=1e-12)


def test_nested_explainers_account_together_for_what_each_and_all_before_it_do(study):
    table = pd.read_csv(study / "results/tiny/digits/seed0/measures.csv").set_index("explainer")
    names = ["linear", "linear_sgd", "linear_final"]
    folder = study / "results/tiny/tasks/low_high/explainers"
    of_linear, of_sgd = (np.load(folder / f"{name}.npz")["test_predictions"] for name in names[:2])
    suffixes = ("", "_corrected", "_lo", "_hi")
    columns = [[f"{mu}{suffix}" for suffix in suffixes] for mu in ("mu", "mu_joint")]
    np.testing.assert_allclose(table.loc["linear", columns[0]], table.loc["linear", columns[1]], atol=1e-12)
    f = np.load(study / "results/tiny/digits/seed0/trajectory.npz")["test_predictions"]
    y = (np.load(study / "results/tiny/data/digits.npz")["test_labels"] > 4).astype(int)
    together = information.measures(information.joint_counts(f, 2 * of_linear + of_sgd, y, 4))["mu"]
    np.testing.assert_allclose(table.loc["linear_sgd", "mu_joint"], together, atol=1e-12)
    assert not np.allclose(table.loc["linear_final", "mu_joint"], together)


def test_the_trajectory_holds_the_arrays_of_the_contract(study):
    arrays = np.load(study / "results/tiny/digits/seed0/trajectory.npz")
    t = len(arrays["steps"])
    expected = {
        "steps": ("int64", (t,)),
        "epochs": ("float64", (t,)),
        "test_predictions": ("uint8", (t, 400)),
        "train_predictions": ("uint8", (t, 1097)),
        "train_loss": ("float32", (t,)),
        "test_loss": ("float32", (t,)),
        "pretraining_accuracy": ("float64", ()),
    }
    assert {name: (str(arrays[name].dtype), arrays[name].shape) for name in expected} == expected
    assert arrays["steps"][0] == 0 and (np.diff(arrays["steps"]) > 0).all()


def test_networks_learn_and_linear_explainers_explain_them(study):
    for experiment, least in (("digits/seed0", 0.85), ("ten_digits/seed3", 0.85), ("sinusoid/seed0", 0.8)):
        table = pd.read_csv(study / f"results/tiny/{experiment}/measures.csv")
        last = table[table["explainer"] == "linear"].iloc[-1]
        assert last["accuracy"] > least
        assert last["mu"] > last["mu_null"] > 0


def test_final_labels_are_those_of_the_last_checkpoint(study):
    final = np.load(study / "results/tiny/digits/seed0/final.npz")
    trajectory = np.load(study / "results/tiny/digits/seed0/trajectory.npz")
    np.testing.assert_array_equal(final["test_labels"], trajectory["test_predictions"][-1])
    np.testing.assert_array_equal(final["train_labels"], trajectory["train_predictions"][-1])
    assert len(final["fresh_labels"]) == 300


def test_the_plotted_points_are_the_summary(study):
    points = pd.read_csv(study / "results/tiny/figures/fig4.csv")
    summary = pd.read_csv(study / "results/tiny/digits/summary.csv")
    drawn = points[(points["panel"] == "digits") & (points["series"] == "μ(F$_t$; linear)")]
    told = summary[(summary["explainer"] == "linear") & (summary["quantity"] == "mu")]
    np.testing.assert_array_equal(drawn["y"], told["mean"])
    np.testing.assert_array_equal(drawn["std"], told["std"])


def test_a_new_step_size_retrains_that_experiment_alone(finished, tmp_path):
    project = shutil.copytree(finished, tmp_path / "project")
    config = merged([TINY], {"experiments": {"sinusoid": {"sgd": {"lr": 0.3}}}})
    (project / "tests/tiny.yaml").write_text(yaml.safe_dump(config))
    plan = planned(project, configfiles=("tests/tiny.yaml",), root=project)
    assert plan["train"] == plan["measure"] == 2
    assert plan["null_models"] == plan["summarize"] == 1
    assert "distill_final_labels" not in plan


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_plans_its_own_jobs_and_no_others(tmp_path, target):
    assert planned(tmp_path, target) == TARGETS[target]


def test_agreement_is_made_from_what_is_trained_and_traced_back_to_it(finished, tmp_path):
    project = shutil.copytree(finished, tmp_path / "project")
    tiny = yaml.safe_load(TINY.read_text())["experiments"]
    order = {"order": {"kind": "agreement", "experiments": ["digits", "other"]}}
    other = {"other": tiny["digits"] | {"title": "Other", "network": {"kind": "linear"}, "seeds": [1]}}
    config = merged([TINY], {"experiments": other, "figures": order, "tables": order})
    (project / "tests/tiny.yaml").write_text(yaml.safe_dump(config))
    targets = ("results/tiny/figures/order.svg", "results/tiny/tables/order.csv")
    given = {"configfiles": ("tests/tiny.yaml",), "root": project}
    assert planned(project, *targets, **given) == {"train": 1, "order_examples": 2, "plot": 1, "tabulate": 1}
    done = snakemake(project, *targets, **given)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(project / targets[1])
    assert table["pairs"].tolist() == [1, 2, 0]
    for row, experiments in enumerate((["digits"], ["digits", "other"], ["other"])):
        told = forks.run("workflow_scripts.audit", targets[1], "--trace", row, cwd=project)
        assert told.returncode == 0 and told.stdout.startswith("CURRENT"), told.stdout + told.stderr
        passed = [line.split("/")[2] for line in told.stdout.splitlines() if line.startswith("  results/")]
        assert passed == experiments


@pytest.mark.parametrize("name", STUDIES)
def test_every_shipped_study_is_planned_without_any_download(tmp_path, name):
    pets.put(tmp_path / "pets", ("cat", "dog", "rabbit"))
    assert planned(tmp_path, configfiles=() if name == "default" else STUDIES[name]) == PLANS[name]


@pytest.mark.parametrize("stage", jobs.STAGES)
def test_every_stage_explains_itself(stage, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [stage, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "workflow_scripts" / f"{stage}.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert end.value.code == 0 and "--cfg" in said and "--provenance" in said


def test_no_stage_needs_snakemake():
    stages = ", ".join(f"workflow_scripts.{stage}" for stage in jobs.STAGES)
    code = f"import sys, {stages}; print(*(name for name in sys.modules if name.startswith('snakemake')))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_a_stage_runs_by_hand_with_the_config_that_the_package_prints(study, tmp_path):
    of = ("measure", "experiment=digits", "seed=0", "--configfile", TINY)
    cfg = forks.run("workflow_scripts.config", *of, cwd=ROOT).stdout
    results = study / "results/tiny"
    explainers = [results / f"tasks/low_high/explainers/{name}.npz" for name in ("linear", "linear_sgd")]
    arguments = ["--cfg", cfg, "--data", results / "data/digits.npz"]
    arguments += ["--trajectory", results / "digits/seed0/trajectory.npz", "--explainers", *explainers]
    arguments += [results / "digits/seed0/explainers/linear_final.npz", "--measures", tmp_path / "measures.csv"]
    arguments += ["--classes", tmp_path / "classes.csv"]
    done = forks.run("workflow_scripts.measure", *arguments, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "measures.csv").read_bytes() == (results / "digits/seed0/measures.csv").read_bytes()


def test_rules_run_stages_as_modules_and_track_exactly_cfg_and_code(study):
    for path in (ROOT / "rules").glob("*.smk"):
        text = path.read_text()
        assert not any(f"{word}:\n" in text for word in ("script", "run", "notebook")), path
        for rule in text.split("\nrule ")[1:]:
            params = rule.split("params:")[1].split("message:")[0].split()
            assert len(params) == 1 and params[0].startswith("**tracked("), (path, rule.splitlines()[0])
            assert all(f"    {part}:" in rule for part in ("output", "log", "conda", "threads", "resources", "shell"))


def test_the_rich_logger_shows_a_run(tmp_path):
    done = snakemake(tmp_path, "data", "--logger", "rich")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_real_mnist_runs_through_the_same_workflow(tmp_path, shared_data):
    changes = {
        "study": "tiny",
        "seeds": [0],
        "data_root": str(shared_data),
        "datasets": {"mnist": {"train": 6400, "test": 2000}},
        "experiments": {"mnist": {"sgd": {"lr": 0.05, "epochs": 4}}},
    }
    (tmp_path / "changes.yaml").write_text(yaml.safe_dump(changes))
    done = snakemake(tmp_path, configfiles=(ROOT / "experiments/mnist.yaml", tmp_path / "changes.yaml"))
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "results/tiny/mnist/seed0/measures.csv")
    linear = table[table["explainer"] == "linear"]
    assert linear["step"].iloc[-1] == 400
    assert 0.75 < linear["explainer_accuracy"].iloc[-1] < 0.95
    assert linear["accuracy"].iloc[-1] > 0.85
    assert linear["mu"].iloc[-1] > linear["mu_null"].iloc[-1]
    names = np.load(tmp_path / "results/tiny/data/mnist.npz")["source_hashes"]
    assert any(name.startswith("train-images-idx3-ubyte ") for name in names)


def test_the_report_opens_in_a_browser_with_every_figure(study, browser):
    done = snakemake(study, "--report", "results/report.html")
    assert done.returncode == 0, done.stderr
    browser.get((study / "results/report.html").as_uri())

    def wait_for(script):
        deadline = time.monotonic() + 30
        while not (found := browser.execute_script(f"return {script}")):
            assert time.monotonic() < deadline, script
            time.sleep(0.1)
        return found

    def click(element):
        browser.execute_script("arguments[0].click()", wait_for(element))

    category = "[...document.querySelectorAll('*')].find(x => !x.children.length && x.textContent.trim() === 'Figures')"
    click(category)
    for figure, words in (("fig3", "P[F = Y]"), ("fig4", "filled bands one standard deviation over seeds")):
        row = f"[...document.querySelectorAll('tr')].find(x => x.innerText.startsWith('{figure}'))"
        click(f"{row}?.querySelector('a[iconname=eye]')")
        wait_for("[...document.images].some(x => x.naturalWidth > 300)")
        click(f"{row}.querySelector('a[iconname=information-circle]')")
        wait_for(f"document.body.innerText.includes('{words}')")
        click(category)
    browser.get((study / "results/tiny/tables/table2.html").as_uri())
    assert "Digits & friends" in browser.find_element("tag name", "table").text
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
