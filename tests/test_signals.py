"""A run that is told to stop while Snakemake holds its own lock stops; without our handler it hangs."""

import subprocess
import sys

import pytest

HELD = """
import os, signal, sys, threading
from types import SimpleNamespace
import snakemake.api
from snakemake.scheduling.job_scheduler import JobScheduler
from workflow_scripts.engine import signals
if sys.argv[1] == "ours":
    signals.install()
    signals.install()
scheduler = SimpleNamespace(_lock=threading.Lock(), _open_jobs=threading.Semaphore(0), _user_kill=None)
signal.signal(signal.SIGTERM, lambda *arguments: JobScheduler.exit_gracefully(scheduler, *arguments))
print("ready", flush=True)
with scheduler._lock:
    os.kill(os.getpid(), signal.SIGTERM)
scheduler._open_jobs.acquire()
print(scheduler._user_kill)
"""


@pytest.mark.parametrize(("handler", "ends"), [("ours", True), ("of Snakemake", False)])
def test_sigterm_ends_a_run_that_holds_the_lock_of_its_scheduler(handler, ends):
    run = subprocess.Popen([sys.executable, "-c", HELD, handler], stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout.readline() == "ready\n"
        if ends:
            assert run.communicate(timeout=60)[0] == "graceful\n"
        else:
            with pytest.raises(subprocess.TimeoutExpired):  # once Snakemake is mended, ours can go
                run.communicate(timeout=3)
    finally:
        run.kill()
        run.wait()
