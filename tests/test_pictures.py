"""A user's own pictures: how they are read, what is refused, and which changes are noticed."""

import contextlib
import errno
import os
import re
import shutil
import socket
import stat
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pets import CLASSES, counted, job, made, noise, picture, put, refused, same, zipped
from tests.refusals import assert_holds, call
from workflow_scripts.config.errors import Blocked, Changed, Damaged, Foreign, Misconfigured, Missing, Unfit
from workflow_scripts.data import many, picture_files, repeats
from workflow_scripts.data.parts import PARTS


@pytest.fixture
def pets(tmp_path) -> Path:
    return put(tmp_path / "my pets")


# What is read


def test_pictures_become_arrays_in_the_order_of_their_names_with_labels_in_the_order_of_the_classes(pets):
    arrays = made(pets, classes=["dog", "cat"])
    np.testing.assert_array_equal(arrays["train_inputs"], noise([0, 1, 2, 3, 4, 5]))
    np.testing.assert_array_equal(arrays["test_inputs"], noise([6, 7, 8, 9]))
    assert arrays["train_inputs"].dtype == np.uint8 and arrays["fresh_inputs"].shape == (0, 3, 4, 5)
    assert arrays["train_labels"].tolist() == [1, 1, 1, 0, 0, 0] and arrays["test_labels"].tolist() == [1, 1, 0, 0]
    assert arrays["class_names"].tolist() == ["dog", "cat"]


@pytest.mark.parametrize("prefix", ["", "pets-1.0/"])
def test_a_zip_file_gives_what_its_folder_gives_with_or_without_a_folder_around_it(prefix, pets):
    same(made(zipped(pets, prefix)), made(pets))


@pytest.mark.parametrize("spelled", [str, str.upper, str.lower, str.title])
def test_what_systems_leave_behind_is_passed_over_however_it_is_spelled(spelled, pets):
    expected = made(pets)
    for name in (*picture_files.LEFT_BY_SYSTEMS, ".DS_Store", "._0.png", ".cache"):
        (pets / "train" / spelled(name)).mkdir()
        (pets / "train" / spelled(name) / "0.png").write_bytes(b"rubbish")
        (pets / "test" / "dog" / spelled(name)).write_bytes(b"rubbish")
        (pets / spelled(name)).mkdir()
    (pets / "LICENSE").write_text("beside train and test, anything may lie")
    same(made(pets), expected)
    same(made(zipped(pets)), expected)


def test_jpeg_and_grey_pictures_are_read(pets):
    for path in list(pets.rglob("*.png")):
        Image.open(path).convert("L").save(path.with_suffix(".JPG"), "JPEG", quality=75)
        path.unlink()
    arrays = made(pets)
    assert arrays["train_inputs"].shape == (6, 1, 4, 5)
    np.testing.assert_array_equal(arrays["train_inputs"][0, 0], np.asarray(Image.open(pets / "train/cat/0.JPG")))


def test_the_number_of_threads_changes_nothing(pets, monkeypatch):
    for number in range(100):
        picture(100 + number).save(pets / "train" / "cat" / f"more{number}.png")
    several = []
    for workers in (1, 2, 8):
        monkeypatch.setattr(many, "cores", lambda n=workers: n)
        several.append(made(zipped(pets)))
    for other in several[1:]:
        same(several[0], other)


def test_a_subset_is_chosen_by_the_seed_before_anything_is_decoded(pets, monkeypatch):
    keys = {"train": 3, "fresh": 2, "test": 2}
    decoded = counted(monkeypatch)
    arrays = made(pets, **keys)
    assert len(set(decoded)) == 7 and len(decoded) == 8, "the first is looked at before"
    assert [len(arrays[f"{part}_labels"]) for part in PARTS] == [3, 2, 2, 0]
    training = np.concatenate([arrays["train_inputs"], arrays["fresh_inputs"]])
    assert len({image.tobytes() for image in training}) == 5, "no picture is in two parts"
    same(made(zipped(pets), **keys), arrays)
    others = [made(pets, **keys, seed=seed) for seed in range(1, 6)]
    for part in ("train", "test", "fresh"):
        assert len({arrays[f"{part}_inputs"].tobytes() for arrays in others}) > 1, part


def test_a_link_inside_the_folder_is_followed(pets):
    (pets / "train" / "cat" / "0.png").rename(pets / "kept.png")
    (pets / "train" / "cat" / "0.png").symlink_to(pets / "kept.png")
    np.testing.assert_array_equal(made(pets)["train_inputs"][0], noise([0])[0])


