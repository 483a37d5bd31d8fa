"""Nothing that was made is lost before the new stands, nothing is made again that would be the same."""

import fcntl
import hashlib
import inspect
import os
import random
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import snakemake.api
import yaml
from snakemake.dag import DAG
from snakemake.executors.local import Executor
from snakemake.jobs import Job
from snakemake.persistence.file import FilePersistence

from tests.conftest import PROJECT
from tests.reruns import edit
from tests.test_cache import EXPERIMENT, STUDY
from tests.workflow import ROOT, planned, products, snakemake
from workflow_scripts.engine import persistence
from workflow_scripts.job import locks, scratch
from workflow_scripts.provenance import sidecars

TARGETS = ("data", "trained", "explainers")
ALL = {"prepare_data": 1, "train": 2, "distill_true_labels": 3}
DATA = Path("results/tiny/data/waves.npz")


def written(folder: Path, lr: float = 0.1) -> dict:
    """How to call snakemake for the study, with this step size."""
    experiment = {**EXPERIMENT, "sgd": {**EXPERIMENT["sgd"], "lr": lr}}
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, "experiments": {"waves": experiment}}))
    return {"configfiles": ("study.yaml",), "root": folder}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A copy of the project with the study made in it."""
    folder = tmp_path_factory.mktemp("done") / "project"
    for name in PROJECT:
        original, copy = ROOT / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(original, copy) if original.is_dir() else shutil.copy2(original, copy)
    made = snakemake(folder, *TARGETS, **written(folder))
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def folder(done, tmp_path) -> Path:
    return shutil.copytree(done, tmp_path / "project")


def sidecars_of(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in sorted((folder / "results").rglob("*.prov.json"))}


def flipped(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def test_an_input_that_is_damaged_costs_no_result(folder):
    before = products(folder)
    flipped(folder / DATA, random.Random(0))
    refused = snakemake(folder, "--keep-going", *TARGETS, **written(folder))
    assert refused.returncode == 1 and "are not the bytes that" in refused.stderr
    now = products(folder)
    assert now.keys() == before.keys()
    assert [name for name in now if now[name] != before[name]] == ["data/waves.npz"]
    (folder / DATA).unlink()
    again = snakemake(folder, *TARGETS, **written(folder))
    assert again.returncode == 0, again.stderr
    assert products(folder) == before and again.stderr.count("unchanged: ") == 5
    assert planned(folder, *TARGETS, **written(folder)) == {}


@pytest.mark.parametrize("lr", [0.1, 0.3], ids=["forced", "changed"])
def test_a_job_that_fails_leaves_what_was_there_and_is_planned_again_if_it_changed(lr, folder):
    before, written_then = products(folder), sidecars_of(folder)
    edit("rules/train.smk", "python -P -m", "false; python -P -m")(folder)
    force = ["--forcerun", "train"] if lr == 0.1 else []
    failed = snakemake(folder, *TARGETS, *force, **written(folder, lr))
    assert failed.returncode == 1, failed.stderr
    assert products(folder) == before and sidecars_of(folder) == written_then
    assert planned(folder, *TARGETS, **written(folder, lr)) == {"train": 2}, "the command has changed"
    edit("rules/train.smk", "false; python -P -m", "python -P -m")(folder)
    assert planned(folder, *TARGETS, **written(folder, lr)) == ({} if lr == 0.1 else {"train": 2})


def test_data_that_come_out_the_same_make_nothing_run_again(folder):
    before, written_then = products(folder), sidecars_of(folder)
    edit("workflow_scripts/data/datasets/sinusoid.py", "def make(", "SAME = 1\n\n\ndef make(")(folder)
    edit("workflow_scripts/data/datasets/sinusoid.py", "rng = ", "rng = SAME and ")(folder)
    assert planned(folder, *TARGETS, **written(folder)) == ALL
    run = snakemake(folder, *TARGETS, **written(folder))
    assert run.returncode == 0, run.stderr
    assert products(folder) == before
    now = sidecars_of(folder)
    assert [path for path in now if now[path] != written_then[path]] == [DATA.with_name("waves.npz.prov.json")]
    assert run.stderr.count("unchanged: ") == 5
    assert planned(folder, *TARGETS, **written(folder)) == {}


def test_what_was_asked_for_is_made_again_though_it_would_be_the_same(folder):
    before, written_then = products(folder), sidecars_of(folder)
    run = snakemake(folder, *TARGETS, "--forcerun", "train", **written(folder))
    assert run.returncode == 0 and "unchanged: " not in run.stderr, run.stderr
    now = sidecars_of(folder)
    assert products(folder) == before and len([path for path in now if now[path] != written_then[path]]) == 2


def test_a_product_that_is_not_what_its_sidecar_tells_does_not_stand(folder):
    before = products(folder)
    flipped(folder / "results/tiny/waves/seed1/network.safetensors", random.Random(1))
    (folder / DATA).unlink()
    run = snakemake(folder, *TARGETS, **written(folder))
    assert run.returncode == 0, run.stderr
    assert products(folder) == before and run.stderr.count("unchanged: ") == 4


def test_clocks_decide_nothing(folder):
    """Data of tomorrow, results of yesterday: another step size is trained, and then nothing is planned."""
    for path, days in ((folder / DATA, 1), (folder / "results/tiny/waves/seed0/trajectory.npz", -1)):
        os.utime(path, (time.time() + days * 86400,) * 2)
    run = snakemake(folder, *TARGETS, **written(folder, lr=0.2))
    assert run.returncode == 0, run.stderr
    assert planned(folder, *TARGETS, **written(folder, lr=0.2)) == {}
    assert not list((folder / "results").rglob("resume-*"))


OF_OTHER_WORKFLOWS = {
    "rerun-triggers": ["mtime"],
    "max-checksum-file-size": 1,
    "consider-ancient": ["train=data"],
    "trust-io-cache": True,
    "rerun-incomplete": False,
    "keep-incomplete": True,
    "ignore-incomplete": True,
    "drop-metadata": True,
    "persistence-backend": "db",
    "all-temp": True,
}


def test_settings_of_a_users_other_workflows_decide_nothing(folder, tmp_path):
    profile = tmp_path / "profile" / "config.yaml"
    profile.parent.mkdir()
    profile.write_text(yaml.safe_dump(OF_OTHER_WORKFLOWS))
    asked = ("--profile", profile.parent, *TARGETS)
    assert planned(folder, *asked, **written(folder)) == {}
    assert planned(folder, *asked, **written(folder, lr=0.2)) == {"train": 2}
    os.utime(folder / DATA, (time.time() + 86400,) * 2)
    assert planned(folder, *asked, **written(folder)) == {}
    run = snakemake(folder, *asked, **written(folder, lr=0.2))
    assert run.returncode == 0, run.stderr
    assert planned(folder, *TARGETS, **written(folder, lr=0.2)) == {}


LEAVE_OUT = {"allowed-rules": ["plot"], "until": ["prepare_data"], "omit-from": ["train"], "batch": "all=1/2"}


@pytest.mark.parametrize("option", LEAVE_OUT)
def test_settings_of_a_users_other_workflows_leave_out_no_job_in_silence(option, folder, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({option: LEAVE_OUT[option]}))
    run = snakemake(folder, "--dry-run", "--profile", tmp_path, **written(folder, lr=0.2))
    assert run.returncode == 1 and run.stderr.splitlines()[-1].startswith(f"error: --{option}: "), run.stderr


@pytest.mark.parametrize("words", [("--until", "train"), ("-Utrain",), ("--unt", "train"), ("-O", "measure")])
def test_jobs_that_the_command_line_leaves_out_are_left_out(words, folder):
    assert planned(folder, *words, **written(folder, lr=0.2))["train"] == 2


def test_touched_results_are_no_newer_than_they_are(folder):
    assert snakemake(folder, *TARGETS, "--touch", **written(folder, lr=0.2)).returncode == 0
    assert planned(folder, *TARGETS, **written(folder, lr=0.2)) == {"train": 2}
    assert planned(folder, *TARGETS, **written(folder)) == {}


# Snakemake that was killed


def locked(folder: Path, by: str) -> Path:
    lock = folder / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("".join(f"{path}\n" for path in products(folder) and ["results/tiny/data/waves.npz"]) + by)
    return lock


@pytest.mark.parametrize("by", ["dead", "alive", "elsewhere", "another release"])
def test_a_lock_is_one_of_a_run_that_lives(by, folder):
    owner = locks.holder()
    words = {"elsewhere": owner + ".elsewhere", "another release": ""}.get(by, owner)
    lock = locked(folder, words and f"{words}\n")
    (folder / DATA).unlink()
    with lock.open() as held:
        if by == "alive":
            fcntl.flock(held, fcntl.LOCK_EX)
        run = snakemake(folder, "data", **written(folder))
    if by == "dead":
        assert run.returncode == 0, run.stderr
        assert not lock.exists()
    else:
        assert run.returncode == 1 and "--unlock" in run.stderr


@pytest.mark.parametrize("alive", [False, True])
def test_what_killed_jobs_left_is_cleared_away_by_the_next_run(alive, folder):
    before = products(folder)
    product = folder / "results/tiny/waves/seed0/trajectory.npz.prov.json"
    left = scratch.path_of(product, product.parent)
    (left / scratch.BEFORE).mkdir(parents=True)
    (left / scratch.MARK).touch()
    weights = product.with_name("network.safetensors")
    for path in (product, weights):  # killed while it was replacing them
        path.rename(left / scratch.BEFORE / path.name)
    lock = locks.path_of(product)
    lock.write_text(locks.holder())
    with lock.open() as held:
        if alive:
            fcntl.flock(held, fcntl.LOCK_EX)
            locks.clear(product.parent)
            assert left.is_dir() and lock.exists() and not weights.exists()
        else:
            assert "unchanged: " in snakemake(folder, *TARGETS, **written(folder)).stderr
            assert products(folder) == before and not left.exists() and not lock.exists()


def test_a_run_holds_its_locks(folder, monkeypatch):
    monkeypatch.chdir(folder)
    records = persistence.SidecarPersistence()
    records._write_locks("output", ["a"])
    other = persistence.SidecarPersistence()
    assert ("output", "a") in list(other._read_locks())
    records._held.clear()
    assert list(other._read_locks()) == []


def test_what_was_being_made_when_snakemake_was_killed_stands_or_falls_by_its_sidecar(folder):
    incomplete = folder / ".snakemake/incomplete"
    for name in os.listdir(folder / ".snakemake/metadata"):
        (incomplete / name).write_text('{"external_jobid": null}')
    assert planned(folder, *TARGETS, **written(folder)) == {}
    assert planned(folder, *TARGETS, **written(folder, lr=0.2)) == {"train": 2}


# Records that were lost, folders that can't be written


@pytest.mark.parametrize("lost", ["all", "records", "half of each record"])
def test_a_report_takes_its_times_from_sidecars(lost, folder):
    records = folder / ".snakemake/metadata"
    if lost == "all":
        shutil.rmtree(folder / ".snakemake")
    elif lost == "records":
        shutil.rmtree(records)
    else:
        for number, path in enumerate(sorted(records.iterdir())):
            content = path.read_bytes()
            path.write_bytes([content[: len(content) // 2], b"\xff", b"[1]", b'{"starttime": "x"}', b""][number % 5])
    assert planned(folder, *TARGETS, **written(folder)) == {}
    run = snakemake(folder, *TARGETS, "--report", "report.html", **written(folder), forked=False)
    assert run.returncode == 0 and "Traceback" not in run.stderr, run.stdout[-3000:] + run.stderr
    told = re.findall(r'"starttime": "(.+?)", "endtime": "(.+?)"', (folder / "report.html").read_text())
    records = {
        (record.started, record.ended) for record in map(sidecars.read, map(folder.joinpath, sidecars_of(folder)))
    }
    assert {tuple(datetime.fromisoformat(time).timestamp() for time in times) for times in told} == {
        tuple(datetime.fromisoformat(time).timestamp() for time in times) for times in records
    }


def test_who_may_only_read_can_look_and_gets_one_line_where_more_is_asked(folder):
    options = written(folder)
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    if command and not shutil.which("setpriv"):
        pytest.skip("root can write everywhere")
    command += [sys.executable, "-m", "snakemake", "--cores", "1", *TARGETS, "--configfile", *options["configfiles"]]
    subprocess.run(["chmod", "-R", "a-w", folder], check=True)
    report = ["--report", folder.parent / "report.html"]
    try:
        for asked, code in ((["-n"], 0), (["-n", "--forceall"], 0), (report, 0), (["--forceall"], 1)):
            run = subprocess.run([*command, *asked], cwd=folder, capture_output=True, text=True)
            assert run.returncode == code and "Traceback" not in run.stderr, run.stdout[-3000:] + run.stderr
    finally:
        subprocess.run(["chmod", "-R", "u+w", folder], check=True)


#: what is replaced of Snakemake 9.27.1, or relied on, and the first digits of the SHA-256 of its source
RELIED_ON = {
    Job.prepare: "fd2d6313",
    Job.remove_existing_output: "60336044",
    Job.postprocess: "6c242cdd",
    Job.check_protected_output: "cc24c200",
    Job.cleanup: "3dae832d",
    DAG.check_output_mtime: "c04c0ec6",
    Executor.acached_or_run: "623adfae",
    FilePersistence._read_locks: "b2295606",
    FilePersistence._write_locks: "0f786fb1",
}


@pytest.mark.parametrize("function", RELIED_ON, ids=lambda function: function.__qualname__)
def test_snakemake_is_as_it_was_when_it_was_hooked(function):
    """If it changed: read what is new, see that engine.kept and engine.persistence still do what they say, renew."""
    assert hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:8] == RELIED_ON[function]
