"""Every command that the audit prints as a repair repairs: it is run as printed, where it is printed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests import forks
from tests.workflow import TINY
from workflow_scripts.files import hashing
from workflow_scripts.provenance import fingerprints, sidecars

CONFIG = "tests/tiny.yaml"
TABLE = "results/tiny/tables/table2.csv"
NULLS = "results/tiny/disc/nulls.csv"


class Case(NamedTuple):
    """How a study is broken, what the audit is called with, and the verdict that it then gives.

    at: the folder it is called from, beside that of the study; moved: where the study lies by then.
    """

    broken: Callable[[], object]
    audited: list[str]
    verdict: str
    at: str = "study"
    moved: str = "study"


def append(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_bytes(Path(path).read_bytes() + b"\n")


def remove(*paths: str) -> Callable[[], object]:
    return lambda: [Path(path).unlink() for path in paths]


def configured(key: str, value: object) -> Callable[[], object]:
    """Another value of a key, in dots, of the config file."""

    def change():
        config = yaml.safe_load(Path(CONFIG).read_text())
        *path, last = key.split(".")
        inner = config
        for name in path:
            inner = inner[name]
        inner[last] = value
        Path(CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))

    return change


def told(path: str, **changes) -> Callable[[], object]:
    """Other entries in a sidecar, sealed anew if it is said how."""

    def change():
        record = json.loads(Path(path).read_text()) | changes
        sidecars.write(Path(path), record)

    return change


def forged() -> None:
    """Another number in a table, and a sidecar that tells of it."""
    beside = Path(f"{TABLE}.prov.json")
    Path(TABLE).write_text(Path(TABLE).read_text().replace("disc", "Disc").replace(",0.", ",1.", 1))
    record = json.loads(beside.read_text())
    record["outputs"][Path(TABLE).name] = hashing.sha256(Path(TABLE))
    sidecars.write(beside, sidecars.seal(record))


def both(*changes: Callable[[], object]) -> Callable[[], object]:
    return lambda: [change() for change in changes]


CASES = {
    "an edited table": Case(append(TABLE), [TABLE], "TAMPERED"),
    "an edited page": Case(append("results/tiny/tables/table2.html"), ["results/tiny/tables/table2.html"], "TAMPERED"),
    "a forged table": Case(forged, [TABLE], "TAMPERED"),
    "an edited input": Case(append("results/tiny/digits/nulls.csv"), [TABLE], "TAMPERED"),
    "a table and its input": Case(both(append(TABLE), append(NULLS)), [TABLE, NULLS], "TAMPERED"),
    "a lost table": Case(remove(TABLE), [TABLE], "STALE"),
    "a lost sidecar": Case(remove(f"{TABLE}.prov.json"), [TABLE], "UNKNOWN"),
    "a sidecar that can't be read": Case(append(f"{TABLE}.prov.json"), [TABLE], "CURRENT"),
    "half a sidecar": Case(lambda: Path(f"{TABLE}.prov.json").write_text("{"), [TABLE], "UNKNOWN"),
    "an edited sidecar": Case(told(f"{TABLE}.prov.json", user="nobody"), [TABLE], "TAMPERED"),
    "the sidecar of another": Case(
        lambda: shutil.copy("results/tiny/tables/table1.csv.prov.json", f"{TABLE}.prov.json"), [TABLE], "TAMPERED"
    ),
    "a lost input": Case(remove("results/tiny/digits/nulls.csv"), [TABLE], "UNKNOWN"),
    "an input without sidecar": Case(remove("results/tiny/digits/nulls.csv.prov.json"), [TABLE], "UNKNOWN"),
    "other settings": Case(configured("experiments.digits.title", "it's \"two\" $HOME"), [TABLE], "STALE"),
    "a folder": Case(both(append(TABLE), remove(NULLS)), ["results/tiny/tables", "results/tiny/disc"], "TAMPERED"),
    "more than ten": Case(configured("nulls.draws", 98), ["results"], "STALE"),
    "other config values": Case(
        lambda: None, [TABLE, "--config", "seeds=[0]"], "STALE"
    ),
    "another config file": Case(
        both(
            lambda: shutil.copy(CONFIG, "tests/kept.yaml"),
            configured("experiments.digits.title", "Other"),
            lambda: shutil.move(CONFIG, "tests/other.yaml"),
            lambda: shutil.move("tests/kept.yaml", CONFIG),
        ),
        [TABLE, "--configfile", "tests/other.yaml"],
        "STALE",
    ),
    "a folder with another name": Case(
        both(lambda: Path("results/tiny").rename("results/mine"), append(TABLE.replace("tiny", "mine"))),
        [TABLE.replace("tiny", "mine")],
        "TAMPERED",
    ),
    "elsewhere": Case(append(f"study/{TABLE}"), [f"study/{TABLE}"], "TAMPERED", at="."),
    "in a folder with a name": Case(
        append(f"it's $HOME/{TABLE}"), [f"it's $HOME/{TABLE}"], "TAMPERED", at=".", moved="it's $HOME"
    ),
    "told by --directory": Case(append(f"study/{TABLE}"), ["--directory", "study", TABLE], "TAMPERED", at="."),
}  # fmt: skip


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A folder with a copy of results and config file, `study`, without .snakemake and .git."""
    shutil.copytree(finished / "results", tmp_path / "study/results")
    (tmp_path / "study/tests").mkdir()
    shutil.copy(TINY, tmp_path / "study" / CONFIG)
    return tmp_path


def audit(arguments: list[str], cwd: Path) -> tuple[str, list[str]]:
    """The verdict, and the commands that repair."""
    words = ["-P", "-m", "workflow_scripts.audit", *arguments]
    done = forks.python(words, cwd, {"PYTHONPATH": str(fingerprints.ROOT), "PATH": "/bin"})
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    return lines[0], [line.removeprefix("repair: ") for line in lines if line.startswith("repair: ")]


#: what `make test` runs; the others are thorough
SHORT = (
    "an edited input",
    "a lost sidecar",
    "another config file",
    "a folder with another name",
    "in a folder with a name",
)


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in SHORT else pytest.mark.thorough) for case in CASES]
)
def test_a_repair_that_is_printed_repairs(case, folder, monkeypatch):
    broken, audited, verdict, at, moved = CASES[case]
    if moved != "study":
        (folder / "study").rename(folder / moved)
    monkeypatch.chdir(folder / at)
    broken()
    found, commands = audit(audited, folder / at)
    assert found == verdict
    assert len(commands) == (verdict != "CURRENT")
    for command in commands:
        env = os.environ | forks.for_jobs()
        done = subprocess.run(command, shell=True, cwd=folder / at, capture_output=True, text=True, env=env)
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert audit(audited, folder / at) == ("CURRENT", [])


@pytest.mark.parametrize("moved", ["results/tiny", "elsewhere/tiny"])
def test_results_that_lie_in_no_folder_of_results_are_to_be_moved(moved, folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path(moved).parent.mkdir()
    (folder / "study/results/tiny").rename(moved)
    table = f"{moved}/tables/table2.csv"
    append(table)()
    audited = [sys.executable, "-P", "-m", "workflow_scripts.audit", table, "--configfile", f"study/{CONFIG}"]
    done = subprocess.run(audited, capture_output=True, text=True, env={"PYTHONPATH": str(fingerprints.ROOT)})
    last = done.stdout.splitlines()[-1]
    if moved.startswith("results"):
        assert last.startswith("repair: ")
    else:
        assert last == f"to repair {moved}: move it to a folder called results, and audit it there"
        assert "repair: " not in done.stdout
