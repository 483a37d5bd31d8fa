"""The verdict on a result: what is wrong with it, or with anything behind it."""

import contextlib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from workflow_scripts.audit import remake, source
from workflow_scripts.audit.records import Results, product, products, study_folder
from workflow_scripts.config import jobs, paths
from workflow_scripts.config.errors import Missing, StudyError
from workflow_scripts.config.jobs import STAGES
from workflow_scripts.files import hashing, opening
from workflow_scripts.provenance import differences, sidecars
from workflow_scripts.provenance.sidecars import Sidecar

#: from good to bad: the verdict on a result is the worst of its findings
VERDICTS = ("CURRENT", "UNKNOWN", "STALE", "TAMPERED")
#: bytes of the largest file in which the key of a figure is looked for
LARGEST_FIGURE = 2**28

_NO_JOB = "the study no longer has this job: remove it, or name its study"
_UNREADABLE = "can't be read: damaged, or written by another version"


@dataclass(frozen=True)
class Finding:
    """Something wrong with a job or a file; remake: the product to make again, as sidecars call it."""

    verdict: str
    job: str
    why: str
    remake: str | None


@dataclass(frozen=True)
class Job:
    """A job at its place: its first product, its stage and wildcards, what its sidecar says, and what it reads.

    now: its settings as the study has them, None where it has no such job; inputs: the files that it reads, by name;
    note: what of it could not be compared here.
    """

    first: str
    stage: str
    wildcards: dict[str, str]
    record: Sidecar
    now: dict | None
    inputs: list[str]
    note: str = ""

    @property
    def name(self) -> str:
        """The job in words."""
        return job_name(self.stage, self.wildcards)

    @property
    def read(self) -> list[tuple[str, str, str]]:
        """Option of its command, name and SHA-256 of each file that it read."""
        options = [option for option, of in sorted(jobs.files(self.record.cfg).items()) for _ in of]
        return [
            (option, name, of.sha256)
            for option, name, of in zip(options, self.inputs, self.record.inputs, strict=False)
        ]

    @property
    def wrote(self) -> list[tuple[str, str, str]]:
        """Option of its command, name and SHA-256 of each file that it wrote."""
        folder, wrote = PurePath(self.first).parent, self.record.outputs
        return [(option, str(folder / name), wrote[name]) for option, name in jobs.options(self.stage, wrote).items()]


@dataclass
class Report:
    """The verdict on one result.

    name: how sidecars call it; record: its sidecar; study: the config files and changes it is compared with; jobs (by
    sidecar) and files: all behind it that was looked at; remade: made again with the same bytes; signer:
    who signed a crate.
    """

    path: Path
    results: Results
    name: str | None = None
    record: Sidecar | None = None
    study: dict | None = None
    jobs: dict[Path, Job] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    remade: bool = False
    signer: str | None = None

    @property
    def verdict(self) -> str:
        """The worst of the findings, CURRENT without any."""
        return max((finding.verdict for finding in self.findings), key=VERDICTS.index, default="CURRENT")


