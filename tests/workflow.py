"""How tests run the workflow: the real Snakefile, in a folder of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from workflow_scripts.provenance import fingerprints, sidecars

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "tests" / "tiny.yaml"
OVERLAY = ROOT / "experiments" / "tiny.yaml"
TRACING = ROOT / "tests" / "tracing"
#: the config files of every study of this project, each with what it is laid over
STUDIES = {
    "default": (ROOT / "config.yaml",),
    **{path.stem: (path,) for path in sorted((ROOT / "experiments").glob("*.yaml")) if path != OVERLAY},
    "nakkiran2019, tiny": (ROOT / "experiments" / "nakkiran2019.yaml", OVERLAY),
    "schouten2023, tiny": (ROOT / "experiments" / "schouten2023.yaml", OVERLAY),
    "of the tests": (TINY,),
}
#: what recorders alone call of the other rooms: VERSION of job.command stands for it too
CALLED_BY_RECORDERS = {
    *(("config.base", name) for name in ("parse", "parse_json")),
    *(("files.hashing", name) for name in ("canonical_json", "of", "sha256")),
}
TARGETS = ("data", "trained", "finals", "explainers", "measures", "nulls", "simulations", "figures", "all", "total")


def snakemake(
    folder: Path, *arguments: str, configfiles=(TINY,), cores: int = 2, root: Path = ROOT, traced: bool = False
) -> subprocess.CompletedProcess:
    """Run snakemake in the folder, with the project in root, and return what it did; stderr holds all it said.

    traced: each stage leaves a file in the folder `traced` that lists the definitions that it executed.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", root / "Snakefile", "--directory", folder]
    command += ["--cores", cores, *arguments]
    if configfiles:
        command += ["--configfile", *configfiles]
    folder.mkdir(parents=True, exist_ok=True)
    environment, words = dict(os.environ), [str(part) for part in command]
    with TemporaryDirectory() as outside:  # of the project, whose jobs refuse code that none of its modules imports
        if traced:
            shutil.copy(TRACING / "sitecustomize.py", outside)
            (folder / "traced").mkdir(exist_ok=True)
            environment |= {"TRACED": str(folder / "traced"), "TRACED_PACKAGE": str(root / "workflow_scripts")}
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [outside, os.environ.get("PYTHONPATH")]))
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout, done.stdout + done.stderr)


def made_from(paper: Path, folder: Path, shared_data: Path) -> Path:
    """The folder, with the study of a paper made in it, cut down, from the real images; CIFAR-10 as JPEG."""
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    cifar = {"kind": "images", "path": str(shared_data / "cifar10-jpeg.zip"), "classes": names}
    here = folder / "here.yaml"
    here.write_text(yaml.safe_dump({"data_root": str(shared_data), "datasets": {"cifar10": cifar}}))
    done = snakemake(folder, configfiles=(paper, OVERLAY, here), traced=True)
    assert done.returncode == 0, done.stderr
    return folder


def figures_and_tables(study) -> list[str]:
    """The files of every figure and table of a study, under results."""
    figures = [f"figures/{name}.{kind}" for name in study.figures for kind in ("svg", "pdf", "png", "csv")]
    return figures + [f"tables/{name}.{kind}" for name in study.tables for kind in ("csv", "html")]


def planned(folder: Path, *arguments: str, **options) -> dict[str, int]:
    """Stage -> number of jobs that a dry run plans."""
    done = snakemake(folder, "--dry-run", "--quiet=rules", *arguments, **options)
    assert done.returncode == 0, done.stderr
    return counted(done.stderr)


def counted(said: str) -> dict[str, int]:
    """Stage -> number of jobs, from the job stats that Snakemake prints."""
    rows = [line.split() for line in said.splitlines()]
    return {
        row[0]: int(row[1])
        for row in rows
        if len(row) == 2 and row[0].isidentifier() and row[1].isdigit() and row[0] not in TARGETS
    }


def outside_of_their_code(folder: Path) -> dict[str, list[str]]:
    """Job -> the definitions that it executed in a traced run, but that its sidecar's code has not."""
    outside = {}
    for path in (folder / "traced").glob("*.json"):
        told = json.loads(path.read_text())
        sidecar = folder / told["argv"][told["argv"].index("--provenance") + 1]
        record = sidecars.read(sidecar)
        executed = [(module, name) for module, name in told["executed"] if not is_recorder(module)]
        of = record.code.definitions
        known = {(module, name) for module, names in of.items() for name in names} | CALLED_BY_RECORDERS
        if missed := [f"{module}.{name}" for module, name in executed if (module, name) not in known]:
            outside[str(sidecar.relative_to(folder))] = missed
    return outside


def is_recorder(module: str) -> bool:
    """Whether a module, named from the package on, takes no part in what jobs make."""
    return any(f"{module}.".startswith(f"{recorder}.") for recorder in fingerprints.RECORDERS)


def products(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of every result, without logs and sidecars, which tell times."""
    results = folder / "results"
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.suffix != ".log" and not path.name.endswith(".prov.json")
    }
