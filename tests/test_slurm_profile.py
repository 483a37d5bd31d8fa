"""What a run on Slurm would submit, with sbatch's arguments, for shipped studies; and the profile itself."""

import itertools
import json
import os
import re
from collections import Counter
from graphlib import TopologicalSorter

import pytest
import yaml
from snakemake.cli import get_argument_parser

from benchmarks import resources
from tests import forks
from tests.workflow import ROOT, STUDIES

PROFILE = ROOT / "slurm/config.yaml"
SETTINGS = yaml.safe_load(PROFILE.read_text())
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
NAMES = set(re.findall(r"^rule (\w+):", RULES, re.MULTILINE)) | set(
    re.findall(r"^use rule \w+ as (\w+)", RULES, re.MULTILINE)
)
TRAINING = {"train", "distill_true_labels_by_sgd", "distill_final_labels_by_sgd", "distill_t0_labels_by_sgd"}
LOCAL = {"prepare_data", "plot", "tabulate"}
FIG4 = ("mnist", "cifar_animals_objects", "cifar_first_last", "sinusoid")


def submitted(folder, *configfiles) -> list[dict]:
    """What a run of a study with the profile would submit, from a dry run; without Slurm."""
    for name in ("scontrol", "sacct", "squeue", "sinfo"):  # an installed Slurm that is down makes the plugin wait
        command = folder / name
        command.write_text("#!/bin/sh\nexit 1\n")
        command.chmod(0o755)
    arguments = ["--json", "--", "--cores", "8", "--profile", "slurm", "--directory", folder]
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = forks.run("benchmarks.submissions", *arguments, "--configfile", *configfiles, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


#: each kind of explainer for two experiments that explain each other, fitted by SGD and otherwise
ENTANGLED = {
    "study": "tiny",
    "seeds": [0, 1],
    "datasets": {"waves": {"kind": "sinusoid", "train": 200, "test": 100, "dimension": 4, "fresh": 50}},
    "tasks": {"waves": {"dataset": "waves"}},
    "explainers": {
        f"{labels}_{fit['solver']}": {"labels": labels, "fit": fit} | ({"reference": reference} if reference else {})
        for labels, reference in (("true", None), ("final", None), ("t0", "true_sgd"))
        for fit in ({"solver": "logistic"}, {"solver": "sgd", "lr": 0.1, "epochs": 1})
    },
}
ENTANGLED["experiments"] = {
    name: {
        "title": name,
        "task": "waves",
        "network": {"kind": "mlp", "widths": [8]},
        "sgd": {"lr": 0.1, "epochs": 1},
        "explainers": [*ENTANGLED["explainers"], other],
        "nested": True,
    }
    for name, other in (("one", "two"), ("two", "one"))
}


@pytest.fixture(scope="module", params=["default", "nakkiran2019", "schouten2023", "entangled"])
def configfiles(request, tmp_path_factory):
    if request.param in STUDIES:
        return STUDIES[request.param]
    path = tmp_path_factory.mktemp("study") / "entangled.yaml"
    path.write_text(yaml.safe_dump(ENTANGLED))
    return (path,)


@pytest.fixture(scope="module")
def found(configfiles, tmp_path_factory):
    return submitted(tmp_path_factory.mktemp("planned"), *configfiles)


def number(pattern: str, arguments: str) -> int:
    (found,) = re.findall(pattern, arguments)
    return int(found)


def test_jobs_ask_for_what_their_rule_says_and_twice_that_when_retried(found):
    for job in (job for job in found if sum(job["rules"].values()) == 1):
        (rule,) = job["rules"]
        mem, runtime = resources.asked()[rule]
        for attempt, arguments in enumerate(job["sbatch"], 1):
            assert number(r"--mem (\d+)", arguments) == attempt * mem >= 500
            assert number(r"-t (\d+)", arguments) == attempt * runtime >= 10
            assert number(r"--cpus-per-task=(\d+)", arguments) == 1


def test_groups_stay_within_the_cores_and_the_memory_given(found):
    for job in (job for job in found if "{experiment}" in job["name"]):
        first, second = job["sbatch"]
        for arguments in (first, second):
            assert 1 <= number(r"--cpus-per-task=(\d+)", arguments) <= 8
            assert 500 <= number(r"--mem (\d+)", arguments) <= SETTINGS["resources"]["mem_mb"]
            assert number(r"-t (\d+)", arguments) <= 24 * 60, "what many partitions allow"
        assert number(r"-t (\d+)", second) >= 2 * number(r"-t (\d+)", first)


def test_only_jobs_that_train_networks_ask_for_a_gpu(found):
    for job in found:
        for arguments in job["sbatch"]:
            if set(job["rules"]) <= TRAINING:
                assert re.findall(r"--\S*(?:gpu|gres)\S*", arguments) == ["--gpus=1"]
            else:
                assert "gpu" not in arguments and "gres" not in arguments and "--ntasks=1" in arguments


def test_no_job_asks_for_a_gpu_where_networks_run_on_the_cpu(tmp_path):
    found = submitted(tmp_path, *STUDIES["of the tests"])
    assert TRAINING & {rule for job in found for rule in job["rules"]}
    assert not [job for job in found if "gpu" in "".join(job["sbatch"]) or "gres" in "".join(job["sbatch"])]


def test_no_groups_wait_for_each_other(found):
    waiting = {}
    for job in found:
        waiting.setdefault(job["name"], set()).update(job["after"])
    TopologicalSorter(waiting).prepare()  # raises CycleError, of one that waits for itself too


def test_data_figures_and_tables_are_never_submitted(found):
    assert not LOCAL & {rule for job in found for rule in job["rules"]}


def test_four_tasks_with_ten_seeds_are_a_sensible_number_of_jobs(tmp_path):
    study = yaml.safe_load((ROOT / "experiments/nakkiran2019.yaml").read_text())
    study["experiments"] = {name: study["experiments"][name] for name in FIG4}
    study["figures"] = {"fig4": study["figures"]["fig4"]}
    del study["simulations"]
    study["tables"] = {name: study["tables"][name] for name in ("table1", "table2")}
    (tmp_path / "fig4.yaml").write_text(yaml.safe_dump(study))
    found = submitted(tmp_path, tmp_path / "fig4.yaml")
    assert Counter(job["name"] for job in found) == {
        "train": 40,
        "distill_true_labels": 4,
        "explainers_{experiment}": 4,
        "measures_{experiment}": 4,
        "summaries_{experiment}": 4,
    }
    grouped = sum(sum(job["rules"].values()) for job in found)
    assert (len(found), grouped) == (56, 142)
    assert {"measure": 10, "distill_t0_labels": 10} in [job["rules"] for job in found]


def test_no_key_stands_in_both_profiles():
    assert not set(SETTINGS) & set(yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text()))


