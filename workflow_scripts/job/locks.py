"""One job at a time makes a product: a job that an earlier run left behind and its successor never write one file."""

import contextlib
import errno
import fcntl
import logging
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.config.errors import Blocked
from workflow_scripts.files import opening
from workflow_scripts.job import scratch
from workflow_scripts.job.scratch import PREFIX

log = logging.getLogger("workflow_scripts")

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


def path_of(product: Path) -> Path:
    """The lock file of a product, beside it; it is there while a job makes the product."""
    return product.parent / f"{PREFIX}{product.name}.lock"


@contextlib.contextmanager
def held(product: Path) -> Iterator[bool]:
    """Hold the lock of a product; yields whether another job had to be waited for, which the log tells.

    The kernel frees the lock of a process that dies, so a lock file that was left behind holds nobody up, whoever left
    it. On a file system without locks a warning says so, and nothing is held. Raises Blocked where something else than
    a lock file lies, or one of another user that can't be looked at or removed.
    """
    path = path_of(product)
    file, waited = _locked(path)
    try:
        os.truncate(file, 0)
        os.write(file, holder().encode())
        yield waited
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def clear(folder: Path) -> None:
    """Remove what jobs that were killed on this machine have left in a folder; what they were replacing is put back."""
    for path in folder.glob(f"{PREFIX}*.lock"):
        product = folder / path.name.removeprefix(PREFIX).removesuffix(".lock")
        with contextlib.suppress(Blocked, OSError):  # another user's
            if is_left(path):
                with held(product), scratch.folders(product, [folder]):
                    pass


def is_left(path: Path) -> bool:
    """Whether who holds a lock file, its last line tells who, is dead; False where that can't be told.

    Of processes on other machines not every file system can tell.
    """
    with opening.regular(path) as file:
        if not file.read(4096).decode(errors="replace").rstrip().endswith(f" on {socket.gethostname()}"):
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _locked(path: Path) -> tuple[int, bool]:
    waited = False
    while True:
        file, is_own = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            told = os.pread(file, 1000, 0).decode(errors="replace").strip() or "another job"
            log.info("waiting for %s, which makes the same: stop that one to have this job go on", told)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if not is_own:
                raise _foreign(path) from None
            if error.errno not in WITHOUT_LOCKS:
                raise
            log.warning("%s: this file system has no locks: let no two runs make the same results at once", path.parent)
        if is_own and _is(file, path):
            return file, waited
        if not is_own and _is(file, path):
            _remove(path)  # held by nobody any more
        os.close(file)


def _opened(path: Path) -> tuple[int, bool]:
    """A lock file, made if there is none, and whether it can be written to; another user's can be read only."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        try:
            file, is_own = os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o644), True
        except PermissionError:
            file, is_own = os.open(path, flags | os.O_RDONLY), False
    except PermissionError:
        raise (
            _foreign(path)
            if os.path.lexists(path)
            else Blocked(path.parent, "you may not write here: mend its permissions, or give another path")
        ) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR):
            raise _other(path) from None
        raise
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file, is_own
    os.close(file)
    raise _other(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        raise _foreign(path) from None


def _foreign(path: Path) -> Blocked:
    return Blocked(
        path, f"a lock of another user ({path.lstat().st_uid}): if no job of theirs makes this, have them remove it"
    )


def _other(path: Path) -> Blocked:
    return Blocked(path, "no lock file, but a lock file of a job belongs here: remove it")


def _is(file: int, path: Path) -> bool:
    """Whether the open file is still the one at this path: whoever held it before has removed it."""
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False


def holder() -> str:
    """What to stop in order to stop this process."""
    job = os.environ.get("SLURM_JOB_ID")
    return f"Slurm job {job} on {socket.gethostname()}" if job else f"process {os.getpid()} on {socket.gethostname()}"
