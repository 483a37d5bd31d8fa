"""Folders to work in, beside the products of a job."""

import glob
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def folder(product: str, beside: Path) -> Iterator[Path]:
    """A new folder to work in, removed in the end; what a killed job of this product left is removed before.

    The product's lock must be held.
    """
    for left in beside.glob(f".{glob.escape(product)}-*"):
        remove(left)
    made = Path(tempfile.mkdtemp(prefix=f".{product}-", dir=beside))
    try:
        yield made
    finally:
        remove(made)


def remove(path: Path) -> None:
    """Remove a folder, if it is there."""
    shutil.rmtree(path, ignore_errors=True)