def test_every_key_is_an_option_of_snakemake_or_of_the_plugin():
    options = {option for action in get_argument_parser()._actions for option in action.option_strings}
    assert [key for key in SETTINGS if f"--{key}" not in options] == []


def test_every_rule_and_group_that_the_profile_names_exists():
    assert set(SETTINGS["groups"]) | set(SETTINGS["set-resources"]) <= NAMES
    assert set(SETTINGS["groups"].values()) == set(SETTINGS["group-components"])
    mentioned = re.findall(r"^ *# *(\w+): \{slurm_partition", PROFILE.read_text(), re.MULTILINE)
    assert set(mentioned) == TRAINING
    assert set(resources.asked()) == NAMES


def test_no_key_goes_without_a_comment():
    lines = PROFILE.read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"[a-z]", line):
            assert " # " in line or before.startswith("#"), line


def test_rules_ask_for_resources_that_grow_and_leave_retries_to_the_profile():
    assert "retries" not in RULES
    assert RULES.count("**growing(mem_mb=") == len(NAMES)


def test_every_stage_has_its_place_in_the_profile():
    profile = yaml.safe_load((ROOT / "slurm/config.yaml").read_text())
    rules = {
        rule
        for path in (ROOT / "rules").glob("*.smk")
        for rule in re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", path.read_text(), re.M)
    }
    of_their_own = {"train", "simulate", *(rule for rule in rules if rule.endswith("_by_sgd")), "distill_true_labels"}
    assert rules == {*profile["groups"], *profile["set-resources"], *of_their_own}
