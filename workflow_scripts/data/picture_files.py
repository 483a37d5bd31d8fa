"""The files of a user's own pictures, in a folder or a .zip file: which there are, and the bytes of each.

A picture is named by its path below the folder, `train/{class}/{file}` or `test/{class}/{file}`, in Unicode's composed
form (NFC). Nothing outside the folder is read, and no more of a picture than MOST_BYTES.
"""

import contextlib
import os
import re
import stat
import threading
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workflow_scripts.config.errors import Blocked, Damaged, Foreign, Missing, StudyError, Unfit
from workflow_scripts.data import many
from workflow_scripts.data.many import reason, shown

PARTS = ("train", "test")
LAYOUT = "expected train/{class}/{picture} and test/{class}/{picture}"
#: what systems leave in folders, in lower case; names that begin with a dot are passed over too
LEFT_BY_SYSTEMS = {
    *("__macosx", "icon\r", "network trash folder", "temporary items"),
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
    *("$recycle.bin", "recycler", "system volume information"),
    *("@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "lost+found"),
}
MOST_BYTES = 2**28


@dataclass(frozen=True)
class Pictures:
    """What lies in a folder or .zip file: name of each picture -> its stamp, and how to read its bytes.

    A stamp is numbers that the file system keeps: while they are the same, so are the bytes. read raises StudyError.
    """

    path: Path
    stamps: dict[str, list[int]]
    read: Callable[[str], bytes]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Pictures]:
    """The pictures of a folder or .zip file; none is read.

    Raises Missing where it is absent or has no train or no test, another StudyError where it is badly laid out or
    damaged, or can't be read.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise Missing(
            path, "no such folder or .zip file: set the data set's key path, relative to where snakemake works"
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    if stat.S_ISDIR(mode):
        yield _folder(path)
    elif stat.S_ISREG(mode):
        with _archive(path) as (file, archive):
            yield _archived(path, file, archive)
    else:
        raise Foreign(path, "neither a folder nor a .zip file: set the data set's key path to one")


def is_passed_over(name: str) -> bool:
    """Whether a file or folder of this name is one that systems leave behind."""
    return name.startswith(".") or name.casefold() in LEFT_BY_SYSTEMS


def composed(name: str) -> str:
    """The name in Unicode's composed form: some systems keep an accent as a character of its own."""
    return unicodedata.normalize("NFC", name)


def _folder(root: Path) -> Pictures:
    for part in PARTS:
        if not os.path.lexists(root / part):
            raise _no_part(root, part)
    groups = [group for part in PARTS for group in _entries(root, part)]
    files = [file for of_group in many.each(groups, lambda group: _entries(root, group)).values() for file in of_group]
    status = many.each(files, lambda file: _status(root, file, stat.S_ISREG))
    spelled = _spelled(root, status)
    stamps = {name: _stamp(status[file]) for name, file in spelled.items()}
    return Pictures(root, stamps, lambda name: _content(root, name, root / spelled[name]))


def _entries(root: Path, below: str) -> list[str]:
    """What lies in a folder below root, by path below root, without what systems left there."""
    _status(root, below, stat.S_ISDIR)
    try:
        names = os.listdir(root / below)
    except OSError as error:
        raise _unreadable(root / below, error) from None
    return [f"{below}/{name}" for name in sorted(names) if not is_passed_over(name)]


def _status(root: Path, name: str, is_expected: Callable[[int], bool]) -> os.stat_result:
    """What the file system tells of a folder or file. Raises StudyError unless it is one and lies below root."""
    path = f"{root}/{name}"
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
                raise Foreign(path, f"a link that leads out of {root}: put the pictures themselves there")
            status = os.stat(path)
    except OSError as error:
        if os.path.islink(path):
            raise Foreign(root, f"{shown(name)} is a link that leads nowhere: remove it") from None
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise Foreign(root, f"{shown(name)} is neither a file nor a folder: move it away")
    if not is_expected(status.st_mode):
        raise _misplaced(root, name)
    return status


