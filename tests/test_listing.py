"""Which changes of a user's pictures are noticed: by their contents and names, wherever they lie."""

import contextlib
import os
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests import forks
from tests.pets import CLASSES, NOWHERE, job, made, picture, put, refused, same, zipped
from tests.refusals import assert_holds, assert_nothing_in, assert_refused, call
from tests.workflow import ROOT, planned, snakemake
from workflow_scripts.config import jobs, study
from workflow_scripts.config.errors import Blocked, Changed, Damaged, Foreign, Misconfigured, Missing
from workflow_scripts.data import listing
from workflow_scripts.data.datasets import images
from workflow_scripts.files import hashing


@pytest.fixture
def pets(tmp_path) -> Path:
    return put(tmp_path / "my pets")


def swapped(one: Path, other: Path) -> None:
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def rewritten(path: Path, keeping_time: bool = False) -> None:
    """Other bytes of the same length, in the same file."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    if keeping_time:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: picture(0).save(root / "train/cat/9.png"),
        lambda root: (root / "train/cat/0.png").unlink(),
        lambda root: (root / "train/cat/0.png").rename(root / "train/cat/7.png"),
        lambda root: (root / "train/cat/0.png").rename(root / "train/dog/7.png"),
        lambda root: picture(0, size=(9, 9)).save(root / "train/cat/0.png"),
        lambda root: swapped(root / "train/cat/0.png", root / "train/dog/0.png"),
        lambda root: swapped(root / "train/cat/0.png", root / "test/cat/0.png"),
        lambda root: rewritten(root / "train/cat/0.png"),
        lambda root: rewritten(root / "train/cat/0.png", keeping_time=True),
    ],
)
@pytest.mark.parametrize("remembered", [True, False])
def test_a_change_of_names_or_contents_changes_the_listing(change, remembered, pets, monkeypatch):
    monkeypatch.chdir(pets.parent)
    monkeypatch.setattr(listing, "SETTLED_AFTER_S", -1.0)
    if remembered:
        listing.SNAKEMAKE.mkdir()
    before = listing.of(pets)
    assert listing.of(zipped(pets)) == before
    change(pets)
    assert listing.of(pets) != before and listing.of(zipped(pets)) == listing.of(pets)


def stored(root: Path) -> Path:
    path = root.parent / "stored.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in root.rglob("*.png"):
            archive.writestr(f"around/{file.relative_to(root)}", file.read_bytes())
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda root: root.rename(root.with_name("elsewhere")),
        lambda root: (root.parent / "link").symlink_to(root) or root.parent / "link",
        lambda root: shutil.copytree(root, root.with_name("copy")),
        lambda root: [os.utime(path, (0, 0)) for path in root.rglob("*")] and root,
        zipped,
        lambda root: zipped(root, "my pets/", "other.zip"),
        stored,
        lambda root: Path(os.path.relpath(root)),
    ],
)
def test_the_same_pictures_give_the_same_listing_and_the_same_bytes_wherever_they_lie(change, pets, tmp_path):
    before = listing.of(pets)
    assert call("prepare_data", job(pets), data=tmp_path / "before" / "pets.npz") is None
    path = change(pets)
    assert listing.of(path) == before
    assert call("prepare_data", job(path, before), data=tmp_path / "after" / "pets.npz") is None
    written = [(tmp_path / when / "pets.npz").read_bytes() for when in ("before", "after")]
    assert written[0] == written[1]


def test_where_pictures_lie_is_told_to_be_a_place_and_the_rest_is_not():
    assert images.Settings.places == ("path",)
    assert set(images.Settings.places) < set(images.Settings.model_fields)


# What is remembered


def read(monkeypatch) -> list[str]:
    """The names of the pictures that are read from now on, to be hashed."""
    names, opened = [], listing.picture_files.opened

    @contextlib.contextmanager
    def counting(path):
        with opened(path) as found:
            yield type(found)(found.path, found.stamps, lambda name: names.append(name) or found.read(name))

    monkeypatch.setattr(listing.picture_files, "opened", counting)
    return names


@pytest.mark.parametrize("form", [lambda root: root, zipped])
def test_pictures_are_hashed_once_where_snakemake_works(form, pets, monkeypatch):
    path = form(pets)
    monkeypatch.chdir(pets.parent)
    names = read(monkeypatch)
    expected = listing.of(path)
    assert len(names) == 10 and listing.of(path) == expected and len(names) == 20, "nothing is kept anywhere else"
    listing.SNAKEMAKE.mkdir()
    listing.of(path)
    names.clear()
    listing.of(path)
    assert len(names) == 10, "they have only just been written"
    monkeypatch.setattr(listing, "SETTLED_AFTER_S", -1.0)
    listing.of(path)
    names.clear()
    assert listing.of(path) == expected and not names
    assert [file.suffix for file in (listing.SNAKEMAKE / "pictures").iterdir()] == [".json"]


def test_only_pictures_that_changed_are_hashed_again(pets, monkeypatch):
    monkeypatch.chdir(pets.parent)
    monkeypatch.setattr(listing, "SETTLED_AFTER_S", -1.0)
    listing.SNAKEMAKE.mkdir()
    listing.of(pets)
    names = read(monkeypatch)
    rewritten(pets / "train/dog/1.png", keeping_time=True)
    listing.of(pets)
    assert names == ["train/dog/1.png"]


def test_a_damaged_memory_is_ignored_and_mended(pets, monkeypatch):
    monkeypatch.chdir(pets.parent)
    monkeypatch.setattr(listing, "SETTLED_AFTER_S", -1.0)
    listing.SNAKEMAKE.mkdir()
    expected = listing.of(pets)
    (memory,) = (listing.SNAKEMAKE / "pictures").iterdir()
    sound, chance = memory.read_bytes(), random.Random(0)
    for number in range(60):
        damaged = bytearray(sound)
        damaged[chance.randrange(len(sound))] ^= 1 << chance.randrange(8)
        memory.write_bytes([damaged, sound[: chance.randrange(len(sound))], b"{}", b"\n[]"][number % 4])
        assert listing.of(pets) == expected and memory.read_bytes() == sound
    memory.unlink()
    memory.mkdir()
    assert listing.of(pets) == expected


# Pins


def pin(arrays: dict) -> str:
    (source,) = arrays["source_hashes"].tolist()
    assert source.startswith("pictures ")
    return source.split()[1]


def test_a_pin_accepts_the_same_pictures_and_no_others(pets, tmp_path):
    path = zipped(pets)
    digest = pin(made(pets))
    assert digest == pin(made(path)) == listing.of(pets)
    copied = shutil.copytree(pets, tmp_path / "copy" / "my pets")
    for pinned in (digest, hashing.sha256(path)):
        same(made(path, sha256=pinned), made(pets))
    same(made(copied, sha256=digest), made(pets))
    same(made(copied, sha256=digest, train=1), made(pets, train=1))
    refused(pets, Changed, sha256=hashing.sha256(path))
    picture(99).save(pets / "test" / "dog" / "1.png")
    refused(pets, Changed, sha256=digest)
    refused(zipped(pets), Changed, sha256=digest)
    (copied / "train" / "cat" / "0.png").rename(copied / "train" / "cat" / "00.png")
    refused(copied, Changed, sha256=digest)


# Jobs and studies


def test_a_job_refuses_pictures_that_changed_since_it_was_planned(pets, tmp_path):
    planned_with = listing.of(pets)
    assert call("prepare_data", job(pets, planned_with), data=tmp_path / "first" / "pets.npz") is None
    swapped(pets / "train" / "cat" / "0.png", pets / "train" / "dog" / "0.png")
    error = call("prepare_data", job(pets, planned_with), data=tmp_path / "out" / "pets.npz")
    assert_refused(error, Changed, pets, "snakemake")
    assert_nothing_in(tmp_path / "out")


def test_pictures_that_change_after_they_were_listed_and_before_they_are_decoded_are_refused(pets, monkeypatch):
    settings = images.ImageFolder(kind="images", path=str(pets), classes=[*CLASSES])
    assert settings.listing
    picture(77).save(pets / "train" / "cat" / "0.png")
    with pytest.raises(Changed):
        images.make(settings, NOWHERE)


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


def test_a_study_lists_pictures_that_are_not_pinned(pets):
    assert given(pets)["listing"] == listing.of(pets)
    assert given(pets, sha256="0" * 64)["listing"] is None
    assert given(NOWHERE, sha256="0" * 64)["listing"] is None


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (shutil.rmtree, Missing),
        (lambda root: [shutil.rmtree(root / part) for part in ("train", "test")], Missing),
        (lambda root: shutil.rmtree(root / "test"), Missing),
        (lambda root: (root / "train/cat/x.png").symlink_to("/etc/hostname"), Foreign),
        (lambda root: (root / "train/x.png").write_text("x"), Foreign),
        (lambda root: (shutil.rmtree(root), root.write_text("no zip")), Damaged),
    ],
)
def test_pictures_that_cannot_be_listed_are_an_error_that_tells_absent_ones_from_others(change, kind, pets):
    change(pets)
    with pytest.raises(kind):
        assert images.ImageFolder(kind="images", path=str(pets), classes=[*CLASSES]).listing


def test_all_pictures_that_cannot_be_read_are_counted_before_anything_is_planned(pets, monkeypatch):
    opened = Path.open

    def forbidding(path: Path, *rest, **keys):
        if path.suffix == ".png":
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest, **keys)

    monkeypatch.setattr(Path, "open", forbidding)
    with pytest.raises(Blocked) as raised:
        listing.of(pets)
    assert_refused(raised.value, Blocked, pets, "test/cat/0.png 9 train/dog/1.png")


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
    return forks.run(
        "workflow_scripts.audit", "results/tiny/data", "--configfile", config, cwd=work, env=environment
    ).stdout


@pytest.mark.slow
def test_snakemake_and_the_audit_notice_changed_pictures_and_need_none_that_are_pinned(pets, tmp_path):
    config, work = tmp_path / "pets.yaml", tmp_path / "work"
    pets = pets.rename(tmp_path / "{x}:%s pets")
    config.write_text(yaml.safe_dump(a_study(Path("..") / pets.name)))
    done = snakemake(work, "data", configfiles=(config,))
    assert done.returncode == 0, done.stderr
    digest = pin(np.load(work / "results/tiny/data/pets.npz"))
    assert planned(work, "data", configfiles=(config,)) == {}
    swapped(pets / "train" / "cat" / "0.png", pets / "train" / "dog" / "0.png")
    again = snakemake(work, "data", "--dry-run", configfiles=(config,))
    assert "prepare_data pets (1 job): listing " in again.stderr
    assert audit(work, config).startswith("STALE")
    swapped(pets / "train" / "cat" / "0.png", pets / "train" / "dog" / "0.png")
    assert audit(work, config).startswith("CURRENT")
    (pets / "train").rename(tmp_path / "train")
    refusing = snakemake(work, "data", "--dry-run", configfiles=(config,))
    assert refusing.returncode == 1 and f"error: {Path('..') / pets.name}: " in refusing.stderr
    assert "Traceback" not in refusing.stderr and "listing" not in refusing.stderr
    (tmp_path / "train").rename(pets / "train")
    config.write_text(yaml.safe_dump(a_study(Path("..") / pets.name, sha256=digest)))
    assert snakemake(work, "data", configfiles=(config,)).returncode == 0
    pets.rename(tmp_path / "elsewhere")
    assert planned(work, "data", configfiles=(config,)) == {}
    assert audit(work, config).startswith("CURRENT")
