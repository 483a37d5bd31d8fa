"""Making results again: to compare their bytes, and the command that repairs what is wrong."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from workflow_scripts.audit import source
from workflow_scripts.audit.records import Results
from workflow_scripts.config import calls, jobs, paths
from workflow_scripts.files import hashing
from workflow_scripts.provenance import fingerprints, machine
from workflow_scripts.provenance.sidecars import Sidecar

#: stages whose command takes all that they read as one list; no later job vouches for what they make
LISTED = ("plot", "tabulate")


def compare(record: Sidecar, folder: Path, inputs: list[str]) -> tuple[str, str] | None:
    """Run a job again in a folder of its own; a verdict and why if any product has other bytes than it had.

    folder: of its study's results; inputs: what it reads there, in the order in which its sidecar tells.
    """
    if [*jobs.options(record.stage, record.outputs).values()] != [*record.outputs]:
        return "UNKNOWN", f"it can't be made again: {record.stage} makes nothing that is called as its sidecar says"
    with TemporaryDirectory() as scratch:
        made = {name: Path(scratch, name) for name in record.outputs}
        command = [sys.executable, "-P", "-m", f"{fingerprints.PACKAGE}.{record.stage}"]
        command += ["--cfg", hashing.canonical_json(record.cfg), "--key", record.key]
        command += [*_read(record, [folder / name for name in inputs]), *_written(record, made)]
        # -P: the folder may have a workflow_scripts of its own
        environment = os.environ | {"PYTHONPATH": str(fingerprints.ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder.parent)
        if done.returncode:
            return "UNKNOWN", f"it can't be made again here: {' '.join(done.stderr.split())[-300:]}"
        other = next((name for name, digest in record.outputs.items() if hashing.sha256(made[name]) != digest), None)
    if other is None:
        return None
    here, there = machine.bits(None), {name: of for name, of in record.bits.items() if name != "gpu"}
    if there and here != there:
        return "UNKNOWN", f"made again from the same inputs, {other} has other bytes; but it was made on {there}"
    here, there = f"{platform.platform()}, Python {platform.python_version()}", f"{record.os}, Python {record.python}"
    if here != there:
        return "UNKNOWN", f"made again from the same inputs, {other} has other bytes; but it was made on {there}"
    return "TAMPERED", f"made again from the same inputs, {other} has other bytes"


def _read(record: Sidecar, paths: list[Path]) -> list[str]:
    """The options of a job's command for what it reads, and for its folders."""
    left, words = iter(map(str, paths)), []
    for option, files in sorted(jobs.files(record.cfg).items()):
        words += [_flag(option), *islice(left, len(files))]
    if record.stage in LISTED:
        words = ["--inputs", *map(str, paths)]
    return words + [f"--data-root={folder}" for word, folder in pairwise(record.argv) if word == "--data-root"]


def _written(record: Sidecar, made: dict[str, Path]) -> list[str]:
    """The options of a job's command for what it writes."""
    options = jobs.options(record.stage, made)
    return [word for option, name in options.items() for word in (_flag(option), str(made[name]))]


def _flag(option: str) -> str:
    return f"--{option}".replace("_", "-")


def in_place(results: Results) -> bool:
    """Whether Snakemake can make these results again where they are: in results/{study}, and in no crate."""
    return results.folder.parent.name == "results" and not source.in_crate(results)


def command(results: Results, study: dict | None, targets: Iterable[str], forced: Iterable[str]) -> str:
    """The command that makes `forced` again, then whatever follows from it up to the targets (none: everything).

    Where these are the results of other config files than those of the study, it removes first what says so. Results
    that are `in_place` alone can be made again.
    """
    here, study, start = results.home, study or {}, calls.called_from()
    folder = results.folder.relative_to(here)
    words = [_snakemake(), "--cores", "all", *(str(folder / name) for name in targets)]
    words += ["--forcerun", *(str(folder / name) for name in forced)]
    if not here.samefile(start):
        words += ["--directory", str(here)]
    if not start.samefile(fingerprints.ROOT):
        words += ["--snakefile", str(fingerprints.ROOT / "Snakefile")]
    found = [source.configfile(name, results).absolute() for name in study.get("configfiles", [])]
    configfiles = [os.path.relpath(path, start) for path in found]
    words += ["--configfile", *configfiles] if configfiles else []
    config = study.get("config", {}) | _renamed(results, study)
    changes = [f"{key}={hashing.canonical_json(value)}" for key, value in config.items()]
    words += ["--config", *changes] if changes else []
    return _freed(results, study) + shlex.join(words)


def _renamed(results: Results, study: dict) -> dict[str, str]:
    """The name of the study, where its folder is called otherwise than the config files say."""
    try:
        name = source.load(study, results).study
    except source.Unreadable:
        return {}
    return {} if name == results.folder.name else {"study": results.folder.name}


def _freed(results: Results, study: dict) -> str:
    """What lets other config files than those that made these results replace them."""
    if results.origin is None:
        return ""
    made, asked = (
        [source.configfile(name, results).resolve() for name in of.get("configfiles", [])]
        for of in (results.origin, study)
    )
    return (
        ""
        if made == asked
        else f"rm {shlex.quote(os.path.relpath(results.folder / paths.STUDY, calls.called_from()))} && "
    )


def _snakemake() -> str:
    found = shutil.which("snakemake")
    return "snakemake" if found else os.path.relpath(Path(sys.executable).with_name("snakemake"), calls.called_from())
