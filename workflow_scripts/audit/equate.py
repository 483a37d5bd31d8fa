"""Show that edited code makes the same bytes: run a few jobs of a stage again, and write down where they agree.

Take it after a refactoring, before anything has run again. Jobs that the old code made then count as made by the new
code; what was shown is kept in workflow_scripts/provenance/equal.json (commit it), and the audit tells it.
"""

import argparse
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from workflow_scripts.audit import remake
from workflow_scripts.audit.records import Results
from workflow_scripts.audit.verdict import job_name
from workflow_scripts.config import calls, endings
from workflow_scripts.config.calls import MISTAKE, Parser
from workflow_scripts.config.jobs import STAGES
from workflow_scripts.provenance import differences, equal, fingerprints, machine, upgrades
from workflow_scripts.provenance.sidecars import Sidecar


def main() -> None:
    """Print what was shown for each set of kinds; exit with 0 where all agree, 1 where one does not, 4 on a mistake."""
    with endings.clear("equate", MISTAKE):
        arguments = _arguments()
        shown = []
        groups = _groups(arguments.stage, Results(arguments.results.absolute()))
        if not groups:
            print(f"{arguments.stage}: no job below {arguments.results} was made by other code than today's")
        for (kinds, old, _), records in groups.items():
            shown.append(_equate(arguments.stage, kinds, old, records[: arguments.jobs], arguments.results.absolute()))
    sys.exit(0 if all(shown) else 1)


def _groups(stage: str, results: Results) -> dict[tuple[tuple[str, ...], str, str], list[Sidecar]]:
    """(kinds, old digest, device) -> the jobs made so, quickest first, those of one experiment apart."""
    groups = defaultdict(list)
    for record in results.records.values():
        if record.stage != stage or record.fault:
            continue
        now = fingerprints.of_job(stage, record.cfg)
        if upgrades.digest(record) != equal.standing(stage, now["digest"]):
            kinds = tuple(sorted(fingerprints.kinds(record.cfg)))
            groups[kinds, upgrades.own_digest(record), upgrades.device(record)].append(record)
    return {group: list(_varied(sorted(records, key=_seconds))) for group, records in sorted(groups.items())}


def _varied(records: list[Sidecar]) -> Iterator[Sidecar]:
    """The first of each experiment, task or data set, then the others."""
    seen, later = set(), []
    for record in records:
        name = next(iter(record.wildcards.values()), "")
        if name in seen:
            later.append(record)
        else:
            seen.add(name)
            yield record
    yield from later


def _equate(stage: str, kinds: tuple[str, ...], old: str, records: list[Sidecar], folder: Path) -> bool:
    """Run these jobs again; where all give the bytes that they gave, write it down. Tells what was found."""
    of = f"{stage} ({', '.join(kinds)})" if kinds else stage
    results = Results(folder)
    for record in records:
        why = _differs(record, results)
        if why:
            print(f"{of}: not shown to be equal: {job_name(stage, record.wildcards)}: {why}")
            return False
        print(f"{of}: {job_name(stage, record.wildcards)}: the same bytes", flush=True)
    now = fingerprints.of_job(stage, records[0].cfg)
    equal.add(
        [
            equal.Equal(
                stage=stage,
                kinds=list(kinds),
                old=old,
                new=now["digest"],
                jobs=[equal.Again(wildcards=r.wildcards, key=r.key, outputs=r.outputs) for r in records],
                date=datetime.now(UTC).date().isoformat(),
                commit=machine.git("rev-parse", "HEAD"),
                python=platform.python_version(),
                os=platform.platform(),
                cpu=machine.cpu(),
                libraries=now["libraries"],
                device=upgrades.device(records[0]),
            )
        ]
    )
    print(f"{of}: {old} counts as {now['digest']}: {os.path.relpath(equal.PATH)}")
    return True


def _differs(record: Sidecar, results: Results) -> str | None:
    """Why a job can't show that its old code and today's are equal; None where it does."""
    now = fingerprints.of_job(record.stage, record.cfg)
    if others := differences.versions(upgrades.libraries(record), now["libraries"]):
        return f"made with other libraries: {', '.join(others)}"
    for name, digest in record.inputs:
        if results.sha256(results.path(name)) != digest:
            return f"its input {name} is missing, or has other bytes now"
    wrong = remake.compare(record, results.folder, [read.path for read in record.inputs])
    return wrong and wrong[1]


def _seconds(record: Sidecar) -> float:
    return (datetime.fromisoformat(record.ended) - datetime.fromisoformat(record.started)).total_seconds()


def _arguments() -> argparse.Namespace:
    parser = Parser(
        prog=f"python -m {fingerprints.PACKAGE}.audit.equate",
        description=__doc__,
    )
    parser.add_argument("stage", choices=STAGES, metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results/default"),
        metavar="DIR",
        help="of one study (default: results/default)",
    )
    parser.add_argument(
        "--jobs", type=int, default=3, metavar="N", help="jobs to run again for each set of kinds (default: 3)"
    )
    calls.add_directory(parser)
    arguments = parser.parse_args()
    calls.enter(arguments.directory)
    if not arguments.results.is_dir():
        parser.error(f"--results {arguments.results}: no such folder: name the folder of the results")
    if arguments.jobs < 1:
        parser.error(f"--jobs {arguments.jobs}: expected 1 or more")
    return arguments


if __name__ == "__main__":
    main()
