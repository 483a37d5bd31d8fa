"""Small folders and .zip files of pictures, and the jobs that read them."""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.refusals import assert_nothing_in, assert_refused, call
from workflow_scripts.config.errors import StudyError
from workflow_scripts.data import pictures
from workflow_scripts.data.datasets import images

NOWHERE = Path("nowhere")
CLASSES = ("cat", "dog")


def picture(number: int, mode: str = "RGB", size: tuple[int, int] = (4, 5)) -> Image.Image:
    """A picture of noise; size: height, width."""
    shape = (*size, 3) if mode == "RGB" else size
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, shape, np.uint8))


def put(root: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """A folder of 3 + 2 pictures of each class, numbered through."""
    number = 0
    for part, n in (("train", 3), ("test", 2)):
        for name in classes:
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(n):
                picture(number).save(folder / f"{index}.png")
                number += 1
    return root


def zipped(root: Path, prefix: str = "", name: str = "pets.zip") -> Path:
    """The folder as a .zip file, its names behind a prefix."""
    path = root.parent / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*"), reverse=True):
            archive.write(file, prefix + str(file.relative_to(root)))
    return path


def made(path: Path, **keys) -> dict[str, np.ndarray]:
    settings = {"kind": "images", "path": str(path), "classes": [*CLASSES], **keys}
    return images.make(images.ImageFolder(**settings), NOWHERE)


def job(path: Path, listing: str | None = None, **keys) -> dict:
    """What a job reads."""
    source = {"kind": "images", "path": str(path), "classes": [*CLASSES], **keys}
    return {"wildcards": {"dataset": "pets"}, "source": source, "listing": listing}


def refused(path: Path, kind: type[StudyError], holds: str = "", where: Path | None = None, **keys) -> None:
    """The job that reads these pictures fails with one line, about them or a part of them, and writes nothing."""
    out = path.parent / "out"
    assert_refused(call("prepare_data", job(path, **keys), data=out / "pets.npz"), kind, where or path, holds)
    assert_nothing_in(out)


def same(arrays: dict, others: dict) -> None:
    """The arrays of two data sets, what they tell of their source included, are the same."""
    assert arrays.keys() == others.keys()
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], name)


def counted(monkeypatch) -> list[str]:
    """The names of the pictures that are decoded from now on."""
    decoded, real = [], pictures.decoded
    monkeypatch.setattr(pictures, "decoded", lambda where, *how: decoded.append(where) or real(where, *how))
    return decoded


def noise(numbers: list[int], size: tuple[int, int] = (4, 5)) -> np.ndarray:
    return np.stack([np.asarray(picture(number, size=size)).transpose(2, 0, 1) for number in numbers])
