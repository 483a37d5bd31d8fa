"""Images that are published as a training set and a test set of 10,000: their settings, where they lie, their split."""

import contextlib
import hashlib
import logging
import sys
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from workflow_scripts.config.base import Count, Seed
from workflow_scripts.config.errors import Damaged, Missing, Wrong
from workflow_scripts.data import parts
from workflow_scripts.data.source import Source, expanded

log = logging.getLogger("workflow_scripts")

_DOWNLOAD_ERRORS = (RuntimeError, HTTPException, OSError)


class Published(Source):
    """Images of ten classes that are published as a training set and a test set of 10,000."""

    n_classes: ClassVar[int] = 10
    n_images: ClassVar[int]

    train: Count | None = Field(None, description="training examples; null: all that fresh leaves")
    test: Count | None = Field(None, le=10_000, description="test examples, the first ones; null: all 10,000")
    fresh: int = Field(0, ge=0, description="training images held out of training, for distillation only")
    seed: Seed = Field(0, description="seed of the choice of training and fresh images")

    @property
    def n_train(self) -> int:
        """Training examples."""
        return self.train or self.n_images - self.fresh

    @model_validator(mode="after")
    def _fits(self):
        if (self.train or 1) + self.fresh > self.n_images:
            raise Wrong(
                "too_many",
                "",
                f"train + fresh is more than the {self.n_images} training images there are: lower one of them",
            )
        return self


class Archive(NamedTuple):
    """A file to download: its name, the folder under data_root where it is unpacked, its addresses, its MD5."""

    name: str
    into: str
    urls: list[str]
    md5: str


def folder(title: str, data_root: Path, below: str, names: Iterable[str], archives: Iterable[Archive]) -> Path:
    """The folder of a published data set's files; the archives are downloaded and unpacked unless these lie there.

    title: how errors call the data set; below: the folder under data_root; names: its files. Raises StudyError where
    they are absent and can't be downloaded.
    """
    root = expanded(data_root)
    kept = root / below
    if all((kept / name).is_file() for name in names):
        return kept
    log.info("no %s in %s: downloading it", title, kept)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            for archive in archives:
                _download(archive, root / archive.into)
    except _DOWNLOAD_ERRORS as error:
        raise Missing(
            kept,
            f"{title} is not there and can't be downloaded ({' '.join(str(error).split())[:120]}): put "
            f"{', '.join(names)} there, set data_root to a folder that has them under {below}, "
            "or run once where the internet is reached",
        ) from None
    return kept


def _download(archive: Archive, into: Path) -> None:
    """Download and unpack from the first address that serves it."""
    from torchvision.datasets.utils import download_and_extract_archive

    *others, last = archive.urls
    for url in others:
        try:
            return download_and_extract_archive(url, into, filename=archive.name, md5=archive.md5)
        except _DOWNLOAD_ERRORS as error:
            log.info("%s: %s", url, error)
    download_and_extract_archive(last, into, filename=archive.name, md5=archive.md5)


def verified(path: Path, title: str, digest: str, expected: str) -> bytes:
    """The bytes of a file of a published data set. Raises Damaged unless they have the digest (SHA-256, MD5)."""
    content = path.read_bytes()
    if hashlib.new(digest.replace("-", ""), content, usedforsecurity=False).hexdigest() != expected:
        raise damaged(path, title, digest)
    return content


def damaged(path: Path, title: str, digest: str) -> Damaged:
    """The error for a file of a published data set whose digest (SHA-256, MD5) is wrong."""
    return Damaged(
        path,
        f"damaged or not {title} (its {digest} is wrong): delete it; the next run downloads it again, or put a "
        "sound copy there",
    )


def split(
    settings: Published,
    training: tuple[np.ndarray, np.ndarray],
    testing: tuple[np.ndarray, np.ndarray],
    class_names: list[str],
    sources: dict[str, str],
) -> dict[str, np.ndarray]:
    """The arrays (`parts.arrays`) of (images, labels) published for training and for testing.

    The training and the fresh part are drawn from the training images; the test part is the first test images.
    """
    images, labels = training
    order = np.random.default_rng(settings.seed).permutation(len(images))
    train, fresh = parts.training_and_fresh(order, settings.train, settings.fresh)
    return parts.arrays(
        {
            "train": (images[train], labels[train]),
            "test": tuple(values[: settings.test] for values in testing),
            "fresh": (images[fresh], labels[fresh]),
        },
        class_names,
        sources,
    )
