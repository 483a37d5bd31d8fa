"""Opening a file of ours: a regular one, never a pipe, a device or a folder, which could block or never end."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

#: bytes of the largest JSON file that is read
LARGEST_JSON = 2**28


def regular(path: Path) -> BinaryIO:
    """A regular file, open for reading. Raises OSError where there is none, at once: it never waits for a writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def content(path: Path, at_most: int) -> bytes:
    """All bytes of a regular file. Raises OSError where there is none; ValueError for more than at_most bytes."""
    with regular(path) as file:
        found = file.read(at_most + 1) if os.fstat(file.fileno()).st_size <= at_most else None
    if found is None or len(found) > at_most:
        raise ValueError(f"more than {at_most} bytes")
    return found


def data(path: Path) -> Any:
    """What a JSON file holds. Raises OSError unless it is a regular file; ValueError unless it is JSON."""
    try:
        return json.loads(content(path, LARGEST_JSON))
    except RecursionError:
        raise ValueError("nested too deeply") from None
