"""What Slurm will not do: jobs that no node can hold, refusals of groups, and telling what became of a job.

Written for Snakemake 9.27.1 and snakemake-executor-plugin-slurm 2.8.0.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from workflow_scripts.config.errors import Unfit
from workflow_scripts.engine import kept

#: looks in a row at which Slurm tells nothing of a job, after which its results tell what became of it
LOOKS = 3


class Node(NamedTuple):
    """What nodes of a partition have: memory in MB, CPUs, GPUs."""

    partition: str
    mem_mb: int
    cpus: int
    gpus: int


class Request(NamedTuple):
    """What a job or a group of jobs asks for in its first attempt; partition: empty where it names none."""

    name: str
    is_group: bool
    partition: str
    mem_mb: int
    cpus: int
    gpus: int


def refuse(workflow) -> None:
    """Raise Unfit for a job or a group that no node can hold, before anything is submitted. workflow: planned.

    Where jobs are not run by Slurm, or it doesn't say what its nodes have, nothing is refused.
    """
    if not _is_on_slurm(workflow):
        return
    nodes = list(_nodes())
    for request in requests(workflow.dag) if nodes else ():
        check(request, nodes)


def requests(dag) -> Iterator[Request]:
    """What the planned jobs ask for: groups as a whole."""
    known = set()
    for job in dag.needrun_jobs():
        group = dag.get_job_group(job)
        asks = group or job
        if job.is_local or not job.output or asks in known:
            continue
        known.add(asks)
        resources = asks.resources
        gres = re.fullmatch(r"gpu(?::[^:]+)?:(\d+)", str(resources.get("gres", "")))
        yield Request(
            group.groupid if group else job.rule.name,
            group is not None,
            str(resources.get("slurm_partition", "")),
            int(resources.get("mem_mb", 0)),
            int(resources.get("_cores", 1)),
            int(gres[1] if gres else resources.get("gpu", 0)),
        )


def check(request: Request, nodes: Iterable[Node]) -> None:
    """Raise Unfit if no node of the partition that a request names, or of any, has all that it asks for."""
    there = [node for node in nodes if request.partition in ("", node.partition)]
    if not there or any(all(_excess(request, node, of) <= 0 for of in ("mem_mb", "cpus", "gpus")) for node in there):
        return
    lacking = next(
        (of for of in ("mem_mb", "gpus", "cpus") if all(_excess(request, node, of) > 0 for node in there)), "mem_mb"
    )
    most = max(getattr(node, lacking) for node in there)
    asked, where = (
        getattr(request, lacking),
        f"of partition {request.partition}" if request.partition else "of the cluster",
    )
    if request.is_group:
        remedy = f"under resources in slurm/config.yaml set {lacking}: {most}, and fewer of its jobs run side by side"
    else:
        remedy = f"under set-resources in slurm/config.yaml set {lacking} of {request.name}, or its slurm_partition"
    of = {"mem_mb": "MB of memory", "cpus": "CPUs", "gpus": "GPUs"}[lacking]
    raise Unfit(
        f"{'group' if request.is_group else 'rule'} {request.name}: it asks for {asked} {of}, and no node {where} has "
        f"more than {most} (sinfo): {remedy}"
    )


def tell_refusals() -> None:
    """Let Snakemake tell what sbatch says of a group of jobs that it refuses: it tells it of single jobs only."""
    from snakemake import jobs as module  # here: it can't be the first module of Snakemake that is imported
    from snakemake.logging import logger

    tell = module.GroupJob.log_error

    def log_error(group, msg=None, aux_logs=None, **kwargs) -> None:
        if msg:
            logger.error(f"group {group.groupid}: {msg}")
        tell(group, msg, aux_logs, **kwargs)

    if tell.__module__ != __name__:
        module.GroupJob.log_error = log_error


def judge_forgotten(workflow) -> None:
    """Let Snakemake judge a job that Slurm has forgotten by its results; it would wait for that job for ever.

    Slurm forgets a job soon after its end (MinJobAge), and not every site keeps accounts of jobs. While Slurm doesn't
    answer, the jobs are waited for; the executor would forget them all. workflow: planned.
    """
    if not _is_on_slurm(workflow):
        return
    import snakemake_executor_plugin_slurm as plugin  # here: it is slow to import

    query, look, answers, unseen = plugin.query_job_status, plugin.Executor.check_active_jobs, [], Counter()

    async def query_job_status(command, logger):
        answer = await query(command, logger)
        if answer[0] is None and command.startswith("sacct"):  # no accounts
            answer = await query(plugin.query_job_status_squeue(command.split()[-1]), logger)
        states = answer[0] and {job: state.partition(" ")[0] for job, state in answer[0].items()}  # CANCELLED by 0
        answers[:] = [states]
        return states, answer[1]

    async def check_active_jobs(executor, active_jobs):
        if not active_jobs:
            return
        running = [job async for job in look(executor, active_jobs)]
        (told,) = answers
        for job in active_jobs if told is None else running:
            number = job.external_jobid
            is_told = told is None or any(candidate in told for candidate in plugin._status_lookup_ids(number))
            unseen[number] = 0 if is_told else unseen[number] + 1
            if unseen[number] < LOOKS:
                yield job
            elif all(map(kept.is_made, getattr(job.job, "jobs", [job.job]))):
                executor.report_job_success(job)
            else:
                said = f"Slurm tells nothing of its job {number} any more, and what it was to make is not there"
                executor.report_job_error(job, msg=said)

    plugin.query_job_status, plugin.Executor.check_active_jobs = query_job_status, check_active_jobs


def _is_on_slurm(workflow) -> bool:
    return workflow.executor_plugin is not None and workflow.executor_plugin.name == "slurm"


def _excess(request: Request, node: Node, of: str) -> int:
    return getattr(request, of) - getattr(node, of)


def _nodes() -> Iterator[Node]:
    """What sinfo tells of all nodes; nothing where it doesn't answer."""
    command = ["sinfo", "--noheader", "--Node", "--format=%R|%m|%c|%G"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return
    for line in said.splitlines():
        if found := re.fullmatch(r"([^|]+)\|(\d+)\+?\|(\d+)\+?\|(.*)", line):
            gpus = re.findall(r"gpu(?::[^:,(]+)?:(\d+)", found[4])
            yield Node(found[1], int(found[2]), int(found[3]), sum(map(int, gpus)))
