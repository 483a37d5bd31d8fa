"""What tests share."""

import fcntl
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import forks
from tests.workflow import ROOT, snakemake
from workflow_scripts.audit import remake

#: module -> seconds that its tests take altogether, longest first
SECONDS = {
    "test_schouten2023": 160,
    "test_nakkiran2019": 130,
    "test_workflow": 120,
    "test_audit": 60,
    "test_hostile_names": 50,
    "test_surroundings": 45,
    "test_frozen_plan": 45,
    "test_killed": 40,
    "test_kept": 40,
    "test_repairs": 35,
    "test_crate": 30,
    "test_cluster": 25,
    "test_code_of_jobs": 25,
    "test_endings": 25,
    "test_equate": 25,
    "test_resume": 20,
    "test_errors": 20,
    "test_cache": 20,
    "test_loading": 15,
    "test_distill": 15,
    "test_config": 15,
    "test_locks": 10,
    "test_pictures": 10,
}
#: modules whose tests share nothing that takes long to make, so that each test may run anywhere
APART = (
    "test_audit",
    "test_coverage",
    "test_repairs",
    "test_reruns_code",
    "test_reruns_results",
    "test_reruns_settings",
    "test_workflow",
)


class ByModule(LoadScopeScheduling):
    """On several workers, a module of tests is run by one of them, but for those apart."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if Path(file).stem in APART else file


def pytest_xdist_make_scheduler(config, log) -> ByModule:
    """Share the tests out by module."""
    return ByModule(config, log)


def pytest_collection_modifyitems(items) -> None:
    """What takes longest comes first, so that all workers are busy to the end (--no-loadscope-reorder)."""
    items.sort(key=lambda item: -SECONDS.get(_module(item), 30 if _module(item) in APART else 0))


def _module(item) -> str:
    return item.module.__name__.rpartition(".")[2]


#: what of the project a run of the workflow needs
PROJECT = (".gitignore", "Snakefile", "config.yaml", "envs", "profiles", "rules", "workflow_scripts", "tests/tiny.yaml")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A copy of the project in which the tiny study is finished; made once for all workers, so change copies of it."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = folder / "finished"
    with (folder / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            unfinished = folder / "unfinished"
            for name in PROJECT:
                original, copy = ROOT / name, unfinished / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(original, copy) if original.is_dir() else shutil.copy2(original, copy)
            done = snakemake(unfinished, configfiles=("tests/tiny.yaml",), root=unfinished, traced=True)
            assert done.returncode == 0, done.stderr
            unfinished.rename(made)
    return made


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """A copy of the project, the tiny study finished in it, to be changed by one test."""
    copy = shutil.copytree(finished, tmp_path / "project")
    yield copy
    shutil.rmtree(copy, ignore_errors=True)


@pytest.fixture
def forked_remakes(monkeypatch) -> None:
    """The audit makes figures and tables again in forks."""

    def run(command, *, cwd, env, **_):
        return forks.python(command[1:], cwd, env)

    monkeypatch.setattr(remake, "subprocess", SimpleNamespace(run=run))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real MNIST files, beside the checkout; tests that need them are skipped elsewhere."""
    folder = ROOT.parent / "shared" / "data"
    if not (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
        pytest.skip("the real MNIST files are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    from selenium import webdriver

    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no Chromium with chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = ("headless", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking")
    for flag in (*flags, "disable-component-update", "disable-sync", "window-size=1400,1000"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield window
    window.quit()
