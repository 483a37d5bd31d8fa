"""CIFAR-10: 60,000 small images in colour."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from workflow_scripts.data import published
from workflow_scripts.data.published import Published
from workflow_scripts.files import hashing


class Cifar10(Published):
    """CIFAR-10, 32x32 in colour, ten classes, 50,000 + 10,000: from the files under data_root, or downloaded there."""

    n_images: ClassVar[int] = 50_000

    kind: Literal["cifar10"]


Settings = Cifar10


def make(settings: Cifar10, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays of CIFAR-10 (`parts.arrays`), uint8[N, 3, 32, 32], from `cifar-10-batches-py` under data_root.

    Files are compared with torchvision's digests before it unpickles them. Raises StudyError when one is absent and
    can't be downloaded, or damaged.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    digests = dict([*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])])
    folder = published.folder(CIFAR10, "CIFAR-10", data_root, CIFAR10.base_folder, digests)
    for name, expected in digests.items():
        if not check_integrity(folder / name, expected):
            raise published.damaged(folder / name, "CIFAR-10", "MD5")
    training, testing = (CIFAR10(str(data_root), train=train) for train in (True, False))
    return published.split(
        settings,
        (training.data.transpose(0, 3, 1, 2), np.array(training.targets)),
        (testing.data.transpose(0, 3, 1, 2), np.array(testing.targets)),
        testing.classes,
        {name: hashing.sha256(folder / name) for name in digests},
    )
