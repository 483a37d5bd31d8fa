"""Arrays as .npz, with errors that name the file and what to do."""

import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workflow_scripts.config.errors import Damaged, DamagedResult, Foreign, Missing, Misused, Unfit
from workflow_scripts.files import opening

#: numpy's letters for kinds of dtype, in words
_KINDS = {"b": "truths", "f": "floats", "i": "integers", "u": "integers from 0 on", "U": "words"}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: deflate makes at most so many bytes of one
_MOST_INFLATED = 1032


class Form(NamedTuple):
    """What an array must be.

    kinds: numpy's letters for kinds of dtype, such as "iu" for integers. shape: an entry for each axis, a number or a
    name that stands for the same number in all arrays of a file; "..." for any further axes. least, most: of its
    values, both included, None for no bound; NaN is neither. finite: no value is NaN or infinite. rising: there is a
    value, and each is above the one before. dtypes: names of those that it may have, where the kind is not enough.
    """

    kinds: str
    shape: tuple[int | str, ...]
    least: float | None = None
    most: float | None = None
    finite: bool = False
    rising: bool = False
    dtypes: tuple[str, ...] = ()


TEXT = Form("U", ())


class _Unlike(ValueError):
    """An array that is not of its form."""


class _OtherSize(_Unlike):
    """An array whose axes are of another length."""


def save(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed .npz whose bytes depend on the arrays alone."""
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load(
    path: Path,
    *names: str,
    optional: tuple[str, ...] = (),
    forms: Mapping[str, Form] | None = None,
    **sizes: int,
) -> dict[str, np.ndarray]:
    """The named arrays of a .npz.

    Args:
        path: the file.
        names: of the arrays.
        optional: of those that it need not have.
        forms: what arrays must be, by name; others may be anything.
        sizes: of axes that forms name, where they are known.

    Returns:
        Name -> array.

    Raises:
        Missing: there is no such file.
        Damaged: it is broken, lacks an array, or has one of another form.
        Foreign: an array is of another size: of other data, or for another task.
    """
    try:
        with opening.regular(path) as file, np.load(file, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise Damaged(
                    path,
                    f"no array {missing[0]!r}, only {' '.join(', '.join(archive.files).split()) or 'none'}: "
                    "delete the file and run the stage that makes it again",
                )
            found, forms = {}, forms or {}
            for name in (*names, *(name for name in optional if name in archive.files)):
                shape, dtype = _declared(archive.zip, name)
                if name in forms:
                    _check_header(name, shape, dtype, forms[name], sizes)
                found[name] = archive[name]
                if name in forms:
                    _check_values(name, found[name], forms[name])
            return found
    except _OtherSize as error:
        raise Foreign(
            path, f"{error}: made from other data, or for another task: delete it and run its stage again"
        ) from None
    except FileNotFoundError:
        raise Missing(path, "no such file: run the stage that makes it first") from None
    except PermissionError:
        raise
    except (
        zipfile.BadZipFile, zlib.error, ValueError, TypeError, EOFError, RuntimeError, OSError, KeyError, SyntaxError,
        AttributeError, MemoryError, OverflowError, struct.error,
    ) as error:  # fmt: skip
        raise DamagedResult(path, error) from None


def _declared(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of an array, of its header alone. Raises ValueError where the file can't hold so much."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in _METHODS or info.file_size > _MOST_INFLATED * (info.compress_size + 1):
        raise ValueError(f"array {name!r} is not as numpy compresses one")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        if math.prod(shape) * dtype.itemsize != info.file_size - member.tell():
            raise ValueError(f"array {name!r} is not as long as its header says")
    return shape, dtype


def check(where: str, arrays: Mapping[str, np.ndarray], forms: Mapping[str, Form], **sizes: int) -> None:
    """Raise Unfit unless there is an array of each form; where: what made them, as the error names it."""
    try:
        for name, form in forms.items():
            if name not in arrays:
                raise _Unlike(f"no array {name!r}")
            values = np.asarray(arrays[name])
            _check_header(name, values.shape, values.dtype, form, sizes)
            _check_values(name, values, form)
    except _Unlike as error:
        raise Unfit(where, f"{error}: mend what it returns") from None


def _check_header(name: str, shape: tuple[int, ...], dtype: np.dtype, form: Form, sizes: dict[str, int]) -> None:
    """Raise _Unlike for another dtype or shape; sizes: of the axes met so far, those of this array are added."""
    axes = form.shape[:-1] if "..." in form.shape else form.shape
    if form.dtypes and dtype.name not in form.dtypes:
        raise _Unlike(f"its array {name!r} is {dtype}{list(shape)}, expected {' or '.join(form.dtypes)}")
    if dtype.kind not in form.kinds or len(shape) < len(axes) or (len(shape) > len(axes) and axes == form.shape):
        raise _Unlike(f"its array {name!r} is {dtype}{list(shape)}, expected {len(axes)} axes of {_words(form.kinds)}")
    expected = [
        sizes.setdefault(axis, size) if isinstance(axis, str) else axis for size, axis in zip(shape, axes, strict=False)
    ]
    if list(shape[: len(axes)]) != expected:
        raise _OtherSize(f"{name} is {dtype}{list(shape)}, expected {expected}")


def _check_values(name: str, values: np.ndarray, form: Form) -> None:
    """Raise _Unlike for a value that the form excludes; what needs no look at the values costs none."""
    if form.rising and (not values.size or (np.diff(values) <= 0).any()):
        raise _Unlike(f"its array {name!r} does not rise")
    if not values.size:
        return
    if form.finite and values.dtype.kind == "f" and not np.isfinite(values).all():
        raise _Unlike(f"its array {name!r} has a value that is not finite")
    if form.least is not None and not (form.least == 0 and values.dtype.kind in "bu"):
        least = np.fmin.reduce(values, axis=None)
        if least < form.least:
            raise _Unlike(f"its array {name!r} has {least}, expected at least {form.least}")
    if form.most is not None:
        most = np.fmax.reduce(values, axis=None)
        if most > form.most:
            raise _Unlike(f"its array {name!r} has {most}, expected at most {form.most}")


def _words(kinds: str) -> str:
    return " or ".join(_KINDS[kind] for kind in kinds)


def check_number(flag: str, paths: list[Path], expected: int) -> None:
    """Raise StudyError unless as many files were given as the config lists."""
    if len(paths) != expected:
        raise Misused(flag, f"the config lists {expected}, but {len(paths)} files were given: give one for each")
