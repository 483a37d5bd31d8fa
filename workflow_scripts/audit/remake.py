"""Making results again: to compare their bytes, and the command that repairs what is wrong."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from workflow_scripts.audit import source
from workflow_scripts.audit.records import Results
from workflow_scripts.files import hashing
from workflow_scripts.provenance import fingerprints, upgrades
from workflow_scripts.provenance.sidecars import Sidecar


def compare(record: Sidecar, results: Results) -> tuple[str, str] | None:
    """Run a job again in a folder of its own; a verdict and why if any product has other bytes than it had."""
    with TemporaryDirectory() as scratch:
        made = {recorded: Path(scratch, Path(recorded).name) for recorded in record.outputs}
        arguments = _arguments(record, results, made)
        if arguments is None:
            return "UNKNOWN", "it can't be made again: its sidecar doesn't say how"
        command = [sys.executable, "-P", "-m", f"{fingerprints.PACKAGE}.{record.stage}", *arguments]
        # -P: the folder may have a workflow_scripts of its own
        environment = os.environ | {"PYTHONPATH": str(fingerprints.ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=results.folder.parent)
        if done.returncode:
            return "UNKNOWN", f"it can't be made again here: {' '.join(done.stderr.split())[-300:]}"
        other = next(
            (recorded for recorded, digest in record.outputs.items() if hashing.sha256(made[recorded]) != digest), None
        )
    if other is None:
        return None
    here = f"{platform.platform()}, Python {platform.python_version()}"
    there = f"{record.os}, Python {record.python}"
    if here != there:
        return "UNKNOWN", f"made again from the same inputs, {other} has other bytes; but it was made on {there}"
    return "TAMPERED", f"made again from the same inputs, {other} has other bytes"


def _arguments(record: Sidecar, results: Results, made: dict[str, Path]) -> list[str] | None:
    """The arguments of a job, to read from these results and to write to `made` alone; None if it doesn't tell them."""
    moved = {recorded: str(results.path(recorded)) for recorded in record.inputs} | {
        recorded: str(made[recorded]) for recorded in made
    }
    cfg, given = upgrades.cfg(record), iter(upgrades.argv(record))
    arguments = ["--cfg", hashing.canonical_json(cfg), "--key", record.key]
    left = set(moved)
    for argument in given:
        if argument in ("--cfg", "--code", "--key", "--provenance"):
            next(given, None)
        elif argument == "--data-root":
            arguments += [argument, next(given, "")]
        elif argument.startswith("--"):
            arguments.append(argument)
        elif argument in moved:
            arguments.append(moved[argument])
            left.discard(argument)
        else:
            return None
    return None if left else arguments


def command(results: Results, study: dict | None, targets: Iterable[str], forced: Iterable[str]) -> str:
    """The command that makes `forced` again, then whatever follows from it up to the targets (none: everything)."""
    here, study = results.folder.parent, study or {}
    words = [_snakemake(), "--cores", "all", *targets]
    words += ["--forcerun", *forced]
    if not here.samefile(Path.cwd()):
        words += ["--directory", str(here)]
    if not Path.cwd().samefile(fingerprints.ROOT):
        words += ["--snakefile", str(fingerprints.ROOT / "Snakefile")]
    configfiles = [os.path.relpath(source.configfile(name, results)) for name in study.get("configfiles", [])]
    words += ["--configfile", *configfiles] if configfiles else []
    changes = [f"{key}={hashing.canonical_json(value)}" for key, value in study.get("config", {}).items()]
    words += ["--config", *changes] if changes else []
    return shlex.join(words)


def _snakemake() -> str:
    found = shutil.which("snakemake")
    return "snakemake" if found else os.path.relpath(Path(sys.executable).with_name("snakemake"))
