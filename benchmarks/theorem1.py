"""The simulation of Theorem 1 in config.yaml, and at a smaller dimension against dense SGD, one repetition at a time.

python -m benchmarks.theorem1
"""

import argparse
import os
import resource
import statistics
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import yaml

from workflow_scripts import simulate
from workflow_scripts.config.base import parse
from workflow_scripts.config.simulations import Simulation
from workflow_scripts.data.datasets.theorem1 import Samples, dense, draw
from workflow_scripts.measures import theorem1

CONFIG = Path(__file__).resolve().parents[1] / "config.yaml"
SMALL = {"dimension": 100_000, "examples": 50, "repetitions": 20, "epochs": 20, "lr": 0.02}
P = 0.1


def sparse_sgd() -> np.ndarray:
    """w(1) at the end, [R], by our simulation; it computes the accuracies too."""
    rng = np.random.default_rng(0)
    samples = draw(rng, (SMALL["repetitions"], SMALL["examples"]), SMALL["dimension"], [P])
    of = (np.array([P]), np.zeros(1), np.zeros(1))
    _, found = theorem1.simulate(samples, SMALL["dimension"], *of, SMALL["lr"], SMALL["epochs"], rng)
    return found["first_weight"][-1, :, 0]


def dense_sgd() -> np.ndarray:
    """w(1) at the end, [R], by SGD on dense examples; no accuracies."""
    rng = np.random.default_rng(0)
    shape = SMALL["repetitions"], SMALL["examples"]
    samples = draw(rng, shape, SMALL["dimension"], P)
    rng.choice([-1.0, 1.0], shape)  # the signs of w0 = 0
    examples = np.arange(shape[0] * shape[1]).reshape(shape)
    orders = np.concatenate([rng.permuted(examples, axis=1) for _ in range(SMALL["epochs"])], axis=1) % shape[1]
    ends = []
    for of, order in zip(zip(*samples, strict=True), orders, strict=True):
        one = Samples(*of)
        signed = dense(one, SMALL["dimension"]) * one.y[:, None]
        w = np.zeros(SMALL["dimension"])
        for i in order:
            w += 2 * SMALL["lr"] * (1 - w @ signed[i]) * signed[i]
        ends.append(w[0])
    return np.array(ends)


def seconds(function, *arguments) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def main() -> None:
    """Print medians, their ratio and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = range(parser.parse_args().rounds)
    whole = parse(Simulation, yaml.safe_load(CONFIG.read_text())["simulations"]["theorem1"], str(CONFIG))
    one = whole.model_copy(update={"noise": whole.noise[:1], "inits": dict([*whole.inits.items()][:1])})
    settings = len(whole.noise) * len(whole.inits)
    for name, each in (("one setting", one), (f"all {settings} settings", whole)):
        taken = [seconds(simulate.simulation, each) for _ in rounds]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name}: {statistics.median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f}), peak {peak:.0f} MiB")
    np.testing.assert_allclose(sparse_sgd(), dense_sgd(), atol=1e-9)
    pairs = [(seconds(sparse_sgd), seconds(dense_sgd)) for _ in rounds]
    ours, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"dimension {SMALL['dimension']}: ours {ours:.3f} s, dense SGD {other:.2f} s, ratio {ratio:.0f}")


if __name__ == "__main__":
    main()
