"""Where results and their sidecars lie, and the SHA-256 of every file, each hashed once."""

import functools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.files import hashing
from workflow_scripts.provenance import sidecars
from workflow_scripts.provenance.sidecars import Sidecar


class Copy(NamedTuple):
    """A file of a crate."""

    sha256: str
    size: int


class Results:
    """A results folder, wherever it has been moved to."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._read = functools.cache(sidecars.read)
        self._paths: dict[str, Path] = {}
        self._digests: dict[Path, str | None] = {}
        self._sidecars: dict[Path, tuple[Path | None, Sidecar | None]] = {}

    def path(self, recorded: str) -> Path:
        """Where a file lies here that sidecars call `recorded`, such as results/digits/summary.csv."""
        if recorded not in self._paths:
            path = Path(recorded)
            self._paths[recorded] = path if path.is_absolute() else self.folder.joinpath(*path.parts[1:])
        return self._paths[recorded]

    def recorded(self, path: Path) -> str | None:
        """How sidecars call a file of this folder; None for a file outside it."""
        return str(Path("results", path.relative_to(self.folder))) if path.is_relative_to(self.folder) else None

    def sidecar(self, path: Path) -> tuple[Path | None, Sidecar | None]:
        """The sidecar that speaks of a file, and what it says; None where there is none, or it can't be read."""
        if path not in self._sidecars:
            beside = sidecars.find(path, self._read)
            self._sidecars[path] = beside, None if beside is None else self._read(beside)
        return self._sidecars[path]

    @functools.cached_property
    def records(self) -> dict[Path, Sidecar]:
        """All sidecars of this folder that can be read, and what they say."""
        paths = sorted(self.folder.rglob(f"*{sidecars.SUFFIX}"))
        return {sidecar: record for sidecar in paths if (record := self._read(sidecar))}

    def hash_all(self, paths: Iterable[Path]) -> None:
        """Hash the files that have not been hashed yet, several at a time."""
        new = [path for path in dict.fromkeys(paths) if path not in self._digests]
        with ThreadPoolExecutor() as pool:
            self._digests |= zip(new, pool.map(_sha256, new), strict=True)

    def sha256(self, path: Path) -> str | None:
        """SHA-256 of a file; None where it is missing."""
        if path not in self._digests:
            self.hash_all([path])
        return self._digests[path]


def product(path: Path, record: Sidecar) -> str | None:
    """How a sidecar calls a file: the product of its name, or for a renamed copy of its kind."""
    of_name = [recorded for recorded in record.outputs if Path(recorded).name == path.name]
    of_kind = [recorded for recorded in record.outputs if Path(recorded).suffix == path.suffix]
    return next(iter([*of_name, *of_kind]), None)


def place(path: Path, recorded: str | None) -> tuple[Path | None, bool]:
    """The results folder around a file that its sidecar calls `recorded`, and whether it lies there where it belongs.

    (None, True) for a copy outside any.
    """
    parts = Path(recorded or "").parts
    if not 2 <= len(parts) <= len(path.parts) or Path(recorded).is_absolute():
        return None, True
    folder = path.parents[len(parts) - 2]
    if path.parts[1 - len(parts) :] == parts[1:]:
        return folder, True
    return (folder, False) if folder.name == parts[0] else (None, True)


def products(folder: Path) -> list[Path]:
    """The files below a folder that a sidecar ought to speak of."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.endswith(sidecars.SUFFIX)
        and path.suffix != ".log"
        and path != folder / "report.html"
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _sha256(path: Path) -> str | None:
    try:
        return hashing.sha256(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
