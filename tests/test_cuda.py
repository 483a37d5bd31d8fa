"""Training on CUDA: it repeats itself, starts as on the CPU, and takes its steps as graphs, which change no bit."""

import numpy as np
import pytest
import torch

from tests import test_resume
from tests.test_resume import cut_off_at, terminate, trained
from tests.test_sgd import CPU, RESNET, data
from workflow_scripts.config.training import SGD
from workflow_scripts.training import devices, resume, stepping
from workflow_scripts.training.networks.cnn import CNN
from workflow_scripts.training.networks.linear import Linear
from workflow_scripts.training.networks.mlp import MLP
from workflow_scripts.training.networks.vit import ViT

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]

terminated = test_resume.terminated
SMALL_CNN = CNN(kind="cnn", channels=[8, 8], pool_after=[1], dense=[32])
# of 500 examples the last batch of an epoch has 20
PLAIN = SGD(lr=0.05, batch_size=32, epochs=4)
HEAVY = SGD(lr=0.05, batch_size=32, steps=50, momentum=0.9, weight_decay=0.01)
AUGMENTED = SGD(lr=0.05, batch_size=32, epochs=3, momentum=0.9, augmentation="crop_flip")

of_every_network = pytest.mark.parametrize(
    ("network", "settings", "images", "precision"),
    [
        (Linear(kind="linear"), PLAIN, False, "fp32"),
        (MLP(kind="mlp", widths=[32]), PLAIN, False, "fp32"),
        (MLP(kind="mlp", widths=[32]), HEAVY, False, "fp32"),
        (SMALL_CNN, PLAIN, True, "fp32"),
        (SMALL_CNN, AUGMENTED, True, "fp32"),
        (RESNET, HEAVY, True, "fp32"),
        (RESNET, AUGMENTED, True, "fp32"),
        (RESNET, AUGMENTED, True, "tf32"),
        (ViT(kind="vit", layers=2, hidden=16, mlp=32), PLAIN, True, "fp32"),
    ],
    ids=["linear", "mlp", "mlp heavy", "cnn", "cnn augmented", "resnet", "resnet augmented", "resnet tf32", "vit"],
)


def on_cuda(network, settings, images, precision, state=None):
    return trained(data(n=500, images=images), network, settings, state, devices.prepare("cuda", precision))


def losses(bytes_of):
    return np.frombuffer(bytes_of["train losses"], np.float32)


@of_every_network
def test_it_repeats_itself_and_starts_like_the_cpu(network, settings, images, precision):
    first, again = (on_cuda(network, settings, images, precision) for _ in range(2))
    assert first == again
    on_cpu = trained(data(n=500, images=images), network, settings, device=CPU)
    np.testing.assert_allclose(losses(first)[:3], losses(on_cpu)[:3], rtol=1e-2 if network is RESNET else 1e-3)


@of_every_network
def test_graphs_change_no_bit(network, settings, images, precision, monkeypatch):
    with_graphs = on_cuda(network, settings, images, precision)
    monkeypatch.setattr(stepping, "Graphs", lambda step, optimizer: step)
    assert on_cuda(network, settings, images, precision) == with_graphs


@of_every_network
def test_a_training_that_is_cut_off_leaves_the_same_bytes(
    network,
    settings,
    images,
    precision,
    tmp_path,
    monkeypatch,
    terminated,
    caplog,
):
    caplog.set_level("INFO")
    undisturbed = on_cuda(network, settings, images, precision)
    calls = {2, 3, 9, 16, 17, 31}
    cut_off_at(calls, monkeypatch, resume.Run, "count_step", terminate)
    times = 0
    while True:
        try:
            resumed = on_cuda(network, settings, images, precision, tmp_path / "training.npz")
            break
        except terminated:
            times += 1
    assert resumed == undisturbed
    assert times == len(calls) == caplog.text.count("resumed at step")


def test_precision_decides_on_the_bits_of_convolutions():
    wide = CNN(kind="cnn", channels=[32, 32], pool_after=[1], dense=[32])
    full, again, rounded = (on_cuda(wide, PLAIN, True, p) for p in ("fp32", "fp32", "tf32"))
    assert full == again and full != rounded
    np.testing.assert_allclose(losses(full)[:3], losses(rounded)[:3], rtol=1e-2)