class Auditor:
    """Judges results; a job or a file behind several of them is looked at once.

    study: config files or changes to compare with, in place of those that made the results. results: the folder of the
    results that copies outside any came from, of one study or of several.
    """

    def __init__(self, study: dict | None, results: Path):
        self._study = study or {}
        self._home = results.absolute()
        self._results = functools.cache(Results)
        self._jobs: dict[tuple[str, Path], Job] = {}
        self._judged: dict[tuple[str, Path], list[Finding]] = {}

    def audit(self, given: list[Path]) -> list[Report]:
        """A report on each file, and of each folder on its products and on what the study asks for there."""
        folders = [path.absolute() for path in given if path.is_dir()]
        named = [path.absolute() for path in given if not path.is_dir()]
        there = [path for folder in folders for path in products(folder)]
        reports = [self._trace_back(path) for path in dict.fromkeys([*named, *there])]
        reports += self._absent(folders, reports)
        for results in {report.results for report in reports}:
            results.hash_all(path for report in reports if report.results is results for path in report.files)
        for report in reports:
            if report.record is not None:
                self._judge(report)
        return reports

    def _absent(self, folders: list[Path], reports: list[Report]) -> list[Report]:
        """Reports on what the studies of these folders ask for there, but that is not there."""
        absent = []
        for results in dict.fromkeys(self._results(study) for folder in folders for study in _studies(folder)):
            told = self._compared_with(results, None)
            if results.fault:
                absent.append(Report(results.folder / paths.STUDY, results, study=told))
                absent[-1].findings.append(Finding("UNKNOWN", "", results.fault, None))
            try:
                asked = jobs.of_study(source.load(told, results)) if told else {}
            except source.Unreadable as error:
                if all(report.results is not results for report in reports):
                    absent.append(Report(results.folder, results, study=told))
                    absent[-1].findings.append(Finding("UNKNOWN", "", str(error), None))
                continue
            for stage, wildcards in asked.values():
                for name in jobs.products(stage, wildcards):
                    path = results.path(name)
                    if any(path.is_relative_to(folder) for folder in folders) and not path.is_file():
                        absent.append(Report(path, results, name, study=told))
                        absent[-1].findings.append(_absent(results, stage, wildcards, name))
        return absent

    def _trace_back(self, path: Path) -> Report:
        """Find the sidecars of a result and of everything behind it, reading nothing but sidecars."""
        outside = self._results(self._home)
        beside, record = outside.sidecar(path)
        folder = study_folder(path, record)
        results = self._results(folder) if folder else outside
        report = Report(path, results, results.name(path), study=self._compared_with(results, record))
        if not path.is_file() and _asked_for(report):
            report.findings.append(_absent(results, *jobs.maker(report.name), report.name))
        elif not path.is_file():
            self._unknown(report, "no such file")
        elif beside and not record:
            self._unknown(report, f"{beside.name} {_UNREADABLE}")
        elif folder and record:
            self._in_place(report, beside, record)
        elif (not folder and not self._of_elsewhere(report)) or folder:
            self._unknown(report, "no sidecar beside it says what made it")
        return report

    def _in_place(self, report: Report, beside: Path, record: Sidecar) -> None:
        """Look behind a result that lies in its study's folder."""
        report.record = record
        made = jobs.maker(report.name)
        if record.digest_of(report.path) is None or made is None or made[0] != record.stage:
            theirs = product(report.path, record) or record.first
            of = job_name(record.stage, record.wildcards)
            why = f"{report.results.place(report.name)} has the sidecar of {theirs}, which {of} made"
            report.findings.append(Finding("TAMPERED", of, why, report.name if made else None))
        self._look_behind(report, beside)

    def _of_elsewhere(self, report: Report) -> bool:
        """Look behind a copy that lies outside any results: its original, by its bytes or by a figure's key."""
        key, digest = _key_in(report.path), hashing.sha256(report.path)
        places = [self._results(folder) for folder in _studies(self._home)]
        known = [(results, beside, record) for results in places for beside, record in results.records.items()]
        for results, beside, record in known:
            of_bytes = next((name for name, written in record.outputs.items() if written == digest), None)
            name = of_bytes or (product(report.path, record) if key == record.key else None)
            if name:
                self._copied(report, results, beside, record, name)
                return True
        for results, beside, record in known if key else ():
            if record.digest_of(report.path):
                why = f"it carries provenance key {key}, that of the results has {record.key}"
                report.findings.append(Finding("STALE", job_name(record.stage, record.wildcards), why, None))
                self._copied(report, results, beside, record, report.path.name)
                return True
        return False

    def _copied(self, report: Report, results: Results, beside: Path, record: Sidecar, name: str) -> None:
        report.results, report.record = results, record
        report.name = results.name(beside.with_name(name))
        report.study = self._compared_with(results, record)
        self._look_behind(report, beside)

    def _look_behind(self, report: Report, sidecar: Path) -> None:
        """Find the jobs and files behind a result."""
        report.files.add(report.path)
        waiting = [(sidecar, report.record)]
        while waiting:
            beside, record = waiting.pop()
            if beside in report.jobs:
                continue
            report.jobs[beside] = job = self._job(report, beside, record)
            for path in map(report.results.path, () if record.fault else job.inputs):
                report.files.add(path)
                found = report.results.sidecar(path)
                if found[1] is not None:
                    waiting.append(found)

    def _job(self, report: Report, beside: Path, record: Sidecar) -> Job:
        at = hashing.canonical_json(report.study), beside
        if at not in self._jobs:
            self._jobs[at] = _job(report, beside, record)
        return self._jobs[at]

    def _compared_with(self, results: Results, record: Sidecar | None) -> dict | None:
        """The study of these results, with what this audit was told to compare with in its place."""
        origin = results.origin or (record and record.origin) or _origin_around(results)
        return {**(origin or {}), **self._study} or None

    def _judge(self, report: Report) -> None:
        digest, wrote = report.results.sha256(report.path), report.record.digest_of(Path(report.name))
        own = next(iter(report.jobs.values()))
        if digest is None:
            why = f"{report.results.place(report.name)} {not_read(report.path)}"
            report.findings.append(Finding("UNKNOWN", own.name, why, None))
        elif not report.findings and digest != wrote:
            copied = report.results.path(report.name) != report.path
            why = f"this copy of {report.results.place(report.name)} has other bytes than it wrote"
            edited = Finding("TAMPERED", own.name, why, None)
            report.findings.append(edited if copied else _edited(report.results, own.name, report.name))
        for beside, job in report.jobs.items():
            at = hashing.canonical_json(report.study), beside
            if at not in self._judged:
                self._judged[at] = list(_findings(report, beside, job))
            report.findings += self._judged[at]
        found = list(dict.fromkeys(report.findings))
        report.findings = [each for each in found if each.why != _NO_JOB or each.job == own.name] or found
        if not report.findings and own.stage in remake.LISTED:
            wrong = self._remade(report.results, own)
            if wrong:
                verdict, why = wrong
                report.findings.append(Finding(verdict, own.name, why, report.name))
            report.remade = not wrong

    @functools.cached_property
    def _remade(self):
        known = {}

        def remade(results: Results, job: Job) -> tuple[str, str] | None:
            if (results.folder, job.first) not in known:
                known[results.folder, job.first] = remake.compare(job.record, results.folder, job.inputs)
            return known[results.folder, job.first]

        return remade

    def _unknown(self, report: Report, why: str) -> None:
        """Report a file of which nothing is known; only what the study makes can be made again."""
        made = _asked_for(report)
        key = _key_in(report.path) if report.path.is_file() and not made else None
        hint = f"; it carries provenance key {key}: name the results that it came from with --results" if key else ""
        inside = report.name not in (None, "", ".")
        name = report.results.place(report.name) if inside else str(report.path)
        report.findings.append(Finding("UNKNOWN", name, why + hint, report.name if made else None))