def _content(root: Path, name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _read(f"{root}: {shown(name)}", os.fstat(file.fileno()).st_size, file)
    except OSError as error:
        raise Blocked(root, f"{shown(name)}: can't be read ({error.strerror}): mend that, or move it away") from None


def _read(where: str, size: int, file: BinaryIO) -> bytes:
    """All of a picture, whose size is said to be this."""
    content = b"" if size > MOST_BYTES else file.read(MOST_BYTES + 1)
    if max(size, len(content)) > MOST_BYTES:
        raise Unfit(f"{where}: more than {MOST_BYTES >> 20} MiB: make it smaller, or move it away")
    return content


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[tuple[BinaryIO, zipfile.ZipFile]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # zipfile raises many kinds for damaged files
            raise Damaged(path, f"not a .zip file, or a damaged one ({reason(error)}): make or copy it again") from None
        with archive:
            yield file, archive


def _archived(path: Path, file: BinaryIO, archive: zipfile.ZipFile) -> Pictures:
    members, lock, stamp = _members(path, archive), threading.Lock(), _stamp(os.fstat(file.fileno()))
    stamps = {name: [*stamp, member.header_offset] for name, member in members.items()}
    return Pictures(path, stamps, lambda name: _unpacked(path, name, archive, members[name], lock))


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Name of each picture -> its member; a single folder around train and test is left out of the name."""
    members = {}
    for member in archive.infolist():
        name = _name(path, member)
        if name.endswith("/") or any(map(is_passed_over, name.split("/"))):
            continue
        if name in members:
            raise _twice(path, name)
        members[name] = member
    tops = {name.partition("/")[0] for name in members}
    if len(tops) == 1 and not tops & {*PARTS}:
        members = {name.partition("/")[2]: member for name, member in members.items()}
    members = {name: member for name, member in members.items() if name.startswith(tuple(f"{part}/" for part in PARTS))}
    for part in PARTS:
        if not any(name.startswith(f"{part}/") for name in members):
            raise _no_part(path, part)
    many.each(sorted(members), lambda name: _check(path, name, members[name]))
    return {name: members[raw] for name, raw in _spelled(path, members).items()}


def _name(path: Path, member: zipfile.ZipInfo) -> str:
    """The name of a member. Raises Damaged for one that leaves the folder, or that can't be read."""
    name, read = member.filename, member.orig_filename
    if not member.flag_bits & 0x800 and name == read:  # not marked as UTF-8: Python reads the code page of MS-DOS
        try:
            name = read.encode("cp437").decode()
        except UnicodeError:
            raise Damaged(
                path, f"the name {shown(name)} is not in UTF-8: make the .zip file again, with names in UTF-8"
            ) from None
    if "\0" in read or "\\" in name or ".." in name.split("/") or re.match("/|[A-Za-z]:", name):
        raise Damaged(
            path, f"the name {shown(repr(read))} leaves the folder: make the .zip file again, with names below it"
        )
    return name


def _check(path: Path, name: str, member: zipfile.ZipInfo) -> None:
    if name.count("/") != 2:
        raise _misplaced(path, name)
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise Damaged(path, f"{shown(name)} is a link: make the .zip file again, with the pictures themselves")
    if member.flag_bits & 1:
        raise Damaged(path, f"{shown(name)} is encrypted: make the .zip file again, without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Damaged(path, f"{shown(name)} is compressed, and not by deflate: make the .zip file again, by deflate")


def _unpacked(path: Path, name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, lock: threading.Lock) -> bytes:
    try:
        with lock, archive.open(member) as file:
            return _read(f"{path}: {shown(name)}", member.file_size, file)
    except StudyError:
        raise
    except Exception as error:  # zipfile raises many kinds for damaged files
        raise Damaged(path, f"{shown(name)}: damaged ({reason(error)}): make or copy the .zip file again") from None


def _spelled(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Composed name -> the name as it is spelled. Raises StudyError for names that can't be told apart, or read."""
    found, spellings = {}, {}
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise Damaged(path, f"the name {shown(name)} is not in UTF-8: rename it") from None
        group = name.rpartition("/")[0]
        if composed(name) in found or spellings.setdefault(composed(group), group) != group:
            raise _twice(path, name)
        found[composed(name)] = name
    return found


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _no_part(path: Path, part: str) -> Missing:
    return Missing(path, f"no folder {part} lies in it: {LAYOUT}")


def _misplaced(path: Path, name: str) -> Foreign:
    return Foreign(path, f"{shown(name)} is out of place: {LAYOUT}: move it")


def _twice(path: Path, name: str) -> Damaged:
    return Damaged(path, f"{shown(name)} is in it twice, perhaps spelled in two ways: keep one")


def _unreadable(path: Path | str, error: OSError) -> Blocked:
    return Blocked(
        path, f"can't be read ({error.strerror}): mend that, or set the data set's key path to another place"
    )
