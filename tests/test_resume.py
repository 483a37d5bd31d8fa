"""A training that is cut off goes on where it was, and leaves the bytes that it would have left undisturbed."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.test_sgd import CPU, RESNET, data
from tests.workflow import ROOT
from workflow_scripts.config.training import SGD, Checkpoints
from workflow_scripts.data.datasets import sinusoid
from workflow_scripts.files import npz
from workflow_scripts.job import scratch
from workflow_scripts.training import checkpoints, losses, randomness, resume, sgd
from workflow_scripts.training.initialisation import build
from workflow_scripts.training.networks.linear import Linear
from workflow_scripts.training.networks.mlp import MLP

PLAIN = SGD(lr=0.1, batch_size=32, epochs=4)
HEAVY = SGD(lr=0.05, batch_size=32, epochs=3, momentum=0.9, weight_decay=0.01, augmentation="crop_flip")


class Terminated(Exception):
    pass


@pytest.fixture
def terminated():
    """SIGTERM raises Terminated, as it ends a stage."""

    def end(*_):
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    yield Terminated
    signal.signal(signal.SIGTERM, before)


def trained(task, network, settings, state=None, device=CPU) -> dict[str, bytes]:
    """All bytes that a training from scratch, or from the state, leaves."""
    order = randomness.generators(5)
    module = build(network, task.inputs["train"].shape[1:], task.n_classes, "xavier_uniform")
    found = sgd.train(module, task, settings, Checkpoints(early=3), order, device, network.kind == "linear", state)
    arrays = {"steps": found.steps, "epochs": found.epochs}
    arrays |= {f"network.{name}": tensor.cpu() for name, tensor in module.state_dict().items()}
    arrays |= {f"{part} predictions": values for part, values in found.predictions.items()}
    arrays |= {f"{part} losses": values for part, values in found.losses.items()}
    arrays |= {f"kept {name}": values for name, values in found.weights.items()}
    return {name: np.asarray(values).tobytes() for name, values in arrays.items()}


def cut_off_at(calls, monkeypatch, owner, function, how) -> None:
    """At these calls of the function something happens."""
    original, number = getattr(owner, function), iter(range(1, 10**9))

    def counted(*arguments, **options):
        if next(number) in calls:
            how()
        return original(*arguments, **options)

    monkeypatch.setattr(owner, function, counted)


def terminate():
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("network", "settings", "images"),
    [
        (Linear(kind="linear"), PLAIN, False),
        (MLP(kind="mlp", widths=[7]), SGD(lr=0.1, batch_size=30, steps=13, momentum=0.5), False),
        (RESNET, HEAVY, True),
    ],
    ids=["linear", "momentum", "resnet"],
)
@pytest.mark.parametrize(
    ("owner", "function", "calls"),
    [(torch.optim.SGD, "step", {2, 5, 9, 11}), (checkpoints, "evaluate", {6, 11, 16, 20})],
)
def test_training_that_is_terminated_again_and_again_leaves_the_same_bytes(
    network, settings, images, owner, function, calls, tmp_path, monkeypatch, terminated, caplog
):
    caplog.set_level("INFO")
    task = data(images=images)
    undisturbed = trained(task, network, settings)
    cut_off_at(calls, monkeypatch, owner, function, terminate)
    times = 0
    while True:
        try:
            resumed = trained(task, network, settings, tmp_path / "training.npz")
            break
        except Terminated:
            times += 1
    assert resumed == undisturbed
    assert times == len(calls) == caplog.text.count("resumed at step") == caplog.text.count("state saved at step") - 1


def test_a_training_without_a_state_is_ended_by_the_signal(monkeypatch, terminated):
    cut_off_at({3}, monkeypatch, torch.optim.SGD, "step", terminate)
    with pytest.raises(Terminated):
        trained(data(), Linear(kind="linear"), PLAIN)


@pytest.fixture
def interrupted():
    """SIGINT raises KeyboardInterrupt, also where it was ignored when the tests started, as in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_saves_the_state_too(tmp_path, monkeypatch, interrupted):
    cut_off_at({3}, monkeypatch, torch.optim.SGD, "step", lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        trained(data(), Linear(kind="linear"), PLAIN, tmp_path / "training.npz")
    assert int(np.load(tmp_path / "training.npz")["done"]) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("ignored", [False, True], ids=["heard", "ignored"])
def test_each_signal_to_stop_saves_the_state_unless_it_is_ignored(number, ignored, tmp_path, monkeypatch):
    """nohup ignores SIGHUP, the background of a shell script SIGINT: such a training goes on to its end."""

    def end(*_):
        raise Terminated

    undisturbed = trained(data(), Linear(kind="linear"), PLAIN)
    before = signal.signal(number, signal.SIG_IGN if ignored else end)
    cut_off_at({3}, monkeypatch, torch.optim.SGD, "step", lambda: signal.raise_signal(number))
    try:
        if ignored:
            assert trained(data(), Linear(kind="linear"), PLAIN, tmp_path / "training.npz") == undisturbed
        else:
            with pytest.raises(Terminated):
                trained(data(), Linear(kind="linear"), PLAIN, tmp_path / "training.npz")
    finally:
        signal.signal(number, before)
    assert (int(np.load(tmp_path / "training.npz")["done"]) == 3) is not ignored


def test_what_is_cut_off_is_no_result_even_where_its_signal_ends_nothing(tmp_path, monkeypatch):
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    cut_off_at({3}, monkeypatch, torch.optim.SGD, "step", terminate)
    try:
        with pytest.raises(SystemExit) as stop:
            trained(data(), Linear(kind="linear"), PLAIN, tmp_path / "training.npz")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stop.value.code == 128 + signal.SIGTERM
    assert int(np.load(tmp_path / "training.npz")["done"]) == 3


def test_what_is_killed_without_a_signal_goes_on_from_the_last_save(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    task, state = data(images=True), tmp_path / "training.npz"
    undisturbed = trained(task, RESNET, HEAVY)

    def kill():
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(resume, "SECONDS", 0.0)
        cut_off_at({7}, patched, torch.optim.SGD, "step", kill)
        with pytest.raises(RuntimeError):
            trained(task, RESNET, HEAVY, state)
    assert trained(task, RESNET, HEAVY, state) == undisturbed
    assert "resumed at step 6, with 4 checkpoints" in caplog.text


def test_a_finished_state_trains_no_more(tmp_path, monkeypatch):
    task, state = data(), tmp_path / "training.npz"
    done = trained(task, Linear(kind="linear"), PLAIN, state)
    monkeypatch.setattr(torch.optim.SGD, "step", None)
    assert trained(task, Linear(kind="linear"), PLAIN, state) == done


def test_random_numbers_go_on_too(tmp_path, monkeypatch, terminated):
    """No network draws any while it trains today; one with dropout would."""
    original = losses.cross_entropy

    def noisy(logits, labels, *rest):
        return original(logits + torch.randn(()) * logits.requires_grad, labels, *rest)

    monkeypatch.setattr(losses, "cross_entropy", noisy)
    undisturbed = trained(data(), Linear(kind="linear"), PLAIN)
    cut_off_at({6}, monkeypatch, torch.optim.SGD, "step", terminate)
    with pytest.raises(Terminated):
        trained(data(), Linear(kind="linear"), PLAIN, tmp_path / "training.npz")
    torch.manual_seed(8)
    assert trained(data(), Linear(kind="linear"), PLAIN, tmp_path / "training.npz") == undisturbed


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [flipped, lambda content: content[:-200], lambda _: b"", lambda _: b"{}", "other"])
def test_a_damaged_state_is_reported_and_not_used(damage, tmp_path, caplog):
    caplog.set_level("INFO")
    network, state = MLP(kind="mlp", widths=[7]), tmp_path / "training.npz"
    undisturbed = trained(data(), network, PLAIN, state)
    if damage == "other":
        trained(data(), MLP(kind="mlp", widths=[8]), PLAIN, tmp_path / "other.npz")
        state.write_bytes((tmp_path / "other.npz").read_bytes())
    else:
        state.write_bytes(damage(state.read_bytes()))
    caplog.clear()
    assert trained(data(), network, PLAIN, state) == undisturbed
    assert re.search(f"{re.escape(str(state))}: .+: it is not used, training starts anew\n", caplog.text)
    assert "resumed" not in caplog.text


#: array of a state -> what is put there
OTHERS = {
    "done, beyond the end": {"done": lambda x: x + 99},
    "done, before the last checkpoint": {"done": lambda x: x - 1},
    "done, of two": {"done": lambda x: np.array([x, x])},
    "done, half": {"done": lambda x: x + 0.5},
    "no checkpoint": {f"recorded.{name}": lambda x: x[:0] for name in ("train_loss", "test_predictions")},
    "losses of fewer checkpoints": {"recorded.test_loss": lambda x: x[1:]},
    "predictions of fewer examples": {"recorded.test_predictions": lambda x: x[:, 1:]},
    "predictions as words": {"recorded.train_predictions": lambda x: x.astype(str)},
    "a generator of nothing": {"random": lambda x: x * 0},
    "an order cut off": {"order": lambda x: x[1:]},
    "weights in double precision": {"network.0.weight": np.float64, "network.1.weight": np.float64},
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_sound_file_that_is_no_state_of_this_training_is_reported_and_not_used(case, tmp_path, caplog):
    network, state = MLP(kind="mlp", widths=[7]), tmp_path / "training.npz"
    undisturbed = trained(data(), network, PLAIN, state)
    with np.load(state) as archive:
        arrays = dict(archive)
    changes = {name: change(arrays[name]) for name, change in OTHERS[case].items() if name in arrays}
    assert changes, sorted(arrays)
    np.savez(state, **arrays | changes)
    assert trained(data(), network, PLAIN, state) == undisturbed
    assert caplog.text.count(f"{state}: ") == caplog.text.count("it is not used, training starts anew") == 1


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_a_state_that_is_no_file_is_reported_at_once(make, tmp_path, caplog):
    make(tmp_path / "training.npz")
    assert resume.load(tmp_path / "training.npz", {}) is None
    assert "it is not used, training starts anew" in caplog.text


def test_training_goes_on_where_its_state_cannot_be_saved(tmp_path, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    state = tmp_path / "resume" / "training.npz"
    undisturbed = trained(data(), Linear(kind="linear"), PLAIN)
    monkeypatch.setattr(np, "savez", full)
    assert trained(data(), Linear(kind="linear"), PLAIN, state) == undisturbed
    assert f"{state}: the state can't be saved here: No space left on device" in caplog.text
    assert list(state.parent.iterdir()) == []


# The stage as a command

CFG = {
    "wildcards": {"experiment": "waves", "seed": "0"},
    "seed": 0,
    "task": {"dataset": "waves"},
    "network": {"kind": "mlp", "widths": [64, 64]},
    "init": "xavier_uniform",
    "pretraining": {"lr": 0.1, "batch_size": 10, "steps": 2500},
    "sgd": {"lr": 0.1, "batch_size": 10, "epochs": 25, "momentum": 0.5},
    "checkpoints": {"early": 3},
    "device": "cpu",
}


@pytest.fixture(scope="module")
def waves(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("waves") / "waves.npz"
    source = sinusoid.Sinusoid(kind="sinusoid", train=1000, test=200, dimension=10)
    npz.save(path, **sinusoid.make(source, None))
    return path


def started(waves: Path, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "workflow_scripts.train", "--cfg", json.dumps(CFG), "--data", waves]
    command += ["--trajectory", folder / "t.npz", "--weights", folder / "w.safetensors"]
    return subprocess.Popen(
        [*command, "--provenance", folder / "t.npz.prov.json"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )


def products(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("t.npz", "w.safetensors")}


def test_the_stage_goes_on_from_pretraining_and_from_training_and_leaves_no_state(waves, tmp_path):
    with started(waves, tmp_path / "undisturbed") as process:
        assert process.wait(60) == 0
    folder = tmp_path / "disturbed"
    for phase in ("pretraining", "training"):
        with started(waves, folder) as process:
            while " steps in " not in process.stderr.readline() or (phase == "training" and not _is_training(process)):
                pass
            working = sorted(path.name for path in folder.iterdir() if path.name.startswith(scratch.PREFIX))
            assert [name.rpartition(".")[2] for name in working] == ["lock", "scratch"]
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=30)[1]
        assert process.returncode == 128 + signal.SIGTERM, said
        assert "state saved at step" in said and said.endswith("stopped by SIGTERM: no result was written\n")
        (state,) = folder.iterdir()
        assert state.name.startswith("resume-train-") and (state / f"{phase}.npz").is_file()
    with started(waves, folder) as process:
        said = process.communicate(timeout=60)[1]
    assert said.count("resumed at step") == 2, said
    assert products(folder) == products(tmp_path / "undisturbed")
    assert len(list(folder.iterdir())) == 3


def _is_training(process) -> bool:
    return any(" steps in " in line for line in process.stderr if "pretraining" not in line)
