"""The study that a result is compared with: the config files and changes that made it, or others that are named."""

import functools
import json
import os
from pathlib import Path

from workflow_scripts import files, provenance
from workflow_scripts.audit.records import Results
from workflow_scripts.config.configfiles import merged
from workflow_scripts.config.study import Study
from workflow_scripts.config.study import load as load_study
from workflow_scripts.errors import StudyError


class Unreadable(Exception):
    """The study that a result should be compared with can't be read."""


def load(study: dict | None, results: Results) -> Study:
    """The study as it is now. Raises Unreadable where its files are gone or wrong."""
    paths = [configfile(name, results) for name in (study or {}).get("configfiles", [])]
    changes = files.canonical_json((study or {}).get("config", {}))
    return _load(tuple(paths or [provenance.ROOT / "config.yaml"]), changes)


def configfile(name: str, results: Results) -> Path:
    """A config file that a sidecar names, relative to where Snakemake ran or to this repository."""
    places = [results.folder.parent / name, provenance.ROOT / name]
    return next((place for place in places if place.is_file()), places[0])


@functools.cache
def _load(paths: tuple[Path, ...], changes: str) -> Study:
    try:
        return load_study(merged(paths, json.loads(changes)), " + ".join(map(os.path.relpath, paths)))
    except StudyError as error:
        raise Unreadable(f"{error}; name the config files to compare with: --configfile") from None