def test_the_log_tells_how_far_reading_is(pets, monkeypatch, caplog):
    monkeypatch.setattr(many, "SECONDS_BETWEEN_LINES", 0.0)
    for number in range(60):
        picture(number).save(pets / "train" / "cat" / f"more{number}.png")
    with caplog.at_level("INFO", "workflow_scripts"):
        made(pets)
    assert re.search(r"picture 32 of 70: \d+ pictures/s, 0 min 0 s left", caplog.text)


def test_the_real_pictures_are_read(shared_data):
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    keys = {"classes": names, "train": 400, "test": 300, "fresh": 100}
    arrays = made(shared_data / "cifar10-jpeg.zip", **keys)
    assert arrays["train_inputs"].shape == (400, 3, 32, 32) and arrays["fresh_inputs"].shape == (100, 3, 32, 32)
    assert np.bincount(arrays["test_labels"], minlength=10).min() > 10
    assert 100 < arrays["train_inputs"].mean() < 140


# What is refused


def bound(path: Path) -> None:
    """A socket lies there."""
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("change", "kind", "holds"),
    [
        (lambda root: shutil.rmtree(root), Missing, ".zip path"),
        (lambda root: shutil.rmtree(root / "test"), Missing, "test train/{class}/{picture}"),
        (lambda root: shutil.rmtree(root / "test/dog"), Missing, "test/dog classes"),
        (lambda root: [path.unlink() for path in (root / "train/cat").iterdir()], Missing, "train/cat"),
        (lambda root: (root / "train/dog").rename(root / "train/dogs"), Missing, "train/dog"),
        (lambda root: shutil.copytree(root / "test/dog", root / "test/emu"), Foreign, "test/emu classes"),
        (lambda root: (root / "train/notes.txt").write_text("x"), Foreign, "train/notes.txt train/{class}/{picture}"),
        (lambda root: (root / "train/cat/more").mkdir(), Foreign, "train/cat/more train/{class}/{picture}"),
        (lambda root: (root / "train/cat/a.png").symlink_to("b.png"), Foreign, "train/cat/a.png"),
        (lambda root: (root / "train/cat/a.txt").write_text("x"), Damaged, "train/cat/a.txt PNG JPEG"),
        (lambda root: (root / "train/cat/0.png").write_bytes(b""), Damaged, "train/cat/0.png PNG JPEG"),
        (lambda root: picture(0).save(root / "train/cat/0.gif"), Damaged, "train/cat/0.gif PNG JPEG"),
        (lambda root: truncated(root / "test/cat/1.png"), Damaged, "test/cat/1.png"),
        (
            lambda root: picture(0, size=(4, 6)).save(root / "train/dog/2.png"),
            Unfit,
            "train/cat/0.png [4, 5] train/dog/2.png [4, 6] size [height, width]",
        ),
        (
            lambda root: picture(0, "L").save(root / "test/dog/1.png"),
            Unfit,
            "train/cat/0.png RGB test/dog/1.png L mode",
        ),
        (lambda root: picture(0).convert("RGBA").save(root / "train/dog/2.png"), Unfit, "train/dog/2.png RGBA L RGB"),
        (lambda root: (root / "train/cat/a.png").symlink_to("a.png"), Foreign, "train/cat/a.png"),
        (lambda root: (root / "train/emu").symlink_to("../train/emu"), Foreign, "train/emu"),
        (lambda root: os.mkfifo(root / "train/cat/a.png"), Foreign, "train/cat/a.png"),
        (lambda root: os.mkfifo(root / "train/a.png"), Foreign, "train/a.png"),
        (lambda root: bound(root / "test/dog/a.png"), Foreign, "test/dog/a.png"),
        (lambda root: (shutil.rmtree(root), os.mkfifo(root)), Foreign, "path"),
        (lambda root: (root / "train/cat/0.png").rename(root / os.fsdecode(b"train/cat/\xff.png")), Damaged, "UTF-8"),
        (lambda root: (shutil.rmtree(root / "test"), (root / "test").write_text("x")), Foreign, "test"),
    ],
)
def test_a_folder_that_is_not_as_expected_is_refused_in_one_line(change, kind, holds, pets):
    change(pets)
    refused(pets, kind, holds)


