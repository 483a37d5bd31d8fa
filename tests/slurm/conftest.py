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
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.slurm.cluster import Cluster, Unavailable
from tests.workflow import ROOT, counted, products, snakemake

#: four trainings of a few seconds
STUDY = {
    "study": "tiny",
    "seeds": [0, 1, 2, 3],
    "device": "cpu",
    "datasets": {"waves": {"kind": "sinusoid", "train": 4000, "test": 1000, "dimension": 20}},
    "tasks": {"waves": {"dataset": "waves"}},
    "explainers": {"linear": {"labels": "true", "fit": {"solver": "logistic", "C": 1.0}}},
    "experiments": {
        "waves": {
            "title": "Waves",
            "task": "waves",
            "network": {"kind": "mlp", "widths": [64]},
            "sgd": {"lr": 0.05, "batch_size": 50, "epochs": 100},
            "checkpoints": {"every": 10},
            "explainers": ["linear"],
        }
    },
}
#: how often each stage starts where nothing goes wrong
ONCE = {"train": 2, "measure": 2}
#: seconds that a run may take
SECONDS = 600


def measured(*seeds: int) -> tuple[str, ...]:
    """The targets that have these seeds of the study trained and measured."""
    return tuple(f"results/tiny/waves/seed{seed}/measures.csv" for seed in seeds)


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
        path = self.folder / f"results/tiny/waves/seed{seed}/logs/{stage}.log"
        return path.read_text() if path.exists() else ""

    def starts(self) -> list[dict]:
        """Every start of a stage: stage, wildcards, slurm (the job's id), pid."""
        return [json.loads(line) for line in self.trace.read_text().splitlines()] if self.trace.exists() else []

    def counts(self, seed: int | None = None) -> dict[str, int]:
        """Stage -> how often it was started, for one seed or all."""
        return dict(Counter(start["stage"] for start in self.starts() if _is_of(start, seed)))

    def jobs(self, seed: int | None = None) -> list[dict]:
        """The jobs that were submitted; of one seed: those in which a stage started for it."""
        of_seed = {start["slurm"] for start in self.starts() if _is_of(start, seed)}
        return [job for job in self.cluster.jobs(self.folder) if seed is None or job["id"] in of_seed]

    def active(self) -> list[dict]:
        return [job for job in self.jobs() if job["state"] in ("RUNNING", "PENDING", "COMPLETING")]

    def until(self, condition, seconds: float = 90) -> None:
        """Wait until the condition holds; the test fails when it takes too long."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"waited {seconds} s in vain\n{self.said}\n{self.starts()}\n{self.jobs()}")
            time.sleep(0.2)

    def until_looked(self, n: int) -> None:
        """Wait until Snakemake has looked at its jobs so many times more."""
        looks = Path(f"{self.trace}.looks")
        before = looks.stat().st_size
        self.until(lambda: looks.stat().st_size >= before + n, 300)

    def running(self) -> list[int]:
        """The processes of stages that have not ended."""
        return [start["pid"] for start in self.starts() if Path(f"/proc/{start['pid']}").exists()]

    def held(self) -> list[int]:
        """The processes that have stopped themselves."""
        return [start["pid"] for start in self.starts() if _stopped(start["pid"])]

    def until_held(self, n: int = 2) -> None:
        self.until(lambda: len(self.held()) == n)

    def release(self) -> None:
        for pid in self.held():
            os.kill(pid, signal.SIGCONT)

    def states(self, seed: int | None = None) -> str:
        """What became of the jobs that were submitted, for one seed or all, as in "3 completed, 1 failed"."""
        found = Counter(job["state"].lower() for job in self.jobs(seed))
        return ", ".join(f"{n} {state}" for state, n in sorted(found.items()))

    def is_finished(self) -> None:
        """Nothing is left to be done, and nothing lies about."""
        assert not self.active()
        assert self.run("--dry-run", "--quiet=rules") == 0, self.said
        assert counted(self.said) == {}, self.said
        assert not list((self.folder / ".snakemake/locks").iterdir())
        assert not [path for path in (self.folder / "results/tiny").rglob("*") if path.name.startswith(".")]


def _is_of(start: dict, seed: int | None) -> bool:
    return seed is None or start["wildcards"].get("seed") == str(seed)


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


@pytest.fixture
def forgetful(cluster):
    """The cluster, which forgets jobs as soon as it can after their end, and keeps no accounts."""
    cluster.configure(MinJobAge="2", AccountingStorageType="accounting_storage/none")
    yield cluster
    cluster.configure()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A copy of the project with the study, its data and its explainer made here."""
    folder = copy_of_project(tmp_path_factory.mktemp("prepared") / "project")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    here(folder, "data", "explainers")
    return folder


@pytest.fixture(scope="session")
def reference_of_four(prepared) -> dict[str, bytes]:
    """The results of all four seeds, made here without anything in the way."""
    folder = shutil.copytree(prepared, prepared.parent / "reference")
    here(folder, *measured(0, 1, 2, 3))
    return products(folder)


@pytest.fixture(scope="session")
def reference(reference_of_four) -> dict[str, bytes]:
    """The results of the first two seeds."""
    others = ("waves/seed2/", "waves/seed3/")
    return {path: content for path, content in reference_of_four.items() if not path.startswith(others)}


@pytest.fixture
def project(cluster, prepared, tmp_path):
    """A project in which the first two seeds are asked for."""
    yield from _project(cluster, prepared, tmp_path, 0, 1)


@pytest.fixture
def project_of_four(cluster, prepared, tmp_path):
    """A project in which all four seeds are asked for."""
    yield from _project(cluster, prepared, tmp_path, 0, 1, 2, 3)


def _project(cluster: Cluster, prepared: Path, folder: Path, *seeds: int) -> Iterator[Project]:
    copy = shutil.copytree(prepared, folder / "project")
    made = Project(copy, cluster, "--configfile", "study.yaml", "--", *measured(*seeds))
    yield made
    clean_up(made)


def here(folder: Path, *targets: str) -> None:
    """Make these targets of the study in the folder, without the cluster."""
    done = snakemake(folder, *targets, configfiles=("study.yaml",), root=folder)
    assert done.returncode == 0, done.stderr


def clean_up(project: Project) -> None:
    """No job of a test goes on into the next one."""
    for daemon in ("slurmctld", "slurmd"):
        if daemon not in project.cluster.running:
            project.cluster.start(daemon)
    project.release()
    project.cluster.cancel()
    shutil.rmtree(project.folder)


def tell(project: Project, done: str, seen: str, seed: int | None = None, starts: str = "") -> None:
    """Write a row of the table of faults of docs/slurm.md, if $FAULTS_TABLE names a file.

    done, seen: the fault and what became of it; seed: the one that had the fault; starts: of stages, as counted if not
    given.
    """
    starts = starts or ", ".join(f"{stage} {n}" for stage, n in project.counts(seed).items())
    row = [done, seen, project.states(seed), starts, f"{time.monotonic() - project.began:.0f}"]
    line = f"| {' | '.join(row)} |"
    print(line)
    if path := os.environ.get("FAULTS_TABLE"):
        with open(path, "a") as table:
            table.write(f"{line}\n")
