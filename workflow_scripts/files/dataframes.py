"""Tables as CSV, with errors that name the file and what to do; what our columns hold, and our kinds of tables."""

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow_scripts.config.errors import Damaged, DamagedResult, Foreign, Missing
from workflow_scripts.files import opening

#: bytes of the largest table that is read
LARGEST = 2**31
#: the columns of our tables that hold words; those with several may hold no other
TEXT_COLUMNS = {
    "class": (),
    "explainer": (),
    "init": (),
    "phase": ("first", "middle", "overfitting", "after_t0", "warm_up"),
    "quantity": (),
    "sign": ("up", "down", "flat", "unknown"),
    "variant": (
        "uniform_information",
        "uniform_accuracy",
        "prior_information",
        "prior_accuracy",
        "within_class",
    ),
}
_SHARES = r"accuracy|(train|population|explainer)_accuracy|p|p_value|\w+_p"
_COUNTS = r"checkpoint|step|seeds?|n|mode|dominant_mode|example|learned"
_TIMES = r"epoch|(from|to)_epoch|epoch_lo|epoch_hi"
#: information that can't be negative
_BITS = r"(null_)?I_(FY|LY)(_train|_given_[FL])?(_lo|_hi)?|I_FL_given_Y(_lo|_hi)?"
#: names of the columns of a kind of number (the first that matches): the least and the most that it may be
_RANGES = ((_SHARES, 0.0, 1.0), (_BITS, 0.0, np.inf), (_COUNTS, 0.0, np.inf), (_TIMES, 0.0, np.inf))
#: what rounding may add to a bound
_ROUNDING = 1e-9


class Kind(NamedTuple):
    """A kind of table.

    key: columns that it has: there is a row for each combination of their values, and only one; steps rise. columns:
    others that it may have, gaps: those in which a value may be missing, both a regular expression. values: what
    columns of the key have at least.
    """

    name: str
    key: tuple[str, ...]
    columns: str
    gaps: str = ".*"
    values: Mapping[str, tuple[str, ...]] = {}


_ESTIMATES = r"(I_\w+|mu\w*|lead\w*|accuracy|train_accuracy|explainer_accuracy|n)"
_OVER_SEEDS = "seeds|mean|std|corrected|lo|hi"
_LIMITS = r"std|corrected|lo|hi|\w+_(corrected|lo|hi|p)"
_CHANGING = ("train_accuracy", "accuracy", "I_FY", "mu", "I_FY_given_L", "I_LY_given_F")
_OF_CLASSES = ("accuracy", "I_FY", "I_LY", "mu", "I_FY_given_L", "I_LY_given_F")
MEASURES = Kind("measures", ("explainer", "step"), rf"checkpoint|epoch|{_ESTIMATES}", _LIMITS)
CLASS_MEASURES = Kind("measures of classes", ("explainer", "step", "class"), MEASURES.columns, _LIMITS)
SUMMARY = Kind(
    "a summary",
    ("explainer", "step", "quantity"),
    f"checkpoint|epoch|{_OVER_SEEDS}",
    _LIMITS,
    {"quantity": (*_CHANGING, "I_FY_train", "I_LY", "mu_null")},
)
CLASSES = Kind(
    "a summary of classes",
    ("explainer", "step", "class", "quantity"),
    SUMMARY.columns,
    _LIMITS,
    {"quantity": _OF_CLASSES},
)
PHASES = Kind(
    "phases",
    ("explainer", "phase", "quantity"),
    r"seeds|(from|to|change|below_null)_\w+|sign|null",
    values={"phase": TEXT_COLUMNS["phase"], "quantity": _CHANGING},
)
ORDER = Kind("orders of classes", ("class", "seed"), "checkpoint|step|epoch|final")
EXAMPLES = Kind("learned examples", ("example",), r"class|learned|mean|std|seed\d+")
NULLS = Kind(
    "null models",
    ("seed", "explainer", "variant"),
    r"(?!quantity|class|phase)\w+",
    values={"variant": TEXT_COLUMNS["variant"]},
)
MODES = Kind(
    "modes",
    ("mode", "quantity", "step"),
    SUMMARY.columns,
    _LIMITS,
    {"quantity": ("observed", "decoupled", "linear_theory")},
)
CLASS_MODES = Kind("modes of classes", ("class",), r"strength|dominant_mode|predicted_\w+", "")
SIMULATION = Kind(
    "a simulation",
    ("noise", "init", "quantity", "step"),
    rf"inside|repetitions|min|max|{_OVER_SEEDS}",
    _LIMITS,
    {"quantity": ("train_accuracy", "population_accuracy", "first_weight")},
)


