"""The code of a job: the definitions that it reaches, the versions of the libraries these use, and one fingerprint."""

import functools
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from workflow_scripts.config.errors import Foreign, Untracked
from workflow_scripts.files import hashing
from workflow_scripts.provenance.definitions import DISTRIBUTIONS, Sources
from workflow_scripts.provenance.loading import PACKAGE, ROOT
from workflow_scripts.provenance.text import TAGS

#: what starts jobs, records them or plans them: an edit of it reruns nothing, but for VERSION of job.command
RECORDERS = (
    *("audit", "engine", "job", "progress", "provenance"),
    *("config.calls", "config.endings", "config.errors", "config.kinds"),
)


@functools.cache
def sources(root: Path = ROOT) -> Sources:
    """The package below a folder: this repository, or a copy of it such as a crate."""
    return Sources(root, PACKAGE, RECORDERS)


def kinds(cfg: Any) -> frozenset[str]:
    """The kinds (of networks, data sets, explainers, figures, tables) that a job's settings name."""
    return frozenset(_kinds(cfg))


def of_job(stage: str, cfg: dict, root: Path = ROOT) -> dict:
    """The code of one job: its `digest`, and what that is the digest of, for people.

    definitions: module -> name -> hash of it alone; libraries: distribution -> version. Raises StudyError, with the
    line, where code can't be followed by reading it.
    """
    return sources(root).code(stage, kinds(cfg))


def of(digest: str, libraries: dict[str, str]) -> str:
    """The fingerprint, 16 hex digits, that stands for definitions and library versions."""
    return hashing.of([digest, libraries])[:16]


def check_loaded(stage: str, cfg: dict) -> None:
    """Raise StudyError if this process has loaded first-party code that the job's code has not."""
    known = sources().modules(stage, kinds(cfg))
    loaded = {name for module in list(sys.modules.values()) if (name := first_party(module))}
    outside = sorted(name for name in loaded - known if not _is_recorder(name))
    if outside:
        raise Untracked(
            stage,
            f"it loaded {outside[0]}, which none of its modules imports by name: import it by name, so that a "
            "change of it is noticed; nothing was written",
        )


def check_libraries(libraries: dict[str, str]) -> None:
    """Raise StudyError if this process has loaded one of these, or a part of Python, from outside its installation.

    A file or folder of such a name in the working directory or on PYTHONPATH would be other code than is recorded.
    libraries: distribution -> version.
    """
    python = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    places = dict.fromkeys(sys.stdlib_module_names - {"distutils"}, python)  # setuptools brings its own
    for top, name in DISTRIBUTIONS.items():
        if name in libraries:
            places[top] = [found.locate_file("") for found in metadata.distributions(name=name)]
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and name in places and not any(_lies_in(path, place) for place in places[name]):
            raise Foreign(
                path,
                f"it was loaded in place of the {name} that is installed: rename it, move it away, or take its "
                "folder from PYTHONPATH; nothing was written",
            )


def _lies_in(path: str, folder: str | Path) -> bool:
    return Path(path).resolve().is_relative_to(Path(folder).resolve())


def first_party(module: ModuleType) -> str | None:
    """The dotted name of a module that lies in this repository; __main__ gets its real name."""
    path = Path(getattr(module, "__file__", None) or "")
    if not path.is_absolute() or not path.is_relative_to(ROOT) or path.is_relative_to(Path(sys.prefix).absolute()):
        return None
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _is_recorder(name: str) -> bool:
    return any(f"{name}.".startswith(f"{PACKAGE}.{recorder}.") for recorder in RECORDERS)


def _kinds(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in TAGS and isinstance(inner, str):
                yield inner
            else:
                yield from _kinds(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _kinds(inner)
