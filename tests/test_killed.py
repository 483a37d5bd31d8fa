"""A run that is killed again and again is finished by the same command, and leaves what an undisturbed one leaves."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.drawn import TIMES
from tests.test_cache import STUDY
from tests.workflow import ROOT, products

pytestmark = pytest.mark.slow

#: what is killed: Snakemake alone, so that its jobs go on without it, or all
WHOM = {"snakemake": os.kill, "all": os.killpg}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
KILLED = {
    **STUDY,
    "seeds": [0],
    "explainers": {"flat": STUDY["explainers"]["flat"]},
    "experiments": {
        "waves": {
            **STUDY["experiments"]["waves"],
            "explainers": ["flat"],
            "sgd": {"lr": 0.1, "batch_size": 5, "epochs": 60},
        }
    },
    "tables": {"table1": {"kind": "phases", "experiments": ["waves"]}},
}


def started(folder: Path) -> subprocess.Popen:
    """The run, in a group of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(KILLED))
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--configfile", "study.yaml"]
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            [*command, "--cores", "2"], cwd=folder, stderr=said, stdout=said, start_new_session=True
        )


def finished(folder: Path) -> None:
    """The same command, once; all of the group before has ended by then, or goes on as orphans."""
    assert started(folder).wait(600) == 0, (folder / "said").read_text()[-4000:]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, float]:
    """A folder with the finished study, and the seconds that it took."""
    folder, start = tmp_path_factory.mktemp("undisturbed"), time.monotonic()
    finished(folder)
    return folder, time.monotonic() - start


def is_at_work(folder: Path) -> bool:
    """Whether a job that a killed Snakemake left works in the folder: it finds that nothing is left to do, and ends."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "cwd") == str(folder):
                return True
    return False


def check(folder: Path, undisturbed: Path) -> None:
    """The results are those of an undisturbed run, the audit has no doubt, nothing is left, nothing would run again."""
    end = time.monotonic() + 120
    while is_at_work(folder):
        assert time.monotonic() < end, "a job that was left never ends"
        time.sleep(0.1)
    assert products(folder) == products(undisturbed)
    left = [str(path) for path in (folder / "results").rglob("*") if path.name.startswith((".", "resume-"))]
    assert left == []
    audit = [sys.executable, "-m", "workflow_scripts.audit", "results", "--configfile", "study.yaml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    said = subprocess.run(audit, cwd=folder, env=environment, capture_output=True, text=True)
    assert said.stdout.splitlines()[0] == "CURRENT", said.stdout + said.stderr
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--configfile", "study.yaml", "-n"]
    assert "Nothing to be done" in subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def killed(folder: Path, seconds: float, chance: random.Random) -> str:
    """Kill a run at some moment; what was done to it."""
    run, whom, number = started(folder), chance.choice(list(WHOM)), chance.choice(SIGNALS)
    moment = chance.uniform(0, 0.4 * seconds)
    try:
        run.wait(moment)
    except subprocess.TimeoutExpired:
        WHOM[whom](run.pid, number)
    run.wait(600)
    return f"{number.name} of {whom} after {moment:.2f} s: {run.returncode}"


@pytest.mark.killed
@pytest.mark.parametrize(
    ("seed", "rounds"),
    [(0, 3), *(pytest.param(seed, 5, marks=pytest.mark.thorough) for seed in range(1, 1 + (3 * TIMES + 1) // 2))],
)
def test_the_same_command_finishes_what_was_killed(seed, rounds, undisturbed, tmp_path):
    chance = random.Random(seed)
    done, seconds = undisturbed
    told = [killed(tmp_path / "run", seconds, chance) for _ in range(rounds)]
    print(*told, sep="\n")  # for who looks into a failure
    finished(tmp_path / "run")
    check(tmp_path / "run", done)