@pytest.mark.parametrize("name", ["train", "test", "train/cat", "test/dog", "train/emu", "train/cat/0.png"])
@pytest.mark.parametrize("through", ["directly", "by another link"])
def test_a_link_that_leads_out_of_the_folder_is_refused_at_every_level(name, through, pets):
    elsewhere = pets.parent / "elsewhere"
    if (pets / name).exists():
        (pets / name).rename(elsewhere)
    target = elsewhere
    if through == "by another link":
        target = pets / "hop"
        target.symlink_to(elsewhere)
    (pets / name).symlink_to(target)
    refused(pets, Foreign, where=pets / name)


def test_the_folder_itself_may_be_a_link(pets):
    (pets.parent / "link").symlink_to(pets)
    same(made(pets.parent / "link"), made(pets))


@pytest.mark.parametrize(
    ("keys", "kind", "holds"),
    [
        ({"train": 5, "fresh": 2}, Unfit, "train fresh 6"),
        ({"fresh": 6}, Unfit, "train fresh 6"),
        ({"test": 5}, Unfit, "test 4"),
        ({"classes": ["cat", "dog", "emu"]}, Missing, "test/emu train/emu"),
        ({"sha256": "0" * 64}, Changed, f"{'0' * 64} sha256"),
    ],
)
def test_settings_that_do_not_fit_the_pictures_are_refused(keys, kind, holds, pets):
    refused(pets, kind, holds, **keys)


def test_all_damaged_pictures_are_counted_and_the_first_are_named_whatever_the_number_of_threads(pets, monkeypatch):
    for number in range(200):
        (pets / "train" / "cat" / f"x{number:03}.png").write_bytes(b"no picture")
    (pets / "test" / "dog" / "0.png").write_bytes(b"")
    for workers in (1, 8):
        monkeypatch.setattr(many, "cores", lambda n=workers: n)
        names = [f"train/cat/x{number:03}.png" for number in range(10)]
        refused(pets, Damaged, f"{' '.join(names)} 200 191")
    for path in (pets / "train" / "cat").glob("[0-9].png"):
        path.unlink()
    refused(pets, Damaged, "train/cat/x000.png train/cat/x009.png 200 191")


def test_all_that_lies_out_of_place_is_counted_and_the_first_is_named(pets):
    for number in (2, 0, 1):
        os.mkfifo(pets / "train" / "cat" / f"x{number}.png")
        (pets / "test" / "dog" / f"x{number}.png").mkdir()
        (pets / "train" / "dog" / f"x{number}.png").symlink_to("nowhere")
    names = [f"train/{group}/x{number}.png" for group in CLASSES for number in range(3)]
    refused(pets, Foreign, f"{' '.join(names)} 8 test/dog/x0.png")


def test_all_members_that_cannot_be_pictures_are_counted_and_the_first_is_named(pets):
    path = zipped(pets)
    with zipfile.ZipFile(path, "a") as archive:
        for number in (2, 0, 1):
            archive.writestr(f"train/cat/more/{number}.png", b"x")
    refused(path, Foreign, "train/cat/more/0.png train/cat/more/1.png train/cat/more/2.png 2")


def test_all_pictures_of_another_size_are_counted(pets):
    for number in range(3):
        picture(number, size=(7, 7)).save(pets / "test" / "dog" / f"x{number}.png")
    refused(pets, Unfit, "train/cat/0.png test/dog/x0.png 2 size")


@pytest.mark.parametrize("pixels", [15, 5], ids=["where Pillow warns", "where Pillow refuses"])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(pixels, pets, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
    refused(pets, Unfit, f"train/cat/0.png {pixels}")


@pytest.mark.parametrize("size", [[1_000_000, 1_000_000], [2**31 - 1, 1000], [1000, 2**31 - 1]])
@pytest.mark.parametrize("mode", [None, "RGB"])
def test_a_size_beyond_memory_is_refused_before_anything_is_decoded(size, mode, pets, monkeypatch):
    decoded = counted(monkeypatch)
    refused(pets, Unfit, "size train test GiB", size=size, mode=mode)
    assert not decoded


def test_more_pictures_than_memory_holds_are_refused(pets, monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 10)
    refused(pets, Unfit, "10 [3, 4, 5] train test size")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_pictures_and_folders_that_cannot_be_read_are_named(number, pets, monkeypatch):
    error, opened, listdir = OSError(number, os.strerror(number)), Path.open, os.listdir

    def failing(real, name):
        def read(path, *rest, **options):
            if Path(path).name == name:
                raise error
            return real(path, *rest, **options)

        return read

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing(opened, "1.png"))
        refused(pets, Blocked, "train/cat/1.png test/dog/1.png 3")
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", failing(listdir, "dog"))
        refused(pets, Blocked, where=pets / "train/dog")
    path = zipped(pets)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing(opened, "pets.zip"))
        refused(path, Blocked)


