"""What clusters do to jobs, done on a real Slurm: results are those of an undisturbed run, and no work is repeated."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.slurm.conftest import ONCE, here
from tests.workflow import products

pytestmark = pytest.mark.slurm


def test_a_job_that_fails_once_is_tried_again(project, reference, tell):
    """Each training exits 1 at its first attempt"""
    assert project.run(FAULT="train:exit") == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    project.is_finished()
    tell("tried again by the profile's retries")


def test_a_training_beyond_its_time_limit_is_resumed(project, reference, tell):
    """Trainings stand still until their time limit of one minute"""
    assert project.run("--set-resources", "train:runtime=attempt", FAULT="train:hold") == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    assert all("resumed at step" in project.log("train", seed) for seed in (0, 1))
    project.is_finished()
    tell("SIGTERM had the state saved; tried again with twice the time and resumed from it")


def test_a_job_that_takes_too_much_memory_gets_more(project, reference, tell):
    """Each training takes 1.5 GB where 1 GB is granted"""
    assert project.run("--set-resources", "train:mem_mb=1000*attempt", FAULT="train:memory") == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    project.is_finished()
    tell("Slurm killed it; tried again with twice the memory")


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
    tell("reported as failed, tried again and resumed; the other training went on")


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
    tell("nothing")


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
    tell("requeued by Slurm; Snakemake waited")


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
    tell("trainings went on, and Snakemake waited")


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
    tell("jobs cancelled and their state saved; resumed")


def test_the_jobs_of_a_killed_snakemake_are_waited_for(project, reference, tell):
    """`kill -9` of Snakemake, `--unlock`, the same command while the trainings of the first one still run"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    orphans = project.starts()
    run.kill()
    run.wait()
    assert project.run() != 0 and "--unlock" in project.said
    assert project.run("--unlock") == 0, project.said
    run = project.start(FAULT="train:hold")
    project.until(lambda: all("waiting for" in project.log("train", seed) for seed in (0, 1)))
    for orphan in orphans:
        seed = orphan["wildcards"]["seed"]
        assert f"waiting for Slurm job {orphan['slurm']} on" in project.log("train", seed)
    project.release()
    assert project.finish(run) == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    assert all("nothing is left to do" in project.log("train", seed) for seed in (0, 1))
    project.is_finished()
    tell("the second jobs waited for the first, named in their logs, and found the work done")


def test_what_the_jobs_of_a_killed_snakemake_finished_is_kept(project, reference, tell):
    """`kill -9` of Snakemake, `--unlock`, the same command after the trainings of the first one have finished"""
    run = project.start(FAULT="train:hold")
    project.until_held()
    run.kill()
    run.wait()
    project.release()
    project.until(lambda: not project.active())
    assert project.run("--unlock") == 0, project.said
    assert project.run() == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == ONCE, project.log("train")
    project.is_finished()
    tell("nothing trained again")


def test_a_full_disk_is_told_and_leaves_nothing_half_written(project, reference, tell):
    """No space for the results; then more space, and the same command"""
    results = project.folder / "results"
    shutil.move(results, project.folder / "before")
    results.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "results", results], capture_output=True).returncode:
        pytest.skip("a small file system can't be mounted here")
    try:
        shutil.copytree(project.folder / "before", results, dirs_exist_ok=True)
        used = shutil.disk_usage(results).used
        before = set(products(project.folder))
        subprocess.run(["mount", "-o", f"remount,size={used + 100_000}", results], check=True)
        assert project.run("--retries", "0") != 0
        assert "no space left where train writes: free some, then run the same command again" in project.said
        assert set(products(project.folder)) == before
        assert not [path for path in results.rglob("*") if path.name.startswith(".")]
        subprocess.run(["mount", "-o", "remount,size=64M", results], check=True)
        assert project.run() == 0, project.said
        assert products(project.folder) == reference
        assert project.counts() == {**ONCE, "train": 4}
        project.is_finished()
        tell("the log says what to do; nothing half-written; trained in the second run")
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
    for seed in (0, 1):
        assert "measure: the code (or a library's version) has changed since this job" in project.log("measure", seed)
    assert project.run() == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "measure": 4}
    project.is_finished()
    tell("measuring refused in one clear line; planned with the new code, and nothing trained again")


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
    tell("restored by the jobs, without training")
