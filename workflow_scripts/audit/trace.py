"""From one row of a figure's points, or of a table, to the rows it came from and every job back to the data."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.audit.verdict import Report, job_name, stage_rank
from workflow_scripts.config.errors import DamagedResult, Misused
from workflow_scripts.files import npz
from workflow_scripts.provenance.sidecars import Sidecar

#: columns that say what a row is about, in any of our tables
KEYS = (
    *("experiment", "seed", "explainer", "class", "mode", "checkpoint", "quantity", "phase", "variant"),
    *("noise", "init", "step", "other", "example"),
)


def lines(report: Report, row: int) -> list[str]:
    """The way from a row (0: the first) to the data, line by line. Raises StudyError where there is no such row."""
    if report.record is None:
        raise Misused(f"{report.path}: {report.findings[0].why}: there is nothing to trace")
    tables = [name for name in report.record.outputs if name.endswith(".csv")]
    if not tables:
        raise Misused(f"{report.path}: not a table or figure: --trace follows a row of a CSV")
    recorded = next((name for name in tables if report.results.path(name).name == report.path.name), tables[0])
    table = _read(report.results.path(recorded))
    if not 0 <= row < len(table):
        raise Misused(f"{recorded}: it has rows 0 to {len(table) - 1}: there is no row {row}")
    found = table.iloc[row].dropna()
    keys = {key: found[key] for key in KEYS if key in found}
    if found.get("panel"):
        keys["experiment"] = found["panel"]
    passed = [report.record]
    way = list(_below(report, report.record, keys, 1, passed))
    return [f"{recorded} row {row}: {_values(found)}", *way, "jobs, from the data on:", *_jobs(report, passed)]


def _below(report: Report, record: Sidecar, keys: dict, depth: int, passed: list[Sidecar]) -> Iterator[str]:
    """The rows of the tables that a job read for a row with these keys, and those before; fills passed with jobs."""
    found = {}
    for recorded in (name for name in record.inputs if name.endswith(".csv")):
        path = report.results.path(recorded)
        producer = report.results.sidecar(path)[1]
        if producer is None or not path.is_file():
            yield f"{'  ' * depth}{recorded}: missing, or no sidecar says what made it"
        elif all(_about(keys, name, value) for name, value in producer.wildcards.items() if name != "seed"):
            found[recorded] = producer, _read(path)

    def closeness(table: pd.DataFrame) -> tuple[int, bool]:
        return sum(key in table for key in keys), ("class" in table) == ("class" in keys)

    closest = max((closeness(table) for _, table in found.values()), default=None)
    for recorded, (producer, table) in found.items():
        same = [table[key] == value for key, value in keys.items() if key in table]
        chosen = table[np.logical_and.reduce(same)] if same else table
        if closeness(table) == closest and len(chosen):
            passed.append(producer)
            yield f"{'  ' * depth}{recorded} {_rows(chosen, keys.get('quantity'))}"
            yield from _below(report, producer, keys, depth + 1, passed)


def _about(keys: dict, wildcard: str, value: str) -> bool:
    """Whether a row with these keys comes from a job with this wildcard; an agreement is that of two experiments."""
    return keys.get(wildcard, value) == value or (wildcard == "experiment" and keys.get("other") == value)


def _jobs(report: Report, passed: list[Sidecar]) -> list[str]:
    """A line for each job that the way passed, and for each that these needed, in the order of the stages."""
    found, waiting = {}, list(passed)
    while waiting:
        record = waiting.pop()
        if job_name(record) in found:
            continue
        found[job_name(record)] = record
        if record not in passed or all(not recorded.endswith(".csv") for recorded in record.inputs):
            producers = [report.results.sidecar(report.results.path(recorded))[1] for recorded in record.inputs]
            waiting += filter(None, producers)
    ordered = sorted(found.values(), key=lambda record: (stage_rank(record.stage), job_name(record)))
    return [f"  {line}" for record in ordered for line in _job(report, record)]


def _job(report: Report, record: Sidecar) -> Iterator[str]:
    who = f"{record.user or 'unknown user'}@{record.host}"
    where = record.gpu or record.cpu or "unknown CPU"
    when = record.ended[:19].replace("T", " ")
    yield f"{job_name(record)}: {when}, {who}, {where}, code {record.code.fingerprint}, key {record.key}"
    if record.stage == "simulate":
        yield "  from no file: it is drawn"
    for recorded in record.outputs:
        path = report.results.path(recorded)
        if record.stage == "prepare_data" and path.is_file():
            sources = npz.load(path, "source_hashes")["source_hashes"].tolist()
            for source in sources:
                yield f"  from {', SHA-256 '.join(source.rsplit(' ', 1))}"
            if not sources:
                yield "  from no file: it is drawn"


def _rows(chosen: pd.DataFrame, quantity: str | None) -> str:
    """Rows of a table in words: their numbers and values, of the quantity alone where it is a column."""
    first, last = chosen.index[0], chosen.index[-1]
    shown = chosen[[quantity]] if quantity in chosen else chosen
    if len(chosen) == 1:
        return f"row {first}: {_values(shown.iloc[0].dropna())}"
    ends = f": {quantity} from {shown.iloc[0][quantity]} to {shown.iloc[-1][quantity]}" if quantity in chosen else ""
    return f"{len(chosen)} rows, {first} to {last}{ends}"


def _values(row: pd.Series) -> str:
    return ", ".join(
        f"{name} {value:.0f}" if name in ("checkpoint", "step") else f"{name} {value}" for name, value in row.items()
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"class": str})
    except (OSError, ValueError) as error:
        raise DamagedResult(path, error) from None