def job_name(stage: str, wildcards: dict[str, str]) -> str:
    """A job in words, such as `train digits seed 0`."""
    words = [f"seed {value}" if key == "seed" else value for key, value in wildcards.items()]
    return " ".join([stage, *words])


def stage_rank(stage: str) -> int:
    """The place of a stage in the order of stages; -1: there is no such stage."""
    return STAGES.index(stage) if stage in STAGES else -1


def _job(report: Report, beside: Path, record: Sidecar) -> Job:
    """The job at the place of a sidecar, as the study has it, or where it has none as the sidecar tells."""
    results = report.results
    first = results.name(beside.with_name(record.first)) or record.first
    stage, wildcards = jobs.maker(first) or (record.stage, record.wildcards)
    told = [read.path for read in record.inputs]
    if stage != record.stage:
        return Job(first, record.stage, record.wildcards, record, None, told)
    note = ""
    try:
        study = source.load(report.study, results)
        if not study.has_job(wildcards):
            return Job(first, stage, wildcards, record, None, told)
        files = jobs.inputs(study, stage, **wildcards)
        with contextlib.chdir(results.home):  # which paths in config files are relative to
            now = jobs.settings(study, stage, **wildcards)
    except Missing as error:
        now, files = {**record.cfg, **jobs.unlisted(study, **wildcards)}, {}
        note = f"not compared: {error}"
    except (source.Unreadable, StudyError, TypeError):
        return Job(first, stage, wildcards, record, None, told)
    asked = [name for option in sorted(files) for name in files[option]]
    return Job(first, stage, wildcards, record, now, asked if len(asked) == len(told) else told, note)


