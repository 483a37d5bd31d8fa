"""On the path of the jobs of a test: every start of a stage leaves a line in $TRACE, and $FAULT goes wrong in it.

FAULT: STAGE:KIND, where KIND is
exit    the first attempt of each job fails;
memory  the job takes 1.5 GB wherever Slurm grants it less than that;
hold    the first attempt of each job stops itself (SIGSTOP) two seconds into its training;
slow    the first attempt of each job trains at a fortieth of its speed.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def started(stage: str, cfg: str) -> int:
    """Write down that this process starts; returns how often this job had been started before."""
    trace = Path(os.environ["TRACE"])
    job = {"stage": stage, "wildcards": json.loads(cfg)["wildcards"]}
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
    time.sleep(2)
    os.kill(os.getpid(), signal.SIGSTOP)


def pause(*_) -> None:
    """Sleep for two seconds while this process trains, and again fifty milliseconds later; signals are handled."""
    if trains():
        time.sleep(2)
    signal.setitimer(signal.ITIMER_REAL, 0.05)


def granted() -> int:
    """The memory of this Slurm job, in MB."""
    command = ["squeue", "--noheader", "--job", os.environ["SLURM_JOB_ID"], "--format=%m"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().removesuffix("M"))


def go_wrong(kind: str, before: int) -> None:
    """What $FAULT asks for."""
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
if "TRACE" in os.environ and "--cfg" in command and command[1:2] == ["-m"]:
    stage = command[2].removeprefix("workflow_scripts.")
    before = started(stage, command[command.index("--cfg") + 1])
    where, _, kind = os.environ.get("FAULT", ":").partition(":")
    if where == stage:
        go_wrong(kind, before)
