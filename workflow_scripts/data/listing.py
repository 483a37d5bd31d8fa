"""What pictures are: a digest of their names and contents, wherever they lie, in a folder or a .zip file.

Contents are hashed once: Snakemake's folder remembers the digest of each picture, with its stamp.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from workflow_scripts.data import many, picture_files
from workflow_scripts.data.picture_files import Pictures
from workflow_scripts.files import hashing

#: nothing is remembered where Snakemake has not worked
SNAKEMAKE = Path(".snakemake")
#: a file that changed so short a time ago may change once more without another stamp
SETTLED_AFTER_S = 2.0


def of(path: Path) -> str:
    """The digest of all pictures in a folder or .zip file.

    Raises Missing where it is absent, another StudyError where it can't be listed, or a picture can't be read.
    """
    with picture_files.opened(path) as pictures:
        return digest(hashes(pictures, pictures.stamps))


def digest(hashed: dict[str, str]) -> str:
    """The digest of pictures, given the SHA-256 of each by name."""
    return hashing.of(sorted(hashed.items()))


def hashes(pictures: Pictures, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the content of each of these pictures. Raises StudyError for those that can't be read."""
    known, now = _remembered(pictures), time.time()
    hashed = many.each(
        sorted(name for name in names if name not in known),
        lambda name: hashlib.sha256(pictures.read(name)).hexdigest(),
        many.cores(),
    )
    if hashed:
        _remember(pictures, known | hashed, settled_before=(now - SETTLED_AFTER_S) * 1e9)
    return {name: known.get(name) or hashed[name] for name in names}


def _remembered(pictures: Pictures) -> dict[str, str]:
    """SHA-256 of the pictures that have the stamps of now; a memory that is absent or damaged is none."""
    try:
        seal, text = _memory(pictures).read_bytes().split(b"\n")
    except (OSError, ValueError):
        return {}
    if hashlib.sha256(text).hexdigest() != seal.decode(errors="replace"):
        return {}
    return {name: hashed for name, (stamp, hashed) in json.loads(text).items() if pictures.stamps.get(name) == stamp}


def _remember(pictures: Pictures, hashed: dict[str, str], settled_before: float) -> None:
    """Keep the digests, if this is where Snakemake works and it may be written to."""
    if not SNAKEMAKE.is_dir():
        return
    stamps = {name: pictures.stamps[name] for name in hashed}
    kept = {name: [stamp, hashed[name]] for name, stamp in stamps.items() if max(stamp[1:3]) < settled_before}
    text = json.dumps(kept).encode()
    memory = _memory(pictures)
    written = memory.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        memory.parent.mkdir(exist_ok=True)
        try:
            written.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
            os.replace(written, memory)
        finally:
            written.unlink(missing_ok=True)


def _memory(pictures: Pictures) -> Path:
    return SNAKEMAKE / "pictures" / f"{hashing.of(str(pictures.path.absolute()))}.json"
