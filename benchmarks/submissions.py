"""What a run would submit to Slurm: the jobs of a dry run, as groups, with sbatch's arguments.

python -m benchmarks.submissions [--overhead 4] [--json] -- --cores 8 --profile slurm --configfile STUDY ...

Prints a row per rule or group: how many jobs of Slurm, of how many of Snakemake, and what the largest asks for; and how
many submissions there are, which cost so many seconds each, with groups and without. Nothing is submitted, and Slurm
need not be there.
"""

import argparse
import contextlib
import json
import re
import sys
from collections import Counter
from pathlib import Path

from snakemake.cli import main as snakemake
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from workflow_scripts.engine import plan

#: what the plugin fills in when it submits
LATER = dict.fromkeys(("run_uuid", "slurm_logfile", "comment_str", "account", "partition", "workdir"), "")


def submissions(workflow, attempts=(1, 2)) -> list[dict]:
    """Each job that a planned run would submit: name, rules -> number of jobs, after, sbatch's arguments by attempt.

    name: of a group, without its wildcards, or of a rule; after: the names of the others that it waits for. workflow:
    Snakemake's, after a dry run.
    """
    workflow._executor_plugin = ExecutorPluginRegistry().get_plugin("slurm")  # else groups are sized for a dry run
    dag = workflow.dag

    def whole(job):
        return dag.get_job_group(job) or job

    def name(job) -> str:
        return workflow.parent_groupids.get(job.groupid, job.groupid) if job.is_group() else job.rule.name

    found = []
    for job in dict.fromkeys(whole(job) for job in dag.jobs if dag.needrun(job) and not job.is_local):
        members = list(job.jobs) if job.is_group() else [job]
        before = {whole(other) for member in members for other in dag.dependencies[member]} - {job}
        found.append(
            {
                "name": name(job),
                "rules": Counter(member.rule.name for member in members),
                "after": sorted({name(other) for other in before}),
                "sbatch": [_arguments(job, attempt) for attempt in attempts],
            }
        )
    return found


def _arguments(job, attempt: int) -> str:
    job.attempt = attempt
    return get_submit_command(job, LATER) + set_gres_string(job)


def _number(pattern: str, submission: dict) -> int:
    found = re.search(pattern, submission["sbatch"][0])
    return int(found[1]) if found else 0


def told(found: list[dict], overhead: float) -> str:
    """The table of submissions, and what they cost."""
    lines = [
        "| | submitted | jobs in them | minutes | memory, MB | cores | GPUs |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(each["name"] for each in found):
        of = [each for each in found if each["name"] == name]
        most = [max(_number(pattern, each) for each in of) for pattern in (r"-t (\d+)", r"--mem (\d+)", r"task=(\d+)")]
        gpus = max(_number(r"--gpus=(\d+)", each) for each in of)
        jobs = sum(sum(each["rules"].values()) for each in of)
        lines.append(f"| {name} | {len(of)} | {jobs} | {' | '.join(map(str, most))} | {gpus} |")
    jobs = sum(sum(each["rules"].values()) for each in found)
    costs = [f"{n} submissions, {n * overhead / 60:.1f} minutes of overhead" for n in (len(found), jobs)]
    return "\n".join([*lines, "", f"{costs[0]}; without groups {costs[1]}"])


def main() -> None:
    """Plan a run, then print what it would submit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--overhead", type=float, default=4, help="seconds that a submission costs")
    parser.add_argument("--json", action="store_true", help="print all submissions as JSON")
    parser.add_argument("snakemake", nargs="+", help="arguments of snakemake")
    arguments = parser.parse_args()

    def tell(workflow, folder: Path) -> None:
        if workflow.dag is not None:
            found = submissions(workflow)
            print(json.dumps(found) if arguments.json else told(found, arguments.overhead))

    plan.explain = tell  # what the Snakefile calls after a dry run
    with contextlib.redirect_stdout(sys.stderr):
        snakemake([*arguments.snakemake, "--dry-run", "--quiet=rules"])


if __name__ == "__main__":
    main()
