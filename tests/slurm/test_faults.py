"""What clusters do to jobs, done on a real Slurm: results are those of an undisturbed run, and no work is repeated."""

import os
import shutil
import signal
import subprocess
import time
from collections import Counter

import pytest

from tests.reruns import edit
from tests.slurm.conftest import ONCE, Project, copy_of_project, here, tell
from tests.workflow import products

pytestmark = pytest.mark.slurm


def test_a_job_that_is_cut_short_is_tried_again(project_of_four, reference_of_four):
    """Exit 1, too little memory, scancel and the time limit, each at the first attempt of one of four trainings."""
    project = project_of_four
    asked = ("--set-resources", "train:mem_mb=1000*attempt", "train:runtime=attempt")
    run = project.start(*asked, FAULT="train@0:exit,train@1:memory,train@2:hold,train@3:slow")
    project.until_held(1)
    (victim,) = (start["slurm"] for start in project.starts() if start["wildcards"]["seed"] == "2")
    subprocess.run(["scancel", victim], check=True)
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference_of_four
    assert all("resumed at step" in project.log("train", seed) for seed in (2, 3)), project.log("train", 3)
    for seed in (0, 1, 2):
        assert project.counts(seed) == {"train": 2, "measure": 1}
    attempts = project.counts(3)["train"]
    assert attempts in (2, 3), "on a slow machine two minutes may be too little too"
    assert project.counts(3) == {"train": attempts, "measure": 1}
    became = [project.states(seed) for seed in (0, 1, 2)]
    assert became == ["2 completed, 1 failed", "2 completed, 1 failed", "1 cancelled, 2 completed"]
    assert project.states(3) == f"2 completed, {attempts - 1} timeout"
    project.is_finished()
    retried = "tried again by the profile's retries"
    tell(project, "a training exits 1 at its first attempt", retried, 0)
    tell(project, "1.5 GB taken where 1 GB is granted", "killed; tried again with twice the memory", 1)
    tell(project, "`scancel` of a training", "reported, tried again and resumed; the others went on", 2)
    saved = "SIGTERM had the state saved; tried again with twice the time, and resumed"
    tell(project, "a training too slow for its time limit of one minute", saved, 3)


def test_daemons_that_come_back_are_waited_for(project, reference):
    """The node's daemon away for ten seconds, and then the controller, while both trainings run."""
    run = project.start(FAULT="train:hold")
    project.until_held()
    project.cluster.kill("slurmd")
    time.sleep(10)
    project.cluster.start("slurmd")
    project.until_looked(3)
    project.cluster.kill("slurmctld")
    project.release()
    project.until(lambda: not project.running())
    project.until_looked(2)
    project.cluster.start("slurmctld")
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == ONCE
    project.is_finished()
    tell(project, "the node's daemon killed for 10 s", "nothing")
    tell(project, "then the controller killed until the trainings have ended", "trainings went on, Snakemake waited")


def test_jobs_that_slurm_has_forgotten_are_judged_by_their_results(forgetful, project, reference):
    """Snakemake stopped until nothing is told of two trainings, of which one failed."""
    run = project.start(FAULT="train@1:exit")
    project.until(lambda: len(project.jobs()) == 2)
    os.kill(run.pid, signal.SIGSTOP)
    project.until(lambda: not project.jobs(), 180)
    os.kill(run.pid, signal.SIGCONT)
    assert project.finish(run) == 0, project.said
    assert project.said.count("Slurm tells nothing of its job") == 1, project.said
    assert products(project.folder) == reference
    assert project.counts(0) == {"train": 1, "measure": 1}
    assert project.counts(1) == {"train": 2, "measure": 1}
    project.is_finished()
    done = "no accounts, and Snakemake held until Slurm has forgotten a training that ended and one that failed"
    tell(project, done, "judged by what they made; the one that failed was tried again", starts="train 3, measure 2")


def test_a_controller_that_comes_back_is_waited_for_without_accounts(forgetful, project, reference):
    run = project.start(FAULT="train:hold")
    project.until_held()
    forgetful.kill("slurmctld")
    project.until_looked(1)
    forgetful.start("slurmctld")
    project.release()
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == ONCE
    project.is_finished()
    done = "no accounts, and the controller killed while the trainings run"
    tell(project, done, "trainings went on, Snakemake waited", starts="train 2, measure 2")


def test_jobs_of_a_lost_node_are_requeued(project, reference):
    """slurmd killed for 60 s while both trainings run: Slurm gives the node up"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    project.cluster.kill("slurmd")
    project.cluster.until_node_is_lost()
    project.cluster.start("slurmd")
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    project.is_finished()
    tell(project, "the node's daemon killed until the node is lost", "Slurm requeued the jobs, Snakemake waited")


def test_ctrl_c_cancels_the_jobs_and_the_next_run_resumes(project, reference):
    """Ctrl-C while both trainings run, then the same command"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    os.killpg(run.pid, signal.SIGINT)
    assert project.finish(run, 60) != 0
    project.until(lambda: not project.active())
    assert project.run(FAULT="train:hold") == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    assert all("resumed at step" in project.log("train", seed) for seed in (0, 1))
    project.is_finished()
    tell(project, "Ctrl-C, then the same command", "jobs cancelled, their state saved; resumed")


