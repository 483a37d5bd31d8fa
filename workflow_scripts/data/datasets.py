"""Data sets as arrays: loaded, drawn or downloaded, then split.

Inputs are uint8 images [N, channels, height, width], where 255 means 1.0, or float32 of any shape. Labels are class
indices. Parts are train, test, fresh: inputs that no network trains on, kept for distillation, and grid: points of the
plane at which predictions are recorded, for pictures of boundaries.
"""

import contextlib
import hashlib
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.error import URLError

import numpy as np

from workflow_scripts.config.data import Ball, Cifar10, Dataset, Digits, ImageFolder, Mnist, Sinusoid, Theorem1
from workflow_scripts.config.errors import StudyError
from workflow_scripts.data import pictures, theorem1_data
from workflow_scripts.data.tasks import PARTS
from workflow_scripts.files import hashing

log = logging.getLogger("workflow_scripts")

#: SHA-256 of the uncompressed files, so that a damaged or truncated one is noticed before use
MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def make(source: Dataset, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays of a data set's file: `{part}_inputs`, `{part}_labels`, `class_names`, `source_hashes`.

    source_hashes lists "name sha256" of every file or bundled array the data came from; empty for drawn data.
    Raises StudyError when data are absent or damaged.
    """
    makers = {
        "digits": _digits,
        "mnist": lambda s: _mnist(s, data_root),
        "cifar10": lambda s: _cifar10(s, data_root),
        "sinusoid": _sinusoid,
        "images": _images,
        "ball": _ball,
        "theorem1": _theorem1,
    }
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
            for part, chosen in (("train", train), ("test", test), ("fresh", fresh))
        },
        [str(name) for name in bundle.target_names],
        {"sklearn.datasets.load_digits": hashlib.sha256(bundle.data.tobytes() + bundle.target.tobytes()).hexdigest()},
    )


def _mnist(source: Mnist, data_root: Path) -> dict[str, np.ndarray]:
    from torchvision.datasets import MNIST

    folder = _folder(MNIST, "MNIST", data_root, "MNIST/raw", MNIST_FILES)
    for name, expected in MNIST_FILES.items():
        if hashing.sha256(folder / name) != expected:
            raise _damaged(folder / name, "MNIST", "SHA-256")
    training, testing = (MNIST(str(data_root), train=train) for train in (True, False))
    return _published(
        source,
        (training.data.numpy()[:, None], training.targets.numpy()),
        (testing.data.numpy()[:, None], testing.targets.numpy()),
        [str(digit) for digit in range(10)],
        MNIST_FILES,
    )


def _cifar10(source: Cifar10, data_root: Path) -> dict[str, np.ndarray]:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    digests = dict([*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])])
    folder = _folder(CIFAR10, "CIFAR-10", data_root, CIFAR10.base_folder, digests)
    for name, expected in digests.items():
        if not check_integrity(folder / name, expected):
            raise _damaged(folder / name, "CIFAR-10", "MD5")
    training, testing = (CIFAR10(str(data_root), train=train) for train in (True, False))
    return _published(
        source,
        (training.data.transpose(0, 3, 1, 2), np.array(training.targets)),
        (testing.data.transpose(0, 3, 1, 2), np.array(testing.targets)),
        testing.classes,
        {name: hashing.sha256(folder / name) for name in digests},
    )


def _folder(published: type, title: str, data_root: Path, below: str, names: Iterable[str]) -> Path:
    """Where torchvision keeps a published data set, downloaded unless its files lie there. Raises StudyError."""
    folder = data_root / below
    if all((folder / name).is_file() for name in names):
        return folder
    log.info("no %s in %s: downloading it", title, folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            published(str(data_root), download=True)
    except (RuntimeError, URLError, OSError) as error:
        raise StudyError(
            f"{folder}: {title} is not there and can't be downloaded ({' '.join(str(error).split())[:120]}): put "
            f"{', '.join(names)} there, set data_root to a folder that has them under {below}, "
            "or run once where the internet is reached"
        ) from None
    return folder


def _damaged(path: Path, title: str, digest: str) -> StudyError:
    return StudyError(
        f"{path}: damaged or not {title} (its {digest} is wrong): delete it; the next run downloads it again, or put a "
        "sound copy there"
    )


def _published(source: Mnist | Cifar10, training, testing, class_names, sources) -> dict[str, np.ndarray]:
    """Split what is published as (images, labels) for training and for testing."""
    images, labels = training
    order = np.random.default_rng(source.seed).permutation(len(images))
    train, fresh = _training_and_fresh(order, source.train, source.fresh)
    return _parts(
        {
            "train": (images[train], labels[train]),
            "test": tuple(values[: source.test] for values in testing),
            "fresh": (images[fresh], labels[fresh]),
        },
        class_names,
        sources,
    )


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


def _theorem1(source: Theorem1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(source.seed)
    sizes = {"train": source.train, "test": source.test, "fresh": source.fresh}
    parts = {}
    for part, n in sizes.items():
        samples = theorem1_data.draw(rng, n, source.dimension, source.noise)
        parts[part] = (theorem1_data.dense(samples, source.dimension), samples.y > 0)
    return _parts(parts, ["-1", "+1"], {})


def _images(source: ImageFolder) -> dict[str, np.ndarray]:
    with pictures.opened(Path(source.path)) as found:
        pictures.check_classes(found, source.classes)
        chosen = _chosen(source, sorted(found.listed))
        names = [name for of_part in chosen.values() for name in of_part]
        images, digest = pictures.read(found, names, source.mode, source.size)
    if source.sha256 is None:
        log.info("to pin these pictures, set sha256: %s", digest)
    elif source.sha256 != digest:
        raise StudyError(
            f"{source.path}: sha256 is {digest}, not {source.sha256} as pinned: put the pinned pictures there, or set "
            "sha256 to the new one if you mean to use these"
        )
    index = {name: number for number, name in enumerate(source.classes)}
    labels = np.array([index[name.split("/")[1]] for name in names])
    ends = np.cumsum([len(of_part) for of_part in chosen.values()])[:-1]
    parts = zip(chosen, np.split(images, ends), np.split(labels, ends), strict=True)
    return _parts({part: (x, y) for part, x, y in parts}, source.classes, {source.path: digest})


def _chosen(source: ImageFolder, names: list[str]) -> dict[str, list[str]]:
    """The names of the pictures of each part."""
    training, testing = ([name for name in names if name.startswith(f"{part}/")] for part in ("train", "test"))
    for needed, given, keys in (
        ((source.train or 1) + source.fresh, training, "train + fresh"),
        (source.test or 1, testing, "test"),
    ):
        if needed > len(given):
            raise StudyError(f"{source.path}: {keys} is more than the {len(given)} pictures there: lower it")
    rng = np.random.default_rng(source.seed)
    train, fresh = _training_and_fresh(rng.permutation(len(training)), source.train, source.fresh)
    test = np.sort(rng.permutation(len(testing))[: source.test])
    return {
        "train": [training[index] for index in train],
        "test": [testing[index] for index in test],
        "fresh": [training[index] for index in fresh],
    }


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
