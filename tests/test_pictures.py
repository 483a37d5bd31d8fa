"""A user's own pictures: how they are read, what is refused, and which changes are noticed."""

import errno
import os
import re
import shutil
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests import forks
from tests.refusals import assert_holds, assert_nothing_in, assert_refused, call
from tests.workflow import ROOT, planned, snakemake
from workflow_scripts.config import jobs, study
from workflow_scripts.config.errors import Changed, Damaged, Foreign, Misconfigured, Missing, StudyError, Unfit
from workflow_scripts.data import pictures
from workflow_scripts.data.datasets import images
from workflow_scripts.data.parts import PARTS

NOWHERE = Path("nowhere")
CLASSES = ("cat", "dog")


def picture(number: int, mode: str = "RGB", size: tuple[int, int] = (4, 5)) -> Image.Image:
    """A picture of noise; size: height, width."""
    shape = (*size, 3) if mode == "RGB" else size
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, shape, np.uint8))


@pytest.fixture
def pets(tmp_path) -> Path:
    """A folder of 6 + 4 pictures of two classes, numbered through."""
    root, number = tmp_path / "my pets", 0
    for part, n in (("train", 3), ("test", 2)):
        for name in CLASSES:
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
    assert arrays.keys() == others.keys()
    for name in arrays.keys() - {"source_hashes"}:
        np.testing.assert_array_equal(arrays[name], others[name], name)


def noise(numbers: list[int], size: tuple[int, int] = (4, 5)) -> np.ndarray:
    return np.stack([np.asarray(picture(number, size=size)).transpose(2, 0, 1) for number in numbers])


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


def test_files_that_systems_leave_behind_are_passed_over(pets):
    expected, listed = made(pets), pictures.listing(pets)
    for name in (".DS_Store", "train/.DS_Store", "train/cat/Thumbs.db", "test/dog/._0.png", "train/.cache/x.png"):
        (pets / name).parent.mkdir(exist_ok=True)
        (pets / name).write_bytes(b"rubbish")
    (pets / "LICENSE").write_text("beside train and test, anything may lie")
    (pets / "__MACOSX" / "train").mkdir(parents=True)
    (pets / "__MACOSX" / "train" / "._cat").write_bytes(b"rubbish")
    same(made(pets), expected)
    same(made(zipped(pets)), expected)
    assert pictures.listing(pets) == listed


def test_jpeg_and_grey_pictures_are_read(pets):
    for path in list(pets.rglob("*.png")):
        Image.open(path).convert("L").save(path.with_suffix(".JPG"), "JPEG", quality=75)
        path.unlink()
    arrays = made(pets)
    assert arrays["train_inputs"].shape == (6, 1, 4, 5)
    np.testing.assert_array_equal(arrays["train_inputs"][0, 0], np.asarray(Image.open(pets / "train/cat/0.JPG")))


def test_the_number_of_threads_changes_nothing_and_each_picture_is_read_once(pets, monkeypatch):
    for number in range(100):
        picture(100 + number).save(pets / "train" / "cat" / f"more{number}.png")
    reads, decoded = [], pictures._decoded
    monkeypatch.setattr(pictures, "_decoded", lambda of, name, *how: reads.append(name) or decoded(of, name, *how))
    several = []
    for workers in (1, 2, 8):
        monkeypatch.setattr(pictures, "_workers", lambda n=workers: n)
        reads.clear()
        several.append(made(zipped(pets)))
        assert len(reads) == len(set(reads)) == 110
    for other in several[1:]:
        same(several[0], other)


def test_a_subset_is_chosen_by_the_seed_before_anything_is_read(pets, monkeypatch):
    keys = {"train": 3, "fresh": 2, "test": 2}
    reads, decoded = [], pictures._decoded
    monkeypatch.setattr(pictures, "_decoded", lambda of, name, *how: reads.append(name) or decoded(of, name, *how))
    arrays = made(pets, **keys)
    assert len(reads) == 7
    assert [len(arrays[f"{part}_labels"]) for part in PARTS] == [3, 2, 2, 0]
    training = np.concatenate([arrays["train_inputs"], arrays["fresh_inputs"]])
    assert len({image.tobytes() for image in training}) == 5, "no picture is in two parts"
    same(made(zipped(pets), **keys), arrays)
    others = [made(pets, **keys, seed=seed) for seed in range(1, 6)]
    for part in ("train", "test", "fresh"):
        assert len({arrays[f"{part}_inputs"].tobytes() for arrays in others}) > 1, part


