"""Arrays as .npz, with errors that name the file and what to do."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from workflow_scripts.config.errors import Damaged, DamagedResult, Missing, Misused


def save(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed .npz whose bytes depend on the arrays alone."""
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The named arrays of a .npz. Raises StudyError when it is missing, damaged, or lacks one of them."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise Damaged(
                    f"{path}: has no array {missing[0]!r}, only {', '.join(archive.files) or 'none'}: "
                    "delete the file and run the stage that makes it again"
                )
            return {name: archive[name] for name in names}
    except FileNotFoundError:
        raise Missing(f"{path}: no such file: run the stage that makes it first") from None
    except PermissionError:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, TypeError, EOFError, RuntimeError, OSError) as error:
        raise DamagedResult(path, error) from None


def check_number(flag: str, paths: list[Path], expected: int) -> None:
    """Raise StudyError unless as many files were given as the config lists."""
    if len(paths) != expected:
        raise Misused(f"{flag}: the config lists {expected}, but {len(paths)} files were given: give one for each")
