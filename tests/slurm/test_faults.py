"""What clusters do to jobs, done on a real Slurm: results are those of an undisturbed run, and no work is repeated."""

import os
import shutil
import signal
import subprocess
import time
from collections import Counter

import pytest

from tests.slurm.conftest import LONG, ONCE, Project, copy_of_project, here
from tests.workflow import products

pytestmark = pytest.mark.slurm


def test_a_job_that_fails_once_is_tried_again(project, reference, tell):
    """Each training exits 1 at its first attempt"""
    assert project.run(FAULT="train:exit") == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    project.is_finished()
    tell(project, "tried again by the profile's retries")


def test_a_training_beyond_its_time_limit_is_resumed(project, reference, tell):
    """Trainings too slow for their time limit of one minute"""
    assert project.run("--set-resources", "train:runtime=attempt", FAULT="train:slow") == 0, project.said
    assert products(project.folder) == reference
    attempts = project.counts()["train"]
    assert attempts in (4, 5, 6), "on a slow machine two minutes may be too little too"
    assert project.counts() == {**ONCE, "train": attempts}
    assert all("resumed at step" in project.log("train", seed) for seed in (0, 1)), project.log("train")
    project.is_finished()
    tell(project, "SIGTERM had the state saved; tried again with twice the time and resumed from it")


def test_a_job_that_takes_too_much_memory_gets_more(project, reference, tell):
    """Each training takes 1.5 GB where 1 GB is granted"""
    assert project.run("--set-resources", "train:mem_mb=1000*attempt", FAULT="train:memory") == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    project.is_finished()
    tell(project, "Slurm killed it; tried again with twice the memory")


def test_a_cancelled_job_is_tried_again(project, reference, tell):
    """`scancel` of a running training"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    victim, other = project.starts()[:2]
    subprocess.run(["scancel", victim["slurm"]], check=True)
    os.kill(other["pid"], signal.SIGCONT)
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 3}
    assert "resumed at step" in project.log("train", victim["wildcards"]["seed"])
    project.is_finished()
    tell(project, "reported as failed, tried again and resumed; the other training went on")


def test_a_node_daemon_away_for_ten_seconds_is_not_noticed(project, reference, tell):
    """slurmd killed for 10 s while both trainings run"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    project.cluster.kill("slurmd")
    time.sleep(10)
    project.cluster.start("slurmd")
    project.release()
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == ONCE
    project.is_finished()
    tell(project, "nothing")


def test_jobs_of_a_lost_node_are_requeued(project, reference, tell):
    """slurmd killed for 60 s while both trainings run: Slurm gives the node up"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    project.cluster.kill("slurmd")
    time.sleep(60)
    project.cluster.start("slurmd")
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    project.is_finished()
    tell(project, "requeued by Slurm; Snakemake waited")


def test_a_controller_away_for_a_minute_is_waited_for(project, reference, tell):
    """slurmctld killed for 60 s while both trainings run"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    project.cluster.kill("slurmctld")
    project.release()
    time.sleep(60)
    project.cluster.start("slurmctld")
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == ONCE
    project.is_finished()
    tell(project, "trainings went on, and Snakemake waited")


def test_ctrl_c_cancels_the_jobs_and_the_next_run_resumes(project, reference, tell):
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
    tell(project, "jobs cancelled and their state saved; resumed")


def test_what_the_jobs_of_a_killed_snakemake_finish_is_kept(project, reference, tell):
    """`kill -9` of Snakemake, and the same command while the trainings still run and after they have finished"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    run.kill()
    run.wait()
    assert project.run() != 0 and "--unlock" in project.said
    assert project.run("--unlock") == 0, project.said
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
    tell(project, "first refused: the jobs are named with what to do; then nothing trained again")


def test_two_jobs_never_write_one_file(project, reference, tell, tmp_path):
    """The same where `squeue` did not tell of those jobs: two jobs make one network"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    run.kill()
    run.wait()
    assert project.run("--unlock") == 0, project.said
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
    tell(project, "the second waited for the first, which its log names, and found the work done")


def test_a_full_disk_is_told_and_leaves_nothing_half_written(project, reference, tell):
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
        tell(project, "the log says what to do; nothing half-written; trained in the second run")
    finally:
        project.release()
        project.cluster.cancel()
        subprocess.run(["umount", "--lazy", results], check=True)


def test_jobs_refuse_code_that_was_edited_after_they_were_planned(project, reference, tell):
    """measure.py edited while both trainings run; then the same command"""
    run = project.start("--retries", "0", FAULT="train:hold")
    project.until_held()
    with (project.folder / "workflow_scripts/measure.py").open("a") as module:
        module.write("\nEDITED = True\n")
    project.release()
    assert project.finish(run) != 0
    assert "measure: the code (or a library's version) has changed since this job was planned" in project.said
    refused = project.counts()["measure"]
    assert project.run() == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "measure": refused + 2}
    project.is_finished()
    tell(project, "measuring refused in one clear line; planned with the new code, and nothing trained again")


def test_trained_seeds_come_from_the_cache(project, reference, tell, tmp_path):
    """Results removed, and the same command with `--cache` as before"""
    (tmp_path / "cache").mkdir()
    shared = {"SNAKEMAKE_OUTPUT_CACHE": str(tmp_path / "cache")}
    assert project.run("--cache", **shared) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == ONCE
    shutil.rmtree(project.folder / "results")
    shutil.rmtree(project.folder / ".snakemake")
    here(project.folder, "--configfile", "study.yaml", "--", "data")
    assert project.run("--cache", **shared) == 0, project.said
    assert products(project.folder).items() >= reference.items()
    assert project.counts()["train"] == ONCE["train"]
    project.is_finished()
    tell(project, "restored by the jobs, without training")


@pytest.fixture(scope="module")
def default_study(tmp_path_factory):
    """A copy of the project, and the results of the default study made in it here."""
    folder = copy_of_project(tmp_path_factory.mktemp("default") / "here")
    began = time.monotonic()
    here(folder)
    return products(folder), time.monotonic() - began


def test_the_default_study_on_slurm_is_the_one_made_here(cluster, default_study, tmp_path, tell):
    """The default study"""
    expected, seconds = default_study
    project = Project(copy_of_project(tmp_path / "default"), cluster)
    assert project.finish(project.start(), LONG) == 0, project.said
    assert products(project.folder) == expected
    jobs = Counter((start["stage"], *start["wildcards"].values()) for start in project.starts())
    assert set(jobs.values()) == {1}
    assert {job["state"] for job in project.jobs()} == {"COMPLETED"}
    project.is_finished()
    tell(project, f"{len(project.jobs())} jobs submitted for {len(jobs)}; here, on two cores, it took {seconds:.0f} s")
