"""Tables as CSV, with errors that name the file and what to do; what our columns hold, and our kinds of tables."""

import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow_scripts.config.errors import Damaged, DamagedResult, Missing
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
#: names of the columns of a kind of number (the first that matches): the least and the most that it may be
_RANGES = ((_SHARES, 0.0, 1.0), (_COUNTS, 0.0, np.inf), (_TIMES, 0.0, np.inf))
#: what rounding may add to a bound
_ROUNDING = 1e-9


class Kind(NamedTuple):
    """A kind of table.

    key: columns that it has, and that no two rows agree in. columns: others that it may have, a regular expression.
    """

    name: str
    key: tuple[str, ...]
    columns: str


_ESTIMATES = r"(I_\w+|mu\w*|lead\w*|accuracy|train_accuracy|explainer_accuracy|n)"
_OVER_SEEDS = "seeds|mean|std|corrected|lo|hi"
MEASURES = Kind("measures", ("explainer", "step"), rf"checkpoint|epoch|{_ESTIMATES}")
CLASS_MEASURES = Kind("measures of classes", ("explainer", "step", "class"), MEASURES.columns)
SUMMARY = Kind("a summary", ("explainer", "step", "quantity"), f"checkpoint|epoch|{_OVER_SEEDS}")
CLASSES = Kind("a summary of classes", ("explainer", "step", "class", "quantity"), SUMMARY.columns)
PHASES = Kind("phases", ("explainer", "phase", "quantity"), r"seeds|(from|to|change|below_null)_\w+|sign|null")
ORDER = Kind("orders of classes", ("class", "seed"), "checkpoint|step|epoch|final")
EXAMPLES = Kind("learned examples", ("example",), r"class|learned|mean|std|seed\d+")
NULLS = Kind("null models", ("seed", "explainer", "variant"), r"(?!quantity|class|phase)\w+")
MODES = Kind("modes", ("mode", "quantity", "step"), SUMMARY.columns)
CLASS_MODES = Kind("modes of classes", ("class",), r"strength|dominant_mode|predicted_\w+")
SIMULATION = Kind("a simulation", ("noise", "init", "quantity", "step"), rf"inside|repetitions|min|max|{_OVER_SEEDS}")


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
            column can't hold.
    """
    try:
        table = _parsed(opening.content(path, LARGEST))
    except FileNotFoundError:
        raise Missing(path, "no such file: run the stage that makes it first") from None
    except PermissionError:
        raise
    except (pd.errors.EmptyDataError, pd.errors.ParserError, ValueError, OverflowError, OSError) as error:
        raise DamagedResult(path, error) from None
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


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a data frame as CSV; every float can be read back exactly."""
    table.to_csv(path, index=False, lineterminator="\n")


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
    repeated = table.duplicated([*kind.key])
    if repeated.any():
        row = table.loc[repeated.idxmax(), [*kind.key]]
        raise Damaged(
            f"{path}: has two rows of {', '.join(f'{name} {value}' for name, value in row.items())}: delete it and run "
            "its stage again"
        )


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
