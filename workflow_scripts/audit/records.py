"""Where results and their sidecars lie, and the SHA-256 of every file, each hashed once."""

import functools
import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.config import jobs, paths
from workflow_scripts.config.errors import Damaged
from workflow_scripts.files import hashing
from workflow_scripts.provenance import sidecars
from workflow_scripts.provenance.sidecars import Sidecar

#: the folder with the state of a job that was cut off (job.command.Job.state)
_STATE = re.compile(rf"resume-({'|'.join(jobs.STAGES)})-[0-9a-f]{{16}}")


class Copy(NamedTuple):
    """A file of a crate."""

    sha256: str
    size: int


class Results:
    """The results of one study, wherever they have been moved to."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._read = functools.cache(sidecars.read)
        self._digests: dict[Path, str | None] = {}
        self._sidecars: dict[Path, tuple[Path | None, Sidecar | None]] = {}

    @property
    def home(self) -> Path:
        """Where Snakemake ran, or the folder of the crate: results lie in results/{study} there."""
        return self.folder.parent.parent if self.folder.parent.name == "results" else self.folder.parent

    @functools.cached_property
    def origin(self) -> dict | None:
        """What Snakemake ran with for them, config files and --config; None: not known."""
        told, _ = self._owner
        return told and told["origin"]

    @property
    def fault(self) -> str:
        """Why it can't be told whose results these are; empty where it can."""
        return self._owner[1]

    @functools.cached_property
    def _owner(self) -> tuple[dict | None, str]:
        try:
            return paths.owner(self.folder), ""
        except Damaged as error:
            return None, str(error)

    def place(self, name: str) -> str:
        """Where a crate keeps a file that sidecars call so."""
        below = self.folder.parent.name == "results" or (self.folder / paths.STUDY).is_file()
        return f"results/{self.folder.name}/{name}" if below else f"results/{name}"

    def path(self, name: str) -> Path:
        """Where a file lies here that sidecars call so, such as digits/summary.csv."""
        return self.folder / name

    def name(self, path: Path) -> str | None:
        """How sidecars call a file of these results; None for a file elsewhere."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else None

    def sidecar(self, path: Path) -> tuple[Path | None, Sidecar | None]:
        """The sidecar that speaks of a file, and what it says; None where there is none, or it can't be read."""
        if path not in self._sidecars:
            beside = sidecars.find(path, self._read)
            self._sidecars[path] = beside, None if beside is None else self._read(beside)
        return self._sidecars[path]

    @functools.cached_property
    def records(self) -> dict[Path, Sidecar]:
        """All sidecars of these results that can be read, and what they say."""
        found = [path for path in files(self.folder) if path.name.endswith(sidecars.SUFFIX)]
        return {sidecar: record for sidecar in found if (record := self._read(sidecar))}

    def hash_all(self, paths: Iterable[Path]) -> None:
        """Hash the files that have not been hashed yet, several at a time."""
        new = [path for path in dict.fromkeys(paths) if path not in self._digests]
        with ThreadPoolExecutor() as pool:
            self._digests |= zip(new, pool.map(_sha256, new), strict=True)

    def sha256(self, path: Path) -> str | None:
        """SHA-256 of a file; None where it is missing, or can't be read."""
        if path not in self._digests:
            self.hash_all([path])
        return self._digests[path]


def product(path: Path, record: Sidecar) -> str | None:
    """The product that a file is by its sidecar: that of its name, or for a renamed copy that of its kind."""
    of_kind = [name for name in record.outputs if Path(name).suffix == path.suffix]
    return path.name if path.name in record.outputs else next(iter(of_kind), None)


def study_folder(path: Path, record: Sidecar | None) -> Path | None:
    """The folder of a study's results in which a file lies: by its study.json, or by where its sidecar puts it."""
    for folder in path.parents:
        if (folder / paths.STUDY).is_file():
            return folder
    if record is None:
        return None
    made = {name: Path(name) for name in jobs.products(record.stage, record.wildcards)}
    return next(
        (path.parents[len(to.parts) - 1] for name, to in made.items() if path.as_posix().endswith(f"/{name}")), None
    )


def files(folder: Path) -> list[Path]:
    """The files below a folder, links followed, without what is hidden."""
    found, seen = [], set()
    for at, below, names in os.walk(folder, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith(".") and _is_new(Path(at, name), seen))
        found += (Path(at, name) for name in names if not name.startswith("."))
    return sorted(path for path in found if path.is_file())


def products(folder: Path) -> list[Path]:
    """The files below a folder that a sidecar ought to speak of: not logs, nor the states of jobs that were cut off."""
    return [
        path
        for path in files(folder)
        if not path.name.endswith((sidecars.SUFFIX, ".log"))
        and path.name not in (paths.STUDY, "report.html")
        and not _STATE.fullmatch(path.parent.name)
    ]


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder was not passed before: a link may lead back."""
    at = folder.stat()
    here = at.st_dev, at.st_ino
    return here not in seen and not seen.add(here)


def _sha256(path: Path) -> str | None:
    try:
        return hashing.sha256(path)
    except OSError:
        return None
