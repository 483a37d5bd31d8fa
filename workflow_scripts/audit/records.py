"""Where results and their sidecars lie, and the SHA-256 of every file, each hashed once."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workflow_scripts import files, provenance


class Results:
    """A results folder, wherever it has been moved to."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._paths: dict[str, Path] = {}
        self._digests: dict[Path, str | None] = {}
        self._sidecars: dict[Path, tuple[Path | None, dict | None]] = {}
        self._sealed: dict[Path, bool] = {}

    def path(self, told: str) -> Path:
        """Where a file lies here that sidecars call `told`, such as results/digits/summary.csv."""
        if told not in self._paths:
            path = Path(told)
            self._paths[told] = path if path.is_absolute() else self.folder.joinpath(*path.parts[1:])
        return self._paths[told]

    def told(self, path: Path) -> str | None:
        """How sidecars call a file of this folder; None for a file outside it."""
        return str(Path("results", path.relative_to(self.folder))) if path.is_relative_to(self.folder) else None

    def sidecar(self, path: Path) -> tuple[Path | None, dict | None]:
        """The sidecar that speaks of a file, and what it says; None where there is none, or it can't be read."""
        if path not in self._sidecars:
            beside = provenance.find(path)
            self._sidecars[path] = beside, None if beside is None else provenance.read(beside)
        return self._sidecars[path]

    def is_sealed(self, sidecar: Path, record: dict) -> bool:
        """Whether a sidecar is as it was written."""
        if sidecar not in self._sealed:
            self._sealed[sidecar] = provenance.is_sealed(record)
        return self._sealed[sidecar]

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


def folder_of(path: Path, record: dict | None) -> Path | None:
    """The results folder that a product lies in by its sidecar; None where it was copied out of one."""
    for told in record["outputs"] if record else ():
        below = Path(told).parts[1:]
        if Path(told).name == path.name and path.parts[-len(below) :] == below:
            return path.parents[len(below) - 1]
    return None


def products(folder: Path) -> list[Path]:
    """The files below a folder that a sidecar ought to speak of."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.endswith(provenance.SUFFIX)
        and path.suffix != ".log"
        and path != folder / "report.html"
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _sha256(path: Path) -> str | None:
    try:
        return files.sha256(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
