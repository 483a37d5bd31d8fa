"""The device that networks run on, one per job, set up so that equal seeds give equal bits."""

import ctypes
import fcntl
import functools
import logging
import os
import re
import tempfile
from pathlib import Path

import torch

from workflow_scripts.config.errors import Blocked, Unfit

log = logging.getLogger("workflow_scripts")


def resolved() -> str:
    """What `auto` means here: `cuda` or `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def prepare(device: str, precision: str = "fp32") -> torch.device:
    """The device for `auto`, `cpu` or `cuda`, set up so that equal seeds give equal bits.

    Of several CUDA devices, one that no other job of this user has: it is this process's until it ends.
    precision: `fp32` or `tf32`, how CUDA multiplies float32, in convolutions too (PyTorch's own default there is tf32).
    One CPU thread: results must not depend on the number of cores. Raises StudyError when CUDA is asked for and absent.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise Unfit("device: cuda was asked for, but PyTorch finds no CUDA device here: use auto or cpu")
    _keep_freed_memory()
    torch.set_num_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    for attention in ("flash", "mem_efficient", "cudnn"):  # their gradients need not be the same twice
        getattr(torch.backends.cuda, f"enable_{attention}_sdp")(False)
    for multiplying in (torch.backends.cuda.matmul, torch.backends.cudnn.conv):
        multiplying.fp32_precision = "ieee" if precision == "fp32" else precision
    own = torch.device("cuda", _own_index())
    torch.cuda.set_device(own)
    return own


def _keep_freed_memory() -> None:
    """Ask glibc not to return freed memory: the page faults of getting it back can double the time of a CPU step."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 1 << 26)


def claim(names: list[str], folder: Path) -> int | None:
    """Index of the first of these devices that is free, claimed until this process ends; None: all are taken.

    folder has a lock per device; it must be this user's alone. Raises StudyError where it is not.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise Blocked(folder, "belongs to another user: set TMPDIR to a folder of your own")
    for index, name in enumerate(names):
        file = "gpu-" + re.sub(r"[^\w-]", "_", name) + ".lock"
        lock = os.open(folder / file, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return index  # lock stays open, so that the end of this process frees the device
    return None


@functools.cache
def _own_index() -> int:
    """Index of this process's CUDA device, the same at every call."""
    names = _visible()
    count = len(names)
    index = 0 if count == 1 else claim(names, Path(tempfile.gettempdir(), f"sgd-complexity-{os.getuid()}"))
    if index is None:
        index = os.getpid() % count
        log.info("all %d GPUs are taken: sharing one; snakemake --resources gpu=%d runs one job on each", count, count)
    log.info("GPU %s: %s", names[index], torch.cuda.get_device_name(index))
    return index


def _visible() -> list[str]:
    """What the environment calls each visible CUDA device: an entry of CUDA_VISIBLE_DEVICES, or its number."""
    count = torch.cuda.device_count()
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return given[:count] if len(given) >= count else [str(index) for index in range(count)]
