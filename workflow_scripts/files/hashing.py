"""Digests of files and of plain data."""

import hashlib
import json
from pathlib import Path

from workflow_scripts.files import opening


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises OSError unless it is a regular file that can be read."""
    with opening.regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def of(value) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
