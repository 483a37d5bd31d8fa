"""From one row of a figure's points, or of a table, to the rows it came from and every job back to the data."""

from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from workflow_scripts.audit.verdict import Job, Report, stage_rank
from workflow_scripts.config.errors import DamagedResult, Misused
from workflow_scripts.data import parts

#: columns that say what a row is about, in any of our tables
KEYS = (
    *("experiment", "seed", "explainer", "class", "mode", "checkpoint", "quantity", "phase", "variant"),
    *("noise", "init", "step", "other", "example"),
)


def lines(report: Report, row: int) -> list[str]:
    """The way from a row (0: the first) to the data, line by line. Raises StudyError where there is no such row."""
    if report.record is None:
        raise Misused(f"{report.path}: {report.findings[0].why}: there is nothing to trace")
    own = next(iter(report.jobs.values()))
    folder = PurePath(own.first).parent
    tables = [str(folder / name) for name in report.record.outputs if name.endswith(".csv")]
    if not tables:
        raise Misused(f"{report.path}: not a table or figure: --trace follows a row of a CSV")
    name = report.name if report.name in tables else tables[0]
    table = _read(report.results.path(name))
    if not 0 <= row < len(table):
        raise Misused(f"{report.results.place(name)}: it has rows 0 to {len(table) - 1}: there is no row {row}")
    found = table.iloc[row].dropna()
    keys = {key: found[key] for key in KEYS if key in found}
    if found.get("panel"):
        keys["experiment"] = found["panel"]
    passed = [own]
    way = list(_below(report, own, keys, 1, passed))
    return [
        f"{report.results.place(name)} row {row}: {_values(found)}",
        *way,
        "jobs, from the data on:",
        *_jobs(report, passed),
    ]


def _below(report: Report, job: Job, keys: dict, depth: int, passed: list[Job]) -> Iterator[str]:
    """The rows of the tables that a job read for a row with these keys, and those before; fills passed with jobs."""
    found = {}
    for name in (name for name in job.inputs if name.endswith(".csv")):
        path = report.results.path(name)
        maker = _maker(report, name)
        if maker is None or not path.is_file():
            yield f"{'  ' * depth}{report.results.place(name)}: missing, or no sidecar says what made it"
        elif all(_about(keys, wildcard, value) for wildcard, value in maker.wildcards.items() if wildcard != "seed"):
            found[name] = maker, _read(path)

    def closeness(table: pd.DataFrame) -> tuple[int, bool]:
        return sum(key in table for key in keys), ("class" in table) == ("class" in keys)

    closest = max((closeness(table) for _, table in found.values()), default=None)
    for name, (maker, table) in found.items():
        same = [table[key] == value for key, value in keys.items() if key in table]
        chosen = table[np.logical_and.reduce(same)] if same else table
        if closeness(table) == closest and len(chosen):
            passed.append(maker)
            yield f"{'  ' * depth}{report.results.place(name)} {_rows(chosen, keys.get('quantity'))}"
            yield from _below(report, maker, keys, depth + 1, passed)


def _maker(report: Report, name: str) -> Job | None:
    """The job that made a file behind a result."""
    return report.jobs.get(report.results.sidecar(report.results.path(name))[0])


def _about(keys: dict, wildcard: str, value: str) -> bool:
    """Whether a row with these keys comes from a job with this wildcard; an agreement is that of two experiments."""
    return keys.get(wildcard, value) == value or (wildcard == "experiment" and keys.get("other") == value)


def _jobs(report: Report, passed: list[Job]) -> list[str]:
    """A line for each job that the way passed, and for each that these needed, in the order of the stages."""
    found, waiting = {}, list(passed)
    while waiting:
        job = waiting.pop()
        if job.first in found:
            continue
        found[job.first] = job
        if job not in passed or all(not name.endswith(".csv") for name in job.inputs):
            waiting += filter(None, (_maker(report, name) for name in job.inputs))
    ordered = sorted(found.values(), key=lambda job: (stage_rank(job.stage), job.name))
    return [f"  {line}" for job in ordered for line in _job(report, job)]


def _job(report: Report, job: Job) -> Iterator[str]:
    record = job.record
    who = f"{record.user or 'unknown user'}@{record.host}"
    where = record.gpu or record.cpu or "unknown CPU"
    when = record.ended[:19].replace("T", " ")
    yield f"{job.name}: {when}, {who}, {where}, code {record.code.fingerprint}, key {record.key}"
    if record.stage == "simulate":
        yield "  from no file: it is drawn"
    for name in record.outputs:
        path = report.results.path(job.first).with_name(name)
        if record.stage == "prepare_data" and path.is_file():
            sources = parts.sources(path)
            for name, sha256 in sources:
                yield f"  from {name}, SHA-256 {sha256}"
            if not sources:
                yield "  from no file: it is drawn"
            for note in parts.notes(path):
                yield f"  {note}"


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
