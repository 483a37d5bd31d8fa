"""The study behind results as a Workflow Run RO-Crate, and the check of such a crate."""

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import unquote

from workflow_scripts.audit import signatures, source
from workflow_scripts.audit.records import Copy, Results, files
from workflow_scripts.audit.verdict import VERDICTS, Auditor, Finding, Job, Report, not_read
from workflow_scripts.config import paths
from workflow_scripts.config.errors import Blocked, Changed, Damaged, Foreign, Missing, Misused, StudyError
from workflow_scripts.files import hashing, opening
from workflow_scripts.provenance import sidecars, upgrades
from workflow_scripts.provenance.fingerprints import ROOT
from workflow_scripts.provenance.sidecars import Sidecar

#: the workflow itself, as far as it takes part in a run: files and folders of this repository
OWN = ("Snakefile", "rules", "profiles", "envs", "workflow_scripts", "README.md", "LICENSE", "CITATION.cff")


def write(reports: list[Report], folder: Path, key: Path | None = None, anonymous: bool = False) -> list[str]:
    """Write results and everything behind them, with the workflow, as a crate; the lines to print.

    key: of ssh, signs it; anonymous: without who ran the jobs, and where (sidecars.anonymous).

    Raises StudyError, and leaves nothing, where a result is TAMPERED, a file is missing or the folder isn't new.
    """
    from workflow_scripts.audit.crate_metadata import Description  # here: a verdict alone comes faster without rocrate

    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise Misused(folder, "it is there already: name a new folder for the crate, or remove this one")
    if folder.absolute().is_relative_to(reports[0].results.folder):
        raise Misused(folder, f"it lies among the results: name a folder outside {reports[0].results.folder}")
    results = reports[0].results
    for report in reports:
        _check_report(report, results)
    jobs = {results.name(beside): job for report in reports for beside, job in report.jobs.items()}
    _check_places(jobs, results)
    studies = {hashing.canonical_json(report.study): report.study for report in reports}.values()
    configs = _configs(studies, results)
    sources = _sources(reports, jobs) | configs
    for path in sources.values():
        if not path.is_file():
            raise Missing(path, "missing: a crate is whole, put it back or make it again")
    verdict = max((report.verdict for report in reports), key=VERDICTS.index)
    named = [results.place(report.name) for report in reports]
    told = {results.place(beside): _without_who(job) if anonymous else job for beside, job in jobs.items()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".crate-") as scratch:
            made = Path(scratch, "crate")
            copies = _copied(sources, jobs, results, made, anonymous)
            summary = _summary(named, jobs, verdict)
            Description(made, copies, told, results.place).write(
                named, [study for study in studies if study], list(configs), summary
            )
            digest = hashing.sha256(made / source.CRATE)
            if key:
                signatures.sign(made / source.CRATE, key)
            made.replace(folder)
    except OSError as error:
        raise Blocked(error.filename or folder, f"{error.strerror or error}: the crate was not written") from None
    said = f"; its description says {verdict}" if verdict != "CURRENT" else ""
    return [
        f"crate: {folder}: {len(copies)} files, {len(jobs)} jobs{said}",
        *_whom(told.values()),
        f"SHA-256 of its {source.CRATE}, which has those of all its files:",
        digest,
        *[f"signed: {signatures.path_of(Path(source.CRATE))}"] * bool(key),
    ]


def check(folder: Path, signers: Path | None = None) -> list[Report]:
    """Audit a crate: a report on its files as it lists them, then one on each result that it was written for.

    signers: a list of whose signatures count; None: it need not be signed. Every file is hashed once.
    Raises StudyError where the list itself is missing or damaged.
    """
    folder = folder.absolute()
    listed, named = _listed(folder)
    reports = Auditor(None, folder / "results").audit([folder / place for place in named])
    for report in reports:  # what is wrong in a crate is not repaired there
        report.findings = [replace(finding, remake=None) for finding in report.findings]
    results = reports[0].results
    results.hash_all(folder / place for place in listed)
    findings = [*_files(folder, listed, results), *_by_sidecars(folder, listed, results)]
    signer = signers and signatures.signer(folder / source.CRATE, signers)
    if signers and not signer:
        why = f"{source.CRATE} is not what any of {signers} signed"
        findings.insert(0, Finding("TAMPERED", "crate", why, None))
    files = {*map(folder.joinpath, listed)}
    return [Report(folder / source.CRATE, results, files=files, findings=findings, signer=signer), *reports]


