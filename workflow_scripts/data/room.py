"""Whether arrays fit into memory, asked before they are made."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.config.errors import Unfit


def check(n_bytes: int, where: str, what: str, remedy: str) -> None:
    """Raise Unfit where so many bytes are more than the memory that this process may have.

    where, what: the keys or the file, and what takes the memory; remedy: which keys to lower.
    """
    memory = available()
    if n_bytes > memory:
        raise Unfit(
            where, f"{what} take {n_bytes >> 30:,} GiB, more than the {memory / 2**30:.1f} GiB of memory here: {remedy}"
        )


def available(root: Path = Path("/")) -> int:
    """Bytes of memory of this machine, or of what a job or container was granted (Linux's control groups), if less."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_granted(root)])


def _granted(root: Path) -> Iterator[int]:
    """The limits of this process's control groups, and of those that they are in."""
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            top = root / "sys/fs/cgroup" / ("memory" if controllers else "")  # version 1 or 2
            file = "memory.limit_in_bytes" if controllers else "memory.max"
            group = top / path.lstrip("/")
            for place in (group, *group.parents):
                if place.is_relative_to(top):
                    with contextlib.suppress(OSError, ValueError):  # not shown here, or "max"
                        yield int((place / file).read_text(encoding="utf-8"))
