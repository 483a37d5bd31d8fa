"""Progress: what a second terminal tells of a run that goes on, was killed, failed in part, or is over."""

import copy
import errno
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests import forks
from tests.refusals import refusal
from tests.test_frozen_plan import STUDY
from tests.workflow import ROOT, snakemake
from workflow_scripts.config.errors import Damaged
from workflow_scripts.job import locks
from workflow_scripts.progress import report

LOG = "results/tiny/waves/seed{seed}/logs/train.log"
TRACEBACK = "Traceback (most recent call last):\n  File ...\nKeyError: 3\n"
NOW = time.time()
BEFORE, AFTER = NOW - 60, NOW + 60


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Begin a run of that many training jobs in the working directory, by this process unless told otherwise."""
    monkeypatch.chdir(tmp_path)

    def begin(number, pid=None, host=None):
        report.JOBS.parent.mkdir(parents=True)
        jobs = [(sidecar(seed), LOG.format(seed=seed)) for seed in range(number)]
        run = {"pid": pid or os.getpid(), "host": host or socket.gethostname()}
        write(report.JOBS, json.dumps(run | {"stages": [{"stage": "train", "logs": LOG, "jobs": jobs}]}), NOW)

    return begin


def sidecar(seed):
    return f"results/tiny/waves/seed{seed}/trajectory.npz.prov.json"


def write(path, text, when=AFTER):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    os.utime(path, (when, when))


def write_log(seed, text, when=AFTER):
    write(LOG.format(seed=seed), text, when)


def lock(seed, by="process 345 on host", when=AFTER, held=True):
    """Lock the products of a seed; the lock holds as long as what is returned."""
    path = locks.path_of(Path(sidecar(seed)))
    write(path, f"{by}\n", when)
    file = path.open()
    if held:
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


#: what a job has left behind, the state that this is, and the note to it
LEFT = {
    "nothing": (lambda: None, "waiting", ""),
    "a sidecar": (lambda: write(sidecar(0), "{}"), "done", ""),
    "a sidecar of an earlier run": (lambda: write(sidecar(0), "{}", BEFORE), "waiting", ""),
    "a lock": (lambda: lock(0), "running", "process 345 on host"),
    "the lock of an orphan of an earlier run": (lambda: lock(0, when=BEFORE), "running", "process 345 on host"),
    "a lock, running again": (lambda: (write_log(0, "error: no"), lock(0))[1], "running", "process 345 on host"),
    "the lock of a killed job": (lambda: lock(0, held=False), "failed", "killed: process 345 on host"),
    "the lock of a job killed in an earlier run": (lambda: lock(0, when=BEFORE, held=False), "waiting", ""),
    "a sidecar and a lock": (lambda: (write(sidecar(0), "{}"), lock(0, held=False))[1], "done", ""),
    "a log": (lambda: write_log(0, ""), "waiting", ""),
    "an error": (lambda: write_log(0, "12:00:00 step 1\nerror: lr: lower it\n"), "failed", "error: lr: lower it"),
    "an error of an earlier run": (lambda: write_log(0, "error: lr: lower it\n", BEFORE), "waiting", ""),
    "an end by a signal": (
        lambda: write_log(0, "12:00:00 stopped by SIGTERM\n"),
        "failed",
        "12:00:00 stopped by SIGTERM",
    ),
    "a crash": (lambda: write_log(0, f"12:00:00 step 1\n{TRACEBACK}"), "failed", "KeyError: 3"),
    "words of progress": (lambda: write_log(0, "12:00:00 step 1\n"), "waiting", ""),
}


@pytest.mark.parametrize(("leave", "state", "note"), LEFT.values(), ids=LEFT)
def test_what_a_job_left_tells_its_state(begun, leave, state, note):
    begun(1)
    held = leave()
    assert report.state(sidecar(0), LOG.format(seed=0), report.JOBS.stat().st_mtime_ns) == (state, note)
    if held:
        held.close()


def test_a_lock_is_believed_where_locks_do_not_work(begun, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    begun(1)
    with lock(0, held=False):
        monkeypatch.setattr(report.fcntl, "flock", refuse)
        assert report.state(sidecar(0), "", 0) == ("running", "process 345 on host")


def test_all_is_told_in_a_table_and_then_what_runs_and_what_failed(begun):
    begun(4)
    write(sidecar(0), "{}")
    write_log(1, "12:00:00 on cpu\n12:00:05 step 7 of 90\n")
    write_log(2, "error: lr: lower it\n")
    with lock(1, "Slurm job 17 on node3"):
        said = report.lines()
    assert re.fullmatch(r"run started [-0-9]{10} [:0-9]{8}", said[0])
    assert said[1:] == [
        "",
        "stage  waiting  running     done   failed      all  logs",
        f"train        1        1        1        1        4  {LOG}",
        "all          1        1        1        1        4",
        "",
        "running:",
        "  results/tiny/waves/seed1/logs/train.log (Slurm job 17 on node3)",
        "    12:00:05 step 7 of 90",
        "",
        "failed:",
        "  results/tiny/waves/seed2/logs/train.log",
        "    error: lr: lower it",
        "",
        f"Snakemake runs: process {os.getpid()}",
    ]


def test_of_many_jobs_some_are_shown(begun):
    begun(24)
    for seed in range(24):
        write_log(seed, "error: no\n")
    said = report.lines()
    assert said.count("    error: no") == 20 and "  and 4 more" in said


@pytest.fixture
def ended():
    """The number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_run_without_snakemake_tells_what_to_do(begun, ended):
    begun(2, pid=ended)
    assert report.lines()[-1] == "Snakemake doesn't run any more: give the same command again"
    with lock(1):
        assert report.lines()[-2:] == [
            "Snakemake doesn't run any more: give the same command again",
            "Jobs that it left still run: before that, wait for them or end them (on Slurm: scancel)",
        ]
    for seed in range(2):
        write(sidecar(seed), "{}")
    assert report.lines()[-1] == "Snakemake has ended, all jobs are done"


