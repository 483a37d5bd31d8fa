"""One job at a time makes a product: a job that an earlier run left behind and its successor never write one file."""

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

log = logging.getLogger("workflow_scripts")


def path_of(product: Path) -> Path:
    """The lock file of a product, beside it; it is there while a job makes the product."""
    return product.parent / f".{product.name}.lock"


@contextmanager
def held(product: Path) -> Iterator[bool]:
    """Hold the lock of a product; yields whether another job had to be waited for, which the log tells.

    The kernel frees the lock of a process that dies, so a lock file that was left behind holds nobody up. On a file
    system without locks a warning says so, and nothing is held.
    """
    path = path_of(product)
    file, waited = _locked(path)
    try:
        file.truncate(0)
        file.write(holder())
        file.flush()
        yield waited
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _locked(path: Path) -> tuple[IO[str], bool]:
    waited = False
    while True:
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            file.seek(0)
            log.info("waiting for %s, which makes the same: stop that one to have this job go on", file.read().strip())
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                raise
            log.warning("%s: this file system has no locks: let no two runs make the same results at once", path.parent)
        if _is(file, path):
            return file, waited
        file.close()


def _is(file: IO[str], path: Path) -> bool:
    """Whether the open file is still the one at this path: whoever held it before has removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def holder() -> str:
    """What to stop in order to stop this process."""
    job = os.environ.get("SLURM_JOB_ID")
    return f"Slurm job {job} on {socket.gethostname()}" if job else f"process {os.getpid()} on {socket.gethostname()}"
