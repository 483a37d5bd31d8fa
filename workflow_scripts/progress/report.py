"""Tell how far a run is: its jobs that wait, run, are done or failed, by stage, and where their logs are.

To be called in the folder where snakemake runs, or with --directory.
For a live view: watch -n 10 python -m workflow_scripts.progress
"""

import fcntl
import json
import os
import re
import shutil
import socket
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from workflow_scripts.config import calls, endings
from workflow_scripts.config.errors import Damaged, Missing
from workflow_scripts.engine import plan
from workflow_scripts.files import opening
from workflow_scripts.job import locks

JOBS = plan.FOLDER / "jobs.json"
STATES = ("waiting", "running", "done", "failed")
#: a stage's last words in its log when it fails; the time may stand before them
_FAILURE = re.compile(r"(\d\d:\d\d:\d\d )?(error:|stopped)")


@dataclass(frozen=True)
class Job:
    """One job of a run; note: who runs it, or why it failed."""

    stage: str
    log: str
    state: str
    note: str = ""


def begin(workflow) -> None:
    """At the start of a run: write down its jobs. workflow: Snakemake's, planned."""
    from snakemake.io import strip_wildcard_constraints  # here: the command starts faster without Snakemake

    jobs = {rule: [] for rule in workflow.rules}  # in the order of the stages
    for job in workflow.dag.needrun_jobs():
        if job.output:
            jobs[job.rule].append((job.output.provenance, job.log[0]))
    stages = [
        {"stage": rule.name, "logs": strip_wildcard_constraints(rule.log[0]), "jobs": sorted(of)}
        for rule, of in jobs.items()
        if of
    ]
    plan.keep(JOBS, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "stages": stages}))


def state(sidecar: str, log: str, start: int) -> tuple[str, str]:
    """State and note of the job that leaves this sidecar and log in a run that started then (ns since the epoch).

    While a stage runs, it holds the lock beside its sidecar; one that was killed leaves the lock's file behind.
    """
    lock = _lock(sidecar)
    if lock and lock[1]:
        return "running", lock[0]
    if _modified(sidecar) >= start:
        return "done", ""
    if lock and lock[2] >= start:
        return "failed", f"killed: {lock[0]}"
    if _modified(log) >= start:
        said = _tail(log)
        if said and (_FAILURE.match(said[-1]) or "Traceback (most recent call last):" in said):
            return "failed", said[-1]
    return "waiting", ""


def main() -> None:
    """Print the progress of the latest run, or exit with one clear line."""
    with endings.clear("progress"):
        parser = calls.Parser(prog="python -m workflow_scripts.progress", description=__doc__)
        calls.add_directory(parser)
        calls.enter(parser.parse_args().directory)
        sys.stdout.reconfigure(errors="backslashreplace")
        width = shutil.get_terminal_size(fallback=(10_000, 0)).columns  # nothing is cut in a pipe
        told = map(endings.plain, lines())
        print("\n".join(line if len(line) <= width else f"{line[: width - 3]}..." for line in told))


def lines() -> list[str]:
    """What is told of the latest run in the working directory. Raises StudyError."""
    try:
        start = JOBS.stat().st_mtime_ns
        run = opening.data(JOBS)
        jobs = [
            Job(of["stage"], log, *state(sidecar, log, start)) for of in run["stages"] for sidecar, log in of["jobs"]
        ]
        logs = {of["stage"]: of["logs"] for of in run["stages"]}
        snakemake = _snakemake(run["pid"], run["host"], Counter(job.state for job in jobs))
    except FileNotFoundError:
        raise Missing(JOBS, "no such file: call this in the folder where snakemake runs, once it runs") from None
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        raise Damaged(JOBS, "it can't be read: the next start of snakemake writes it anew") from None
    started = datetime.fromtimestamp(start / 1e9)
    return [f"run started {started:%Y-%m-%d %H:%M:%S}", "", *_table(jobs, logs), *_notes(jobs), "", *snakemake]


def _table(jobs: list[Job], logs: dict[str, str]) -> list[str]:
    """Jobs by stage and state."""
    counts = Counter((job.stage, job.state) for job in jobs)
    counts.update(("all", job.state) for job in jobs)
    rows = [("stage", *STATES, "all", "logs")]
    for stage in (*logs, "all"):
        numbers = [counts[stage, state] for state in STATES]
        rows.append((stage, *numbers, sum(numbers), logs.get(stage, "")))
    widest = max(len(row[0]) for row in rows)
    return [
        f"{stage:<{widest}}{''.join(f'{number:>9}' for number in numbers)}  {log}".rstrip()
        for stage, *numbers, log in rows
    ]


def _notes(jobs: list[Job], most: int = 20) -> list[str]:
    """The logs of the jobs that run, and where each of them is; then of those that failed, and why."""
    lines = []
    for state in ("running", "failed"):
        of = [job for job in jobs if job.state == state]
        lines += ["", f"{state}:"] if of else []
        for job in of[:most]:
            said = _tail(job.log)
            lines.append(f"  {job.log}" + f" ({job.note})" * (state == "running"))
            lines += [f"    {job.note}"] if state == "failed" else [f"    {line}" for line in said[-1:]]
        lines += [f"  and {len(of) - most} more"] if len(of) > most else []
    return lines


def _snakemake(pid: int, host: str, counts: Counter) -> list[str]:
    """Whether Snakemake still runs, and what to do if it doesn't."""
    if host != socket.gethostname():
        return [f"Snakemake: process {pid} on {host}; whether it still runs can be seen there alone"]
    if _is_alive(pid):
        return [f"Snakemake runs: process {pid}"]
    if counts["done"] == counts.total():
        return ["Snakemake has ended, all jobs are done"]
    lines = ["Snakemake doesn't run any more: give the same command again"]
    if counts["running"]:
        lines.append("Jobs that it left still run: before that, wait for them or end them (on Slurm: scancel)")
    return lines


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _lock(sidecar: str) -> tuple[str, bool, int] | None:
    """Who locked the products of a job, whether they still do, and since when (ns); None: nobody."""
    try:
        with opening.regular(locks.path_of(Path(sidecar))) as file:
            holder = file.read(4096).decode(errors="replace").strip()
            return holder, _is_locked(file), os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def _is_locked(file) -> bool:
    """Whether another process holds the lock of an open file; where locks don't work, the file is believed."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _modified(path: str) -> int:
    """When a file was last written, ns since the epoch; 0: there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _tail(path: str) -> list[str]:
    """The last lines of a log that say something."""
    try:
        with opening.regular(Path(path)) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", line) for line in lines if line.strip()]