def test_no_more_of_a_picture_is_read_than_is_sensible(pets, monkeypatch):
    picture(0, size=(50, 50)).save(pets / "test" / "dog" / "big.png")
    monkeypatch.setattr(picture_files, "MOST_BYTES", 2000)
    refused(pets, Unfit, "test/dog/big.png MiB")
    refused(zipped(pets), Unfit, "test/dog/big.png MiB")


@pytest.mark.parametrize("declared", [30_000_000, 500])
def test_a_member_that_unpacks_to_more_than_is_sensible_is_not_unpacked(declared, pets, monkeypatch):
    path = zipped(pets)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/cat/bomb.png", bytes(30_000_000))
    path.write_bytes(path.read_bytes().replace((30_000_000).to_bytes(4, "little"), declared.to_bytes(4, "little")))
    monkeypatch.setattr(picture_files, "MOST_BYTES", 10**6)
    with picture_files.opened(path) as found:
        tracemalloc.start()
        with pytest.raises(Unfit if declared > 10**6 else Damaged):
            found.read("train/cat/bomb.png")
        assert tracemalloc.get_traced_memory()[1] < 4 * 10**6
        tracemalloc.stop()
    refused(path, Unfit if declared > 10**6 else Damaged, "train/cat/bomb.png")


@pytest.mark.parametrize("name", ["../train/cat/a.png", "/train/cat/a.png", "train\\cat\\a.png", "C:/train/cat/a.png"])
def test_a_name_in_a_zip_file_that_leaves_the_folder_is_refused(name, pets):
    path = zipped(pets)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, (pets / "train/cat/0.png").read_bytes())
    refused(path, Damaged, repr(name))


