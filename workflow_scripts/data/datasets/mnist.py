"""MNIST: 70,000 images of handwritten digits."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from workflow_scripts.data import published
from workflow_scripts.data.published import Archive, Published

RAW = "MNIST/raw"
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

    Each file is read once: the bytes that are compared with FILES are those that are decoded. Raises StudyError when a
    file is absent and can't be downloaded, or damaged.
    """
    from torchvision.datasets import MNIST

    archives = [
        Archive(name, RAW, [f"{mirror}{name}" for mirror in MNIST.mirrors], md5) for name, md5 in MNIST.resources
    ]
    folder = published.folder("MNIST", data_root, RAW, FILES, archives)
    content = [published.verified(folder / name, "MNIST", "SHA-256", expected) for name, expected in FILES.items()]
    images, labels, test_images, test_labels = map(_decoded, content)
    return published.split(
        settings,
        (images[:, None], labels),
        (test_images[:, None], test_labels),
        [str(digit) for digit in range(10)],
        FILES,
    )


def _decoded(content: bytes) -> np.ndarray:
    """The array of an IDX file of uint8: two zeros, the type, the number of axes; their lengths, big-endian; values."""
    n_axes = content[3]
    shape = np.frombuffer(content, ">u4", n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)
