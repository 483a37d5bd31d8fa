"""Folders and .zip files drawn at random: either the arrays come out, or one clear error; nothing else, and no hang."""

import io
import os
import stat
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st
from PIL import Image

from tests.drawn import cases
from tests.pets import CLASSES, NOWHERE, picture
from workflow_scripts.config.errors import StudyError
from workflow_scripts.data import listing
from workflow_scripts.data.datasets import images

pytestmark = pytest.mark.filterwarnings("ignore")
CASES = cases(40, suppress_health_check=list(HealthCheck))


def saved(image: Image.Image, kind: str, **how) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


SOUND = [
    *(saved(picture(number), "PNG") for number in range(3)),
    saved(picture(3), "JPEG"),
    saved(picture(4, "L"), "PNG"),
    saved(picture(5).convert("P"), "PNG"),
    saved(picture(6).convert("RGBA"), "PNG"),
    saved(picture(7), "PNG", icc_profile=bytes(2_000_000)),
]
BASE = [f"{part}/{group}/{number}.png" for part in ("train", "test") for group in CLASSES for number in range(2)]


@st.composite
def damaged(draw, contents) -> bytes:
    """Bytes with a few changed, and perhaps cut off."""
    content = bytearray(draw(contents))
    for at, byte in draw(st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=6)):
        content[at % len(content)] = byte
    return bytes(content[: len(content) - draw(st.sampled_from([0, 0, 0, 1, 30]))])


CONTENTS = st.one_of(
    st.sampled_from(SOUND), st.sampled_from(SOUND), damaged(st.sampled_from(SOUND)), st.binary(max_size=40)
)
STEPS = st.one_of(
    st.sampled_from(["train", "test", "cat", "dog", "a.png", "Thumbs.db", "@eaDir", "..", ".", "", "C:", "a\\b"]),
    st.text(max_size=6),
)
NAMES = st.one_of(
    st.sampled_from(BASE),
    st.builds("{}/{}/{}".format, st.sampled_from(["train", "test"]), st.sampled_from([*CLASSES, "emu"]), STEPS),
    st.lists(STEPS, min_size=1, max_size=5).map("/".join),
)
SPECIAL = ["fifo", "loop", "out", "folder", "gone"]
KEYS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["L", "RGB"]),
        "size": st.lists(st.integers(1, 9), min_size=2, max_size=2),
        "train": st.integers(1, 6),
        "fresh": st.integers(0, 3),
    },
)


def check(path: Path, keys: dict) -> dict[str, np.ndarray] | None:
    """The arrays; None: there was one clear error that names the path."""
    try:
        of = images.ImageFolder(kind="images", path=str(path), classes=[*CLASSES], **keys)
        arrays = images.make(of, NOWHERE)
    except StudyError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error) and len(str(error)) < 700
        assert str(error).isprintable()
        return None
    n = len(arrays["train_inputs"])
    assert n == len(arrays["train_labels"]) > 0 and arrays["train_inputs"].dtype == np.uint8
    assert arrays["source_hashes"].tolist() == [f"pictures {listing.of(path)}"]
    return arrays


@CASES
@given(
    files=st.dictionaries(NAMES, CONTENTS, max_size=4),
    special=st.dictionaries(
        st.sampled_from(BASE), st.sampled_from(["fifo", "loop", "out", "folder", "gone"]), max_size=1
    ),
    keys=KEYS,
)
def test_a_folder_of_any_files_gives_arrays_or_one_clear_error(files, special, keys):
    with tempfile.TemporaryDirectory() as outside:
        root = Path(outside) / "pets"
        for name, content in (dict.fromkeys(BASE, SOUND[0]) | files).items():
            path = root / name.replace("\0", "").lstrip("/")
            try:
                assume(Path(os.path.normpath(path)).is_relative_to(root))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except (OSError, UnicodeEncodeError):  # the file system doesn't take this name
                continue
        for name, kind in special.items():
            path = root / name
            if path.is_file():
                path.unlink()
                target = {"fifo": None, "loop": path, "out": "/etc/hostname", "gone": "nowhere"}.get(kind)
                os.mkfifo(path) if kind == "fifo" else path.mkdir() if kind == "folder" else path.symlink_to(target)
        check(root, keys)


@st.composite
def members(draw) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(draw(NAMES).replace("\0", "") or "x")
    member.compress_type = draw(st.sampled_from([zipfile.ZIP_DEFLATED] * 6 + [zipfile.ZIP_STORED, zipfile.ZIP_LZMA]))
    member.external_attr = draw(st.sampled_from([0, 0, 0, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777, 0xFFFF])) << 16
    return member


def archived(path: Path, given: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name in BASE:
            archive.writestr(name, SOUND[0])
        for member, content in given:
            archive.writestr(member, content)


@CASES
@given(given=st.lists(st.tuples(members(), CONTENTS), max_size=4), keys=KEYS)
def test_a_zip_file_of_any_members_gives_arrays_or_one_clear_error(given, keys):
    with tempfile.TemporaryDirectory() as outside:
        path = Path(outside) / "pets.zip"
        try:
            archived(path, given)
        except UnicodeEncodeError:
            assume(False)
        check(path, keys)


@CASES
@given(data=st.data(), keys=KEYS)
def test_a_zip_file_damaged_anywhere_gives_arrays_or_one_clear_error(data, keys):
    with tempfile.TemporaryDirectory() as outside:
        path = Path(outside) / "pets.zip"
        archived(path, [])
        content = path.read_bytes()
        if data.draw(st.booleans()):  # in the headers, which are the smaller part
            start = content.index(b"PK\x01\x02")
            path.write_bytes(content[:start] + data.draw(damaged(st.just(content[start:]))))
        else:
            path.write_bytes(data.draw(damaged(st.just(content))))
        check(path, keys)


@CASES
@given(files=st.dictionaries(st.sampled_from(BASE), st.sampled_from(SOUND), max_size=5), keys=KEYS)
def test_a_folder_and_its_zip_file_give_the_same(files, keys):
    with tempfile.TemporaryDirectory() as outside:
        root, path = Path(outside) / "pets", Path(outside) / "pets.zip"
        for name, content in (dict.fromkeys(BASE, SOUND[0]) | files).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        with zipfile.ZipFile(path, "w") as archive:
            for name in BASE:
                archive.write(root / name, name)
        one, other = check(root, keys), check(path, keys)
        assert (one is None) == (other is None)
        for name in one or {}:
            np.testing.assert_array_equal(one[name], other[name])
