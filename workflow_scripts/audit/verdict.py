"""The verdict on a result: what is wrong with it, or with anything behind it."""

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.audit import remake, source
from workflow_scripts.audit.records import Results, place, product, products
from workflow_scripts.config import jobs
from workflow_scripts.config.errors import StudyError
from workflow_scripts.config.jobs import STAGES
from workflow_scripts.config.study import Study
from workflow_scripts.files import hashing
from workflow_scripts.provenance import differences, sidecars, upgrades
from workflow_scripts.provenance.sidecars import Sidecar

#: from good to bad: the verdict on a result is the worst of its findings
VERDICTS = ("CURRENT", "UNKNOWN", "STALE", "TAMPERED")

#: stages whose products no later job vouches for: the audit makes them again and compares
LAST_STAGES = ("plot", "tabulate")

_NO_JOB = "the study no longer has this job: remove it, or name its study"
_UNREADABLE = "can't be read: damaged, or written by another version"


@dataclass(frozen=True)
class Finding:
    """Something wrong with a job or a file; remake: the product to make again, as sidecars call it."""

    verdict: str
    job: str
    why: str
    remake: str | None


@dataclass
class Report:
    """The verdict on one result.

    recorded: how sidecars call it; record: its sidecar; study: the config files and changes it is compared with; jobs
    (sidecar -> what it says) and files: all behind it that was looked at; remade: made again with the same bytes.
    """

    path: Path
    results: Results
    recorded: str | None = None
    record: Sidecar | None = None
    study: dict | None = None
    jobs: dict[Path, Sidecar] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    remade: bool = False

    @property
    def verdict(self) -> str:
        """The worst of the findings, CURRENT without any."""
        return max((finding.verdict for finding in self.findings), key=VERDICTS.index, default="CURRENT")


class Auditor:
    """Judges results; a job or a file behind several of them is looked at once.

    study: config files or changes to compare with, in place of those that each result's own sidecar names. results: the
    folder that copies outside any results folder came from.
    """

    def __init__(self, study: dict | None, results: Path):
        self._study = study or {}
        self._home = results.absolute()
        self._results = functools.cache(Results)
        self._remade = functools.cache(lambda results, sidecar: remake.compare(sidecars.read(sidecar), results))
        self._judged: dict[tuple[str, Path], list[Finding]] = {}

    def audit(self, paths: list[Path]) -> list[Report]:
        """A report on each file, and on each product below each folder, whether it lies there or is gone."""
        folders = [path.absolute() for path in paths if path.is_dir()]
        targets = [each for path in paths for each in (products(path) if path.is_dir() else [path])]
        reports = [self._trace_back(path.absolute()) for path in targets]
        reports += [self._trace_back(path) for path in _gone(reports, folders)]
        for results in {report.results for report in reports}:
            results.hash_all(path for report in reports if report.results is results for path in report.files)
        for report in reports:
            if report.record is not None:
                self._judge(report)
        return reports

    def _trace_back(self, path: Path) -> Report:
        """Find the sidecars of a result and of everything behind it, reading nothing but sidecars."""
        beside, record = self._results(self._home).sidecar(path)
        recorded = product(path, record) if record else None
        folder, in_place = place(path, recorded)
        report = Report(path, self._results(folder or self._home))
        report.recorded = here = report.results.recorded(path)
        report.study = self._compared_with(record or _record_around(report))
        if not path.is_file():
            _unknown(report, "no such file")
        elif beside and not record:
            _unknown(report, f"{beside.name} {_UNREADABLE}")
        elif found := (beside, record, recorded) if beside else self._elsewhere(report):
            beside, report.record, report.recorded = found
            report.study = self._compared_with(report.record)
            if not report.recorded or not in_place:
                report.recorded = report.recorded or next(iter(report.record.outputs))
                why = (
                    f"{report.recorded} and its sidecar lie at {here}"
                    if recorded
                    else f"it has the sidecar of {report.recorded}"
                )
                report.findings.append(Finding("TAMPERED", job_name(report.record), why, here))
            self._look_behind(report, beside)
        else:
            _unknown(report, "no sidecar beside it says what made it")
        return report

    def _look_behind(self, report: Report, sidecar: Path) -> None:
        """Find the jobs and files behind a result."""
        report.files.add(report.path)
        waiting = [(sidecar, report.record)]
        while waiting:
            beside, record = waiting.pop()
            if beside in report.jobs:
                continue
            report.jobs[beside] = record
            if not record.is_sealed:
                continue
            for recorded in record.inputs:
                report.files.add(report.results.path(recorded))
                found = report.results.sidecar(report.results.path(recorded))
                if found[1] is not None:
                    waiting.append(found)

    def _compared_with(self, record: Sidecar | None) -> dict | None:
        """The study of a result, with what this audit was told to compare with in its place."""
        return {**((record and record.origin) or {}), **self._study} or None

    def _elsewhere(self, report: Report) -> tuple[Path, Sidecar, str] | None:
        """Of a copy: the sidecar in the results folder, and what it calls it, by its bytes or by a figure's key."""
        content = report.path.read_bytes()
        key, digest = sidecars.key_in(content), hashlib.sha256(content).hexdigest()
        for beside, record in report.results.records.items():
            of_bytes = next((recorded for recorded, written in record.outputs.items() if written == digest), None)
            recorded = of_bytes or (product(report.path, record) if key == record.key else None)
            if recorded:
                return beside, record, recorded
        for beside, record in report.results.records.items() if key else ():
            if record.digest_of(report.path):
                why = f"it carries provenance key {key}, that of the results has {record.key}"
                report.findings.append(Finding("STALE", job_name(record), why, None))
                return beside, record, product(report.path, record)
        return None

    def _judge(self, report: Report) -> None:
        digest = report.results.sha256(report.path)
        if not report.findings and digest != report.record.outputs[report.recorded]:
            copied = report.results.path(report.recorded) != report.path
            why = f"this copy of {report.recorded} has other bytes than it wrote"
            edited = Finding("TAMPERED", job_name(report.record), why, None)
            report.findings.append(edited if copied else _edited(report.record, report.recorded))
        for beside, record in report.jobs.items():
            report.findings += self._findings(report, beside, record)
        found, own = list(dict.fromkeys(report.findings)), job_name(report.record)
        report.findings = [each for each in found if each.why != _NO_JOB or each.job == own] or found
        if not report.findings and report.record.stage in LAST_STAGES:
            wrong = self._remade(report.results, next(iter(report.jobs)))
            if wrong:
                verdict, why = wrong
                report.findings.append(Finding(verdict, job_name(report.record), why, report.recorded))
            report.remade = not wrong

    def _findings(self, report: Report, beside: Path, record: Sidecar) -> list[Finding]:
        at = hashing.canonical_json(report.study), beside
        if at not in self._judged:
            self._judged[at] = list(_job(report, beside, record))
        return self._judged[at]


