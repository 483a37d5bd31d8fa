"""SIGTERM ends a run, at whatever moment it comes.

Written for Snakemake 9.27.1, whose handler waits for a lock that the code it interrupts may hold: then the run hangs.
"""

import threading


def install() -> None:
    """Let Snakemake's handler do its work in a thread of its own."""
    from snakemake.scheduling.job_scheduler import JobScheduler  # here: it can't be the first module of Snakemake

    stop = JobScheduler.exit_gracefully

    def exit_gracefully(scheduler, *arguments) -> None:
        threading.Thread(target=stop, args=(scheduler, *arguments), daemon=True).start()

    if stop.__module__ != __name__:
        JobScheduler.exit_gracefully = exit_gracefully