def _without_who(job: Job) -> Job:
    return replace(job, record=job.record.model_copy(update=sidecars.NOBODY))


def _whom(jobs: Iterable[Job]) -> list[str]:
    """A line on who is named in a crate, so that its author can leave that out."""
    named = sorted({job.record.who for job in jobs if job.record.host})
    few = ", ".join(named[:3]) + f" and {len(named) - 3} more" * (len(named) > 3)
    return [f"it names who ran its jobs, {few}: --anonymous leaves that out"] * bool(named)


def _check_report(report: Report, results: Results) -> None:
    """Raise StudyError if a result can't go into a crate."""
    if report.verdict == "TAMPERED":
        raise Changed(report.path, "it is TAMPERED: repair it before it goes into a crate")
    if report.record is None:
        raise Foreign(report.path, f"{report.findings[0].why}: a crate holds results of known origin, make it again")
    if report.results is not results or results.name(report.path) is None:
        raise Foreign(report.path, f"not in {results.folder}: a crate holds results of one folder, name those in it")
    if report.study != (results.origin or report.record.origin):
        raise Misused("--configfile, --config: a crate holds what its results were made with: leave these out")


def _check_places(jobs: dict[str, Job], results: Results) -> None:
    """Raise StudyError if a job read outside the results folder."""
    for name in {name for job in jobs.values() for name in job.inputs}:
        if ".." in Path(name).parts or results.name(results.path(name)) != name:
            raise Foreign(name, "not in the results folder: make what needs it with snakemake, not by hand")


def _configs(studies: Iterable[dict | None], results: Results) -> dict[str, Path]:
    """Place in the crate -> config file."""
    found = {pair for study in studies for pair in source.configfiles(study, results).items()}
    if len(found) > len(dict(found)):
        raise Misused("--crate: two config files of the same name made these results: write a crate for each of them")
    return dict(sorted(found))


def _sources(reports: list[Report], jobs: dict[str, Job]) -> dict[str, Path]:
    """Place in the crate -> file here: the workflow, results, and the jobs behind them with all that these wrote."""
    results = reports[0].results
    own = [path for name in OWN for path in [ROOT / name, *(ROOT / name).rglob("*")]]
    found = {path.relative_to(ROOT).as_posix(): path for path in own if path.is_file() and path.suffix != ".pyc"}
    written = [paths.STUDY, *jobs, *(name for job in jobs.values() for _, name, _ in job.wrote)]
    written += (results.name(path) for report in reports for path in report.files)
    found |= {results.place(name): path for name in written if (path := results.path(name)).is_file()}
    found |= {results.place(results.name(path)): path for report in reports for path in report.files}
    return dict(sorted(found.items()))


def _copied(
    sources: dict[str, Path], jobs: dict[str, Job], results: Results, folder: Path, anonymous: bool
) -> dict[str, Copy]:
    """Copy files into a folder, by their places there. Raises StudyError for one that isn't what its job wrote."""
    with ThreadPoolExecutor() as pool:
        copies = pool.map(lambda place: _copy(sources[place], folder / place, anonymous), sources)
        found = dict(zip(sources, copies, strict=True))
    for name, digest in ((name, digest) for job in jobs.values() for _, name, digest in job.wrote):
        place = results.place(name)
        if place in found and found[place].sha256 != digest:
            raise Changed(sources[place], "these are not the bytes that its job wrote: repair it, or remove it")
    return found


