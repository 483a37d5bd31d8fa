"""The plan of a run: frozen for jobs on other nodes, and told in words after a dry run."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from workflow_scripts.config.errors import Damaged, Misused
from workflow_scripts.files import hashing, opening
from workflow_scripts.provenance import differences, fingerprints, sidecars

FOLDER = Path(".snakemake/plans")
#: environment variable with the path of the frozen plan
PLAN = "SGD_COMPLEXITY_PLAN"


def check_place(checkout: str) -> None:
    """Raise Misused where the path of this repository has a sign that is none to Snakemake or to PYTHONPATH."""
    if found := next((sign for sign in ("{", "}", os.pathsep) if sign in checkout), None):
        raise Misused(checkout, f"Snakemake or Python can't read a path with {found}: move the workflow elsewhere")


def freeze(config: dict, code: dict[str, str]) -> None:
    """Keep what this run was planned with, config and job's code -> fingerprint, for its jobs on other nodes.

    Such a job reads the Snakefile anew, minutes or days later. Without the frozen plan an edit in between would give it
    other settings or code than those that Snakemake recorded for it.
    """
    plan = hashing.canonical_json({"config": config, "code": code})
    path = FOLDER / f"{hashing.of(plan)[:16]}.json"
    keep(path, plan)
    os.environ[PLAN] = str(path)


def keep(path: Path, text: str) -> None:
    """Write a file, and its folder if there is none; it is there as a whole or as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(text)
    os.replace(beside, path)


def frozen() -> tuple[dict, dict[str, str]]:
    """Config and code of the plan that this job on another node belongs to. Raises StudyError."""
    path = os.environ.get(PLAN, "")
    try:
        plan = opening.data(Path(path))
        return plan["config"], plan["code"]
    except (OSError, ValueError, LookupError, TypeError):
        raise Damaged(
            f"{PLAN}={path}: the plan of this run can't be read: a cluster must hand the environment to its jobs "
            "(sbatch --export=ALL) and show them the same working directory; then run snakemake again"
        ) from None


def origin(configfiles: list[Path], config: dict) -> str:
    """For sidecars: the config files (none: the default study) and the values of --config.

    A file is told relative to the working directory or to this repository where it lies in one of them, so that it is
    found again when they have moved.
    """
    roots = (Path.cwd(), fingerprints.ROOT)

    def name(path: Path) -> str:
        root = next((root for root in roots if path.is_relative_to(root)), None)
        return str(path.relative_to(root) if root else path)

    return hashing.canonical_json({"configfiles": [name(path.resolve()) for path in configfiles], "config": config})


def explain(workflow, folder: Path) -> None:
    """After a dry run: print which stages would run and why. workflow: Snakemake's, planned; folder: where it works."""
    dag = workflow.dag
    if not workflow.dryrun or dag is None:
        return
    jobs = [job for job in dag.jobs if dag.needrun(job) and job.output]
    if not jobs:
        return
    print("\nWhat would run, and why:", file=sys.stderr)
    for rule in workflow.rules:  # in the order of the stages
        of = sorted((job for job in jobs if job.rule is rule), key=lambda job: job.output[0])
        for line in _lines(rule.name, of, dag, folder):
            print(f"  {line}", file=sys.stderr)


def _lines(rule: str, jobs: list, dag, folder: Path, most: int = 5) -> list[str]:
    """The jobs of one rule in words, together where the reason is the same; then those that only follow others."""
    groups: dict[str, list] = {}
    for job in jobs:
        groups.setdefault("; ".join(_why(job, dag, folder)), []).append(job)
    following = groups.pop("", [])
    lines = [f"{_count(rule, of)}: {why}" for why, of in groups.items()]
    if len(lines) > most:
        left = sum(len(of) for of in list(groups.values())[most:])
        lines = [*lines[:most], f"{rule} (another {left}): for reasons such as these"]
    if following:
        upstream = {other.rule.name for job in following for other in dag.dependencies[job] if dag.needrun(other)}
        names = [other.name for other in dag.workflow.rules if other.name in upstream]
        lines.append(f"{_count(rule, following)}: follows {', '.join(names)}")
    return lines


def _count(rule: str, jobs: list) -> str:
    names = list(dict.fromkeys(job.wildcards[0] for job in jobs))
    of = ", ".join(names) if len(names) <= 3 else f"{len(names)} of them"
    return f"{rule} {of} ({len(jobs)} job{'s' * (len(jobs) > 1)})"


def _why(job, dag, folder: Path) -> list[str]:
    """The reasons of one job in words; none if it only follows jobs before it."""
    reason = dag.reason(job)
    if reason.forced:
        return ["forced"]
    beside = folder / job.output.provenance
    record = sidecars.read(beside)
    words = []
    if record:
        cfg = json.loads(job.params.cfg)
        words += differences.settings(record.stage, record.cfg, cfg)
        words += differences.code(record, cfg)
    if reason.missing_output:
        words.append(f"{_first(reason.missing_output)} missing" if record else "not made yet")
    if reason.incomplete_output:
        words.append("interrupted when it last ran")
    if reason.code_changed:
        words.append(f"the shell command in {os.path.relpath(job.rule.snakefile, fingerprints.ROOT)} changed")
    if not words and reason.params_changed:
        words.append(_other_than_told(beside, record))
    if not words and (edited := reason.updated_input - reason.updated_input_run):
        words.append(f"{_first(edited)} changed")
    if not words and not reason.updated_input_run:
        words = list(reason.get_names())
    return words


def _other_than_told(beside: Path, record: sidecars.Sidecar | None) -> str:
    """Why a result is none of its job, whose settings and code are those that its sidecar tells of."""
    if record is None:
        return f"{beside.name} can't be read" if beside.is_file() else f"{beside.name} missing"
    return f"{beside.name} {record.fault}" if record.fault else "made from other files than it reads"


def _first(paths: Iterable[str]) -> str:
    first, *others = sorted(paths)
    return f"{first} and {len(others)} more" if others else first
