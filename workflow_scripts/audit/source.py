"""The study that a result is compared with: the config files and changes that made it, or others that are named."""

import functools
import json
import os
from pathlib import Path

from workflow_scripts.audit.records import Results
from workflow_scripts.config.configfiles import merged
from workflow_scripts.config.errors import StudyError
from workflow_scripts.config.study import Study
from workflow_scripts.config.study import load as load_study
from workflow_scripts.files import hashing
from workflow_scripts.provenance import fingerprints

CRATE = "ro-crate-metadata.json"
DEFAULT = "config.yaml"


class Unreadable(Exception):
    """The study that a result should be compared with can't be read."""


def load(study: dict | None, results: Results) -> Study:
    """The study as it is now. Raises Unreadable where its files are gone or wrong."""
    changes = hashing.canonical_json((study or {}).get("config", {}))
    return _load(tuple(configfiles(study, results).values()), changes)


def configfiles(study: dict | None, results: Results) -> dict[str, Path]:
    """The config files of a study, the default one if none was given, by the place that each has in a crate."""
    names = (study or {}).get("configfiles", [])
    default = {DEFAULT: (results.home if in_crate(results) else fingerprints.ROOT) / DEFAULT}
    return {_place(name): configfile(name, results) for name in names} or default


def in_crate(results: Results) -> bool:
    """Whether these results are those of a crate."""
    return (results.home / CRATE).is_file()


def configfile(name: str, results: Results) -> Path:
    """A config file that a sidecar names: in its crate, or relative to where Snakemake ran or to this repository."""
    places = [results.home / _place(name), results.home / name, fingerprints.ROOT / name]
    return next((place for place in places if place.is_file()), places[0])


def _place(name: str) -> str:
    """Where a crate keeps a config file: as it was named, or under config/ if that was anywhere on the machine."""
    path = Path(name)
    anywhere = path.is_absolute() or ".." in path.parts
    return f"config/{hashing.of(name)[:8]}/{path.name}" if anywhere else path.as_posix()


@functools.cache
def _load(paths: tuple[Path, ...], changes: str) -> Study:
    try:
        return load_study(merged(paths, json.loads(changes)), " + ".join(map(os.path.relpath, paths)))
    except StudyError as error:
        raise Unreadable(f"{error}; name the config files to compare with: --configfile") from None
