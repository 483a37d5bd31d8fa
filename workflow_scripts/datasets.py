"""Data sets as arrays: loaded, drawn or downloaded, then split.

Inputs are uint8 images [N, channels, height, width], where 255 means 1.0, or float32 of any shape. Labels are class
indices. Parts are train, test, fresh: inputs that no network trains on, kept for distillation, and grid: points of the
plane at which predictions are recorded, for pictures of boundaries.
"""

import contextlib
import hashlib
import logging
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np

from workflow_scripts import files
from workflow_scripts.config.data import Ball, Digits, Mnist, Sinusoid
from workflow_scripts.errors import StudyError
from workflow_scripts.tasks import PARTS

log = logging.getLogger("workflow_scripts")

#: SHA-256 of the uncompressed files, so that a damaged or truncated one is noticed before use
MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def make(source: Ball | Digits | Mnist | Sinusoid, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays of a data set's file: `{part}_inputs`, `{part}_labels`, `class_names`, `source_hashes`.

    source_hashes lists "name sha256" of every file or bundled array the data came from; empty for drawn data.
    Raises StudyError when data are absent or damaged.
    """
    makers = {"digits": _digits, "mnist": lambda s: _mnist(s, data_root), "sinusoid": _sinusoid, "ball": _ball}
    return makers[source.kind](source)


def _digits(source: Digits) -> dict[str, np.ndarray]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bundle = load_digits()
    images = (bundle.images[:, None] / 16).astype(np.float32)
    rest, test = train_test_split(
        np.arange(len(images)), test_size=source.test, stratify=bundle.target, random_state=source.seed
    )
    train, fresh = _training_and_fresh(rest, source.train, source.fresh)
    return _parts(
        {
            part: (images[chosen], bundle.target[chosen])
            for part, chosen in zip(PARTS, (train, test, fresh), strict=True)
        },
        [str(name) for name in bundle.target_names],
        {"sklearn.datasets.load_digits": hashlib.sha256(bundle.data.tobytes() + bundle.target.tobytes()).hexdigest()},
    )


def _mnist(source: Mnist, data_root: Path) -> dict[str, np.ndarray]:
    training, testing = _mnist_files(data_root)
    order = np.random.default_rng(source.seed).permutation(len(training.data))
    train, fresh = _training_and_fresh(order, source.train, source.fresh)
    test = np.arange(source.test or len(testing.data))
    images, labels = training.data.numpy()[:, None], training.targets.numpy()
    return _parts(
        {
            "train": (images[train], labels[train]),
            "test": (testing.data.numpy()[test, None], testing.targets.numpy()[test]),
            "fresh": (images[fresh], labels[fresh]),
        },
        [str(digit) for digit in range(10)],
        MNIST_FILES,
    )


def _mnist_files(data_root: Path):
    """Torchvision's training and test set, from data_root or downloaded there."""
    from torchvision.datasets import MNIST

    folder = data_root / "MNIST" / "raw"
    if not all((folder / name).is_file() for name in MNIST_FILES):
        log.info("no MNIST in %s: downloading it", folder)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                MNIST(str(data_root), download=True)
        except (RuntimeError, URLError, OSError) as error:
            raise StudyError(
                f"{folder}: MNIST is not there and can't be downloaded ({' '.join(str(error).split())[:120]}): put "
                f"{', '.join(MNIST_FILES)} there, set data_root to a folder that has them under MNIST/raw, "
                "or run once where the internet is reached"
            ) from None
    for name, expected in MNIST_FILES.items():
        if files.sha256(folder / name) != expected:
            raise StudyError(
                f"{folder / name}: damaged or not MNIST (its SHA-256 is wrong): delete it; the next run downloads it "
                "again, or put a sound copy there"
            )
    return MNIST(str(data_root), train=True), MNIST(str(data_root), train=False)


def _sinusoid(source: Sinusoid) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(source.seed)
    w, w_prime = np.linalg.qr(rng.standard_normal((source.dimension, 2)))[0].T
    sizes = {"train": source.train, "test": source.test, "fresh": source.fresh}
    parts = {}
    for part, n in sizes.items():
        x = rng.standard_normal((n, source.dimension), dtype=np.float32)
        wave = np.sin(source.frequency * source.sine_norm * (x @ w_prime))
        parts[part] = (x, (source.linear_norm * (x @ w) + wave > 0).astype(np.int64))
    return _parts(parts, ["-1", "+1"], {})


def _ball(source: Ball) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(source.seed)

    def above(x: np.ndarray) -> np.ndarray:
        return (x[:, 1] > source.amplitude * np.sin(source.frequency * x[:, 0])).astype(np.int64)

    parts, flipped = {}, {}
    for part, n in {"train": source.train, "test": source.test, "fresh": source.fresh}.items():
        angle = rng.uniform(0, 2 * np.pi, n)
        x = (np.sqrt(rng.uniform(0, 1, n)) * [np.cos(angle), np.sin(angle)]).T.astype(np.float32)
        flipped[f"{part}_flipped"] = rng.uniform(0, 1, n) < source.noise
        parts[part] = x, above(x) ^ flipped[f"{part}_flipped"]
    axis = np.linspace(-1, 1, source.grid, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return _parts({**parts, "grid": (grid, above(grid))}, ["-1", "+1"], {}) | flipped


def _training_and_fresh(order: np.ndarray, train: int | None, fresh: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices of the training part and of the fresh part, the first ones of a random order."""
    kept, held_out = order[fresh:], order[:fresh]
    return np.sort(kept[:train]), np.sort(held_out)


def _parts(parts: dict, class_names: list[str], sources: dict[str, str]) -> dict[str, np.ndarray]:
    """The arrays of the parts given, and empty ones for the others."""
    arrays, (shown, _) = {}, parts["train"]
    for part in PARTS:
        inputs, labels = parts.get(part, (shown[:0], []))
        arrays |= {f"{part}_inputs": np.ascontiguousarray(inputs), f"{part}_labels": np.asarray(labels, np.int64)}
    hashes = [f"{name} {digest}" for name, digest in sources.items()]
    return arrays | {"class_names": np.array(class_names), "source_hashes": np.array(hashes, dtype=str)}
