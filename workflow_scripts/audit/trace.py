"""From one row of a figure's points, or of a table, to the rows it came from and every job back to the data."""

from collections.abc import Iterator
from pathlib import PurePath

import numpy as np
import pandas as pd

from workflow_scripts.audit.verdict import Job, Report, stage_rank
from workflow_scripts.config.errors import Misused
from workflow_scripts.data import parts
from workflow_scripts.files import dataframes

#: columns that say what a row is about, in any of our tables
KEYS = (
    *("experiment", "seed", "explainer", "class", "mode", "checkpoint", "quantity", "phase", "variant"),
    *("noise", "init", "step", "other", "example"),
)


def lines(report: Report, row: int) -> list[str]:
    """The way from a row (0: the first) to the data, line by line. Raises StudyError where there is no such row."""
    if report.record is None:
        raise Misused(report.path, f"{report.findings[0].why}: there is nothing to trace")
    own = next(iter(report.jobs.values()))
    folder = PurePath(own.first).parent
    tables = [str(folder / name) for name in report.record.outputs if name.endswith(".csv")]
    if not tables:
        raise Misused(report.path, "not a table or figure: --trace follows a row of a CSV")
    name = report.name if report.name in tables else tables[0]
    table = dataframes.read_shown(report.results.path(name))
    if not 0 <= row < len(table):
        raise Misused(report.results.place(name), f"it has rows 0 to {len(table) - 1}: there is no row {row}")
    found = table.iloc[row].dropna()
    keys = {key: found[key] for key in KEYS if key in found}
    panel = found.get("panel")
    if panel is not None and any(job.wildcards.get("experiment") == panel for job in report.jobs.values()):
        keys["experiment"] = panel
    passed, whole = [own], []
    way = list(_below(report, own, keys, 1, passed, whole))
    return [
        f"{report.results.place(name)} row {row}: {_values(found)}",
        *way,
        "jobs, from the data on:",
        *_jobs(report, passed, whole),
    ]


def _below(report: Report, job: Job, keys: dict, depth: int, passed: list[Job], whole: list[Job]) -> Iterator[str]:
    """The rows of the tables that a job read for a row with these keys, and those before; else why there are none.

    Fills passed with jobs, and whole with those of them of which it can't be told which of their inputs it was.
    """
    found, indent = {}, "  " * depth
    for name in (name for name in job.inputs if name.endswith(".csv")):
        path = report.results.path(name)
        maker = _maker(report, name)
        if maker is None or not path.is_file():
            yield f"{indent}{report.results.place(name)}: missing, or no sidecar says what made it"
        elif all(_about(keys, wildcard, value) for wildcard, value in maker.wildcards.items()):
            found[name] = maker, dataframes.read_shown(path)

    def closeness(table: pd.DataFrame) -> tuple[int, bool]:
        return sum(key in table for key in keys), ("class" in table) == ("class" in keys)

    closest = max((closeness(table) for _, table in found.values()), default=None)
    close = {name: (maker, table) for name, (maker, table) in found.items() if closeness(table) == closest}
    chosen = {name: table[_matching(table, keys)] for name, (_, table) in close.items()}
    for name, rows in chosen.items():
        if len(rows):
            maker = close[name][0]
            passed.append(maker)
            yield f"{indent}{report.results.place(name)} {_rows(rows, keys.get('quantity'))}"
            yield from _below(report, maker, keys, depth + 1, passed, whole)
    if not any(map(len, chosen.values())):
        yield from (f"{indent}{why}" for why in _why_not(report, job, keys, depth, whole))


def _why_not(report: Report, job: Job, keys: dict, depth: int, whole: list[Job]) -> Iterator[str]:
    """Why a row of what a job made comes from no row of another table, in a line."""
    tables = [report.results.place(name) for name in job.inputs if name.endswith(".csv")]
    if keys.get("quantity") == "printed":
        yield "from no result: it is what a paper prints"
    elif tables:
        whole.append(job)
        yield f"nothing in it says from which rows of these: {', '.join(tables)}"
    elif depth == 1 and job.inputs:
        yield f"from arrays, which have no rows: {', '.join(map(report.results.place, job.inputs))}"
    elif depth == 1:
        yield "from no file: it is computed"


def _matching(table: pd.DataFrame, keys: dict) -> np.ndarray:
    """Which rows have these keys, as far as the table has them; "a, b" stands for both of two."""
    same = np.ones(len(table), bool)
    for key in (key for key in keys if key in table):
        several = str(keys[key]).split(", ")
        of_several = len(several) > 1 and set(several) <= set(table[key])
        same &= (table[key].isin(several) if of_several else table[key] == keys[key]).to_numpy()
    return same


def _maker(report: Report, name: str) -> Job | None:
    """The job that made a file behind a result."""
    return report.jobs.get(report.results.sidecar(report.results.path(name))[0])


def _about(keys: dict, wildcard: str, value: str) -> bool:
    """Whether a row with these keys comes from a job with this wildcard; an agreement is that of two experiments."""
    if wildcard == "seed":
        return "seed" not in keys or int(keys["seed"]) == int(value)
    named = keys.get("experiment" if wildcard == "simulation" else wildcard, value)
    return named == value or (wildcard == "experiment" and keys.get("other") == value)


def _jobs(report: Report, passed: list[Job], whole: list[Job]) -> list[str]:
    """A line for each job that the way passed, and for each that these needed, in the order of the stages."""
    found, waiting = {}, list(passed)
    while waiting:
        job = waiting.pop()
        if job.first in found:
            continue
        found[job.first] = job
        followed = job in passed and job not in whole and any(name.endswith(".csv") for name in job.inputs)
        if not followed:
            waiting += filter(None, (_maker(report, name) for name in job.inputs))
    ordered = sorted(found.values(), key=lambda job: (stage_rank(job.stage), job.name))
    return [f"  {line}" for job in ordered for line in _job(report, job)]


def _job(report: Report, job: Job) -> Iterator[str]:
    record = job.record
    where = record.gpu or record.cpu or "unknown CPU"
    when = record.ended[:19].replace("T", " ")
    yield f"{job.name}: {when}, {record.who}, {where}, code {record.code.fingerprint}, key {record.key}"
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
