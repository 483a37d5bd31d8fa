"""Where a job may write, and that all it writes gets in place, or nothing."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawn import cases
from tests.refusals import call, refusal
from tests.test_locks import CFG
from workflow_scripts.config.errors import Blocked, Misused
from workflow_scripts.job import locks, scratch

SOURCE = CFG


def linked(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def linked_to_a_file(path: Path) -> None:
    path.with_name("elsewhere").write_text("mine")
    linked(path)


#: what can lie where a product belongs, that is no file to be replaced
THINGS = {"a folder": Path.mkdir, "a pipe": os.mkfifo, "a dangling link": linked, "a link": linked_to_a_file}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("option", ["data", "provenance"])
def test_what_is_no_file_is_not_replaced(thing, option, tmp_path):
    paths = {"data": tmp_path / "d.npz", "provenance": tmp_path / "p.json"}
    THINGS[thing](paths[option])
    before = {path: os.lstat(path) for path in tmp_path.iterdir()}
    error = call("prepare_data", SOURCE, **paths)
    assert type(error) is Misused and error.where == str(paths[option])
    assert {path: os.lstat(path) for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no devices here")
def test_a_device_is_not_replaced(tmp_path):
    assert type(call("prepare_data", SOURCE, data=Path("/dev/null"), provenance=tmp_path / "p")) is Misused
    assert list(tmp_path.iterdir()) == [] and not os.path.isfile("/dev/null")


def same(folder: Path, path: Path) -> list[Path]:
    """Other names of a file."""
    os.link(path, folder / "hard")
    (folder / "link").symlink_to(folder)
    (folder / "soft").symlink_to(path)
    return [
        path,
        folder / "hard",
        folder / "soft",
        folder / "link" / path.name,
        folder / "link" / ".." / folder.name / path.name,
    ]


def test_an_output_is_no_other_name_of_an_input_or_output(tmp_path):
    file = tmp_path / "m.npz"
    file.write_bytes(b"precious")
    names = same(tmp_path, file)
    for other in names:
        with refusal(Misused, file):
            scratch.check("train", [file], [other])
    with refusal(Misused, tmp_path / "link" / "new"):
        scratch.check("train", [tmp_path / "new", tmp_path / "link" / "new"], [file])
    scratch.check("train", [file, tmp_path / "new"], [tmp_path / "other"])
    assert file.read_bytes() == b"precious"


def test_the_file_with_the_settings_is_an_input_too(tmp_path):
    settings = tmp_path / "cfg.json"
    settings.write_text("{}")
    assert type(call("prepare_data", str(settings), data=settings)) is Misused
    assert settings.read_text() == "{}"


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


class Killed(BaseException):
    """What can't be caught by those who mend errors."""


@cases(30)
@given(
    st.lists(st.booleans(), min_size=1, max_size=4), st.integers(0, 12), st.sampled_from([OSError, KeyboardInterrupt])
)
def test_all_products_are_replaced_or_none(there, fails_at, error):
    """there: for each product whether it is there before; the failure comes at that rename."""
    check_replaced(there, fails_at, error, is_killed=False)


@cases(30)
@given(st.lists(st.booleans(), min_size=1, max_size=4), st.integers(0, 12))
def test_who_is_killed_while_products_are_replaced_leaves_all_of_them_or_what_says_that_none_count(there, fails_at):
    check_replaced(there, fails_at, Killed, is_killed=True)


def check_replaced(there, fails_at, error, is_killed) -> None:
    with TemporaryDirectory() as base, pytest.MonkeyPatch.context() as patch:
        folder = Path(base)
        products = [folder / str(i % 2) / f"p{i}" for i in range(len(there))]
        for product, exists in zip(products, there, strict=True):
            product.parent.mkdir(exist_ok=True)
            if exists:
                product.write_text("old")
        old = contents(folder)
        new = {str(product.relative_to(folder)): "new" for product in products}
        rename, calls = os.replace, iter(range(100))

        def failing(*arguments):
            number = next(calls)
            if number == fails_at or (is_killed and number > fails_at):
                raise error
            rename(*arguments)

        patch.setattr(os, "replace", failing)
        made = scratch.folders(products[-1], dict.fromkeys(product.parent for product in products))
        try:
            with made as folders:
                moves = {product: folders[product.parent] / product.name for product in products}
                for file in moves.values():
                    file.write_text("new")
                if is_killed:
                    patch.setattr(scratch, "remove", lambda _: None)
                scratch.replace(moves)
            failed = False
        except error:
            failed = True
        patch.undo()
        if not is_killed:
            assert contents(folder) == (old if failed else new)
            return
        with scratch.folders(products[-1], dict.fromkeys(product.parent for product in products)):
            pass
        now = contents(folder)
        if not failed:
            assert now == new
        elif all(there):
            assert now in (old, new), "as before or as after"
        elif not there[-1]:
            assert now == new or not products[-1].exists(), "what is there doesn't count"


