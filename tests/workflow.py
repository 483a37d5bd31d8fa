"""How tests run the workflow: the real Snakefile, in a folder of their own."""

import html
import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from tests import forks
from workflow_scripts.provenance import fingerprints, sidecars

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "tests" / "tiny.yaml"
#: where the results of these studies lie: of TINY, and of a paper under OVERLAY
RESULTS = "results/tiny"
OVERLAY = ROOT / "experiments" / "tiny.yaml"
JPEG = ROOT / "experiments" / "cifar10_jpeg.yaml"
TRACING = ROOT / "tests" / "tracing"
#: the config files of every study of this project, each with what it is laid over
STUDIES = {
    "default": (ROOT / "config.yaml",),
    **{path.stem: (path,) for path in sorted((ROOT / "experiments").glob("*.yaml")) if path not in (OVERLAY, JPEG)},
    "nakkiran2019, tiny": (ROOT / "experiments" / "nakkiran2019.yaml", OVERLAY),
    "schouten2023, tiny": (ROOT / "experiments" / "schouten2023.yaml", OVERLAY),
    "of the tests": (TINY,),
}
#: what recorders alone call of the other rooms: VERSION of job.command stands for it too
CALLED_BY_RECORDERS = {
    *(("config.base", name) for name in ("parse", "parse_json", "_is_text", "_shown", "_unfit")),
    *(("files.hashing", name) for name in ("canonical_json", "of", "sha256")),
    *(("files.opening", name) for name in ("regular", "content", "data")),
    ("training.devices", "resolved"),
    *(("config.jobs", name) for name in ("maker", "options", "_pattern", "_patterns")),
}
TARGETS = ("data", "trained", "finals", "explainers", "measures", "nulls", "simulations", "figures", "all", "total")


def snakemake(
    folder: Path,
    *arguments: str,
    configfiles=(TINY,),
    cores: int = 2,
    root: Path = ROOT,
    traced: bool = False,
    forked: bool = True,
) -> subprocess.CompletedProcess:
    """Run snakemake in the folder, with the project in root, and return what it did; stderr holds all it said.

    traced: each stage leaves a file in the folder `traced` that lists the definitions that it executed. forked: it and
    its stages start as forks (see tests.forks).
    """
    command = ["snakemake", "--snakefile", root / "Snakefile", "--directory", folder, "--cores", cores, *arguments]
    if configfiles:
        command += ["--configfile", *configfiles]
    folder.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    with TemporaryDirectory() as outside:  # of the project, whose jobs refuse code that none of its modules imports
        if traced:
            shutil.copy(TRACING / "sitecustomize.py", outside)
            (folder / "traced").mkdir(exist_ok=True)
            environment |= {"TRACED": str(folder / "traced"), "TRACED_PACKAGE": str(root / "workflow_scripts")}
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [outside, os.environ.get("PYTHONPATH")]))
        done = (forks.run if forked else forks.plain)(*command, cwd=folder, env=environment)
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


def check_figures_and_tables(results: Path, study) -> None:
    """Every figure and table of a study can be read, is not empty, names what it shows, and carries its job's key."""
    for name, shown in study.figures.items():
        titles = [study.experiments[of].title for of in getattr(shown, "experiments", [])]
        check_figure(results / "figures" / name, titles)
        panels = pd.read_csv(results / f"figures/{name}.csv", low_memory=False)["panel"].dropna().unique()
        if shown.kind not in ("boundaries", "information_accuracy", "theorem1"):  # they name their panels otherwise
            assert list(panels) == list(shown.experiments), name
    for name, shown in study.tables.items():
        page = (results / f"tables/{name}.html").read_text()
        table = pd.read_csv(results / f"tables/{name}.csv")
        assert page.count("<tr") > 1, name
        for of in shown.experiments:
            assert of in set(table["experiment"]) and html.escape(study.experiments[of].title) in page, (name, of)


def check_figure(path: Path, titles: list[str]) -> None:
    """The picture is there as SVG, PDF and PNG, each as its format demands, and its points are numbers."""
    files = {kind: path.with_suffix(f".{kind}") for kind in ("svg", "pdf", "png")}
    svg = files["svg"].read_text()
    ElementTree.fromstring(svg)
    assert all(title in svg or html.escape(title) in svg for title in titles), (path, titles)
    pdf = files["pdf"].read_bytes()
    assert pdf.startswith(b"%PDF-") and pdf.endswith(b"%%EOF\n"), path
    with Image.open(files["png"]) as picture:
        assert min(picture.size) > 400 and np.asarray(picture.convert("L")).std() > 5, f"{path}: nothing is drawn"
    key = sidecars.read(sidecars.find(files["svg"])).key
    assert {sidecars.key_in(file.read_bytes()) for file in files.values()} == {key}, path
    assert pd.read_csv(path.with_suffix(".csv"), low_memory=False)[["x", "y"]].notna().any().all(), path


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


def sealed(record: dict) -> dict:
    """A sidecar as who forges one well would write it: with the key of the job that it tells of, and a new seal."""
    code = fingerprints.of(record["code"]["digest"], record["code"]["libraries"])
    read = [digest for _, digest in record["inputs"]]
    return sidecars.seal(record | {"key": sidecars.key(record["stage"], record["cfg"], code, read, record["bits"])})


def products(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of every result, without logs and sidecars, which tell times, and whose results they are."""
    results = folder / RESULTS
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.suffix != ".log" and not path.name.endswith((".prov.json", "study.json"))
    }