def test_pictures_are_converted_to_a_mode_and_resized_to_a_size(pets):
    picture(0, "L", (30, 20)).save(pets / "train" / "cat" / "0.png")
    Image.new("RGBA", (8, 8), (10, 20, 30, 128)).save(pets / "train" / "cat" / "1.png")
    Image.new("RGB", (8, 8), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE).save(pets / "train/cat/2.png")
    Image.fromarray(np.full((8, 8), 0x4321, np.uint16)).save(pets / "train" / "dog" / "0.png")
    inputs = made(pets, mode="RGB", size=[6, 3])["train_inputs"]
    assert inputs.shape == (6, 3, 6, 3)
    for number in (1, 2):
        assert inputs[number].reshape(3, -1).T.tolist() == [[10, 20, 30]] * 18, "transparency is left out"
    assert np.unique(inputs[3]).tolist() == [0x43], "16 bits are scaled to 8"
    resized = picture(1, size=(4, 5)).resize((3, 6), Image.Resampling.BILINEAR)
    picture(1).save(pets / "train" / "cat" / "1.png")
    np.testing.assert_array_equal(
        made(pets, mode="RGB", size=[6, 3])["train_inputs"][1], np.asarray(resized).transpose(2, 0, 1)
    )
    assert made(pets, mode="L", size=[6, 3])["train_inputs"].shape == (6, 1, 6, 3)


def test_a_link_inside_the_folder_is_followed(pets):
    (pets / "train" / "cat" / "0.png").rename(pets / "kept.png")
    (pets / "train" / "cat" / "0.png").symlink_to(pets / "kept.png")
    np.testing.assert_array_equal(made(pets)["train_inputs"][0], noise([0])[0])


def test_the_log_tells_how_far_reading_is(pets, monkeypatch, caplog):
    monkeypatch.setattr(pictures, "SECONDS_BETWEEN_LINES", 0.0)
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
    ],
)
def test_a_folder_that_is_not_as_expected_is_refused_in_one_line(change, kind, holds, pets):
    change(pets)
    refused(pets, kind, holds)


@pytest.mark.parametrize(("name", "target"), [("train/cat/a.png", "/etc/hostname"), ("train/emu", "/")])
def test_a_link_that_leads_out_of_the_folder_is_refused(name, target, pets):
    (pets / name).symlink_to(target)
    refused(pets, Foreign, where=pets / name)


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


def test_of_several_damaged_pictures_the_first_is_named_whatever_the_number_of_threads(pets, monkeypatch):
    for number in range(200):
        (pets / "train" / "cat" / f"x{number:03}.png").write_bytes(b"no picture")
    for workers in (1, 8):
        monkeypatch.setattr(pictures, "_workers", lambda n=workers: n)
        refused(pets, Damaged, "train/cat/x000.png")


@pytest.mark.parametrize("pixels", [15, 5], ids=["where Pillow warns", "where Pillow refuses"])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(pixels, pets, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
    refused(pets, Unfit, f"train/cat/0.png {pixels}")


def test_more_pictures_than_memory_holds_are_refused():
    with pytest.raises(Unfit) as raised:
        pictures._room(NOWHERE, (10**9, 3, 999, 999))
    assert_refused(raised.value, Unfit, NOWHERE, "1000000000 [3, 999, 999] train test size")


def test_a_picture_that_may_not_be_read_is_named(pets, monkeypatch):
    read_bytes = Path.read_bytes

    def forbidding(path: Path) -> bytes:
        if path.name == "1.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", forbidding)
    out = pets.parent / "out"
    error = call("prepare_data", job(pets), data=out / "pets.npz")
    assert isinstance(error, PermissionError) and error.line.startswith(f"error: {pets / 'train/cat/1.png'}: ")
    assert_nothing_in(out)


@pytest.mark.parametrize("name", ["../train/cat/a.png", "/train/cat/a.png", "train\\cat\\a.png", "C:/train/cat/a.png"])
def test_a_name_in_a_zip_file_that_leaves_the_folder_is_refused(name, pets):
    path = zipped(pets)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, (pets / "train/cat/0.png").read_bytes())
    refused(path, Damaged, repr(name))