def test_products_may_lie_on_two_file_systems(tmp_path):
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    with TemporaryDirectory(dir=memory) as other:
        paths = {"data": Path(other, "d.npz"), "provenance": tmp_path / "p.json"}
        for _ in range(2):
            assert call("prepare_data", SOURCE, **paths) is None
        assert [*Path(other).iterdir(), *tmp_path.iterdir()] == list(paths.values())


def test_a_second_folder_that_cannot_be_written_stops_the_job_before_it_starts(tmp_path):
    paths = {"data": tmp_path / "d.npz", "provenance": tmp_path / "p" / "p.json"}
    assert call("prepare_data", SOURCE, **paths) is None
    scratch.path_of(paths["provenance"], paths["provenance"].parent).touch()
    before = {path: path.read_bytes() for path in paths.values()}
    assert type(call("prepare_data", SOURCE, **paths)) is Blocked
    assert {path: path.read_bytes() for path in paths.values()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.npz", "p"]


@pytest.mark.parametrize("name", ["vscode", "cache", "d*", "[d]", "d.npz"])
def test_only_folders_that_a_job_made_are_removed(name, tmp_path):
    mine = [tmp_path / f".{name}-server" / "settings", tmp_path / f".{name}" / "settings", tmp_path / "vscode-1" / "x"]
    for path in mine:
        path.parent.mkdir()
        path.write_text("precious")
    assert call("prepare_data", SOURCE, data=tmp_path / name) is None
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / name, *(path.parent for path in mine)])
    assert all(path.read_text() == "precious" for path in mine)


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_a_folder_that_no_job_made_stops_the_job(what, tmp_path):
    path, elsewhere = scratch.path_of(tmp_path / "d.npz", tmp_path), tmp_path / "elsewhere"
    elsewhere.mkdir()
    {"folder": lambda: path.mkdir(), "file": path.touch, "link": lambda: path.symlink_to(elsewhere)}[what]()
    if what == "folder":
        (path / "precious").touch()
    assert type(call("prepare_data", SOURCE, data=tmp_path / "d.npz")) is Blocked
    assert os.path.lexists(path) and elsewhere.is_dir() and not (tmp_path / "d.npz").exists()
    if what == "folder":
        shutil.rmtree(path)
        path.mkdir()
        assert call("prepare_data", SOURCE, data=tmp_path / "d.npz") is None, "killed before it was marked"


def test_a_lock_follows_no_link_and_takes_nothing_else_for_a_lock(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    lock = locks.path_of(tmp_path / "d.npz")
    for make in (
        lambda: lock.symlink_to(mine),
        lambda: lock.symlink_to("dangling"),
        lock.mkdir,
        lambda: os.mkfifo(lock),
    ):
        make()
        with refusal(Blocked, lock), locks.held(tmp_path / "d.npz"):
            pass
        shutil.rmtree(lock) if lock.is_dir() and not lock.is_symlink() else lock.unlink()
    assert mine.read_text() == "precious" and [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.fixture
def others_lock(tmp_path, monkeypatch):
    """A lock that another user left: it can be read, not written."""
    lock = locks.path_of(tmp_path / "d.npz")
    lock.write_text("process 7 on nowhere")
    inode, opened = lock.stat().st_ino, os.open

    def open_(path, flags, *rest, **options):
        if Path(path) == lock and os.path.exists(lock) and lock.stat().st_ino == inode and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", open_)
    return lock


def test_a_lock_that_another_user_left_and_nobody_holds_is_replaced(others_lock, tmp_path):
    with locks.held(tmp_path / "d.npz") as waited:
        assert not waited and others_lock.read_text() == locks.holder()
    assert not others_lock.exists()


def test_a_lock_of_another_user_that_cannot_be_removed_is_named(others_lock, tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refused)
    with refusal(Blocked, others_lock), locks.held(tmp_path / "d.npz"):
        pass
