"""A cluster, a small study whose results are known, and how Snakemake is run on the one to get the other."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.slurm.cluster import Cluster, Unavailable
from tests.workflow import ROOT, counted, products

#: two trainings of about ten seconds
STUDY = {
    "seeds": [0, 1],
    "device": "cpu",
    "datasets": {"waves": {"kind": "sinusoid", "train": 4000, "test": 1000, "dimension": 20}},
    "tasks": {"waves": {"dataset": "waves"}},
    "explainers": {"linear": {"labels": "true", "fit": {"solver": "logistic", "C": 1.0}}},
    "experiments": {
        "waves": {
            "title": "Waves",
            "task": "waves",
            "network": {"kind": "mlp", "widths": [64]},
            "sgd": {"lr": 0.05, "batch_size": 50, "epochs": 300},
            "checkpoints": {"every": 30},
            "explainers": ["linear"],
        }
    },
}
#: what is made of it
SMALL = ("--configfile", "study.yaml", "--", *(f"results/waves/seed{seed}/measures.csv" for seed in STUDY["seeds"]))
#: how often each stage starts where nothing goes wrong
ONCE = {"train": 2, "measure": 2}
#: seconds that a run of the small study, and of the default one, may take
SECONDS, LONG = 600, 1200


class Project:
    """A copy of the project, in which Snakemake runs on the cluster."""

    def __init__(self, folder: Path, cluster: Cluster, *study: str):
        self.folder, self.cluster, self.study = folder, cluster, study
        self.trace = folder.parent / f"{folder.name}.trace"
        self.began = time.monotonic()

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        """Start the usual command; what it says goes to `said`."""
        command = ["env", "--default-signal=INT", sys.executable, "-m", "snakemake", "--cores", "8"]
        command += ["--profile", "slurm", "--slurm-init-seconds-before-status-checks", "1"]
        with (self.folder / "said").open("w") as said:
            return subprocess.Popen(
                [*command, *arguments, *self.study],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                env=os.environ
                | {"TRACE": str(self.trace), "PYTHONPATH": str(Path(__file__).parent / "faults")}
                | environment,
            )

    def finish(self, process: subprocess.Popen, seconds: float = SECONDS) -> int:
        """The exit status of what was started; it is interrupted, and the test fails, when it takes too long."""
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            pytest.fail(f"not done after {seconds} s\n{self.said}\n{self.jobs()}")

    def run(self, *arguments: str, **environment: str) -> int:
        return self.finish(self.start(*arguments, **environment))

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def log(self, stage: str, seed: int = 0) -> str:
        path = self.folder / f"results/waves/seed{seed}/logs/{stage}.log"
        return path.read_text() if path.exists() else ""

    def starts(self) -> list[dict]:
        """Every start of a stage: stage, wildcards, slurm (the job's id), pid."""
        return [json.loads(line) for line in self.trace.read_text().splitlines()] if self.trace.exists() else []

    def counts(self) -> dict[str, int]:
        """Stage -> how often it was started."""
        return dict(Counter(start["stage"] for start in self.starts()))

    def jobs(self) -> list[dict]:
        return self.cluster.jobs(self.folder)

    def active(self) -> list[dict]:
        return [job for job in self.jobs() if job["state"] in ("RUNNING", "PENDING", "COMPLETING")]

    def until(self, condition, seconds: float = 90) -> None:
        """Wait until the condition holds; the test fails when it takes too long."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"waited {seconds} s in vain\n{self.said}\n{self.starts()}\n{self.jobs()}")
            time.sleep(0.2)

    def held(self) -> list[int]:
        """The processes that have stopped themselves."""
        return [start["pid"] for start in self.starts() if _stopped(start["pid"])]

    def until_held(self, n: int = 2) -> None:
        self.until(lambda: len(self.held()) == n)

    def release(self) -> None:
        for pid in self.held():
            os.kill(pid, signal.SIGCONT)

    def states(self) -> str:
        """What became of the jobs that were submitted, as in "3 COMPLETED, 1 FAILED"."""
        return ", ".join(f"{n} {state}" for state, n in sorted(Counter(job["state"] for job in self.jobs()).items()))

    def is_finished(self) -> None:
        """Nothing is left to be done, and nothing lies about."""
        assert not self.active()
        assert self.run("--dry-run", "--quiet=rules") == 0, self.said
        assert counted(self.said) == {}, self.said
        assert not list((self.folder / ".snakemake/locks").iterdir())
        assert not [path for path in (self.folder / "results").rglob("*") if path.name.startswith(".")]


def _stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


@pytest.fixture(scope="session")
def cluster():
    """The cluster; tests are skipped where it can't be had."""
    base = Path(tempfile.mkdtemp(prefix="slurm-"))
    try:
        made = Cluster(base)
    except Unavailable as reason:
        shutil.rmtree(base)
        pytest.skip(f"no Slurm: {reason}")
    try:
        made.up()
        yield made
    finally:
        made.down()


def copy_of_project(folder: Path) -> Path:
    """The folder, with what of the project a run on a cluster needs."""
    for name in (*PROJECT, "slurm"):
        original, copy = ROOT / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if original.is_dir():
            shutil.copytree(original, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(original, copy)
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A copy of the project with the study, its data and its explainer made here."""
    folder = copy_of_project(tmp_path_factory.mktemp("prepared") / "project")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    here(folder, "--configfile", "study.yaml", "--", "data", "explainers")
    return folder


@pytest.fixture(scope="session")
def reference(prepared) -> dict[str, bytes]:
    """The results of the study, made here without anything in the way."""
    folder = shutil.copytree(prepared, prepared.parent / "reference")
    here(folder, *SMALL)
    return products(folder)


@pytest.fixture
def project(cluster, prepared, tmp_path, request):
    made = Project(shutil.copytree(prepared, tmp_path / "project"), cluster, *SMALL)
    yield made
    clean_up(made)


def here(folder: Path, *arguments: str) -> None:
    """Run Snakemake in the folder, without the cluster."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, done.stdout + done.stderr


def clean_up(project: Project) -> None:
    """No job of a test goes on into the next one."""
    for daemon in ("slurmctld", "slurmd"):
        if daemon not in project.cluster.running:
            project.cluster.start(daemon)
    project.release()
    project.cluster.cancel()
    shutil.rmtree(project.folder)


@pytest.fixture
def tell(request):
    """Write a row of the table of faults, if $FAULTS_TABLE names a file: what was done, and what was seen."""

    def write(project: Project, seen: str) -> None:
        starts = ", ".join(f"{stage} {n}" for stage, n in project.counts().items())
        row = [" ".join(request.function.__doc__.split()), seen, project.states(), starts]
        row.append(f"{time.monotonic() - project.began:.0f} s")
        line = f"| {' | '.join(row)} |"
        print(line)
        if path := os.environ.get("FAULTS_TABLE"):
            with open(path, "a") as table:
                table.write(f"{line}\n")

    return write