def link() -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("train/cat/a.png")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("member", "kind", "holds"),
    [
        (link(), Damaged, "link"),
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


# Which changes are noticed


def pin(arrays: dict) -> str:
    ((path, digest),) = [source.rsplit(" ", 1) for source in arrays["source_hashes"].tolist()]
    assert path.endswith(("my pets", "pets.zip"))
    return digest


def test_a_pin_accepts_the_same_pictures_and_no_others(pets, tmp_path):
    path = zipped(pets)
    pins = {of: pin(made(of)) for of in (pets, path)}
    copied = shutil.copytree(pets, tmp_path / "copy" / "my pets")
    same(made(copied, sha256=pins[pets]), made(path, sha256=pins[path]))
    picture(99).save(pets / "test" / "dog" / "1.png")
    refused(pets, Changed, sha256=pins[pets])
    refused(zipped(pets), Changed, sha256=pins[path])
    (copied / "train" / "cat" / "0.png").rename(copied / "train" / "cat" / "00.png")
    refused(copied, Changed, sha256=pins[pets])


def rewritten(path: Path) -> None:
    """Other bytes of the same length."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: picture(0).save(root / "train/cat/9.png"),
        lambda root: (root / "train/cat/0.png").unlink(),
        lambda root: (root / "train/cat/0.png").rename(root / "train/cat/7.png"),
        lambda root: (root / "train/cat/0.png").rename(root / "train/dog/7.png"),
        lambda root: picture(0, size=(9, 9)).save(root / "train/cat/0.png"),
    ],
)
def test_a_change_of_names_and_sizes_changes_the_listing(change, pets):
    before = pictures.listing(pets), pictures.listing(zipped(pets))
    change(pets)
    assert pictures.listing(pets) != before[0] and pictures.listing(zipped(pets)) != before[1]


def test_other_bytes_of_the_same_size_change_the_listing_of_a_zip_file_and_times_change_none(pets):
    before = pictures.listing(pets), pictures.listing(zipped(pets))
    (pets / "train" / "cat" / "0.png").touch()
    assert (pictures.listing(pets), pictures.listing(zipped(pets))) == before
    rewritten(pets / "train" / "cat" / "0.png")
    assert pictures.listing(zipped(pets)) != before[1]


def test_a_job_refuses_pictures_that_changed_since_it_was_planned(pets, tmp_path):
    planned_with = pictures.listing(pets)
    assert call("prepare_data", job(pets, planned_with), data=tmp_path / "first" / "pets.npz") is None
    (pets / "train" / "cat" / "0.png").unlink()
    error = call("prepare_data", job(pets, planned_with), data=tmp_path / "out" / "pets.npz")
    assert_refused(error, Changed, pets, "snakemake")
    assert_nothing_in(tmp_path / "out")


def a_study(path: Path, **keys) -> dict:
    return {
        "study": "tiny",
        "seeds": [0],
        "device": "cpu",
        "datasets": {"pets": {"kind": "images", "path": str(path), "classes": [*CLASSES], **keys}},
        "tasks": {"pets": {"dataset": "pets"}},
        "explainers": {"linear": {"labels": "true"}},
        "experiments": {
            "pets": {
                "title": "Pets",
                "task": "pets",
                "network": {"kind": "linear"},
                "sgd": {"lr": 0.1, "batch_size": 2, "epochs": 1},
                "explainers": ["linear"],
            }
        },
    }


def given(path: Path, **keys) -> dict:
    """What the job is given when it is planned anew."""
    return jobs.settings(study.load(a_study(path, **keys)), "prepare_data", dataset="pets")


def test_a_study_lists_pictures_that_are_not_pinned_and_needs_none_of_them_otherwise(pets):
    assert given(pets)["listing"] == pictures.listing(pets)
    assert given(pets, sha256="0" * 64)["listing"] is None
    shutil.rmtree(pets / "test")
    assert given(pets)["listing"] is None, "the job itself says what is wrong"
    assert given(NOWHERE)["listing"] is None


def test_a_batch_is_compared_with_the_number_of_pictures_where_that_is_set(pets):
    config = a_study(pets)
    config["experiments"]["pets"]["sgd"]["batch_size"] = 1000
    study.load(config)
    config["datasets"]["pets"]["train"] = 6
    with pytest.raises(Misconfigured) as raised:
        study.load(config)
    (mistake,) = raised.value.mistakes
    assert (mistake.key, mistake.kind) == ("experiments.pets.sgd.batch_size", "too_many")
    assert_holds(mistake.line, "1000 6")


def test_a_label_map_numbers_the_classes_in_the_order_listed(pets):
    config = a_study(pets)
    config["tasks"]["pets"]["groups"] = {"a": [0], "b": [2]}
    with pytest.raises(Misconfigured) as raised:
        study.load(config)
    (mistake,) = raised.value.mistakes
    assert (mistake.key, mistake.kind) == ("tasks.pets.groups", "unknown_name")
    assert_holds(mistake.line, "2 'pets' 0 1")


def audit(work: Path, config: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return forks.run("workflow_scripts.audit", "results", "--configfile", config, cwd=work, env=environment).stdout


@pytest.mark.slow
def test_snakemake_and_the_audit_notice_changed_pictures_and_need_none_that_are_pinned(pets, tmp_path):
    config, work = tmp_path / "pets.yaml", tmp_path / "work"
    config.write_text(yaml.safe_dump(a_study(Path("..") / pets.name)))
    done = snakemake(work, "data", configfiles=(config,))
    assert done.returncode == 0, done.stderr
    digest = pin(np.load(work / "results/tiny/data/pets.npz"))
    assert planned(work, "data", configfiles=(config,)) == {}
    picture(0).save(pets / "train" / "cat" / "9.png")
    again = snakemake(work, "data", "--dry-run", configfiles=(config,))
    assert "prepare_data pets (1 job): listing " in again.stderr
    assert audit(work, config).startswith("STALE")
    (pets / "train" / "cat" / "9.png").unlink()
    assert audit(work, config).startswith("CURRENT")
    config.write_text(yaml.safe_dump(a_study(Path("..") / pets.name, sha256=digest)))
    assert snakemake(work, "data", configfiles=(config,)).returncode == 0
    pets.rename(tmp_path / "elsewhere")
    assert planned(work, "data", configfiles=(config,)) == {}
    assert audit(work, config).startswith("CURRENT")
