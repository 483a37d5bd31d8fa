"""MNIST: 70,000 images of handwritten digits."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from workflow_scripts.data import published
from workflow_scripts.data.published import Published
from workflow_scripts.files import hashing

#: SHA-256 of the uncompressed files, so that a damaged or truncated one is noticed before use
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class Mnist(Published):
    """MNIST, 28x28, ten classes, 60,000 + 10,000: from the files under data_root, or downloaded there."""

    n_images: ClassVar[int] = 60_000

    kind: Literal["mnist"]


Settings = Mnist


def make(settings: Mnist, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays of MNIST (`parts.arrays`), uint8[N, 1, 28, 28], from `MNIST/raw` under data_root.

    Raises StudyError when a file is absent and can't be downloaded, or damaged.
    """
    from torchvision.datasets import MNIST

    folder = published.folder(MNIST, "MNIST", data_root, "MNIST/raw", FILES)
    for name, expected in FILES.items():
        if hashing.sha256(folder / name) != expected:
            raise published.damaged(folder / name, "MNIST", "SHA-256")
    training, testing = (MNIST(str(data_root), train=train) for train in (True, False))
    return published.split(
        settings,
        (training.data.numpy()[:, None], training.targets.numpy()),
        (testing.data.numpy()[:, None], testing.targets.numpy()),
        [str(digit) for digit in range(10)],
        FILES,
    )
