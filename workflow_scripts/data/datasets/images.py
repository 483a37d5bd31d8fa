"""Pictures of the user's own, in a folder or a .zip file."""

import functools
import logging
import re
from collections import Counter
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from workflow_scripts.config.base import Count, Seed
from workflow_scripts.config.errors import Changed, Unfit, Wrong
from workflow_scripts.data import listing, parts, picture_files, pictures
from workflow_scripts.data.source import Source, expanded
from workflow_scripts.files import hashing

log = logging.getLogger("workflow_scripts")


class ImageFolder(Source):
    """Pictures of your own, PNG or JPEG, as train/{class}/* and test/{class}/* in a folder or a .zip file."""

    threads: ClassVar[int] = 8
    places: ClassVar[tuple[str, ...]] = ("path",)

    kind: Literal["images"]
    path: str = Field(description="the folder or .zip file; relative to the working directory; ~ is home")
    classes: list[str] = Field(description="names of the class folders, two or more; label maps count them from 0")
    train: Count | None = Field(None, description="training pictures; null: all that fresh leaves")
    test: Count | None = Field(None, description="test pictures; null: all")
    fresh: int = Field(0, ge=0, description="pictures under train held out of training, for distillation only")
    seed: Seed = Field(0, description="seed of the choice of pictures")
    mode: Literal["L", "RGB"] | None = Field(
        None, description="convert to grey (L) or colour (RGB); null: all have to be L, or all RGB"
    )
    size: list[Count] | None = Field(
        None, description="resize to [height, width]; null: all have to be of the same size"
    )
    sha256: str | None = Field(
        None,
        description="pin: refuse pictures with another digest than this one, which the log tells. It is that of the "
        "names and contents of all pictures, the same for a folder and its .zip file; a .zip file's own will do "
        "too. null: a change of the pictures makes the data set anew",
    )

    @property
    def n_classes(self) -> int:
        """Class folders."""
        return len(self.classes)

    @functools.cached_property
    def listing(self) -> str | None:
        """The digest of the names and contents of all pictures; None: they are pinned.

        Raises Missing where they are absent, and another StudyError where they can't be read or used.
        """
        return None if self.sha256 else listing.of(expanded(self.path))

    def check_listing(self, planned: str) -> None:
        """Raise StudyError unless the pictures are those that were listed when the job was planned."""
        if self.listing != planned:
            raise Changed(
                self.path,
                "the pictures changed since this job was planned: run snakemake again so that it is "
                "planned with the pictures as they are now",
            )

    @field_validator("classes")
    @classmethod
    def _composed(cls, classes: list[str]) -> list[str]:
        return [picture_files.composed(name) for name in classes]

    @model_validator(mode="after")
    def _is_sound(self):
        if not 2 <= len(self.classes) <= 256:
            raise Wrong("bad_value", "classes", f"expected 2 to 256 names of class folders, got {len(self.classes)}")
        if repeated := [name for name, times in Counter(self.classes).items() if times > 1]:
            raise Wrong("repeated", "classes", f"{repeated[0]!r} is listed twice: keep one")
        for name in self.classes:
            if not name or re.search("[/\\\\\0]", name) or picture_files.is_passed_over(name):
                raise Wrong("bad_value", "classes", f"{name!r} can't be the name of a class folder: rename it")
        if not self.path or "\0" in self.path:
            raise Wrong("bad_value", "path", f"expected the path of a folder or .zip file, got {self.path!r}")
        if self.size is not None and len(self.size) != 2:
            raise Wrong("bad_value", "size", f"expected [height, width], got {self.size}")
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise Wrong(
                "bad_value",
                "sha256",
                f"expected 64 digits 0-9 and a-f, got {self.sha256!r}: copy it from the job's log",
            )
        return self


Settings = ImageFolder


def make(settings: ImageFolder, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays (`parts.arrays`) of the pictures, uint8[N, channels, height, width], and their `{part}_names`.

    Raises StudyError when pictures are absent, too few, badly laid out or damaged, or are not those that are pinned.
    """
    path = expanded(settings.path)
    with picture_files.opened(path) as found:
        pictures.check_classes(found, settings.classes)
        chosen = _chosen(settings, sorted(found.stamps))
        names = [name for of_part in chosen.values() for name in of_part]
        images, hashes = pictures.read(found, names, settings.mode, settings.size)
        digest = listing.digest(hashes | listing.hashes(found, found.stamps.keys() - hashes.keys()))
    _check(settings, path, digest)
    index = {name: number for number, name in enumerate(settings.classes)}
    labels = np.array([index[name.split("/")[1]] for name in names])
    ends = np.cumsum([len(of_part) for of_part in chosen.values()])[:-1]
    split = zip(chosen, np.split(images, ends), np.split(labels, ends), strict=True)
    made = parts.arrays({part: (x, y) for part, x, y in split}, settings.classes, {"pictures": digest})
    return made | {f"{part}_names": np.array(of_part, dtype=str) for part, of_part in chosen.items()}


def _check(settings: ImageFolder, path: Path, digest: str) -> None:
    """Raise Changed unless the pictures that were read, with this digest, are those that are pinned or planned with."""
    if settings.sha256 is None:
        settings.check_listing(digest)
        log.info("to pin these pictures, set sha256: %s", digest)
    elif settings.sha256 != digest and not (path.is_file() and hashing.sha256(path) == settings.sha256):
        raise Changed(
            settings.path,
            f"sha256 is {digest}, not {settings.sha256} as pinned: put the pinned pictures there, or "
            "set sha256 to the new one if you mean to use these",
        )


def _chosen(settings: ImageFolder, names: list[str]) -> dict[str, list[str]]:
    """The names of the pictures of each part."""
    training, testing = ([name for name in names if name.startswith(f"{part}/")] for part in ("train", "test"))
    for needed, given, keys in (
        ((settings.train or 1) + settings.fresh, training, "train + fresh"),
        (settings.test or 1, testing, "test"),
    ):
        if needed > len(given):
            raise Unfit(settings.path, f"{keys} is more than the {len(given)} pictures there: lower it")
    rng = np.random.default_rng(settings.seed)
    train, fresh = parts.training_and_fresh(rng.permutation(len(training)), settings.train, settings.fresh)
    test = np.sort(rng.permutation(len(testing))[: settings.test])
    return {
        "train": [training[index] for index in train],
        "test": [testing[index] for index in test],
        "fresh": [training[index] for index in fresh],
    }
