"""What Slurm will not do is said before anything is submitted, or in its own words."""

import os

import pytest

from tests.workflow import ROOT, snakemake
from workflow_scripts.config.errors import Unfit
from workflow_scripts.engine import cluster
from workflow_scripts.engine.cluster import Node, Request

SMALL, LARGE, WITH_GPUS = Node("cpu", 8000, 4, 0), Node("big", 64000, 16, 0), Node("gpu", 16000, 8, 2)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A cluster that has these nodes and refuses every job; its calls of sbatch are written down."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()

    def has(*nodes: str) -> None:
        says = {
            "sinfo": f"printf '%s\\n' {' '.join(map(repr, nodes))}",
            "squeue": "exit 0",
            "sacct": "exit 0",
            "sacctmgr": "exit 0",
        }
        says["sbatch"] = f"echo called >> {tmp_path}/calls; echo 'sbatch: error: no such account' >&2; exit 1"
        for name, words in says.items():
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{words}\n")
            (tmp_path / "bin" / name).chmod(0o755)

    return has


@pytest.mark.parametrize(
    ("request_", "nodes"),
    [
        (Request("train", False, "", 6000, 1, 0), [SMALL]),
        (Request("train", False, "", 6000, 1, 1), [SMALL, WITH_GPUS]),
        (Request("train", False, "big", 60000, 8, 0), [SMALL, LARGE]),
        (Request("train", False, "unknown", 60000, 8, 0), [SMALL]),
        (Request("train", False, "", 6000, 1, 0), []),
    ],
)
def test_what_some_node_can_hold_is_not_refused(request_, nodes):
    cluster.check(request_, nodes)


@pytest.mark.parametrize(
    ("request_", "nodes", "words"),
    [
        (Request("measures_a", True, "", 9000, 2, 0), [SMALL], "measures_a 9000 8000 mem_mb resources"),
        (Request("train", False, "cpu", 9000, 1, 0), [SMALL, LARGE], "train 9000 8000 mem_mb set-resources cpu"),
        (Request("train", False, "", 6000, 1, 1), [SMALL, LARGE], "train 1 0 gpus set-resources"),
        (Request("train", False, "", 6000, 64, 0), [SMALL, LARGE], "train 64 16 cpus"),
        (Request("train", False, "", 32000, 1, 1), [LARGE, WITH_GPUS], "train 32000"),
    ],
)
def test_what_no_node_can_hold_is_refused_with_the_key_to_change(request_, nodes, words):
    with pytest.raises(Unfit) as raised:
        cluster.check(request_, nodes)
    assert all(word in str(raised.value) for word in words.split())


@pytest.mark.parametrize("nodes", [["cpu|8000|8|(null)"], ["cpu|8000+|8+|gpu:2", "cpu|4000|2|gpu:a100:1(S:0)"]])
def test_nothing_is_submitted_where_a_job_fits_no_node(slurm, tmp_path, nodes):
    slurm(*nodes)
    (tmp_path / "slurm").symlink_to(ROOT / "slurm")
    done = snakemake(tmp_path, "--profile", "slurm", cores=8, forked=False)
    assert done.returncode == 1 and not (tmp_path / "calls").exists()
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: group ") and "8000" in last


@pytest.mark.slow
def test_a_refusal_of_sbatch_is_told_in_its_own_words_for_a_group_too(slurm, tmp_path):
    slurm("cpu|64000|64|(null)")
    (tmp_path / "slurm").symlink_to(ROOT / "slurm")
    run = "results/tiny/disc/seed2"
    assert snakemake(tmp_path, f"{run}/trajectory.npz").returncode == 0
    done = snakemake(tmp_path, "--profile", "slurm", "--retries", "0", f"{run}/final.npz", cores=8, forked=False)
    assert done.returncode == 1 and (tmp_path / "calls").exists()
    said = [line for line in done.stderr.splitlines() if "no such account" in line]
    assert any("group explainers_" in line for line in said), done.stderr[-3000:]
