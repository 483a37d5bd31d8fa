"""A job on another node is the job that was planned, whatever is edited while it waits in the queue."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.reruns import edit
from tests.workflow import ROOT
from workflow_scripts.config.errors import StudyError
from workflow_scripts.engine import plan
from workflow_scripts.provenance import sidecars

STUDY = {
    "study": "tiny",
    "seeds": [0],
    "device": "cpu",
    "datasets": {"waves": {"kind": "sinusoid", "train": 200, "test": 100, "dimension": 4}},
    "tasks": {"waves": {"dataset": "waves"}},
    "explainers": {"linear": {"labels": "true", "fit": {"solver": "logistic", "C": 1.0}}},
    "experiments": {
        "waves": {
            "title": "Waves",
            "task": "waves",
            "network": {"kind": "mlp", "widths": [8]},
            "sgd": {"lr": 0.1, "batch_size": 50, "epochs": 2},
            "explainers": ["linear"],
        }
    },
}
EXPLAINER = "results/tiny/tasks/waves/explainers/linear.npz"

#: a cluster of one node, where a job runs as soon as it is submitted and $MEANWHILE has happened
SLURM = {
    "sbatch": """
        for wrap; do :; done
        eval "$MEANWHILE"
        export SLURM_JOB_ID=7
        sh -c "${wrap#--wrap=}" > node.log 2>&1 && echo 7
    """,
    "squeue": "echo '7|COMPLETED'",
    "srun": 'while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"',
    "scontrol": "echo MinJobAge = 300 sec",
    "sacct": "",
    "sinfo": "",
}


def snakemake(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a copy of the project in its own folder."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "study.yaml", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, env=os.environ | environment)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A copy of the project with a study whose data are made, and a cluster."""
    project = tmp_path_factory.mktemp("project")
    for name in ("workflow_scripts", "rules", "profiles", "slurm", "envs"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", project)
    (project / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (project / "cache").mkdir()
    (project / "bin").mkdir()
    for name, script in SLURM.items():
        command = project / "bin" / name
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
    done = snakemake(project, "--", "data")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def project(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "project")


def submit(project: Path, meanwhile: str, *arguments: str) -> subprocess.CompletedProcess:
    """Make the explainer on the cluster; meanwhile: what happens before the node starts the job."""
    environment = {
        "PATH": f"{project / 'bin'}:{os.environ['PATH']}",
        "MEANWHILE": meanwhile,
        "SNAKEMAKE_OUTPUT_CACHE": str(project / "cache"),
    }
    options = ["--profile", "slurm", "--retries", "0", "--slurm-init-seconds-before-status-checks", "1", "--cache"]
    return snakemake(project, *options, *arguments, "--", EXPLAINER, **environment)


def test_a_job_on_a_node_has_the_settings_that_it_was_planned_with(project):
    done = submit(project, "sed -i 's/C: 1.0/C: 2.0/' study.yaml")
    assert done.returncode == 0, done.stderr
    assert "C: 2.0" in (project / "study.yaml").read_text()
    record = sidecars.read(project / f"{EXPLAINER}{sidecars.SUFFIX}")
    assert record.cfg["settings"]["fit"]["C"] == 1.0
    assert record.slurm_job_id == "7"
    assert record.origin == {"configfiles": ["study.yaml"], "config": {}}
    assert not (project / EXPLAINER).is_symlink()
    cached = {path.read_bytes() for path in (project / "cache").iterdir()}
    assert (project / EXPLAINER).read_bytes() in cached and len(cached) == 2, "--cache is for jobs on nodes too"
    (project / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (project / EXPLAINER).unlink()
    done = snakemake(project, "--cache", "--", EXPLAINER, SNAKEMAKE_OUTPUT_CACHE=str(project / "cache"))
    assert f"restored from the cache: {EXPLAINER}" in done.stderr, "and what they stored is for jobs here"


def test_a_job_on_a_node_refuses_other_code_than_it_was_planned_with(project):
    done = submit(project, "sed -i 's/MAX_TERMS = 2_000/MAX_TERMS = 3_000/' workflow_scripts/explainers/logistic.py")
    assert done.returncode != 0
    said = (project / "results/tiny/tasks/waves/logs/linear.log").read_text()
    assert said.startswith("error: distill: the code (or a library's version) has changed since this job was planned:")
    assert len(said.splitlines()) == 1
    assert not (project / EXPLAINER).exists() and not list((project / "cache").iterdir())


def test_a_job_on_a_node_that_fails_loses_nothing_and_one_that_would_make_the_same_is_not_run(project):
    assert submit(project, "").returncode == 0
    sidecar = project / f"{EXPLAINER}{sidecars.SUFFIX}"
    made, told = (project / EXPLAINER).read_bytes(), sidecar.read_bytes()
    damaged = submit(project, "printf x >> results/tiny/data/waves.npz", "--forcerun", EXPLAINER)
    assert damaged.returncode != 0
    assert ((project / EXPLAINER).read_bytes(), sidecar.read_bytes()) == (made, told)
    (project / "results/tiny/data/waves.npz").unlink()
    edit("workflow_scripts/data/datasets/sinusoid.py", "def make(", "SAME = 1\n\n\ndef make(")(project)
    edit("workflow_scripts/data/datasets/sinusoid.py", "rng = ", "rng = SAME and ")(project)
    done = submit(project, "")
    assert done.returncode == 0, done.stderr
    assert "unchanged: distill_true_labels" in (project / "node.log").read_text()
    assert ((project / EXPLAINER).read_bytes(), sidecar.read_bytes()) == (made, told)
    shutil.rmtree(project / "cache")
    (project / "cache").mkdir()
    assert submit(project, "", "--forcerun", EXPLAINER).returncode == 0
    assert (project / EXPLAINER).read_bytes() == made and sidecar.read_bytes() != told


def test_a_job_on_a_node_without_the_plan_ends_with_one_clear_line(project):
    done = submit(project, f"unset {plan.PLAN}")
    assert done.returncode != 0
    said = (project / "node.log").read_text()
    assert f"error: {plan.PLAN}=: the plan of this run can't be read: a cluster must hand the environment" in said
    assert "Traceback" not in said
    assert not (project / EXPLAINER).exists()


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"config": {}}', "\udcff"])
def test_an_unreadable_plan_is_one_clear_line(tmp_path, monkeypatch, content):
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    monkeypatch.setenv(plan.PLAN, str(path))
    why = rf"^{plan.PLAN}={path}: the plan of this run can't be read: .*run snakemake again$"
    with pytest.raises(StudyError, match=why):
        plan.frozen()


def test_a_plan_is_read_as_it_was_frozen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plan.PLAN, "")
    for config in (STUDY, {**STUDY, "seeds": [1]}):
        plan.freeze(config, {"train": "abc"})
        assert plan.frozen() == (config, {"train": "abc"})
    assert len(list(plan.FOLDER.iterdir())) == 2, "runs at the same time do not share a plan"


def test_a_stage_that_loads_code_it_does_not_name_writes_nothing(project):
    with (project / "workflow_scripts/data/datasets/sinusoid.py").open("a") as module:
        module.write("\n\nimport pydoc\n\npydoc.locate('workflow_scripts.measures')\n")
    cfg = {"source": STUDY["datasets"]["waves"], "wildcards": {"dataset": "waves"}}
    command = [sys.executable, "-m", "workflow_scripts.prepare_data", "--cfg", json.dumps(cfg)]
    out = project / "made" / "waves.npz"
    done = subprocess.run([*command, "--data", out], cwd=project, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: prepare_data: it loaded workflow_scripts.measures, which none of its modules imports by name: "
        "import it by name, so that a change of it is noticed; nothing was written"
    )
    assert "Traceback" not in done.stderr and list(out.parent.iterdir()) == []
