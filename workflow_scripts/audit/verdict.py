"""The verdict on a result: what is wrong with it, or with anything behind it."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts import differences, files, provenance
from workflow_scripts.audit import remake, source
from workflow_scripts.audit.records import Results, folder_of, products
from workflow_scripts.config.study import stage_config
from workflow_scripts.errors import StudyError

#: from good to bad: the verdict on a result is the worst of its findings
VERDICTS = ("CURRENT", "UNKNOWN", "STALE", "TAMPERED")

#: stages whose products no later job vouches for: the audit makes them again and compares
LAST_STAGES = ("plot", "tabulate")


@dataclass(frozen=True)
class Finding:
    """Something wrong with a job or a file behind a result; remake: the product to make again, as sidecars call it."""

    verdict: str
    job: str
    why: str
    remake: str | None


@dataclass
class Report:
    """The verdict on one result.

    told: how sidecars call it; record: its sidecar; study: the config files and changes it is compared with; jobs
    (sidecar -> what it says) and files: all behind it that was looked at; remade: made again with the same bytes.
    """

    path: Path
    results: Results
    told: str | None = None
    record: dict | None = None
    study: dict | None = None
    jobs: dict[Path, dict] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    remade: bool = False

    @property
    def verdict(self) -> str:
        """The worst of the findings, CURRENT without any."""
        return max((finding.verdict for finding in self.findings), key=VERDICTS.index, default="CURRENT")


class Auditor:
    """Judges results; a job or a file behind several of them is looked at once.

    study: config files and changes to compare with; None: those that each result's own sidecar names. results: the
    folder that copies outside any results folder came from.
    """

    def __init__(self, study: dict | None, results: Path):
        self._study = study
        self._home = results.absolute()
        self._results = functools.cache(Results)
        self._remade = functools.cache(lambda results, sidecar: remake.compare(provenance.read(sidecar), results))
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
        report = Report(path, self._results(folder_of(path, record) or self._home))
        report.told, report.study = report.results.told(path), self._study
        if not path.is_file():
            return _unknown(report, "no such file")
        if record is None and beside is None:
            beside, record = self._elsewhere(report)
        if record is None:
            return _unknown(report, _unreadable(beside) if beside else _no_sidecar(path))
        report.record, report.told = record, _product(record, path)
        report.study = self._study or record.get("study")
        report.files.add(path)
        waiting = [(beside, record)]
        while waiting:
            beside, record = waiting.pop()
            if beside in report.jobs:
                continue
            report.jobs[beside] = record
            if not report.results.is_sealed(beside, record):
                continue
            for told in record["inputs"]:
                report.files.add(report.results.path(told))
                found = report.results.sidecar(report.results.path(told))
                if found[1] is not None:
                    waiting.append(found)
        return report

    def _elsewhere(self, report: Report) -> tuple[Path | None, dict | None]:
        """The sidecar, in the results folder, of a figure that was copied out of it alone."""
        key = provenance.key_in(report.path.read_bytes())
        sidecars = sorted((self._home / "figures").glob(f"*{provenance.SUFFIX}")) if key else ()
        records = {sidecar: record for sidecar in sidecars if (record := provenance.read(sidecar))}
        found = next((pair for pair in records.items() if pair[1].get("key") == key), None)
        if found:
            return found
        same_name = next((pair for pair in records.items() if provenance.told(pair[1], report.path)), (None, None))
        if same_name[1]:
            why = f"it carries provenance key {key}, that of the results has {same_name[1].get('key')}"
            report.findings.append(Finding("STALE", job_name(same_name[1]), why, None))
        return same_name

    def _judge(self, report: Report) -> None:
        digest = report.results.sha256(report.path)
        if not report.findings and digest != report.record["outputs"].get(report.told):
            report.findings.append(_edited(report.record, report.told))
        report.findings += _misplaced(report)
        for beside, record in report.jobs.items():
            report.findings += self._findings(report, beside, record)
        report.findings = list(dict.fromkeys(report.findings))
        if not report.findings and report.record["stage"] in LAST_STAGES:
            wrong = self._remade(report.results, next(iter(report.jobs)))
            if wrong:
                verdict, why = wrong
                report.findings.append(Finding(verdict, job_name(report.record), why, report.told))
            report.remade = not wrong

    def _findings(self, report: Report, beside: Path, record: dict) -> list[Finding]:
        at = files.canonical_json([report.study, record is report.record]), beside
        if at not in self._judged:
            self._judged[at] = list(_job(report, beside, record))
        return self._judged[at]


def job_name(record: dict) -> str:
    """A job in words, such as `train digits seed 0`."""
    words = [f"seed {value}" if key == "seed" else value for key, value in record["wildcards"].items()]
    return " ".join([record["stage"], *words])


def _job(report: Report, beside: Path, record: dict) -> Iterator[Finding]:
    """What is wrong with one job: its sidecar, settings, code and inputs."""
    name, first = job_name(record), next(iter(record["outputs"]), None)
    if not report.results.is_sealed(beside, record):
        yield Finding("TAMPERED", name, f"{beside.name} was edited after it was written", first)
        return
    try:
        study = source.load(report.study, report.results)
        if study.has_job(record["wildcards"]):
            now = stage_config(study, record["stage"], **record["wildcards"])
            for why in differences.settings(record["cfg"], now):
                yield Finding("STALE", name, why, first)
        elif record is report.record:
            yield Finding("STALE", name, "the study no longer has this job: remove it, or name its study", None)
    except source.Unreadable as error:
        yield Finding("UNKNOWN", name, str(error), None)
    for why in _code(record):
        yield Finding("STALE", name, why, first)
    for told, digest in record["inputs"].items():
        yield from _input(report.results, record, told, digest)


def _misplaced(report: Report) -> list[Finding]:
    """A product that lies, its sidecar beside it, where another job's belongs."""
    here, beside = report.results.told(report.path), next(iter(report.jobs))
    if None in (here, report.told) or beside.parent != report.path.parent:
        return []
    if Path(here).parent == Path(report.told).parent:
        return []
    return [Finding("TAMPERED", job_name(report.record), f"{report.told} and its sidecar lie at {here}", here)]


