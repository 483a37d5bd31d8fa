"""One epoch of binary MNIST with the paper's CNN, batch 64, and predictions on all 70,000 examples at its end.

python -m benchmarks.training --data-root FOLDER [--rounds 3]

`reference` is the loop that replications have: torchvision's data set behind a DataLoader, and predictions counted
example by example in Python. `ours` is what the train stage does. `bare` is forward, backward and step on resident
float tensors. Each measurement is a process of its own that warms up first, and prints the seconds of training and of
predicting (against bare: of ours and of bare); the kinds alternate.
"""

import argparse
import operator
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.steps import our_steps
from workflow_scripts.config.training import SGD
from workflow_scripts.data.datasets import mnist
from workflow_scripts.training import batches, checkpoints, devices, initialisation, losses, randomness
from workflow_scripts.training.networks.cnn import CNN

SETTINGS = SGD(lr=0.001, batch_size=64, epochs=2)
WARM_UP = 50


def reference(data_root: Path, threads: int) -> tuple[float, float]:
    """Seconds of training and of predicting in the plain loop."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import MNIST
    from torchvision.transforms import ToTensor

    torch.set_num_threads(threads)
    train, test = (MNIST(str(data_root), train=part, transform=ToTensor()) for part in (True, False))
    layers, channels = [], 1
    for index in range(4):
        layers += [nn.Conv2d(channels, 32, 3), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if index < 2 else []
        channels = 32
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 2000), nn.ReLU(), nn.Linear(2000, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=SETTINGS.lr)
    criterion = nn.BCEWithLogitsLoss()

    def train_on(pairs) -> None:
        for images, digits in pairs:
            optimizer.zero_grad()
            loss = criterion(network(images)[:, 0], (digits > 4).float())
            loss.backward()
            optimizer.step()

    train_on(batch for _, batch in zip(range(WARM_UP), DataLoader(train, 64, shuffle=True), strict=False))
    start = time.perf_counter()
    train_on(DataLoader(train, SETTINGS.batch_size, shuffle=True))
    trained = time.perf_counter()
    counts = [[0, 0], [0, 0]]
    with torch.no_grad():
        for part in (train, test):
            for images, digits in DataLoader(part, SETTINGS.batch_size):
                for predicted, label in zip(network(images)[:, 0] > 0, digits > 4, strict=True):
                    counts[int(predicted.item())][int(label.item())] += 1
    return trained - start, time.perf_counter() - trained


def ours(data_root: Path, threads: int) -> tuple[float, float]:
    """Seconds of training and of predicting with the workflow's own functions."""
    network, train, test = _resident(data_root, threads)
    steps = our_steps(network, train, SETTINGS, randomness.generators(0))
    per_epoch = -(-len(train) // SETTINGS.batch_size)
    for _ in range(WARM_UP):
        next(steps)
    start = time.perf_counter()
    for _ in range(per_epoch):
        next(steps)
    trained = time.perf_counter()
    for part in (train, test):
        checkpoints.evaluate(network, part)
    return trained - start, time.perf_counter() - trained


def against_bare(data_root: Path, threads: int) -> tuple[float, float]:
    """Seconds of training as ours does it, and of forward, backward and step alone on batches decoded beforehand.

    The two alternate in blocks of 60 steps inside one process, 900 steps each.
    """
    network, train, _ = _resident(data_root, threads)
    steps = our_steps(network, train, SETTINGS, randomness.generators(0))
    inputs, labels = train.batch(slice(0, len(train)))
    made = list(zip(inputs.split(SETTINGS.batch_size), labels.split(SETTINGS.batch_size), strict=True))
    optimizer = torch.optim.SGD(network.parameters(), lr=SETTINGS.lr, fused=True)
    for _ in range(WARM_UP):
        next(steps)
    seconds = [0.0, 0.0]
    for block in range(0, 900, 60):
        start = time.perf_counter()
        for _ in range(60):
            next(steps)
        between = time.perf_counter()
        for images, groups in made[block : block + 60]:
            losses.cross_entropy(network(images), groups).backward()
            optimizer.step()
            optimizer.zero_grad()
        seconds[0] += between - start
        seconds[1] += time.perf_counter() - between
    return seconds[0], seconds[1]


def _resident(data_root: Path, threads: int):
    device = devices.prepare("cpu")
    torch.set_num_threads(threads)
    arrays = mnist.make(mnist.Mnist(kind="mnist"), data_root)
    parts = [
        batches.Resident(arrays[f"{part}_inputs"], (arrays[f"{part}_labels"] > 4).astype(int), device)
        for part in ("train", "test")
    ]
    network = initialisation.build(CNN(kind="cnn"), (1, 28, 28), 2, "xavier_uniform")
    return network, *parts


def measure(kind: str, threads: int, data_root: Path, processes: int = 1) -> tuple[float, float]:
    """Both numbers that a worker prints, as means over processes that run side by side."""
    command = [sys.executable, "-m", "benchmarks.training", "--data-root", data_root, "--worker", kind, str(threads)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    told = [process.communicate()[0].split() for process in running]
    return tuple(statistics.mean(map(float, column)) for column in zip(*told, strict=True))


def main() -> None:
    """Print every round and the medians of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True, help="folder with MNIST/raw")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        kind, threads = arguments.worker
        print(
            *{"reference": reference, "ours": ours, "against bare": against_bare}[kind](
                arguments.data_root, int(threads)
            )
        )
        return
    kinds = {
        "reference, 2 threads": ("reference", 2, 1),
        "ours, 2 threads": ("ours", 2, 1),
        "ours, 1 thread, 2 side by side": ("ours", 1, 2),
        "ours against bare, 2 threads": ("against bare", 2, 1),
        "ours against bare, 1 thread": ("against bare", 1, 1),
    }
    ratios: dict[str, list[float]] = {}
    for number in range(arguments.rounds):
        times = {}
        for name, (kind, threads, processes) in kinds.items():
            times[name] = measure(kind, threads, arguments.data_root, processes)
            print(f"round {number}: {name}: {times[name][0]:.2f} s, {times[name][1]:.2f} s", flush=True)
        other = sum(times["reference, 2 threads"])
        both, single = times["ours, 2 threads"], times["ours, 1 thread, 2 side by side"]
        for name, ratio in {
            "epoch, reference / ours, one process on both cores": other / sum(both),
            "seeds per hour, ours one process per core / reference": 2 * other / sum(single),
            "training, ours / bare, 2 threads": operator.truediv(*times["ours against bare, 2 threads"]),
            "training, ours / bare, 1 thread": operator.truediv(*times["ours against bare, 1 thread"]),
        }.items():
            ratios.setdefault(name, []).append(ratio)
    for name, values in ratios.items():
        print(f"{name}: median {statistics.median(values):.2f} of {[round(value, 2) for value in values]}")


if __name__ == "__main__":
    main()
