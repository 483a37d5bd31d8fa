"""On the path of a test's Snakemake and its jobs: what they do is written down, and what is asked for goes wrong.

Every start of a stage leaves a line in $TRACE, and every look of Snakemake at its jobs a dot in $TRACE.looks. It looks
every second: the executor would wait ten seconds longer each time that it finds no job ended.
FAULT: STAGE:KIND or, for one seed, STAGE@SEED:KIND; several with commas between them. KIND is
exit    the first attempt of each job fails;
memory  the job takes 1.5 GB wherever Slurm grants it less than that;
hold    the first attempt of each job stops itself (SIGSTOP) half a second into its training;
slow    the first attempt of each job trains at a hundredth of its speed.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def look_often() -> None:
    """Let this Snakemake look at its jobs every second, and write down each look."""
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    async def sleep(_) -> None:
        with open(os.environ["TRACE"] + ".looks", "a") as looks:
            looks.write(".")
        await asyncio.sleep(1)

    RemoteExecutor.sleep = sleep


def started(stage: str, wildcards: dict) -> int:
    """Write down that this process starts; returns how often this job had been started before."""
    trace = Path(os.environ["TRACE"])
    job = {"stage": stage, "wildcards": wildcards}
    lines = trace.read_text().splitlines() if trace.exists() else []
    with trace.open("a") as file:
        file.write(json.dumps({**job, "slurm": os.environ.get("SLURM_JOB_ID"), "pid": os.getpid()}) + "\n")
    return sum({"stage": line["stage"], "wildcards": line["wildcards"]} == job for line in map(json.loads, lines))


def trains() -> bool:
    """Whether this process has begun to train, which its log tells."""
    return " steps in " in Path("/proc/self/fd/2").read_text()


def hold() -> None:
    """Stop this process in the middle of its training."""
    while not trains():
        time.sleep(0.1)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGSTOP)


def pause(*_) -> None:
    """Sleep for five seconds while this process trains, and again fifty milliseconds later; signals are handled."""
    if trains():
        time.sleep(5)
    signal.setitimer(signal.ITIMER_REAL, 0.05)


def granted() -> int:
    """The memory of this Slurm job, in MB."""
    command = ["squeue", "--noheader", "--job", os.environ["SLURM_JOB_ID"], "--format=%m"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().removesuffix("M"))


def faults(stage: str, seed: str | None) -> list[str]:
    """The kinds of fault that $FAULT asks for in a job."""
    asked = [fault.split(":") for fault in os.environ.get("FAULT", "").split(",") if fault]
    return [kind for where, kind in asked if where in (stage, f"{stage}@{seed}")]


def go_wrong(kind: str, before: int) -> None:
    """Do what is asked for; before: how often the job had been started before."""
    if kind == "exit" and not before:
        os._exit(1)
    if kind == "memory" and granted() < 1500:
        taken = b"x" * 1_500_000_000
        time.sleep(60)
        del taken
    if kind == "hold" and not before:
        threading.Thread(target=hold, daemon=True).start()
    if kind == "slow" and not before:
        signal.signal(signal.SIGALRM, pause)
        pause()


command = sys.orig_argv
if "TRACE" in os.environ and "-m" in command:
    module = command[command.index("-m") + 1]
    if module == "snakemake" and "--profile" in command:
        look_often()
    elif "--cfg" in command:
        stage = module.removeprefix("workflow_scripts.")
        wildcards = json.loads(command[command.index("--cfg") + 1])["wildcards"]
        before = started(stage, wildcards)
        for kind in faults(stage, wildcards.get("seed")):
            go_wrong(kind, before)
