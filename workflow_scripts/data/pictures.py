"""Pictures of the user's own, in a folder or a .zip file: listed, checked, and read into one array.

A picture is named by its path below the folder: `train/{class}/{file}` or `test/{class}/{file}`, PNG or JPEG.
"""

import contextlib
import hashlib
import io
import logging
import os
import re
import stat
import threading
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.config.errors import Damaged, Foreign, Missing, Unfit
from workflow_scripts.files import hashing

log = logging.getLogger("workflow_scripts")

PARTS = ("train", "test")
LAYOUT = "expected train/{class}/{picture} and test/{class}/{picture}"
#: what systems leave in folders; names that begin with a dot are passed over too
LEFT_BY_SYSTEMS = ("__MACOSX", "Thumbs.db", "desktop.ini")
#: pictures that a worker takes at a time
BLOCK = 16
SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class Pictures:
    """A folder or .zip file: name of each picture -> its size (and CRC in a .zip file), and how to read one's bytes."""

    path: Path
    listed: dict[str, list[int]]
    read: Callable[[str], bytes]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Pictures]:
    """The pictures of a folder or .zip file; none is read. Raises StudyError where it is absent or badly laid out."""
    if path.is_dir():
        yield Pictures(path, _in_folder(path), lambda name: (path / name).read_bytes())
    elif path.is_file():
        with _archive(path) as archive:
            members, lock = _in_archive(path, archive), threading.Lock()
            listed = {name: [member.file_size, member.CRC] for name, member in members.items()}
            yield Pictures(path, listed, lambda name: _unpacked(path, archive, members[name], lock))
    else:
        raise Missing(
            f"{path}: no such folder or .zip file: set the data set's key path, relative to where snakemake works"
        )


def listing(path: Path) -> str:
    """A digest of the names and sizes of all pictures, in a .zip file also of their CRCs. Raises StudyError."""
    with opened(path) as pictures:
        return _digest(sorted(pictures.listed.items()))


def check_classes(pictures: Pictures, classes: list[str]) -> None:
    """Raise StudyError unless these are the class folders of both parts."""
    found = {name.rpartition("/")[0] for name in pictures.listed}
    expected = {f"{part}/{name}" for part in PARTS for name in classes}
    if absent := sorted(expected - found):
        raise Missing(
            f"{pictures.path}: no pictures in {_several(absent)}: put some there, or mend classes in the data set"
        )
    if unlisted := sorted(found - expected):
        raise Foreign(
            f"{pictures.path}: {_several(unlisted)} not in the data set's classes: list them there, or move them away"
        )


def read(pictures: Pictures, names: list[str], mode: str | None, size: list[int] | None) -> tuple[np.ndarray, str]:
    """These pictures as uint8[N, channels, height, width], each read once, and the digest that a pin is compared with.

    mode: L or RGB, to convert to; size: [height, width], to resize to (bilinear); None: refuse what differs. The result
    doesn't depend on the number of threads. Raises StudyError for the first picture that is damaged or differs.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        first, hashed = _decoded(pictures, names[0], mode, size)
        arrays, hashes = _room(pictures.path, (len(names), *first.shape)), [hashed] * len(names)
        arrays[0] = first

        def read_block(start: int) -> None:
            for index in range(start, min(start + BLOCK, len(names))):
                array, hashes[index] = _decoded(pictures, names[index], mode, size)
                if array.shape != first.shape:
                    raise _unequal(pictures.path, names[0], first.shape, names[index], array.shape)
                arrays[index] = array

        log.info("%d pictures of shape %s in %s", len(names), list(first.shape), pictures.path)
        with ThreadPoolExecutor(_workers()) as pool:
            _follow(pool.map(read_block, range(1, len(names), BLOCK)), len(names))
    if pictures.path.is_file():
        return arrays, hashing.sha256(pictures.path)
    return arrays, _digest(sorted(zip(names, hashes, strict=True)))


def _in_folder(root: Path) -> dict[str, list[int]]:
    found = {}
    for part in PARTS:
        if not (root / part).is_dir():
            raise _no_part(root, part)
        for group in _entries(root, part):
            if not group.is_dir():
                raise _misplaced(root, f"{part}/{group.name}")
            for file in _entries(root, f"{part}/{group.name}"):
                if not file.is_file():
                    raise _misplaced(root, f"{part}/{group.name}/{file.name}")
                found[f"{part}/{group.name}/{file.name}"] = [file.stat().st_size]
    return found


def _entries(root: Path, below: str) -> list[os.DirEntry]:
    """What lies in a folder below root, without what systems left there. Raises StudyError for a link out of root."""
    with os.scandir(root / below) as entries:
        visible = [entry for entry in entries if not _is_passed_over(entry.name)]
    for entry in visible:
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root.resolve()):
            raise Foreign(f"{entry.path}: a link that leads out of {root}: put the pictures themselves there")
    return visible


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise Damaged(f"{path}: not a .zip file, or a damaged one ({error}): make or copy it again") from None
    with archive:
        yield archive


def _in_archive(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Name of each picture -> its member; a single folder around train and test is left out of the name."""
    members = {}
    for member in archive.infolist():
        _check_member(path, member)
        if member.is_dir() or any(map(_is_passed_over, member.filename.split("/"))):
            continue
        if member.filename in members:
            raise Damaged(f"{path}: {member.filename} is in it twice: make the .zip file again")
        members[member.filename] = member
    tops = {name.partition("/")[0] for name in members}
    if len(tops) == 1 and not tops & {*PARTS}:
        members = {name.partition("/")[2]: member for name, member in members.items()}
    found = {name: member for name, member in members.items() if name.startswith(tuple(f"{p}/" for p in PARTS))}
    for part in PARTS:
        if not any(name.startswith(f"{part}/") for name in found):
            raise _no_part(path, part)
    for name in found:
        if name.count("/") != 2:
            raise _misplaced(path, name)
    return found


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    if name.startswith("/") or "\\" in name or ".." in name.split("/") or re.match("[A-Za-z]:", name):
        raise Damaged(f"{path}: the name {name!r} leaves the folder: make the .zip file again, with names below it")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise Damaged(f"{path}: {name} is a link: make the .zip file again, with the pictures themselves")
    if member.flag_bits & 1:
        raise Damaged(f"{path}: {name} is encrypted: make the .zip file again, without a password")


