"""A user's own pictures: checked, and read into one array."""

import hashlib
import itertools
import logging
import math
import warnings
from collections import Counter

import numpy as np

from workflow_scripts.config.errors import Foreign, Missing, StudyError, Unfit
from workflow_scripts.data import many, room
from workflow_scripts.data.decoding import decoded
from workflow_scripts.data.many import shown
from workflow_scripts.data.picture_files import PARTS, Pictures

log = logging.getLogger("workflow_scripts")

CHANNELS = {"L": 1, "RGB": 3}


def check_classes(pictures: Pictures, classes: list[str]) -> None:
    """Raise StudyError unless these are the class folders of both parts."""
    found = {name.rpartition("/")[0] for name in pictures.stamps}
    expected = {f"{part}/{name}" for part in PARTS for name in classes}
    if absent := sorted(expected - found):
        raise Missing(
            pictures.path, f"no pictures in {many.several(absent)}: put some there, or mend classes in the data set"
        )
    if unlisted := sorted(found - expected):
        raise Foreign(
            pictures.path, f"{many.several(unlisted)} not in the data set's classes: list them there, or move them away"
        )


def read(
    pictures: Pictures, names: list[str], mode: str | None, size: list[int] | None
) -> tuple[np.ndarray, dict[str, str]]:
    """These pictures as uint8[N, channels, height, width], and the SHA-256 of the bytes that each was decoded from.

    mode: L or RGB, to convert to; size: [height, width], to resize to (bilinear); None: refuse what differs. The result
    doesn't depend on the number of threads. The log tells what was converted. Raises StudyError for pictures that are
    damaged, that differ, or that don't fit in memory.
    """
    from PIL import Image

    index = {name: number for number, name in enumerate(names)}
    changes, shapes = {}, {}

    def one(name: str) -> tuple[np.ndarray, str]:
        content = pictures.read(name)
        array, changes[name] = decoded(f"{pictures.path}: {shown(name)}", content, mode, size)
        return array, hashlib.sha256(content).hexdigest()

    def one_of_all(name: str) -> str:
        array, hashed = one(name)
        shapes[name] = array.shape
        if array.shape == shape:
            arrays[index[name]] = array
        return hashed

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if size:
            _check_room(pictures, (len(names), CHANNELS.get(mode, 1), *size))
        try:
            shape = one(names[0])[0].shape
        except StudyError:
            many.each(names, lambda name: one(name)[1], many.cores())  # tells of all that can't be used
            raise
        _check_room(pictures, (len(names), *shape))
        arrays = np.empty((len(names), *shape), np.uint8)
        log.info("%d pictures of shape %s in %s", len(names), list(shape), pictures.path)
        hashes = many.each(names, one_of_all, many.cores())
    if unequal := [name for name in names if shapes[name] != shape]:
        raise _unequal(pictures, names[0], shape, unequal, shapes[unequal[0]])
    for change, n in sorted(Counter(itertools.chain(*changes.values())).items()):
        log.info("%d of %d pictures: %s", n, len(names), change)
    return arrays, hashes


def _check_room(pictures: Pictures, shape: tuple[int, ...]) -> None:
    room.check(
        math.prod(shape),
        str(pictures.path),
        f"{shape[0]} pictures of shape {list(shape[1:])}",
        "lower train and test, or set a smaller size",
    )


def _unequal(pictures: Pictures, first: str, shape: tuple, others: list[str], other: tuple) -> Unfit:
    """The error for pictures whose shape is not that of the first; other: that of the first of them."""
    (channels, *size), (other_channels, *other_size) = shape, other
    name = f"{shown(others[0])}{f' (and {len(others) - 1} more that differ)' if len(others) > 1 else ''}"
    if channels != other_channels:
        modes = {n: mode for mode, n in CHANNELS.items()}
        return Unfit(
            pictures.path,
            f"{shown(first)} is of mode {modes[channels]}, {name} of mode {modes[other_channels]}: "
            "set mode to one of them, which converts the others",
        )
    return Unfit(
        pictures.path,
        f"{shown(first)} has the size {size}, {name} {other_size}: set size: [height, width], which resizes them",
    )
