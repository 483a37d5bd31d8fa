"""CIFAR-10: 60,000 small images in colour."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from workflow_scripts.data import published
from workflow_scripts.data.published import Archive, Published


class Cifar10(Published):
    """CIFAR-10, 32x32 in colour, ten classes, 50,000 + 10,000: from the files under data_root, or downloaded there."""

    n_images: ClassVar[int] = 50_000

    kind: Literal["cifar10"]


Settings = Cifar10


def make(settings: Cifar10, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays of CIFAR-10 (`parts.arrays`), uint8[N, 3, 32, 32], from `cifar-10-batches-py` under data_root.

    Each file is read once: the bytes that are compared with torchvision's digests are those that are unpickled. Raises
    StudyError when one is absent and can't be downloaded, or damaged.
    """
    from torchvision.datasets import CIFAR10

    training, testing, meta = CIFAR10.train_list, CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])
    digests = dict([*training, *testing, meta])
    archives = [Archive(CIFAR10.filename, "", [CIFAR10.url], CIFAR10.tgz_md5)]
    folder = published.folder("CIFAR-10", data_root, CIFAR10.base_folder, digests, archives)
    content = {
        name: published.verified(folder / name, "CIFAR-10", "MD5", expected) for name, expected in digests.items()
    }
    unpickled = {name: _unpickled(folder / name, read) for name, read in content.items()}
    return published.split(
        settings,
        _images_and_labels([unpickled[name] for name, _ in training]),
        _images_and_labels([unpickled[name] for name, _ in testing]),
        unpickled[meta[0]][CIFAR10.meta["key"]],
        {name: hashlib.sha256(read).hexdigest() for name, read in content.items()},
    )


def _images_and_labels(batches: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return images, np.concatenate([batch["labels"] for batch in batches])


def _unpickled(path: Path, content: bytes) -> dict:
    """What one of the files holds. Raises Damaged where that is more than arrays, lists and text."""
    try:
        return _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # pickle raises many kinds for damaged content
        raise published.damaged(path, "CIFAR-10", f"content ({error})") from None


class _Unpickler(pickle.Unpickler):
    """Makes arrays, and calls nothing else: MD5, which the files are compared with, can be forged."""

    def find_class(self, module: str, name: str):
        if (module, name) not in _OF_ARRAYS:
            raise pickle.UnpicklingError(f"it calls {module}.{name}")
        return super().find_class(module, name)


_OF_ARRAYS = (
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
)
