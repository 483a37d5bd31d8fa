"""Say whether results are what the study asks for, byte by byte, and if not, why, and what repairs them.

The first line is the verdict: CURRENT (exit code 0), STALE (1), TAMPERED (2) or UNKNOWN (3). A wrong call gives 4.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sized
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from workflow_scripts.audit import crate, remake
from workflow_scripts.audit.verdict import VERDICTS, Auditor, Finding, Report, stage_rank
from workflow_scripts.config import calls, endings
from workflow_scripts.config.calls import MISTAKE, Parser
from workflow_scripts.config.errors import Missing, Misused
from workflow_scripts.files import hashing
from workflow_scripts.provenance import differences, equal, fingerprints, upgrades
from workflow_scripts.provenance.sidecars import Sidecar

EXIT = {"CURRENT": 0, "STALE": 1, "TAMPERED": 2, "UNKNOWN": 3}


def main() -> None:
    """Print the verdict, the reasons and the repair, and exit with the verdict's code."""
    with endings.clear("audit", MISTAKE):
        arguments = _arguments()
        if arguments.crate and not arguments.paths:
            reports = crate.check(arguments.crate, arguments.signers)
        else:
            reports = Auditor(_study(arguments), arguments.results).audit(arguments.paths)
        if not reports:
            raise Missing(arguments.paths[0], "no results lie there: name a figure, a table, or their folder")
        lines = told(reports) if arguments.json else answer(reports)
        if arguments.trace is not None:
            from workflow_scripts.audit import trace  # here: a verdict alone comes faster without pandas

            lines += ["", *trace.lines(reports[0], arguments.trace)]
        if arguments.crate and arguments.paths:
            lines += ["", *crate.write(reports, arguments.crate, arguments.sign, arguments.anonymous)]
        sys.stdout.reconfigure(errors="backslashreplace")
        print(endings.lines(lines))
    sys.exit(EXIT[overall(reports)])


def overall(reports: list[Report]) -> str:
    """The worst verdict."""
    return max((report.verdict for report in reports), key=VERDICTS.index)


