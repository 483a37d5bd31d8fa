"""The same work for each of many pictures, with one error for all that fail; and names as errors show them."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from workflow_scripts.config.errors import StudyError

log = logging.getLogger("workflow_scripts")

#: pictures that a worker takes at a time
BLOCK = 16
SECONDS_BETWEEN_LINES = 5.0
#: pictures that an error names
NAMED = 10

Made = TypeVar("Made")


def each(names: Sequence[str], work: Callable[[str], Made], workers: int = 1) -> dict[str, Made]:
    """What the work gives for each name, by threads. The log tells now and then how far it is.

    Raises the StudyError of the first name that fails, with how many others do, and which.
    """
    made, failed = {}, {}

    def do(start: int) -> None:
        for name in names[start : start + BLOCK]:
            try:
                made[name] = work(name)
            except StudyError as error:
                failed[name] = error

    with ThreadPoolExecutor(workers) as pool:
        _follow(pool.map(do, range(0, len(names), BLOCK)), len(names))
    if failed:
        raise _together([name for name in names if name in failed], failed)
    return made


def cores() -> int:
    """Threads to read with: a core each, of those that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(usable or 1, 8)


def shown(name: str, most: int = 80) -> str:
    """A name as errors show it: on one line, and not too long."""
    name = name if name.isprintable() else repr(name)
    return name if len(name) <= most else f"...{name[-most:]}"


def reason(error: Exception) -> str:
    """Why a library failed, on one line, and not too long."""
    return shown(" ".join(str(error).split()) or type(error).__name__)


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


def _together(names: list[str], failed: dict[str, StudyError]) -> StudyError:
    """The error of the first name, with how many others there are, and which."""
    first, others = failed[names[0]], names[1:]
    return type(first)(f"{first}; {len(others)} more can't be used: {several(others, NAMED - 1)}") if others else first
