"""Whatever the environment of a job, and the path of the checkout, it makes the same bytes or ends in one line."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.workflow import ROOT, TINY
from workflow_scripts.config import jobs, study

STUDY = study.load(yaml.safe_load(TINY.read_text(encoding="utf-8")))
SIMULATED = "results/tiny/simulations/theorem1.csv"
NO_UTF8 = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
#: what each changes of the environment; None: it is absent
ENVIRONMENTS = {
    "a backend that is none": {"MPLBACKEND": "nonsense"},
    "a notebook's backend": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    "a home that is absent": {"HOME": "/nowhere/at/all"},
    "a home that can't be written": {"HOME": "/proc"},
    "no home": {"HOME": None},
    "Latin-1": {"LC_ALL": "en_US.ISO-8859-1", **NO_UTF8},
    "ASCII": {"LC_ALL": "C", **NO_UTF8},
    "a locale that is none": {"LC_ALL": "xx_YY.nonsense"},
    "without assertions": {"PYTHONOPTIMIZE": "2"},
    "warnings as errors": {"PYTHONWARNINGS": "error"},
    "pip for the user": {"PIP_USER": "1"},
    "caches that can't be written": {"XDG_CACHE_HOME": "/proc/nowhere", "MPLCONFIGDIR": "/proc/nowhere"},
    "no folder for scratch": {"TMPDIR": "/nowhere"},
    "a hook of git": {"GIT_DIR": "/nowhere/.git", "GIT_INDEX_FILE": "/nowhere/index"},
}


def environment(**changes: str | None) -> dict[str, str]:
    changed = os.environ | {"PYTHONPATH": str(ROOT)} | changes
    return {name: value for name, value in changed.items() if value is not None}


def run(stage: str, cfg: dict, folder: Path, *words: object, **changes: str | None) -> subprocess.CompletedProcess:
    """A stage as a process of its own, from nothing."""
    command = [sys.executable, "-P", "-m", f"workflow_scripts.{stage}", "--cfg", json.dumps(cfg), *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment(**changes), capture_output=True, text=True)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    cfg = jobs.settings(STUDY, "simulate", simulation="theorem1")
    done = run("simulate", cfg, folder, "--table", "table.csv")
    assert done.returncode == 0, done.stderr
    return folder / "table.csv"


def drawn(simulated: Path, folder: Path, **changes: str | None) -> tuple[subprocess.CompletedProcess, dict[str, str]]:
    """What the job of a figure did, and the digests of the files that it left."""
    folder.mkdir()
    cfg = jobs.settings(STUDY, "plot", figure="theorem1")
    made = [("svg", "f.svg"), ("pdf", "f.pdf"), ("png", "f.png"), ("points", "f.csv")]
    words = [word for option, name in made for word in (f"--{option}", folder / name)]
    done = run("plot", cfg, folder, "--inputs", simulated, *words, **changes)
    return done, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def usual(simulated, tmp_path_factory) -> dict[str, str]:
    done, made = drawn(simulated, tmp_path_factory.mktemp("usual") / "made")
    assert done.returncode == 0 and len(made) == 4, done.stderr
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_figure_has_the_same_bytes_in_any_environment(name, simulated, usual, tmp_path):
    done, made = drawn(simulated, tmp_path / "made", **ENVIRONMENTS[name])
    assert done.returncode == 0, done.stderr
    assert made == usual


def snakemake(checkout: Path, *words: str, **changes: str | None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *words, "--configfile", "tests/tiny.yaml"]
    return subprocess.run(
        command, cwd=checkout, env=environment(PYTHONPATH=None, **changes), capture_output=True, text=True
    )


def checkout(folder: Path, name: str) -> Path:
    """A copy of the project in a folder of this name."""
    for part in PROJECT:
        original, copy = ROOT / part, folder / name / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(original, copy) if original.is_dir() else shutil.copy2(original, copy)
    return folder / name


@pytest.mark.slow
@pytest.mark.parametrize("name", ['it\'s a "copy" $HOME', "größe %s [1];&", "-dash"])
def test_a_checkout_may_lie_in_a_folder_of_any_name(name, tmp_path):
    done = snakemake(checkout(tmp_path, name), "simulations")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name / SIMULATED).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"HOME": "/proc"}, {"XDG_CACHE_HOME": "/proc/x"}, {"HOME": None}], ids=str)
def test_a_home_that_cannot_be_written_stops_no_run(changes, tmp_path):
    done = snakemake(checkout(tmp_path, "project"), "simulations", **changes)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["{x}", "a:b", "}"])
def test_a_checkout_whose_path_cannot_be_followed_is_refused(name, tmp_path):
    done = snakemake(checkout(tmp_path, name), "-n")
    said = done.stderr.splitlines()
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert [line for line in said if line.startswith("error: ")] == said[-1:]
    assert name in said[-1] and not (tmp_path / name / "results").exists()