def answer(reports: list[Report]) -> list[str]:
    """The lines of the answer: the verdict, each result (many: those that are not CURRENT), the repair."""
    lines = [overall(reports)]
    if len(reports) > 10:
        counts = Counter(report.verdict for report in reports)
        lines.append(", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]))
    groups: dict[tuple, list[Report]] = defaultdict(list)
    for report in reports:
        if len(reports) <= 10 or report.verdict != "CURRENT":
            job = report.record and report.record.key
            groups[report.verdict, tuple(report.findings) or job].append(report)
    for (verdict, _), of in groups.items():
        names = [_shown(report.path) for report in of]
        lines.append(f"{', '.join(names[:4])}{f' and {len(names) - 4} more' * (len(names) > 4)}: {verdict}")
        lines += [f"  {line}" for line in (_reasons(of[0]) if verdict != "CURRENT" else _facts(of[0]))]
    return lines + [f"repair: {command}" for command in _repair(reports)] + _unmoved(reports)


def told(reports: list[Report]) -> list[str]:
    """The same as JSON: the verdict, each result with its findings and what made it, the repair."""
    answered = {"verdict": overall(reports), "results": [*map(_told, reports)], "repair": _repair(reports)}
    return json.dumps(answered, indent=1).splitlines()


def _told(report: Report) -> dict:
    record = report.record
    made = record and {name: getattr(record, name) for name in ("key", "user", "host", "ended", "commit", "dirty")}
    return {
        "path": _shown(report.path),
        "signer": report.signer,
        "verdict": report.verdict,
        "findings": [asdict(finding) for finding in sorted(report.findings, key=_rank)],
        "made": made,
        "jobs": [job.name for job in report.jobs.values()],
        "files": len(report.files),
        "made_again_with_the_same_bytes": report.remade,
    }


def _reasons(report: Report) -> list[str]:
    """The findings, worst first, those of many jobs that differ in nothing but the seed in one line."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for finding in sorted(report.findings, key=_rank):
        name, _, seed = finding.job.partition(" seed ")
        seedless = finding.why.replace(f"/seed{seed}/", "/seed*/") if seed else finding.why
        groups[finding.verdict, name, seedless].append(seed)
    lines = []
    for (verdict, name, why), seeds in groups.items():
        word = " seed " if len(seeds) == 1 else " seeds "
        seeds = sorted(seeds, key=lambda seed: (len(seed), seed))
        few = ", ".join(seeds[:5]) + f" and {len(seeds) - 5} more" * (len(seeds) > 5)
        shown = why.replace("/seed*/", f"/seed{seeds[0]}/") if len(seeds) == 1 else why
        job = f"{name}{word + few if seeds[0] else ''}: " if name else ""
        lines.append(f"{verdict}  {job}{shown}")
    return lines[:20] + [f"and {len(lines) - 20} more reasons"] * (len(lines) > 20)


def _rank(finding: Finding) -> tuple[int, int, str]:
    """Worst first, then in the order of the stages."""
    stage = finding.job.partition(" ")[0]
    return -VERDICTS.index(finding.verdict), stage_rank(stage), finding.job


def _facts(report: Report) -> list[str]:
    """Who made a sound result, from what, and what differs here without having a part in it."""
    record = report.record
    if record is None:
        lines = [f"{_count(report.files, 'file')} as listed and as their sidecars tell"]
        return lines + [f"signed by {report.signer}"] * bool(report.signer)
    when = record.ended[:16].replace("T", " ")
    dirty = " with uncommitted changes" if record.dirty else ""
    commit = f"commit {record.commit[:8]}{dirty}" if record.commit else "no commit known"
    by = f"made by {record.who} at {when}, {commit}, key {record.key}"
    behind = f"{_count(report.jobs, 'job')} and {_count(report.files, 'file')}"
    lines = [by, f"{behind} as recorded, settings and code as now"]
    lines += _equal_codes(job.record for job in report.jobs.values())
    lines += [f"{job.name}: {job.note}" for job in report.jobs.values() if job.note]
    if report.remade:
        lines.append("made again just now: the same bytes")
    used = {name for job in report.jobs.values() for name in job.record.code.libraries}
    there = {name: version for name, version in record.distributions.items() if name not in used}
    here = {name: version for name in there if (version := _installed(name))}
    drift = differences.versions(there, here)
    return lines + [f"of no effect on it: {', '.join(drift)}"] * bool(drift)


def _equal_codes(jobs: Iterable[Sidecar]) -> list[str]:
    """For each stage whose code is no longer the one that made the results: what shows that today's is equal."""
    records = sorted(jobs, key=lambda record: stage_rank(record.stage))
    ways = {record.stage: {} for record in records}
    for record in records:
        ways[record.stage] |= {
            (step.old, step.new): step
            for step in equal.way(record.stage, upgrades.own_digest(record), upgrades.device(record))
        }
    lines = []
    for stage, steps in ways.items():
        if steps:
            again = [job for step in steps.values() for job in step.jobs]
            when = dict.fromkeys(_when(step) for step in steps.values())
            lines.append(
                f"code of {stage}: counts as today's, by {_count(again, 'job')} that gave the same bytes on "
                f"{', '.join(when)}"
            )
    return lines


def _when(step: equal.Equal) -> str:
    return f"{step.date} (commit {step.commit[:8]})" if step.commit else step.date


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _unmoved(reports: list[Report]) -> list[str]:
    """What to do about results that can be repaired, but not where they lie."""
    folders = {
        report.results.folder
        for report in reports
        if any(finding.remake for finding in report.findings) and report.results.folder.parent.name != "results"
    }
    return [
        f"to repair {_shown(folder)}: move it to a folder called results, and audit it there"
        for folder in sorted(folders)
    ]


def _repair(reports: list[Report]) -> list[str]:
    """A command per study and results folder."""
    groups = defaultdict(list)
    for report in reports:
        if report.verdict != "CURRENT" and remake.in_place(report.results):
            groups[hashing.canonical_json(report.study), report.results].append(report)
    commands = []
    for (_, results), of in groups.items():
        findings = sorted(dict.fromkeys(finding for report in of for finding in report.findings), key=_rank)
        forced = dict.fromkeys(finding.remake for finding in findings if finding.remake)
        repaired = [report for report in of if all(finding.remake for finding in report.findings)]
        targets = dict.fromkeys(map(_target, repaired)) or forced
        if forced:
            commands.append(remake.command(results, of[0].study, targets if len(targets) <= 10 else [], forced))
    return commands


def _target(report: Report) -> str:
    """What is asked of Snakemake for a result: the first product of its job, which stands for all, or its place."""
    if report.name in {finding.remake for finding in report.findings}:
        return report.name
    return next(iter(report.jobs.values())).first


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _study(arguments: argparse.Namespace) -> dict:
    """What is compared with in place of what made the results."""
    study = {}
    if arguments.configfile:
        study = {"configfiles": [str(path.absolute()) for path in arguments.configfile], "config": {}}
    missing = [path for path in arguments.configfile if not path.is_file()]
    if missing:
        raise Missing(f"--configfile {missing[0]}", "no such file: give the path of a config file")
    if arguments.config:
        from snakemake.cli import parse_config  # here: it takes a second

        try:
            study["config"] = parse_config(arguments.config)
        except ValueError as error:
            raise Misused(f"--config: {error}") from None
    return study


def _arguments() -> argparse.Namespace:
    parser = Parser(
        prog=f"python -m {fingerprints.PACKAGE}.audit",
        description=__doc__,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="results, or folders of them")
    parser.add_argument("--trace", type=int, metavar="ROW", help="follow row ROW (0: the first) of a CSV to the data")
    parser.add_argument(
        "--crate",
        type=Path,
        metavar="DIR",
        help="write the PATHs and all behind them there as a Workflow Run RO-Crate; without PATHs: check that crate",
    )
    parser.add_argument(
        "--anonymous", action="store_true", help="with --crate: leave out who ran the jobs, and on which machines"
    )
    parser.add_argument("--sign", type=Path, metavar="KEY", help="with --crate: sign the crate with this key of ssh")
    parser.add_argument(
        "--signers",
        type=Path,
        metavar="FILE",
        help="with --crate, checked: it has to be signed by one of these (a file such as ~/.ssh/allowed_signers)",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="where copies outside any results came from: of one study, or of all (default: results)",
    )
    parser.add_argument(
        "--configfile",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="compare with these, as for snakemake (default: what the result was made with)",
    )
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="changes of single keys, as for snakemake"
    )
    parser.add_argument("--json", action="store_true", help="answer as JSON, for programs")
    calls.add_directory(parser)
    arguments = parser.parse_args()
    if arguments.directory:
        arguments.configfile = [path.absolute() for path in arguments.configfile]  # as snakemake does
        calls.enter(arguments.directory)
    if not arguments.paths and not arguments.crate:
        parser.error("PATH is missing: name a figure, a table, or a folder such as results")
    if arguments.results and not arguments.results.is_dir():
        parser.error(f"--results {arguments.results}: no such folder: name the folder of the results")
    arguments.results = arguments.results or Path("results")
    if arguments.trace is not None and len(arguments.paths) != 1:
        parser.error("--trace follows a row of one CSV: name one PATH")
    writes = arguments.crate and arguments.paths
    for option in ("sign", "anonymous"):
        if getattr(arguments, option) and not writes:
            parser.error(f"--{option} goes with --crate DIR and the PATHs to write there")
    if arguments.signers and (not arguments.crate or arguments.paths):
        parser.error("--signers goes with --crate DIR alone, to check it")
    if arguments.json and (arguments.trace is not None or writes):
        parser.error("--json answers with a verdict alone: leave out --trace, and a crate to be written")
    return arguments


if __name__ == "__main__":
    main()