def test_what_the_jobs_of_a_killed_snakemake_finish_is_kept(project, reference):
    """`kill -9` of Snakemake, and the same command while the trainings still run and after they have finished"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    run.kill()
    run.wait()
    assert project.run() != 0
    orphans = " ".join(job["id"] for job in project.active())
    assert "let them finish, or stop them, then run the same command again" in project.said
    assert f"To stop them: scancel {orphans}\n" in project.said
    project.release()
    project.until(lambda: not project.active())
    assert project.run() == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == ONCE, project.log("train")
    project.is_finished()
    done = "`kill -9` of Snakemake, and the same command while the trainings still run, and when they have finished"
    tell(project, done, "refused: the jobs are named with what to do; then nothing trained again")


def test_two_jobs_never_write_one_file(project, reference, tmp_path):
    """The same where `squeue` did not tell of those jobs: two jobs make one network"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    run.kill()
    run.wait()
    orphans = project.starts()
    silent = tmp_path / "bin" / "squeue"
    silent.parent.mkdir()
    silent.write_text(f'#!/bin/sh\ncase "$*" in *--user*) exit 1;; esac\nexec {shutil.which("squeue")} "$@"\n')
    silent.chmod(0o755)
    run = project.start(FAULT="train:hold", PATH=f"{silent.parent}:{os.environ['PATH']}")
    for orphan in orphans:
        seed, holder = orphan["wildcards"]["seed"], f"waiting for Slurm job {orphan['slurm']} on"
        project.until(lambda seed=seed, holder=holder: holder in project.log("train", seed))
    project.release()
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    assert all("nothing is left to do" in project.log("train", seed) for seed in (0, 1))
    project.is_finished()
    seen = "the second jobs waited for the first, named in their logs, and found the work done"
    tell(project, "the same where `squeue` doesn't tell of these jobs", seen)


def test_a_full_disk_is_told_and_leaves_nothing_half_written(project, reference):
    """No space for the results; then more space, and the same command"""
    results = project.folder / "results"
    shutil.move(results, project.folder / "before")
    results.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "results", results], capture_output=True).returncode:
        pytest.skip("a small file system can't be mounted here")
    try:
        shutil.copytree(project.folder / "before", results, dirs_exist_ok=True)
        room = shutil.disk_usage(results).used + len(reference["waves/seed0/trajectory.npz"]) + 8192
        before = set(products(project.folder))
        subprocess.run(["mount", "-o", f"remount,size={room}", results], check=True)
        assert project.run("--retries", "0") != 0
        assert "no space left where train writes: free some, then run the same command again" in project.said
        assert set(products(project.folder)) == before
        assert not [path for path in results.rglob("*") if path.name.startswith(".")]
        subprocess.run(["mount", "-o", "remount,size=64M", results], check=True)
        assert project.run() == 0, project.said
        assert products(project.folder) == reference
        assert project.counts() == {**ONCE, "train": 4}
        project.is_finished()
        seen = "the log says what to do; nothing half-written; trained in the second run"
        tell(project, "results on a full disk, then a larger one, and the same command", seen)
    finally:
        project.release()
        project.cluster.cancel()
        subprocess.run(["umount", "--lazy", results], check=True)


def test_jobs_refuse_code_that_was_edited_after_they_were_planned(project, reference):
    """measure.py edited while both trainings run; then the same command"""
    run = project.start("--retries", "0", FAULT="train:hold")
    project.until_held()
    edit("workflow_scripts/measure.py", "    measured, ", "    edited = True\n    measured, ")(project.folder)
    project.release()
    assert project.finish(run) != 0
    assert "measure: the code (or a library's version) has changed since this job was planned" in project.said
    refused = project.counts()["measure"]
    assert project.run() == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "measure": refused + 2}
    project.is_finished()
    seen = "measuring refused in one line; planned with the new code, nothing trained again"
    tell(project, "`measure.py` edited while the trainings run, then the same command", seen)


def test_trained_seeds_come_from_the_cache(project, reference, tmp_path):
    """Results removed, and the same command with `--cache` as before"""
    (tmp_path / "cache").mkdir()
    shared = {"SNAKEMAKE_OUTPUT_CACHE": str(tmp_path / "cache")}
    assert project.run("--cache", **shared) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == ONCE
    shutil.rmtree(project.folder / "results/tiny")
    shutil.rmtree(project.folder / ".snakemake")
    here(project.folder, "data")
    assert project.run("--cache", **shared) == 0, project.said
    assert products(project.folder).items() >= reference.items()
    assert project.counts()["train"] == ONCE["train"]
    project.is_finished()
    tell(project, "`--cache`, results wiped, and the same command", "restored by the jobs without training")


def test_a_study_of_every_stage_is_the_one_made_here(cluster, finished, tmp_path):
    """The tiny study, with a GPU asked for wherever there may be one, undisturbed."""
    study = ("--configfile", "tests/tiny.yaml", "--config", "device=auto")
    project = Project(copy_of_project(tmp_path / "tiny"), cluster, *study)
    assert project.run() == 0, project.said
    assert products(project.folder) == products(finished)
    jobs = Counter((start["stage"], *start["wildcards"].values()) for start in project.starts())
    assert set(jobs.values()) == {1}
    assert {job["state"] for job in project.jobs()} == {"COMPLETED"}
    project.is_finished()
    tell(
        project,
        "a study of every stage, undisturbed",
        "the same bytes as here without Slurm",
        starts=f"{len(jobs)} jobs",
    )
