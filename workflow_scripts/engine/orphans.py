"""Jobs that a Snakemake which was killed left on the cluster."""

import os
import subprocess
from pathlib import Path

from workflow_scripts.config.errors import Blocked


def refuse(folder: Path) -> None:
    """Raise StudyError while Slurm jobs of an earlier run in this folder wait or run.

    When Snakemake is killed its jobs go on, and nobody waits for them any more. One that starts late would delete
    results that a new run has made and reads. Where there is no Slurm, or it doesn't answer, nothing is refused.
    """
    command = ["squeue", "--noheader", f"--user={os.getuid()}", "--format=%i|%T|%k|%Z"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return
    jobs = [line.split("|") for line in said.splitlines()]
    here = [job for job in jobs if job[1] != "COMPLETING" and Path(job[-1]).resolve() == folder.resolve()]
    orphans = [job for job in here if job[2].startswith(("rule_", "group_"))]
    if orphans:
        numbers = [job[0] for job in orphans]
        first = ", ".join(f"{job[0]} ({job[1].lower()}, {job[2]})" for job in orphans[:5])
        more = f" and {len(orphans) - 5} more" if len(orphans) > 5 else ""
        raise Blocked(
            folder,
            f"Slurm still has jobs of another run here: {first}{more}: let them finish, or stop them, "
            "then run the same command again, and what they did is kept; a study that is to run beside another one "
            f"needs a folder of its own (--directory). To stop them: scancel {' '.join(numbers)}",
        )