def job_name(record: Sidecar) -> str:
    """A job in words, such as `train digits seed 0`."""
    words = [f"seed {value}" if key == "seed" else value for key, value in record.wildcards.items()]
    return " ".join([record.stage, *words])


def stage_rank(stage: str) -> int:
    """The place of a stage in the order of stages; -1: there is no such stage."""
    return STAGES.index(stage) if stage in STAGES else -1


def _job(report: Report, beside: Path, record: Sidecar) -> Iterator[Finding]:
    """What is wrong with one job: its sidecar, settings, code and inputs."""
    name, first = job_name(record), next(iter(record.outputs), None)
    if not record.is_sealed:
        yield Finding("TAMPERED", name, f"{beside.name} was edited after it was written", first)
        return
    now = None
    try:
        now = _settings(source.load(report.study, report.results), record)
        if now is not None:
            for why in differences.settings(upgrades.cfg(record), now):
                yield Finding("STALE", name, why, first)
        else:
            yield Finding("STALE", name, _NO_JOB, None)
    except source.Unreadable as error:
        yield Finding("UNKNOWN", "", str(error), None)
    for why in _code(record, now):
        yield Finding("STALE", name, why, first)
    for recorded, digest in record.inputs.items():
        yield from _input(report.results, record, recorded, digest)


def _settings(study: Study, record: Sidecar) -> dict | None:
    """What a job would read of the study now; None where the study has no such job."""
    if not study.has_job(record.wildcards):
        return None
    try:
        return jobs.settings(study, record.stage, **record.wildcards)
    except (StudyError, TypeError):
        return None


def _code(record: Sidecar, now: dict | None) -> list[str]:
    try:
        return differences.code(record, upgrades.cfg(record) if now is None else now)
    except StudyError as error:
        return [f"its code can't be compared: {error}"]


def _input(results: Results, record: Sidecar, recorded: str, digest: str) -> Iterator[Finding]:
    """What is wrong with one input of a job."""
    path, name = results.path(recorded), job_name(record)
    found = results.sha256(path)
    beside, producer = results.sidecar(path)
    if found is None:
        yield Finding("UNKNOWN", name, f"its input {recorded} is missing", recorded)
    elif producer is None:
        why = f"{beside.name} {_UNREADABLE}" if beside else "no sidecar says what made it"
        yield Finding("UNKNOWN", name, f"its input {recorded}: {why}", recorded)
    elif all(results.path(product) != path for product in producer.outputs):
        why = f"the sidecar beside {recorded} is that of {product(path, producer) or next(iter(producer.outputs))}"
        yield Finding("TAMPERED", name, why, recorded)
    elif producer.digest_of(path) != found:
        yield _edited(producer, recorded)
    elif found != digest:
        when = producer.ended[:16].replace("T", " ")
        why = f"{recorded} was made again, with other bytes than it read, at {when}"
        yield Finding("STALE", name, why, next(iter(record.outputs), None))


def _edited(record: Sidecar, recorded: str | None) -> Finding:
    return Finding("TAMPERED", job_name(record), f"{recorded}: these are not the bytes that it wrote", recorded)


def _unknown(report: Report, why: str) -> None:
    """Report a file without a sidecar; only what the study makes can be made again."""
    made = report.recorded is not None and source.makes(report.study, report.results, report.recorded)
    key = sidecars.key_in(report.path.read_bytes()) if report.path.is_file() and not made else None
    hint = f"; it carries provenance key {key}: name the results that it came from with --results" if key else ""
    name = report.recorded or str(report.path)
    report.findings.append(Finding("UNKNOWN", name, why + hint, report.recorded if made else None))


def _gone(reports: list[Report], folders: list[Path]) -> list[Path]:
    """The products in these folders that a sidecar behind the reports speaks of, but that are no longer there."""
    behind = {sidecar: (report.results, record) for report in reports for sidecar, record in report.jobs.items()}
    recorded = [results.path(recorded) for results, record in behind.values() for recorded in record.outputs]
    return [path for path in recorded if any(path.is_relative_to(folder) for folder in folders) and not path.exists()]


def _record_around(report: Report) -> dict | None:
    """The nearest sidecar in the results folder that names a study: for a product which none speaks of."""
    folders = [folder for folder in report.path.parents if folder.is_relative_to(report.results.folder)]
    for folder in folders:
        for sidecar in sorted(folder.rglob(f"*{sidecars.SUFFIX}")):
            if (record := sidecars.read(sidecar)) and record.study:
                return record
    return None