def _findings(report: Report, beside: Path, job: Job) -> Iterator[Finding]:
    """What is wrong with one job: its sidecar, settings, code and inputs."""
    record = job.record
    if record.fault:
        yield Finding("TAMPERED", job.name, f"{beside.name} {record.fault}", job.first)
        return
    try:
        source.load(report.study, report.results)
        for why in [_NO_JOB] if job.now is None else _settings(job):
            yield Finding("STALE", job.name, why, None if job.now is None else job.first)
    except source.Unreadable as error:
        yield Finding("UNKNOWN", "", str(error), None)
    yield from _code(job)
    for name, read in zip(job.inputs, record.inputs, strict=True):
        yield from _input(report.results, job, name, read.sha256)


def _settings(job: Job) -> list[str]:
    """In what its settings, or else the number of files that it read, are not those of the study."""
    reads, read = sum(map(len, jobs.files(job.now).values())), len(job.record.inputs)
    other = [f"it reads {reads} files, its sidecar tells of {read}"] if reads != read else []
    return differences.settings(job.stage, job.record.cfg, job.now) or other


def _code(job: Job) -> Iterator[Finding]:
    cfg = job.record.cfg if job.now is None else job.now
    try:
        for why in differences.code(job.record, cfg):
            yield Finding("STALE", job.name, why, job.first)
        for name in differences.absent(job.record, cfg):
            yield Finding("UNKNOWN", job.name, f"{name} is not installed here: its version can't be compared", None)
    except StudyError as error:
        yield Finding("STALE", job.name, f"its code can't be compared: {error}", job.first)


def _input(results: Results, job: Job, name: str, digest: str) -> Iterator[Finding]:
    """What is wrong with one input of a job."""
    path, shown = results.path(name), results.place(name)
    found = results.sha256(path)
    beside, producer = results.sidecar(path)
    made = jobs.maker(name)
    if found is None:
        yield Finding("UNKNOWN", job.name, f"its input {shown} {not_read(path)}", name)
    elif producer is None:
        why = f"{beside.name} {_UNREADABLE}" if beside else "no sidecar says what made it"
        yield Finding("UNKNOWN", job.name, f"its input {shown}: {why}", name)
    elif producer.digest_of(path) is None or (made and made[0] != producer.stage):
        of = job_name(producer.stage, producer.wildcards)
        why = f"the sidecar beside {shown} is that of {product(path, producer) or producer.first}, which {of} made"
        yield Finding("TAMPERED", job.name, why, name)
    elif producer.digest_of(path) != found:
        yield _edited(results, job_name(*made) if made else name, name)
    elif found != digest:
        when = producer.ended[:16].replace("T", " ")
        why = f"{shown} has other bytes than it read: it was made at {when}"
        yield Finding("STALE", job.name, why, job.first)


def _absent(results: Results, stage: str, wildcards: dict[str, str], name: str) -> Finding:
    why = f"{results.place(name)}: the study asks for it, and it is not there"
    return Finding("STALE", job_name(stage, wildcards), why, name)


def _edited(results: Results, job: str, name: str) -> Finding:
    return Finding("TAMPERED", job, f"{results.place(name)}: these are not the bytes that it wrote", name)


def not_read(path: Path) -> str:
    """Why a file has no digest."""
    return "can't be read" if os.path.lexists(path) else "is missing"


def _key_in(path: Path) -> str | None:
    """The key that a figure carries; None: this is none, or too large to be one."""
    try:
        return sidecars.key_in(opening.content(path, LARGEST_FIGURE))
    except ValueError:
        return None


def _asked_for(report: Report) -> bool:
    """Whether the study asks for something of this name where this file lies."""
    made = report.name and jobs.maker(report.name)
    try:
        known = made and source.load(report.study, report.results)
        return bool(known) and known.has_job(made[1]) and jobs.products(*made)[0] in jobs.of_study(known)
    except (source.Unreadable, StudyError):
        return False


def _origin_around(results: Results) -> dict | None:
    """What the first sidecar of these results that names a study says that Snakemake ran with."""
    return next((record.origin for record in results.records.values() if record.study), None)


def _studies(folder: Path) -> list[Path]:
    """The folders of the studies that a folder holds, or the one that it is or lies in."""
    below = sorted(path.parent for path in folder.glob(f"*/{paths.STUDY}"))
    return below or [study_folder(folder / paths.STUDY, None) or folder]