def _unpacked(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, lock: threading.Lock) -> bytes:
    try:
        with lock:
            return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise Damaged(f"{path}: {member.filename}: damaged ({error}): make or copy the .zip file again") from None


def _decoded(pictures: Pictures, name: str, mode: str | None, size: list[int] | None) -> tuple[np.ndarray, str]:
    """One picture as uint8[channels, height, width], and the SHA-256 of its bytes."""
    from PIL import Image, UnidentifiedImageError

    content = pictures.read(name)
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        image.load()
    except UnidentifiedImageError:
        raise Damaged(f"{pictures.path}: {name}: not a PNG or JPEG picture: convert it, or move it away") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Unfit(
            f"{pictures.path}: {name}: more than {Image.MAX_IMAGE_PIXELS} pixels: make it smaller, or move it away"
        ) from None
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise Damaged(f"{pictures.path}: {name}: damaged ({error}): replace it, or move it away") from None
    if mode is None and image.mode not in ("L", "RGB"):
        raise Unfit(f"{pictures.path}: {name} is of mode {image.mode}: set mode to L or RGB, which converts it")
    if image.mode.startswith("I;16"):  # Pillow would clip to 8 bits, not scale
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert(mode) if mode else image
    image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR) if size else image
    array = np.asarray(image).reshape(image.height, image.width, -1).transpose(2, 0, 1)
    return array, hashlib.sha256(content).hexdigest()


def _follow(blocks: Iterator[None], n: int) -> None:
    """Wait for all blocks; a line in the log every few seconds."""
    start = shown = time.monotonic()
    for done, _ in enumerate(blocks, 1):
        now = time.monotonic()
        if now - shown < SECONDS_BETWEEN_LINES:
            continue
        shown, count = now, done * BLOCK
        rate = count / (now - start)
        log.info("picture %d of %d: %.0f pictures/s, %d min %d s left", count, n, rate, *divmod((n - count) / rate, 60))


def _workers() -> int:
    """Threads to read with: a core each, of those that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, 8)


def _room(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.empty(shape, np.uint8)
    except MemoryError:
        raise Unfit(
            f"{path}: {shape[0]} pictures of shape {list(shape[1:])} don't fit in memory: lower train and test, or "
            "set a smaller size"
        ) from None


def _unequal(path: Path, first: str, shape: tuple, name: str, other: tuple) -> Unfit:
    (channels, *size), (other_channels, *other_size) = shape, other
    if channels != other_channels:
        modes = {1: "L", 3: "RGB"}
        return Unfit(
            f"{path}: {first} is of mode {modes[channels]}, {name} of mode {modes[other_channels]}: set mode to one of "
            "them, which converts the others"
        )
    return Unfit(
        f"{path}: {first} has the size {size}, {name} {other_size}: set size: [height, width], which resizes them"
    )


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in LEFT_BY_SYSTEMS


def _no_part(path: Path, part: str) -> Missing:
    return Missing(f"{path}: no folder {part} lies in it: {LAYOUT}")


def _misplaced(path: Path, name: str) -> Foreign:
    return Foreign(f"{path}: {name} is out of place: {LAYOUT}: move it")


def _several(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _digest(value) -> str:
    return hashlib.sha256(hashing.canonical_json(value).encode()).hexdigest()