def _gone(reports: list[Report], folders: list[Path]) -> list[Path]:
    """The products in these folders that a sidecar behind the reports speaks of, but that are no longer there."""
    jobs = {sidecar: (report.results, record) for report in reports for sidecar, record in report.jobs.items()}
    told = [results.path(told) for results, record in jobs.values() for told in record["outputs"]]
    return [path for path in told if any(path.is_relative_to(folder) for folder in folders) and not path.exists()]


def _product(record: dict, path: Path) -> str | None:
    """How a sidecar calls a file: the product of its name, or for a renamed copy of its kind."""
    of_name = [told for told in record["outputs"] if Path(told).name == path.name]
    of_kind = [told for told in record["outputs"] if Path(told).suffix == path.suffix]
    return next(iter([*of_name, *of_kind]), None)


def _code(record: dict) -> list[str]:
    try:
        return differences.code(record["code"], provenance.code(record["stage"]))
    except StudyError as error:
        return [f"its code can't be compared: {error}"]


def _input(results: Results, record: dict, told: str, digest: str) -> Iterator[Finding]:
    """What is wrong with one input of a job."""
    path, name = results.path(told), job_name(record)
    found = results.sha256(path)
    beside, producer = results.sidecar(path)
    if found is None:
        yield Finding("UNKNOWN", name, f"its input {told} is missing", told)
    elif producer is None:
        why = _unreadable(beside) if beside else "no sidecar says what made it"
        yield Finding("UNKNOWN", name, f"its input {told}: {why}", told)
    elif all(results.path(product) != path for product in producer["outputs"]):
        why = f"the sidecar beside {told} is that of {_product(producer, path)}"
        yield Finding("TAMPERED", name, why, told)
    elif provenance.told(producer, path) != found:
        yield _edited(producer, told)
    elif found != digest:
        when = str(producer.get("ended"))[:16].replace("T", " ")
        why = f"{told} was made again, with other bytes than it read, at {when}"
        yield Finding("STALE", name, why, next(iter(record["outputs"]), None))


def _edited(record: dict, told: str | None) -> Finding:
    return Finding("TAMPERED", job_name(record), f"{told}: these are not the bytes that it wrote", told)


def _unknown(report: Report, why: str) -> Report:
    report.study = report.study or _study_around(report)
    report.findings.append(Finding("UNKNOWN", report.told or str(report.path), why, report.told))
    return report


def _study_around(report: Report) -> dict | None:
    """The study of the nearest sidecar in the results folder: that of a product which none speaks of."""
    for folder in report.path.parents:
        if not folder.is_relative_to(report.results.folder):
            break
        for sidecar in folder.rglob(f"*{provenance.SUFFIX}"):
            if record := provenance.read(sidecar):
                return record.get("study")
    return None


def _unreadable(sidecar: Path) -> str:
    return f"{sidecar.name} can't be read: damaged, or written by another version"


def _no_sidecar(path: Path) -> str:
    key = provenance.key_in(path.read_bytes())
    hint = f", but it carries provenance key {key}: name the results it came from with --results" if key else ""
    return f"no sidecar beside it says what made it{hint}"
