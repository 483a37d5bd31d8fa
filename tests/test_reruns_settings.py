"""What a change of a setting reruns: that and nothing else; and why."""

import pytest
import yaml

from tests.reruns import CONFIG, DIGITS, SINUSOID, audit, check, plan, put, study

pytestmark = pytest.mark.thorough


def added(config):
    config["experiments"]["more"] = {**config["experiments"]["sinusoid"], "title": "More"}


def renamed(config):
    text = yaml.safe_dump(config["figures"]).replace("sinusoid", "waves")
    config["figures"] = yaml.safe_load(text)
    config["tables"] = yaml.safe_load(yaml.safe_dump(config["tables"]).replace("sinusoid", "waves"))
    config["experiments"]["waves"] = config["experiments"].pop("sinusoid")


def swapped(config):
    digits, sinusoid = config["experiments"]["digits"], config["experiments"]["sinusoid"]
    digits["sgd"], sinusoid["sgd"] = sinusoid["sgd"], digits["sgd"]


def task_renamed(config):
    config["tasks"]["waves"] = config["tasks"].pop("sinusoid")
    config["experiments"]["sinusoid"]["task"] = "waves"


#: what changes, the jobs that it plans, and lines that tell why
SETTINGS = {
    "the fit of one explainer": (
        put("explainers.linear_sgd.fit.lr", 0.2),
        {"distill_true_labels_by_sgd": 1, **DIGITS},
        [
            "distill_true_labels_by_sgd low_high (1 job): settings.fit.lr 0.1 -> 0.2",
            "measure digits (2 jobs): follows distill_true_labels_by_sgd",
        ],
    ),
    "an explainer of true labels, now of final ones": (
        put("explainers.linear_sgd.labels", "final"),
        {"distill_final_labels_by_sgd": 2, **DIGITS},
        ["distill_final_labels_by_sgd digits (2 jobs): not made yet"],
    ),
    "the step size of one experiment": (
        put("experiments.sinusoid.sgd.lr", 0.3),
        {"train": 2, "extract_final": 2, **SINUSOID},
        [
            "train sinusoid (2 jobs): sgd.lr 0.2 -> 0.3",
            "extract_final sinusoid (2 jobs): follows train",
            "tabulate claims, table1, table2 (3 jobs): follows null_models, summarize",
        ],
    ),
    "the SGD of two experiments swapped": (
        study(swapped),
        {
            "train": 4,
            "extract_final": 4,
            "distill_final_labels": 2,
            **SINUSOID,
            "measure": 4,
            "null_models": 2,
            "summarize": 2,
        },
        ["train digits (2 jobs): sgd.lr 0.1 -> 0.2; sgd.epochs 12 -> 8"],
    ),
    "a seed added": (
        put("seeds", [0, 1, 2]),
        {
            "train": 2,
            "extract_final": 2,
            "distill_final_labels": 1,
            "distill_t0_labels": 1,
            "measure": 2,
            "null_models": 2,
            "summarize": 2,
            "plot": 1,
            "tabulate": 3,
        },
        [
            "train digits, sinusoid (2 jobs): not made yet",
            "summarize digits, sinusoid (2 jobs): seeds: 2 added",
        ],
    ),
    "a seed removed": (
        put("seeds", [0]),
        {"null_models": 2, "summarize": 2, "plot": 1, "tabulate": 3},
        ["null_models digits, sinusoid (2 jobs): seeds: 1 removed"],
    ),
    "the seeds in another order": (put("seeds", [1, 0]), {}, []),
    "an experiment added": (
        study(added),
        {"train": 2, "extract_final": 2, "distill_t0_labels": 2, "measure": 2, "null_models": 1, "summarize": 1},
        ["train more (2 jobs): not made yet"],
    ),
    "an experiment renamed": (
        study(renamed),
        {"train": 2, "extract_final": 2, **SINUSOID},
        [
            "train waves (2 jobs): not made yet",
            "plot fig4 (1 job): settings.experiments: waves added, sinusoid removed; "
            "shown.n_classes.sinusoid removed: 2; shown.n_classes.waves added: 2; "
            "shown.titles.sinusoid removed: Sinusoid; shown.titles.waves added: Sinusoid",
        ],
    ),
    "a task renamed": (
        study(task_renamed),
        {"distill_true_labels": 1, **SINUSOID},
        [
            "distill_true_labels waves (1 job): not made yet",
            "measure sinusoid (2 jobs): follows distill_true_labels, distill_t0_labels",
        ],
    ),
    "a title": (
        put("experiments.digits.title", "Numbers"),
        {"plot": 1, "tabulate": 3},
        ["tabulate claims, table1, table2 (3 jobs): shown.titles.digits Digits & friends -> Numbers"],
    ),
    "explainers that are nested no more": (
        put("experiments.digits.nested", False),
        {"measure": 2, "summarize": 1, "plot": 1, "tabulate": 2},
        ["measure digits (2 jobs): nested True -> False", "tabulate claims (1 job): shown.nested: digits removed"],
    ),
    "what a paper prints": (
        put("experiments.digits.printed.t0", 2.5),
        {"plot": 1, "tabulate": 2},
        ["plot fig4 (1 job): shown.printed.digits.t0 1.5 -> 2.5"],
    ),
    "the steps of a figure of boundaries": (
        put("figures.fig1.steps", [0, 400]),
        {"plot": 1},
        ["plot fig1 (1 job): settings.steps: 50 removed"],
    ),
    "the order of the panels of a figure": (
        put("figures.fig4.experiments", ["ten_digits", "digits", "sinusoid"]),
        {"plot": 1},
        ["plot fig4 (1 job): settings.experiments: another order"],
    ),
    "the number of null models": (
        put("nulls.draws", 100),
        {"null_models": 4, "tabulate": 2},
        ["tabulate claims, table2 (2 jobs): follows null_models"],
    ),
    "initial weights of a simulation": (
        put("simulations.theorem1.inits", {"w*": {"first": 1}}),
        {"simulate": 1, "plot": 1, "tabulate": 1},
        ["plot theorem1 (1 job): follows simulate"],
    ),
    "the folder of downloads": (put("data_root", "elsewhere"), {}, []),
    "the device, which is the one that was used": (put("device", "auto"), {}, []),
}


@pytest.mark.parametrize(("change", "jobs", "why"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_reruns_what_it_has_a_part_in_and_the_audit_agrees(project, change, jobs, why, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check(project, change, jobs, why)


def test_a_change_on_the_command_line_reruns_what_it_changes_and_the_audit_agrees(project):
    change = ("--config", "seeds=[0]")
    planned = plan(project, *change)
    assert planned.jobs == {"null_models": 2, "summarize": 2, "plot": 1, "tabulate": 3}
    assert audit(project, "--configfile", CONFIG, *change).wrong == planned.sidecars


def test_threads_memory_and_cores_plan_nothing(project):
    given = ("--set-threads", "train=2", "--set-resources", "train:mem_mb=9000", "--cores", "1")
    assert plan(project, *given).jobs == {}
