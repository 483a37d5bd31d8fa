"""Making results again: to compare their bytes, and the command that repairs what is wrong."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from workflow_scripts import files, provenance
from workflow_scripts.audit import source
from workflow_scripts.audit.records import Results


def compare(record: dict, results: Results) -> tuple[str, str] | None:
    """Run a job again in a folder of its own; a verdict and why if any product has other bytes than it had."""
    with TemporaryDirectory() as scratch:
        made = {told: Path(scratch, Path(told).name) for told in record["outputs"]}
        moved = {told: str(results.path(told)) for told in record["inputs"]} | {t: str(p) for t, p in made.items()}
        given = record["argv"][record["argv"].index("--cfg") :]
        given[given.index("--provenance") + 1] = str(Path(scratch, "sidecar"))
        command = [sys.executable, "-m", f"{provenance.PACKAGE}.{record['stage']}"]
        command += [moved.get(argument, argument) for argument in given]
        environment = os.environ | {"PYTHONPATH": str(provenance.ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            return "UNKNOWN", f"it can't be made again here: {' '.join(done.stderr.split())[-300:]}"
        other = next((told for told, path in made.items() if files.sha256(path) != record["outputs"][told]), None)
    if other is None:
        return None
    here = f"{platform.platform()}, Python {platform.python_version()}"
    there = f"{record.get('os')}, Python {record.get('python')}"
    if here != there:
        return "UNKNOWN", f"made again from the same inputs, {other} has other bytes; but it was made on {there}"
    return "TAMPERED", f"made again from the same inputs, {other} has other bytes"


def command(results: Results, study: dict | None, targets: list[str], forced: list[str]) -> str:
    """The command that makes `forced` again, then whatever follows from it up to the targets (none: everything)."""
    here, study = results.folder.parent, study or {}
    words = [_snakemake(), "--cores", "all", *targets]
    words += ["--forcerun", *forced] if forced else []
    if not here.samefile(Path.cwd()):
        words += ["--directory", str(here)]
    if not Path.cwd().samefile(provenance.ROOT):
        words += ["--snakefile", str(provenance.ROOT / "Snakefile")]
    configfiles = [os.path.relpath(source.configfile(name, results)) for name in study.get("configfiles", [])]
    words += ["--configfile", *configfiles] if configfiles else []
    changes = [f"{key}={files.canonical_json(value)}" for key, value in study.get("config", {}).items()]
    words += ["--config", *changes] if changes else []
    return shlex.join(words)


def _snakemake() -> str:
    found = shutil.which("snakemake")
    return "snakemake" if found else os.path.relpath(Path(sys.executable).with_name("snakemake"))