def _copy(path: Path, to: Path, anonymous: bool) -> Copy:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, to)  # with its times: Snakemake goes by them where it has no records
    if anonymous and path.name.endswith(sidecars.SUFFIX):
        sidecars.write(to, sidecars.anonymous(opening.data(path)))
        shutil.copystat(path, to)
    return Copy(hashing.sha256(to), to.stat().st_size)


def _summary(named: list[str], jobs: dict[str, Job], verdict: str) -> str:
    few = ", ".join(named[:5]) + f" and {len(named) - 5} more" * (len(named) > 5)
    return (
        f"{few}; everything behind: {len(jobs)} jobs, their files, and sidecars (.prov.json) that say how these were "
        f"made; the workflow. What the audit said when this crate was written: {verdict}."
    )


def _listed(folder: Path) -> tuple[dict[str, Copy], list[str]]:
    """The files that a crate lists, by place, and the places of the results that it was written for."""
    path = folder / source.CRATE
    try:
        graph = {entity["@id"]: entity for entity in opening.data(path)["@graph"]}
        entities = [entity for entity in graph.values() if "File" in entity["@type"]]
        listed = {unquote(file["@id"]): Copy(file["sha256"], int(file["contentSize"])) for file in entities}
        made = graph["#run"]["result"]
        named = [unquote(result["@id"]) for result in (made if isinstance(made, list) else [made])]
    except OSError as error:
        raise Missing(path, f"{error.strerror}: give the folder of a crate, as --crate wrote it") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(path, f"damaged ({type(error).__name__}: {error}): get the crate again") from None
    astray = [place for place in [*listed, *named] if ".." in Path(place).parts or Path(place).is_absolute()]
    if astray or not named:
        raise Damaged(path, f"damaged ({astray[0] if astray else 'no results'}): get the crate again")
    return listed, named


def _files(folder: Path, listed: dict[str, Copy], results: Results) -> Iterator[Finding]:
    """What is wrong with the files of a crate by its own list."""
    for place, copy in listed.items():
        found = results.sha256(folder / place)
        if found is None:
            yield Finding("UNKNOWN", "crate", f"{place} {not_read(folder / place)}", None)
        elif found != copy.sha256 or (folder / place).stat().st_size != copy.size:
            yield Finding("TAMPERED", "crate", f"{place}: not the bytes that {source.CRATE} lists", None)
    listing = {source.CRATE, signatures.path_of(Path(source.CRATE)).name}
    runs_here = folder.samefile(ROOT)  # so Python has written bytecode of the modules that check this crate
    for path in files(folder):
        place = path.relative_to(folder).as_posix()
        if place not in listed and place not in listing and not (runs_here and path.parent.name == "__pycache__"):
            yield Finding("UNKNOWN", "crate", f"{place} is not in {source.CRATE}: remove it", None)


def _by_sidecars(folder: Path, listed: dict[str, Copy], results: Results) -> Iterator[Finding]:
    """What is wrong with a crate by its sidecars, which know the hashes of files and code too."""
    codes = {}
    for place in (place for place in listed if place.endswith(sidecars.SUFFIX) and (folder / place).is_file()):
        record = sidecars.read(folder / place)
        if record is None:
            yield Finding("UNKNOWN", "crate", f"{place} can't be read", None)
        elif record.fault:
            yield Finding("TAMPERED", "crate", f"{place} {record.fault}", None)
        else:
            codes[record.stage, upgrades.own_digest(record)] = record
            for name, digest in record.outputs.items():
                product = str(PurePosixPath(place).with_name(name))
                if product in listed and listed[product].sha256 != digest:
                    yield Finding("TAMPERED", "crate", f"{product}: {source.CRATE} and {place} differ", None)
    for why in sorted({why for record in codes.values() for why in _other_code(folder, record)}):
        yield Finding("STALE", "crate", why, None)


def _other_code(folder: Path, record: Sidecar) -> list[str]:
    """In what the crate's own copy of the workflow is not the code of a job."""
    try:
        others = upgrades.other_code(record, folder)
    except StudyError as error:
        return [f"its code can't be compared: {error}"]
    return [f"{what} here is not the code that made all of the results" for what in others]
