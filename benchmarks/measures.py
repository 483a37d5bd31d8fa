"""Time and memory of all measures with intervals for a long trajectory, against scikit-learn called per checkpoint.

python -m benchmarks.measures [--checkpoints 300] [--examples 10000] [--rounds 5]

Ours: joint counts, every quantity, its correction, its interval and its exact test; then the same of each class,
without tests. scikit-learn: mutual_info_score
alone, for I(F;Y), I(L;Y) and I(F;L), once per checkpoint. One thread.
"""

import argparse
import os
import resource
import statistics
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from sklearn.metrics import mutual_info_score

from workflow_scripts.measures import information, intervals, per_class


def trajectory(checkpoints: int, examples: int, n_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions uint8[T, N] that get better, an explainer's [N], and labels [N]."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=examples).astype(np.uint8)
    noise = rng.integers(n_classes, size=(checkpoints, examples), dtype=np.uint8)
    right = rng.random((checkpoints, examples)) < np.linspace(0, 0.95, checkpoints)[:, None]
    explained = np.where(rng.random(examples) < 0.8, y, rng.integers(n_classes, size=examples).astype(np.uint8))
    return np.where(right, y, noise), explained, y


def ours(f: np.ndarray, l: np.ndarray, y: np.ndarray, n_classes: int) -> None:
    """Everything that measures.csv holds of one explainer's test set."""
    intervals.with_intervals(information.joint_counts(f, l, y, n_classes))


def sklearn(f: np.ndarray, l: np.ndarray, y: np.ndarray, n_classes: int) -> None:
    """Three of the seven quantities, without correction or interval."""
    for predicted in f:
        mutual_info_score(y, predicted)
        mutual_info_score(y, l)
        mutual_info_score(predicted, l)


def seconds(function, *arguments) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def main() -> None:
    """Print medians, their ratio and the peak memory after each number of classes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=int, default=300)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for n_classes in (2, 10):
        data = (*trajectory(arguments.checkpoints, arguments.examples, n_classes), n_classes)
        rounds = [(seconds(ours, *data), seconds(sklearn, *data)) for _ in range(arguments.rounds)]
        median = statistics.median(a for a, _ in rounds)
        other = statistics.median(b for _, b in rounds)
        ratio = statistics.median(b / a for a, b in rounds)
        counts = information.joint_counts(*data)
        of_classes = statistics.median(seconds(per_class.parts, counts) for _ in range(arguments.rounds))
        untested = statistics.median(seconds(intervals.with_intervals, counts, 0) for _ in range(arguments.rounds))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{n_classes} classes: ours {median:.2f} s, scikit-learn per checkpoint {other:.2f} s, "
            f"ratio {ratio:.1f}; per class another {of_classes:.2f} s; "
            f"intervals without random tables {untested:.2f} s; peak memory {peak:.0f} MiB"
        )


if __name__ == "__main__":
    main()
