"""Files that a job reads under several names, and the one list of them on its command line."""

from itertools import islice
from pathlib import Path

from workflow_scripts.files import npz


def in_order(inputs: dict[str, list[str]]) -> list[str]:
    """All files, one name after the other; names in alphabetical order, as in a job's settings."""
    return [path for name in sorted(inputs) for path in inputs[name]]


def by_name(paths: list[Path], inputs: dict[str, list[str]]) -> dict[str, list[Path]]:
    """The files of the command line by name; inputs: as for `in_order`. Raises StudyError for another number."""
    npz.check_number("--inputs", paths, len(in_order(inputs)))
    rest = iter(paths)
    return {name: list(islice(rest, len(inputs[name]))) for name in sorted(inputs)}