def special(kind: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("train/cat/a.png")
    member.external_attr = (kind | 0o777) << 16
    return member


def compressed(method: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("train/cat/a.png")
    member.compress_type = method
    return member


@pytest.mark.parametrize(
    ("member", "kind", "holds"),
    [
        (special(stat.S_IFLNK), Damaged, "link"),
        (special(stat.S_IFIFO), Damaged, "link"),
        (special(stat.S_IFCHR), Damaged, "link"),
        (compressed(zipfile.ZIP_LZMA), Damaged, "deflate"),
        (compressed(zipfile.ZIP_BZIP2), Damaged, "deflate"),
        (zipfile.ZipInfo("train/cat/0.png"), Damaged, "twice"),
        (zipfile.ZipInfo("train/a.png"), Foreign, ""),
        (zipfile.ZipInfo("train/cat/more/a.png"), Foreign, ""),
    ],
)
def test_a_member_of_a_zip_file_that_cannot_be_a_picture_is_refused(member, kind, holds, pets, recwarn):
    path = zipped(pets)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"x")
    refused(path, kind, f"{member.filename} {holds}")


def renamed(path: Path, old: bytes, new: bytes, flags: int) -> None:
    """Another name of the same length, byte by byte, in both headers of a member, with these flags."""
    content = path.read_bytes()
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.rindex(signature, 0, content.index(old, content.index(signature)))
        if signature == b"PK\x01\x02":
            start = content.rindex(signature, 0, content.rindex(old))
        content = content[: start + at] + flags.to_bytes(2, "little") + content[start + at + 2 :]
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(("flags", "as_written"), [(0x800, True), (0, True), (0, False), (0x800, False)])
def test_names_in_utf_8_are_read_whether_or_not_they_are_marked_and_others_are_refused(flags, as_written, pets):
    path = pets.parent / "named.zip"
    (pets / "train" / "cat" / "0.png").rename(pets / "train" / "cat" / "xxtz.png")
    zipped(pets, name=path.name)
    renamed(path, b"xxtz.png", "ätz.png".encode() if as_written else b"\xe4ltz.png", flags)
    (pets / "train" / "cat" / "xxtz.png").rename(pets / "train" / "cat" / "ätz.png")
    if as_written:
        same(made(path), made(pets))
    else:
        refused(path, Damaged)


def test_a_name_with_a_nul_is_refused(pets):
    path = zipped(pets)
    renamed(path, b"train/cat/0.png", b"train/cat/0\0png", 0)
    refused(path, Damaged, repr("train/cat/0\0png"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("form_of_config", ["NFC", "NFD"])
def test_an_accent_is_the_same_however_it_is_composed(form, form_of_config, pets):
    expected = made(pets)
    for part in ("train", "test"):
        (pets / part / "dog").rename(pets / part / unicodedata.normalize(form, "dögge"))
    classes = ["cat", unicodedata.normalize(form_of_config, "dögge")]
    arrays = made(pets, classes=classes)
    same(made(zipped(pets), classes=classes), arrays)
    for key in ("train_inputs", "train_labels"):
        np.testing.assert_array_equal(arrays[key], expected[key])
    assert arrays["class_names"].tolist() == ["cat", unicodedata.normalize("NFC", "dögge")]


@pytest.mark.parametrize("name", ["train/{}", "train/cat/{}.png"])
def test_names_that_differ_only_in_how_accents_are_composed_are_refused(name, pets):
    for form in ("NFC", "NFD"):
        path = pets / name.format(unicodedata.normalize(form, "ä"))
        shutil.copytree(pets / "test/cat", path) if path.suffix == "" else picture(0).save(path)
    refused(pets, Damaged, "twice")
    refused(zipped(pets), Damaged, "twice")


def test_an_encrypted_zip_file_is_refused(pets):
    path = zipped(pets)
    content = path.read_bytes()
    entry = content.index(b"PK\x01\x02")
    path.write_bytes(content[: entry + 8] + b"\x01" + content[entry + 9 :])
    refused(path, Damaged, "encrypted password")


def test_a_damaged_zip_file_is_refused(pets):
    path = zipped(pets)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(path, Damaged)
    for at in (len(content) // 10, 40):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        refused(path, Damaged)
    path.write_text("no zip")
    refused(path, Damaged)


@pytest.mark.parametrize(("at", "n"), [(42, 4), (24, 4), (28, 2), (10, 2)])
def test_a_member_whose_header_is_wrong_is_refused(at, n, pets):
    """In turn: offset, size, length of the name, compression."""
    path = zipped(pets)
    content = path.read_bytes()
    entry = content.index(b"PK\x01\x02")
    path.write_bytes(content[: entry + at] + b"\xf0" * n + content[entry + at + n :])
    with pytest.raises((Damaged, Missing, Unfit)):
        made(path)


# Where they lie


@pytest.mark.parametrize("name", ["{x} pets", "a:b", "pets: mine", "{{", "%s", "-pets", "pets;rm", "päts"])
def test_any_path_will_do(name, pets):
    expected = made(pets)
    same(made(pets.rename(pets.parent / name)), expected)


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_can_be_no_path_is_refused(path, tmp_path):
    error = call("prepare_data", job(path), data=tmp_path / "out.npz")
    assert type(error) is Misconfigured and [mistake.kind for mistake in error.mistakes] == ["bad_value"]


@pytest.mark.parametrize("name", ["", "a/b", ".cat", "thumbs.DB", "@eaDir", "a\0b", "a\\b"])
def test_what_can_be_no_class_folder_is_refused(name, pets):
    error = call("prepare_data", job(pets, classes=["cat", name]), data=pets / "out.npz")
    assert type(error) is Misconfigured and [mistake.kind for mistake in error.mistakes] == ["bad_value"]


def test_a_path_that_is_too_long_is_refused():
    with pytest.raises(Blocked) as raised:
        made(Path("p" * 300))
    assert_holds(str(raised.value), "long path")


def test_home_is_expanded_and_an_unknown_user_refused(pets, monkeypatch):
    monkeypatch.setenv("HOME", str(pets.parent))
    same(made(Path(f"~/{pets.name}")), made(pets))
    with pytest.raises(Missing):
        made(Path("~nobody-of-this-name/pets"))


# Equal pictures


def told(pets) -> list[str]:
    """What there is to warn of."""
    arrays = made(pets)
    return repeats.told(arrays, {part: arrays[f"{part}_names"].tolist() for part in ("train", "test", "fresh")})


def test_equal_pictures_in_two_parts_or_under_two_labels_are_told(pets):
    assert told(pets) == []
    shutil.copy(pets / "train/cat/0.png", pets / "train/cat/again.png")
    assert told(pets) == [], "of one label, in one part"
    Image.open(pets / "train/cat/0.png").save(pets / "test/cat/7.png", compress_level=0)
    Image.open(pets / "train/cat/1.png").save(pets / "train/dog/7.png", compress_level=0)
    parts, labels = told(pets)
    assert_holds(parts, "parts 1 train/cat/0.png test/cat/7.png")
    assert_holds(labels, "labels 1 train/cat/1.png train/dog/7.png")
