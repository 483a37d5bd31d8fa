"""Time of an SGD step of every kind of network, against a bare loop.

python -m benchmarks.steps [--device auto] [--precision fp32] [--blocks 9]

`ours` is a step as a training takes it, with all that it needs: a random batch of the resident data, images as uint8.
`bare` is forward, backward and step of the same network on float batches made beforehand. The two alternate in blocks
of half a second or one step, whichever is longer, inside one process with one thread; the data are random. On CUDA
`kernels` is how long the GPU is busy with a step of ours, by PyTorch's profiler: the sum of its kernels' times.
"""

import argparse
import time
from itertools import cycle

import numpy as np
import torch

from workflow_scripts.config.training import SGD, Network
from workflow_scripts.training import batches, devices, initialisation, losses, randomness, sgd, stepping
from workflow_scripts.training.networks.cnn import CNN
from workflow_scripts.training.networks.linear import Linear
from workflow_scripts.training.networks.mlp import MLP
from workflow_scripts.training.networks.preact_resnet import PreactResNet
from workflow_scripts.training.networks.vit import ViT

BLOCK_SECONDS = 0.5
EXAMPLES = 4096
IMAGE = (3, 32, 32)
KINDS: list[tuple[str, Network, tuple[int, ...], int]] = [
    ("linear", Linear(kind="linear"), (100,), 64),
    ("mlp 256-256", MLP(kind="mlp", widths=[256, 256]), (100,), 64),
    ("cnn", CNN(kind="cnn"), (1, 28, 28), 64),
    ("cnn", CNN(kind="cnn"), IMAGE, 64),
    ("vit", ViT(kind="vit"), (1, 28, 28), 64),
    ("vit", ViT(kind="vit"), IMAGE, 64),
    *((f"CNN_{k}", PreactResNet(kind="preact_resnet", convolutions=k), IMAGE, 128) for k in (2, 4, 6)),
    ("preact_resnet", PreactResNet(kind="preact_resnet"), IMAGE, 128),
]


def compare(network: Network, shape: tuple[int, ...], batch_size: int, device: torch.device, blocks: int) -> np.ndarray:
    """Seconds per step, [blocks, 3]: ours, bare, and of the GPU's kernels in ours (NaN on a CPU)."""
    rng = np.random.default_rng(0)
    size = (EXAMPLES, *shape)
    inputs = rng.integers(256, size=size, dtype=np.uint8) if len(shape) == 3 else rng.random(size, np.float32)
    data = batches.Resident(inputs, rng.integers(2, size=EXAMPLES), device)
    order = randomness.generators(0)
    module = initialisation.build(network, shape, 2, "xavier_uniform").to(device)
    settings = SGD(lr=1e-4, batch_size=batch_size, steps=10**9)
    made = cycle([data.batch(slice(k, k + batch_size)) for k in range(0, EXAMPLES, batch_size)])
    kinds = (our_steps(module, data, settings, order), bare(module, made, settings))
    for steps in kinds:
        seconds(steps, 3, device)
    number = max(1, round(BLOCK_SECONDS / seconds(kinds[1], 2, device)))
    busy = kernels(kinds[0], min(number, 50)) if device.type == "cuda" else float("nan")
    return np.array([[*(seconds(steps, number, device) for steps in kinds), busy] for _ in range(blocks)])


def our_steps(module, data: batches.Resident, settings: SGD, order: torch.Generator):
    """Yield after each step, without end, as a training takes it."""
    step = stepping.stepper(module, sgd.optimizer_of(module, settings), data)
    for draw in batches.shuffled(data, settings, order):
        step(draw)
        yield


def kernels(steps, number: int) -> float:
    """Seconds that the GPU is busy with one of so many steps: the sum of the times of its kernels."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(number):
            next(steps)
        torch.cuda.synchronize()
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / number


def bare(module, made, settings: SGD):
    """Yield after each forward, backward and step on the batches that were made."""
    optimizer = torch.optim.SGD(module.parameters(), lr=settings.lr, fused=True)
    for inputs, labels in made:
        losses.cross_entropy(module(inputs), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        yield


def seconds(steps, number: int, device: torch.device) -> float:
    """Wall time of one of so many steps."""
    start = time.perf_counter()
    for _ in range(number):
        next(steps)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / number


def main() -> None:
    """Print a row of a table for each kind: the times of the fastest blocks, the median ratio and its quartiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=["fp32", "tf32"], default="fp32")
    parser.add_argument("--blocks", type=int, default=9)
    arguments = parser.parse_args()
    device = devices.prepare(arguments.device, arguments.precision)
    floor = "kernels" if device.type == "cuda" else "bare"
    print(f"on {device}, {arguments.precision}; ratio: ours to {floor}")
    print(
        "| network | inputs | batch | ours, ms | bare, ms | kernels, ms | ratio | its quartiles |\n" + "|---" * 8 + "|"
    )
    for name, network, shape, batch_size in KINDS:
        times = compare(network, shape, batch_size, device, arguments.blocks)
        fastest = " | ".join(f"{1000 * each:.4g}" for each in times.min(0))
        low, middle, high = np.quantile(times[:, 0] / times[:, 2 if floor == "kernels" else 1], [0.25, 0.5, 0.75])
        inputs = "x".join(map(str, shape))
        print(f"| {name} | {inputs} | {batch_size} | {fastest} | {middle:.2f} | {low:.2f} to {high:.2f} |", flush=True)


if __name__ == "__main__":
    main()