def test_from_another_machine_it_cannot_be_told_whether_snakemake_runs(begun):
    begun(1, host="elsewhere")
    assert report.lines()[-1] == (
        f"Snakemake: process {os.getpid()} on elsewhere; whether it still runs can be seen there alone"
    )


def call(folder, **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment = inherited | {"PYTHONPATH": str(ROOT)} | environment
    return forks.run("workflow_scripts.progress", cwd=folder, env=environment)


def test_lines_are_cut_at_the_width_of_the_terminal_alone(begun, tmp_path):
    begun(1)
    write_log(0, f"error: {'very ' * 40}\x1b[31mlong\n")
    whole = call(tmp_path)
    assert whole.returncode == 0 and f"    error: {'very ' * 40} [31mlong\n" in whole.stdout
    cut = call(tmp_path, COLUMNS="60").stdout.splitlines()
    assert max(map(len, cut)) == 60 and f"    error: {'very ' * 40}"[:57] + "..." in cut


def test_before_any_run_one_line_says_where_to_call_it(tmp_path):
    done = call(tmp_path)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == (
        "error: .snakemake/plans/jobs.json: no such file: call this in the folder where snakemake runs, once it runs\n"
    )


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": 1, "host": "h", "stages": [3]}', "\udcff"])
def test_an_unreadable_list_of_jobs_is_one_clear_line(begun, content):
    begun(1)
    report.JOBS.write_bytes(content.encode(errors="surrogateescape"))
    with refusal(Damaged, report.JOBS, "snakemake"):
        report.lines()


def counts(said: list[str]) -> dict[str, list[int]]:
    """Stage -> jobs waiting, running, done, failed and all."""
    rows = [line.split() for line in said[3 : said.index("", 3)]]
    return {row[0]: [int(number) for number in row[1:6]] for row in rows}


def test_a_run_is_followed_to_its_end(tmp_path, monkeypatch):
    study = tmp_path / "study.yaml"
    longer = copy.deepcopy(STUDY | {"seeds": [0, 1]})
    longer["experiments"]["waves"]["sgd"]["epochs"] = 300
    study.write_text(yaml.safe_dump(longer))
    monkeypatch.chdir(tmp_path)
    seen = []
    with ThreadPoolExecutor() as pool:
        run = pool.submit(snakemake, tmp_path, "trained", configfiles=(study,), cores=1)
        while not run.done():
            time.sleep(0.1)
            if report.JOBS.exists():
                seen.append(counts(report.lines()))
    assert run.result().returncode == 0, run.result().stderr
    assert seen[0] == {"prepare_data": [1, 0, 0, 0, 1], "train": [2, 0, 0, 0, 2], "all": [3, 0, 0, 0, 3]}
    assert all(sum(numbers[:4]) == numbers[4] for table in seen for numbers in table.values())
    assert any(table["train"][1] for table in seen)
    done = [table["all"][2] for table in seen]
    assert done == sorted(done) and {0, 1, 2} <= set(done)
    assert counts(report.lines())["all"] == [0, 0, 3, 0, 3]
    assert report.lines()[-1] == "Snakemake has ended, all jobs are done"
    again = snakemake(tmp_path, "trained", "--forcerun", "train", configfiles=(study,), cores=1)
    assert again.returncode == 0, again.stderr
    assert counts(report.lines()) == {"train": [0, 0, 2, 0, 2], "all": [0, 0, 2, 0, 2]}, "the latest run alone"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    (tmp_path / ".snakemake/plans").mkdir(parents=True)
    jobs = [
        [f"results/tiny/a/seed{i}/trajectory.npz.prov.json", f"results/tiny/a/seed{i}/logs/train.log"] for i in range(3)
    ]
    stages = [{"stage": f"train{i}", "logs": LOG, "jobs": jobs} for i in range(3000)]
    run = {"pid": 1, "host": "nowhere", "stages": stages}
    (tmp_path / ".snakemake/plans/jobs.json").write_text(json.dumps(run))
    command = f"{sys.executable} -m workflow_scripts.progress | head -1"
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, shell=True, capture_output=True
    )
    assert done.stdout.startswith(b"run started") and done.stderr == b""
