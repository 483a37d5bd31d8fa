"""Two jobs that make the same products: one waits for the other, and nothing is written by both."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflow import ROOT
from workflow_scripts.files import hashing
from workflow_scripts.job import locks, scratch
from workflow_scripts.provenance import sidecars

CFG = {"wildcards": {"dataset": "waves"}, "source": {"kind": "sinusoid", "train": 20, "test": 20}}


def started(folder: Path, cfg: dict = CFG, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "workflow_scripts.prepare_data", "--cfg", json.dumps(cfg)]
    command += ["--data", folder / "d.npz", "--provenance", folder / "d.npz.prov.json"]
    environment = os.environ | environment
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=_heed)


def _heed() -> None:
    """As without nohup, which may have started the tests."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def made(folder: Path, cfg: dict = CFG) -> str:
    with started(folder, cfg) as process:
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
    return said


@pytest.fixture
def held(tmp_path):
    """The lock of the products, held, as if another job were making them."""
    with locks.path_of(tmp_path / "d.npz.prov.json").open("w") as file:
        file.write("Slurm job 7 on node3")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def test_what_a_killed_job_left_is_removed(tmp_path):
    left = scratch.path_of(tmp_path / "d.npz.prov.json", tmp_path) / "data.npz"
    others = {".d.npz.prov.json-abc", f"{scratch.PREFIX}e.npz.prov.json.scratch", f"{left.parent.name}-server"}
    for folder in [left.parent, *map(tmp_path.joinpath, others)]:
        folder.mkdir()
        (folder / scratch.MARK).touch()
    left.write_bytes(b"half")
    made(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"d.npz", "d.npz.prov.json", *others}


def test_who_waited_finds_the_work_done(tmp_path, held):
    made(tmp_path / "elsewhere")
    with started(tmp_path) as process:
        assert process.stderr.readline().endswith(
            "waiting for Slurm job 7 on node3, which makes the same: stop that one to have this job go on\n"
        )
        for name in ("d.npz", "d.npz.prov.json"):
            (tmp_path / "elsewhere" / name).rename(tmp_path / name)
        before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.glob("d.*")}
        held.close()
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert said.endswith("another job has made it meanwhile: nothing is left to do\n")
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.glob("d.*")} == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["d.npz", "d.npz.prov.json"]


def test_who_comes_late_leaves_what_another_made_since_it_started(tmp_path):
    """The job of a killed run that is slow to begin, while the next run has made the product and reads it."""
    made(tmp_path)
    path = tmp_path / "d.npz.prov.json"
    ahead = json.loads(path.read_text()) | {"ended": "2999-01-01T00:00:00.000+00:00"}
    sidecars.write(path, sidecars.seal(ahead))
    before = (tmp_path / "d.npz").stat().st_ino
    assert made(tmp_path).endswith("another job has made it meanwhile: nothing is left to do\n")
    assert (tmp_path / "d.npz").stat().st_ino == before
    sidecars.write(path, sidecars.seal(ahead | {"ended": "2020-01-01T00:00:00.000+00:00"}))
    assert "nothing is left" not in made(tmp_path)
    assert (tmp_path / "d.npz").stat().st_ino != before


def test_who_waits_for_one_that_has_not_said_who_it_is_says_so(tmp_path, held):
    held.truncate(0)
    with started(tmp_path) as process:
        assert "waiting for another job, which makes the same" in process.stderr.readline()
        held.close()
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("left", ["nothing", "another job's", "damaged"])
def test_who_waited_makes_what_the_other_did_not(left, tmp_path, held):
    with started(tmp_path) as process:
        process.stderr.readline()
        if left != "nothing":
            made(tmp_path / "elsewhere", CFG if left == "damaged" else CFG | {"source": CFG["source"] | {"train": 30}})
            for name in ("d.npz", "d.npz.prov.json"):
                (tmp_path / "elsewhere" / name).rename(tmp_path / name)
        if left == "damaged":
            (tmp_path / "d.npz").write_bytes(b"damaged")
        held.close()
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and "done in" in said
    record = sidecars.read(tmp_path / "d.npz.prov.json")
    assert record.cfg["source"]["train"] == 20
    assert record.digest_of(tmp_path / "d.npz") == hashing.sha256(tmp_path / "d.npz")
    assert not locks.path_of(tmp_path / "d.npz.prov.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_waits_can_be_stopped_and_takes_nobodys_lock(number, tmp_path, held):
    with started(tmp_path) as process:
        process.stderr.readline()
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert Path(held.name).read_text() == "Slurm job 7 on node3"


def test_a_lock_file_that_a_killed_job_left_holds_nobody_up(tmp_path):
    locks.path_of(tmp_path / "d.npz.prov.json").write_text("process 1 on nowhere")
    assert "waiting" not in made(tmp_path)
    assert not locks.path_of(tmp_path / "d.npz.prov.json").exists()


def test_many_jobs_at_once_take_turns(tmp_path):
    code = (
        "import sys, time, pathlib; from workflow_scripts.job import locks\n"
        "product = pathlib.Path(sys.argv[1])\n"
        "for _ in range(20):\n"
        "    with locks.held(product):\n"
        "        product.open('x').close(); time.sleep(0.002); product.unlink()"
    )
    command = [sys.executable, "-c", code, tmp_path / "product"]
    jobs = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    assert [job.communicate(timeout=60)[1] for job in jobs] == [""] * 5
    assert list(tmp_path.iterdir()) == []


def test_the_lock_tells_what_to_stop(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    host = os.uname().nodename
    for expected in (f"process {os.getpid()} on {host}", f"Slurm job 12 on {host}"):
        with locks.held(tmp_path / "product"):
            assert locks.path_of(tmp_path / "product").read_text() == expected
        monkeypatch.setenv("SLURM_JOB_ID", "12")


def test_a_file_system_without_locks_is_said_and_holds_nobody_up(tmp_path, monkeypatch, caplog):
    def without(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", without)
    with locks.held(tmp_path / "product") as waited:
        assert not waited
    assert f"{tmp_path}: this file system has no locks: let no two runs make the same results at once" in caplog.text


def test_a_job_that_fails_frees_its_lock(tmp_path):
    with pytest.raises(RuntimeError), locks.held(tmp_path / "product"):
        raise RuntimeError
    start = time.monotonic()
    with locks.held(tmp_path / "product") as waited:
        assert not waited and time.monotonic() - start < 5