def read(path: Path, *columns: str, kind: Kind | None = None) -> pd.DataFrame:
    """A CSV as a data frame.

    Words are read as they stand, and numbers, to the last bit; an empty field is a number that is missing.

    Args:
        path: the file.
        columns: that it must have.
        kind: of the table; None: any.

    Returns:
        The table.

    Raises:
        Missing: there is no such file.
        Damaged: it is cut off or damaged, lacks a column, is of another kind, has a row twice, or has values that a
            column can't hold; or a row or a value is missing.
    """
    table = _whole(path)
    missing = [name for name in (*(kind.key if kind else ()), *columns) if name not in table]
    if missing:
        raise DamagedResult(path, f"it has no column {missing[0]!r}{f', expected {kind.name}' if kind else ''}")
    if kind:
        _check_kind(path, table, kind)
    for name in table:
        why = _wrong_words(table[name]) if name in TEXT_COLUMNS else _wrong_numbers(table[name])
        if why:
            raise DamagedResult(path, f"its column {name!r} has {why}")
    return table


def read_shown(path: Path) -> pd.DataFrame:
    """Any CSV of ours, such as a table of a paper or the points of a figure: words and numbers, NaN for an empty field.

    Raises StudyError where it is missing or damaged; what is in its columns is not looked at.
    """
    table = _whole(path)
    return table.mask(table == "")


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a data frame as CSV; every float can be read back exactly."""
    table.to_csv(path, index=False, lineterminator="\n")


def _whole(path: Path) -> pd.DataFrame:
    """Raises StudyError for a file that is missing, cut off or damaged."""
    try:
        return _parsed(opening.content(path, LARGEST))
    except FileNotFoundError:
        raise Missing(path, "no such file: run the stage that makes it first") from None
    except PermissionError:
        raise
    except (pd.errors.EmptyDataError, pd.errors.ParserError, ValueError, OverflowError, OSError) as error:
        raise DamagedResult(path, error) from None


def _parsed(content: bytes) -> pd.DataFrame:
    """Raises ValueError for what `write` never writes."""
    if not content.endswith(b"\n"):
        raise ValueError("its last line is cut off")
    if b"\0" in content:
        raise ValueError("it has a NUL byte")
    names = pd.read_csv(io.BytesIO(content), header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0].tolist()
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"it has the column {twice!r} twice")
    table = pd.read_csv(
        io.BytesIO(content),
        keep_default_na=False,
        na_values={name: [""] for name in names if name not in TEXT_COLUMNS},
        dtype=dict.fromkeys(TEXT_COLUMNS, str),
    )
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError("its rows have more fields than it has columns")
    return table


def _check_kind(path: Path, table: pd.DataFrame, kind: Kind) -> None:
    other = next((name for name in table if name not in kind.key and not re.fullmatch(kind.columns, name)), None)
    if other is not None:
        raise DamagedResult(path, f"it has a column {other!r}, expected {kind.name}")
    empty = next((name for name in table if table[name].isna().any() and not _may_be_empty(name, kind)), None)
    if empty is not None:
        raise DamagedResult(path, f"its column {empty!r} has a row without a value")
    repeated = table.duplicated([*kind.key])
    if repeated.any():
        row = table.loc[repeated.idxmax(), [*kind.key]]
        raise Damaged(
            path,
            f"has two rows of {', '.join(f'{name} {value}' for name, value in row.items())}: delete it and run "
            "its stage again",
        )
    for name, needed in kind.values.items():
        if absent := [value for value in needed if value not in set(table[name])]:
            raise DamagedResult(path, f"it has no {name} {absent[0]!r}")
    if not len(table) or len(table) != math.prod(table[name].nunique() for name in kind.key):
        raise DamagedResult(path, f"it lacks a row: expected one for each {', '.join(kind.key)}")
    others = [name for name in kind.key if name != "step"]
    if "step" in kind.key and not table.groupby(others, sort=False)["step"].is_monotonic_increasing.all():
        raise DamagedResult(path, "its steps don't rise")


def check_same(column: str, path: Path, table: pd.DataFrame, other_path: Path, other: pd.DataFrame) -> None:
    """Raise Foreign unless two tables, of these files, have the same values in a column."""
    if set(table[column]) != set(other[column]):
        raise Foreign(
            path, f"its values of {column} are not those of {other_path}: delete both and run their stages again"
        )


def _may_be_empty(name: str, kind: Kind) -> bool:
    return name not in kind.key and bool(re.fullmatch(kind.gaps, name))


def _wrong_words(column: pd.Series) -> str | None:
    """What is wrong with a column of words, None: nothing."""
    if column.isna().any():
        return "a row without it"
    known = TEXT_COLUMNS[column.name]
    others = [word for word in column.unique() if known and word not in known]
    return f"{others[0]!r}, not one of {', '.join(known)}" if others else None


def _wrong_numbers(column: pd.Series) -> str | None:
    """What is wrong with a column of numbers, None: nothing."""
    if not pd.api.types.is_numeric_dtype(column):
        return "values that are not numbers"
    if np.isinf(column.to_numpy(float)).any():
        return "an infinite value"
    for names, least, most in _RANGES:
        if re.fullmatch(names, str(column.name)):
            wrong = column[(column < least - _ROUNDING) | (column > most + _ROUNDING)]
            if len(wrong):
                return f"{wrong.iloc[0]}, expected {least:g} to {most:g}"
            if names == _COUNTS and (column.dropna() % 1 != 0).any():
                return "a value that is not a whole number"
            break
    return None
