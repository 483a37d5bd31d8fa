"""What a job makes stays where it is until all of the new stands, and what would be made the same again is not made.

Written for Snakemake 9.27.1, which removes what a job makes before it starts and after it fails, and which runs again
whatever follows from a job that ran. Jobs here replace all that they make at once (job.scratch), and each sidecar tells
what it was made from: so nothing has to be removed, and a result that was kept is never taken for a new one.
"""

import os
from pathlib import Path

from snakemake.logging import logger

from workflow_scripts.engine import cache, rerun_settings
from workflow_scripts.engine.persistence import has_sidecar


def install(workflow) -> None:
    """Let Snakemake treat the jobs that write a sidecar so; others it treats as ever."""
    from snakemake.dag import DAG  # here: they can't be the first modules of Snakemake that are imported
    from snakemake.executors.local import Executor
    from snakemake.jobs import Job

    remove, finish = Job.remove_existing_output, Job.postprocess
    run, check, protect = Executor.acached_or_run, DAG.check_output_mtime, Job.check_protected_output

    async def remove_existing_output(job) -> None:
        if not has_sidecar(job):
            await remove(job)

    async def postprocess(job, *arguments, error: bool = False, **options) -> None:
        if error and has_sidecar(job):
            workflow.persistence.failed(job)
        else:
            await finish(job, *arguments, error=error, **options)

    async def acached_or_run(executor, job, *arguments) -> None:
        if has_sidecar(job) and stands(job):
            logger.info(f"unchanged: {job}: the same settings, code and inputs as before, so that it isn't run again")
        else:
            await run(executor, job, *arguments)

    async def check_output_mtime(dag, job, expanded_output) -> None:
        if not has_sidecar(job):
            await check(dag, job, expanded_output)

    async def check_protected_output(job) -> None:
        if not (workflow.dryrun and has_sidecar(job)):  # who may only read can plan
            await protect(job)

    Job.remove_existing_output, Job.postprocess = remove_existing_output, postprocess
    Job.check_protected_output = check_protected_output
    Executor.acached_or_run, DAG.check_output_mtime = acached_or_run, check_output_mtime


def stands(job) -> bool:
    """Whether a job need not run: all that it makes `is_made`.

    Unless the run was told to make it again, or the rule's shell command or conda environment has changed.
    """
    records = job.dag.workflow.persistence
    if os.environ.get(rerun_settings.AGAIN) == "1":
        return False
    if any(records.code_changed(job)) or any(records.software_stack_changed(job)):
        return False
    return is_made(job)


def is_made(job) -> bool:
    """Whether all that a job makes is there, whole, as this job makes it from the bytes that it reads."""
    products = {Path(path): Path(path) for path in job.output}
    try:
        return cache.wrong(products, job) is None
    except OSError:
        return False
