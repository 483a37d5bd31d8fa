"""Where a job writes before its products stand: a hidden folder beside each of them; and how they get in place."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from workflow_scripts.config.errors import Blocked, Misused

#: the names of all that a job works with begin so
PREFIX = ".sgd-complexity-"
#: lies in each folder that was made here: no other is ever removed
MARK = "made-by-sgd-complexity"
#: in such a folder, what was there before, while products are replaced
BEFORE = "before"


def check(stage: str, outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise Misused for an output that is an input or another output, or where a link, a device or a folder lies."""
    taken = {identity: path for path in inputs for identity in _identities(path)}
    for path in outputs:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise Misused(path, f"{stage} writes a file here, this is something else: give another path, or remove it")
        if other := next((taken[identity] for identity in _identities(path) if identity in taken), None):
            raise Misused(path, f"{stage} reads or writes {other}, which is the same file: give another path")
        taken |= dict.fromkeys(_identities(path), path)


def _identities(path: Path) -> list:
    """What two names of one file have in common, on any file system."""
    try:
        found = path.stat()
    except OSError:
        return [os.path.realpath(path)]
    return [os.path.realpath(path), (found.st_dev, found.st_ino)]


@contextlib.contextmanager
def folders(product: Path, parents: Iterable[Path]) -> Iterator[dict[Path, Path]]:
    """A new folder to work in, in each of these (parent -> folder), removed in the end; the lock must be held.

    What a killed job of this product left there is cleared away before: see replace. product: the last that it moves.
    """
    places = {parent: path_of(product, parent) for parent in parents}
    if not product.exists():
        _put_back(places, product)
    made = {}
    try:
        for parent, place in places.items():
            made[parent] = _made(place)
        yield made
    finally:
        for folder in made.values():
            remove(folder)


def path_of(product: Path, parent: Path) -> Path:
    """The folder to work in, in one of those where a job's products lie."""
    return parent / f"{PREFIX}{product.name}.scratch"


def _put_back(places: dict[Path, Path], product: Path) -> None:
    """Put back what a killed job was replacing, `product` last."""
    olds = [
        parent / old.name for parent, place in places.items() if _is_own(place) for old in (place / BEFORE).glob("*")
    ]
    for old in sorted(olds, key=product.__eq__):
        os.replace(places[old.parent] / BEFORE / old.name, old)


def _made(folder: Path) -> Path:
    """A new folder, in place of one that a killed job left; raises Blocked where something else has its name."""
    if _is_own(folder):
        remove(folder)
    with contextlib.suppress(OSError):
        folder.rmdir()  # killed before the mark was in it
    try:
        folder.mkdir()
    except FileExistsError:
        raise Blocked(folder, "it is no folder that a job of yours has left: remove it, or have it removed") from None
    (folder / MARK).touch()
    return folder


def _is_own(folder: Path) -> bool:
    return not folder.is_symlink() and (folder / MARK).is_file()


def replace(moves: dict[Path, Path]) -> None:
    """Move files to where they belong, all or none; moves: product -> file in the folder (of `folders`) beside it.

    The last product goes first and comes last: while it is there, all of them belong together, whenever this is killed.
    """
    for file in moves.values():
        _sync(file)
    before = {product: file.parent / BEFORE / product.name for product, file in moves.items()}
    try:
        for product in reversed([product for product in moves if product.exists()]):
            before[product].parent.mkdir(exist_ok=True)
            os.replace(product, before[product])
        for product, file in moves.items():
            os.replace(file, product)
    except BaseException:
        for product, file in moves.items():
            if not file.exists():
                os.replace(product, file)
        for product, old in before.items():
            if old.exists():
                os.replace(old, product)
        raise
    for folder in {product.parent for product in moves}:
        with contextlib.suppress(OSError):  # some file systems can't
            _sync(folder)


def _sync(path: Path) -> None:
    """Have a file or folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a folder, if it is there."""
    shutil.rmtree(path, ignore_errors=True)
