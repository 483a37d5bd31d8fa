"""Planning costs so much a job, and a job on another node plans itself alone: calls are counted."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from benchmarks.scale import study
from tests.workflow import ROOT
from workflow_scripts.config.jobs import STAGES
from workflow_scripts.engine import plan

#: runs Snakemake with the arguments given, then prints how often each of these was called
COUNTED = """
import atexit, collections, json, sys
sys.path.insert(0, {root!r})
from snakemake.cli import main
from workflow_scripts.config import jobs, study
from workflow_scripts.provenance import definitions

calls = collections.Counter(settings=0, seeds_of=0, _code=0)

def counted(holder, name):
    function = getattr(holder, name)
    def call(*args, **keywords):
        calls[name] += 1
        return function(*args, **keywords)
    setattr(holder, name, call)

counted(jobs, "settings")
counted(study.Study, "seeds_of")
counted(definitions.Sources, "_code")
atexit.register(lambda: print(json.dumps(calls)))
main(sys.argv[1:])
"""


def counts(folder, *arguments: str, **environment: str) -> dict[str, int]:
    """How often a dry run in this folder made settings of jobs, seeds of experiments, and fingerprints of code."""
    command = [sys.executable, "-c", COUNTED.format(root=str(ROOT)), "--dry-run", "--quiet=rules", "--cores", "1"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "study.yaml", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a study of 2 experiments and 3 seeds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study(2, 3)))
    return tmp_path


def test_a_plan_makes_the_settings_of_each_job_once(folder):
    of_seeds = 2 * 3 * len(("train", "extract_final", "distill_final", "distill_t0", "measure"))
    of_experiments = 2 * len(("null_models", "summarize", "plot"))
    called = counts(folder)
    assert called["settings"] == of_seeds + of_experiments + len(("prepare_data", "distill_true", "tabulate"))
    assert called["_code"] == len(STAGES) - len(("simulate", "order_examples", "decompose")), "once for all jobs alike"


def test_a_job_on_a_node_makes_nothing_of_other_jobs(folder, monkeypatch):
    monkeypatch.setenv(plan.PLAN, "")
    plan.freeze(study(2, 3), {"train mlp": "0" * 16})
    target = ["--target-jobs", "train:experiment=e001,seed=2", "--allowed-rules", "train", "--force", "--nolock"]
    called = counts(folder, *target, "--no-hooks", "--mode", "remote", **{plan.PLAN: os.environ[plan.PLAN]})
    assert called == {"settings": 1, "seeds_of": 0, "_code": 0}
