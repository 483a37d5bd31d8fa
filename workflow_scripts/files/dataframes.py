"""Tables as CSV, with errors that name the file and what to do."""

import io
from pathlib import Path

import pandas as pd

from workflow_scripts.config.errors import DamagedResult, Missing

#: the columns of our tables that hold words
TEXT_COLUMNS = ("class", "explainer", "init", "phase", "quantity", "sign", "variant")


def read(path: Path, *columns: str) -> pd.DataFrame:
    """A CSV as a data frame. Raises StudyError when it is missing, cut off, damaged, or lacks one of the columns."""
    try:
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            raise DamagedResult(path, "its last line is cut off")
        table = pd.read_csv(
            io.BytesIO(content), keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXT_COLUMNS, str)
        )
    except FileNotFoundError:
        raise Missing(f"{path}: no such file: run the stage that makes it first") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DamagedResult(path, error) from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise DamagedResult(path, f"it has no column {missing[0]!r}")
    garbled = [name for name in table if name not in TEXT_COLUMNS and not pd.api.types.is_numeric_dtype(table[name])]
    if garbled:
        raise DamagedResult(path, f"its column {garbled[0]!r} has values that are not numbers")
    return table


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a data frame as CSV; every float can be read back exactly."""
    table.to_csv(path, index=False, lineterminator="\n")
