"""Jobs on one machine with several GPUs: each has its own, and what a job leaves is free again."""

import multiprocessing
import os
import time

import pytest
import torch

from workflow_scripts.config.errors import Blocked
from workflow_scripts.training import devices

GPUS = ["0", "GPU-8a1f", "MIG-GPU-8a1f/1/0"]

FORK = multiprocessing.get_context("fork")


def work(folder, connection):
    """A job that says which device it has, and works until it is killed."""
    connection.send(devices.claim(GPUS, folder))
    time.sleep(600)


@pytest.fixture
def job(tmp_path):
    """Start a job, and return it with the device that it has."""
    jobs = []

    def start():
        here, there = FORK.Pipe()
        jobs.append(FORK.Process(target=work, args=(tmp_path / "locks", there), daemon=True))
        jobs[-1].start()
        return jobs[-1], here.recv()

    yield start
    for process in jobs:
        process.kill()


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """A machine with two GPUs, as PyTorch tells of it; returns the list of devices that were made the default."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"model {index}")
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    devices._own_index.cache_clear()
    yield chosen
    devices._own_index.cache_clear()


def test_jobs_have_different_devices_and_a_killed_one_leaves_its_own(job, tmp_path):
    (first, device), (_, other) = job(), job()
    assert (device, other) == (0, 1)
    first.kill()
    first.join()
    assert [job()[1] for _ in range(3)] == [0, 2, None]
    assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700


def test_a_device_is_taken_once_and_kept(two_gpus, tmp_path, caplog):
    caplog.set_level("INFO")
    assert devices.prepare("auto") == devices.prepare("cuda") == torch.device("cuda", 0)
    assert two_gpus == [torch.device("cuda", 0)] * 2
    assert caplog.messages == ["GPU 5: model 0"]
    devices._own_index.cache_clear()  # as in another process
    assert devices.prepare("auto") == torch.device("cuda", 1)
    devices._own_index.cache_clear()
    assert devices.prepare("auto") == torch.device("cuda", os.getpid() % 2)
    assert caplog.messages[2] == "all 2 GPUs are taken: sharing one; snakemake --resources gpu=2 runs one job on each"
    assert {path.name for path in tmp_path.glob("*/*")} == {"gpu-5.lock", "gpu-7.lock"}
    assert devices.prepare("cpu") == torch.device("cpu")


def test_a_device_that_is_the_only_one_needs_no_lock(two_gpus, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert devices.prepare("auto") == torch.device("cuda", 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("visible", "count", "names"),
    [
        (None, 3, ["0", "1", "2"]),
        ("", 2, ["0", "1"]),
        ("3, GPU-8a1f", 2, ["3", "GPU-8a1f"]),
        ("3,2,-1,1", 2, ["3", "2"]),
    ],
)
def test_devices_have_the_names_that_the_environment_gives_them(monkeypatch, visible, count, names):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert devices._visible() == names


def test_locks_in_a_folder_of_another_user_are_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(devices.os, "getuid", lambda: os.stat(tmp_path).st_uid + 1)
    with pytest.raises(Blocked) as raised:
        devices.claim(GPUS, tmp_path)
    assert raised.value.where.startswith(str(tmp_path)) and "TMPDIR" in str(raised.value)
