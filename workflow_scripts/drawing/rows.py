"""What tables of several kinds share: reading the tables of experiments, and stacking what is made of each."""

from pathlib import Path

import pandas as pd

from workflow_scripts.files import dataframes


def read_each(kind: dataframes.Kind, names: list[str], paths: list[Path], *columns: str) -> dict[str, pd.DataFrame]:
    """Name -> its table. Raises StudyError where one is damaged, of another kind, or lacks a column."""
    return {name: dataframes.read(path, *columns, kind=kind) for name, path in zip(names, paths, strict=True)}


def stacked(of_each: dict[str, pd.DataFrame], title_of: dict[str, str]) -> pd.DataFrame:
    """The tables one below the other, each row with its experiment and that one's title."""
    titled = [table.assign(experiment=name, title=title_of[name]) for name, table in of_each.items()]
    return pd.concat(titled, ignore_index=True)
