"""The same work for each of many pictures: by threads, with a line in the log now and then, and one error for all."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from workflow_scripts.config.errors import StudyError
from workflow_scripts.data.picture_files import shown

log = logging.getLogger("workflow_scripts")

#: pictures that a worker takes at a time
BLOCK = 16
SECONDS_BETWEEN_LINES = 5.0
#: pictures that an error names
NAMED = 10

Made = TypeVar("Made")


def each(names: list[str], work: Callable[[str], Made]) -> dict[str, Made]:
    """What the work gives for each name. Raises one StudyError for all names that fail: of the first, naming others."""
    made, failed = {}, {}

    def do(start: int) -> None:
        for name in names[start : start + BLOCK]:
            try:
                made[name] = work(name)
            except StudyError as error:
                failed[name] = error

    with ThreadPoolExecutor(_workers()) as pool:
        _follow(pool.map(do, range(0, len(names), BLOCK)), len(names))
    check([(name, failed[name]) for name in names if name in failed])
    return made


def check(failed: list[tuple[str, StudyError]]) -> None:
    """Raise the first of these errors, if there is one, with how many there are and names of the others."""
    if not failed:
        return
    (_, first), *others = failed
    if not others:
        raise first
    raise type(first)(f"{first}; {len(others)} more can't be used: {several([name for name, _ in others], NAMED - 1)}")


def several(names: list[str], most: int = 5, length: int = 24) -> str:
    """The first of several names, on one line, each not longer than this, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(name, length) for name in names[:most]) + more


def _follow(blocks: Iterator[None], n: int) -> None:
    """Wait for all blocks; a line in the log every few seconds."""
    start = last = time.monotonic()
    for done, _ in enumerate(blocks, 1):
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES:
            continue
        last, count = now, min(done * BLOCK, n)
        rate = count / (now - start)
        log.info("picture %d of %d: %.0f pictures/s, %d min %d s left", count, n, rate, *divmod((n - count) / rate, 60))


def _workers() -> int:
    """Threads to read with: a core each, of those that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, 8)
