"""Damage to a file of ours, drawn at random: to its bytes, to one of its arrays, or to the rows of a table."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

Random = np.random.Generator

#: of an array: its dtype, its shape, its values
_OF_ARRAY: dict[str, Callable[[Random, np.ndarray], object]] = {
    "as floats": lambda rng, x: x.astype(float) + 0.5,
    "as bytes below 0": lambda rng, x: x.astype(np.int8) - 3,
    "as words": lambda rng, x: x.astype(str),
    "as complex numbers": lambda rng, x: x.astype(complex),
    "as truths": lambda rng, x: x.astype(bool),
    "one number": lambda rng, x: x.reshape(-1)[0],
    "none": lambda rng, x: x[..., :0] if x.ndim else np.empty(0),
    "no rows": lambda rng, x: x[:0] if x.ndim else np.empty(0),
    "one row": lambda rng, x: x[:1] if x.ndim else x[None],
    "a row less": lambda rng, x: x[:-1] if x.ndim else x[None],
    "one less": lambda rng, x: x[..., 1:] if x.ndim else x[None],
    "one more": lambda rng, x: np.concatenate([x, x[..., :1]], -1) if x.ndim else x[None],
    "another axis": lambda rng, x: x[None],
    "turned": lambda rng, x: x.T,
    "backwards": lambda rng, x: x[::-1] if x.ndim else x[None],
    "NaN": lambda rng, x: _one(rng, x.astype(float), np.nan),
    "infinite": lambda rng, x: _one(rng, x.astype(float), -np.inf),
    "one below 0": lambda rng, x: _one(rng, x if x.dtype.kind == "f" else x.astype(np.int64), -1),
    "one too large": lambda rng, x: _one(rng, x, 200),
    "huge": lambda rng, x: _one(rng, x if x.dtype.kind == "f" else x.astype(np.int64), 2**40),
    "all the same": lambda rng, x: np.full_like(x, x.reshape(-1)[0]),
}

_OF_TABLE: dict[str, Callable[[Random, pd.DataFrame], pd.DataFrame]] = {
    "no rows": lambda rng, t: t.iloc[:0],
    "one row": lambda rng, t: t.iloc[[rng.integers(len(t))]],
    "a row less": lambda rng, t: t.drop(index=rng.integers(len(t))),
    "a row twice": lambda rng, t: t.iloc[[*range(len(t)), rng.integers(len(t))]],
    "rows in another order": lambda rng, t: t.iloc[rng.permutation(len(t))],
    "without a value": lambda rng, t: _without_a_value(rng, t),
    "a column less": lambda rng, t: t.drop(columns=_column(rng, t)),
    "a column more": lambda rng, t: t.assign(more=1.0),
    "columns in another order": lambda rng, t: t[rng.permutation(t.columns)],
    "an empty field": lambda rng, t: _field(rng, t, ""),
    "an empty column": lambda rng, t: t.assign(**{_column(rng, t): ""}),
    "a word": lambda rng, t: _field(rng, t, "word"),
    "words alone": lambda rng, t: t.assign(**{_column(rng, t): "word"}),
    "infinite": lambda rng, t: _field(rng, t, "-inf"),
    "below 0": lambda rng, t: _field(rng, t, "-1"),
    "half": lambda rng, t: _field(rng, t, "0.5"),
    "huge": lambda rng, t: _field(rng, t, "1e300"),
    "all below 0": lambda rng, t: t.assign(**{_column(rng, t): "-3"}),
    "all 0": lambda rng, t: t.assign(**{_column(rng, t): "0"}),
}

_OF_BYTES: dict[str, Callable[[Random, bytes], bytes]] = {
    "nothing": lambda rng, content: b"",
    "cut off": lambda rng, content: content[: rng.integers(len(content))],
    "a bit": lambda rng, content: _flipped(rng, content),
    "more": lambda rng, content: content + b"\n\n",
    "noise": lambda rng, content: rng.bytes(100),
}


def damage(rng: Random, sound: Path, to: Path, others: list[Path]) -> str:
    """Write a damaged copy of a file, or one of the others in its place; what was done, in words."""
    if rng.random() < 0.1:
        other = others[rng.integers(len(others))]
        to.write_bytes(other.read_bytes())
        return f"another file: {other}"
    if rng.random() < 0.15 or sound.suffix not in (".npz", ".csv"):
        name = _drawn(rng, _OF_BYTES)
        to.write_bytes(_OF_BYTES[name](rng, sound.read_bytes()))
        return name
    return _of_npz(rng, sound, to) if sound.suffix == ".npz" else _of_csv(rng, sound, to)


def _of_npz(rng: Random, sound: Path, to: Path) -> str:
    with np.load(sound) as archive:
        arrays = dict(archive)
    array = _drawn(rng, arrays)
    if rng.random() < 0.1:
        del arrays[array]
        name = "lacking"
    else:
        name = _drawn(rng, _OF_ARRAY)
        try:
            arrays[array] = _OF_ARRAY[name](rng, arrays[array])
        except (ValueError, IndexError, TypeError, OverflowError):  # it has none, or none of this dtype
            arrays[array], name = np.array("word"), "a word"
    with to.open("wb") as file:
        np.savez(file, **arrays)
    return f"{array}: {name}"


def _of_csv(rng: Random, sound: Path, to: Path) -> str:
    table, name = pd.read_csv(sound, dtype=str, keep_default_na=False), _drawn(rng, _OF_TABLE)
    changed = _OF_TABLE[name](rng, table)
    text = io.StringIO()
    changed.to_csv(text, index=False, lineterminator="\n")
    to.write_text(text.getvalue())
    where = [column for column in table if column not in changed or not changed[column].equals(table[column])]
    return f"{', '.join(where[:3])}: {name}"


def _drawn(rng: Random, of: dict) -> str:
    return sorted(of)[rng.integers(len(of))]


def _one(rng: Random, x: np.ndarray, value: float) -> np.ndarray:
    x = x.copy()
    x.reshape(-1)[rng.integers(x.size)] = value
    return x


def _flipped(rng: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
    return bytes(changed)


def _column(rng: Random, table: pd.DataFrame) -> str:
    return table.columns[rng.integers(len(table.columns))]


def _field(rng: Random, table: pd.DataFrame, value: str) -> pd.DataFrame:
    table = table.copy()
    table.iloc[rng.integers(len(table)), rng.integers(len(table.columns))] = value
    return table


def _without_a_value(rng: Random, table: pd.DataFrame) -> pd.DataFrame:
    """Without all rows that have the value of one of them in a column."""
    column = _column(rng, table)
    return table[table[column] != table[column].iloc[rng.integers(len(table))]]
