"""What tests of reruns share: ways to change a project, and what Snakemake and the audit then say of its results."""

import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import yaml

from tests import forks
from tests.workflow import counted, snakemake

CONFIG = "tests/tiny.yaml"

Change = Callable[[Path], object]

DISTIL = {
    "distill_true_labels": 4,
    "distill_true_labels_by_sgd": 1,
    "distill_final_labels": 2,
    "distill_t0_labels": 2,
}
TRAIN = {"train": 6, "extract_final": 6}
ANALYSIS = {"measure": 6, "null_models": 4, "summarize": 4, "plot": 2, "tabulate": 3}  # of the figures fig1 and fig4
SINUSOID = {"distill_t0_labels": 2, "measure": 2, "null_models": 1, "summarize": 1, "plot": 1, "tabulate": 3}
DIGITS = {"measure": 2, "null_models": 1, "summarize": 1, "plot": 1, "tabulate": 3}

#: The audit, told as JSON, without what jobs made that the study no longer has: Snakemake knows nothing of them.
_AUDIT = """
import json, os
from workflow_scripts.audit import __main__ as command
from workflow_scripts.audit import remake, verdict
from workflow_scripts.config import jobs

if "REMAKE" not in os.environ:
    remake.LISTED = ()
arguments = command._arguments()
reports = verdict.Auditor(command._study(arguments), arguments.results).audit(arguments.paths)
verdicts = {}
for report in reports:
    if not any("no longer has this job" in finding.why for finding in report.findings):
        sidecar = next((os.path.relpath(path) for path in report.jobs), None)
        if sidecar is None:  # not made yet
            first = jobs.products(*jobs.maker(report.name))[0]
            sidecar = os.path.relpath(report.results.path(first)) + ".prov.json"
        verdicts.setdefault(report.verdict, []).append(sidecar)
print(json.dumps({"verdicts": verdicts, "lines": [line.strip() for line in command.answer(reports)]}))
"""


class Plan(NamedTuple):
    """What Snakemake would do: stage -> number of jobs, the sidecars of these jobs, and the lines that tell why."""

    jobs: dict[str, int]
    sidecars: set[str]
    why: list[str]


class Audit(NamedTuple):
    """What the audit says: verdict -> sidecars of the jobs whose products have it, and all its lines."""

    verdicts: dict[str, set[str]]
    lines: list[str]

    @property
    def wrong(self) -> set[str]:
        """The sidecars of the jobs whose products are not CURRENT."""
        return set().union(*(of for verdict, of in self.verdicts.items() if verdict != "CURRENT"))

    @property
    def repair(self) -> str:
        """The one command that it offers."""
        (command,) = [line.removeprefix("repair: ") for line in self.lines if line.startswith("repair: ")]
        return command


def plan(project: Path, *arguments: str) -> Plan:
    """A dry run in a copy of the project."""
    done = snakemake(project, "--dry-run", "--printshellcmds", *arguments, configfiles=(CONFIG,), root=project)
    assert done.returncode == 0, done.stderr
    _, _, why = done.stderr.partition("\nWhat would run, and why:\n")
    why = [line.strip() for line in why.splitlines() if line.startswith("  ")]
    return Plan(counted(done.stderr), set(re.findall(r" --provenance (\S+)", done.stderr)), why)


def audit(project: Path, *arguments: str, results: str = "results", remake: bool = False) -> Audit:
    """The audit of all results by a copy of the project; remake: figures and tables made again, seconds for each."""
    environment = os.environ | ({"REMAKE": "yes"} if remake else {})
    done = forks.code(_AUDIT, results, *arguments, cwd=project, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return Audit({verdict: set(sidecars) for verdict, sidecars in told["verdicts"].items()}, told["lines"])


def repair(project: Path, command: str, *arguments: str) -> dict[str, int]:
    """Run the command that the audit offers; stage -> number of jobs."""
    program, *words = shlex.split(" ".join([command, *arguments]))
    assert Path(program).name == "snakemake"
    done = forks.run("snakemake", *words, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    return counted(done.stdout + done.stderr)


def check(project: Path, change: Change, jobs: dict[str, int], why: list[str]) -> None:
    """A change plans these jobs, tells these reasons in this order, and the audit finds their products alone wrong.

    Products that aren't made yet are among them.
    """
    change(project)
    planned = plan(project)
    assert planned.jobs == jobs
    assert [line for line in planned.why if line in why] == why, planned.why
    assert audit(project).wrong == planned.sidecars


def several(*changes: Change) -> Change:
    """One change after another."""

    def change(project: Path) -> None:
        for each in changes:
            each(project)

    return change


def edit(path: str, old: str, new: str) -> Change:
    """Replace text in a file."""

    def change(project: Path) -> None:
        text = (project / path).read_text()
        assert old in text, f"{path} has no {old!r}"
        (project / path).write_text(text.replace(old, new))

    return change


def study(change: Callable[[dict], object]) -> Change:
    """Change the config of the study."""

    def changed(project: Path) -> None:
        config = yaml.safe_load((project / CONFIG).read_text())
        change(config)
        (project / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))

    return changed


def put(key: str, value: object) -> Change:
    """Set one key of the config, given with dots."""
    *parents, last = key.split(".")

    def change(config: dict) -> None:
        for parent in parents:
            config = config.setdefault(parent, {})
        config[last] = value

    return study(change)
