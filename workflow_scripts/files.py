"""Reading and writing of arrays, weights and tables, with errors that name the file and what to do."""

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from workflow_scripts.errors import StudyError

#: the columns of our tables that hold words
TEXT_COLUMNS = ("explainer", "phase", "quantity", "sign", "variant")


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed .npz whose bytes depend on the arrays alone."""
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The named arrays of a .npz. Raises StudyError when it is missing, damaged, or lacks one of them."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise StudyError(
                    f"{path}: has no array {missing[0]!r}, only {', '.join(archive.files) or 'none'}: "
                    "delete the file and run the stage that makes it again"
                )
            return {name: archive[name] for name in names}
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file: run the stage that makes it first") from None
    except PermissionError:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, TypeError, EOFError, RuntimeError, OSError) as error:
        raise _damaged(path, error) from None


def save_weights(path: Path, tensors: dict, **metadata: str) -> str:
    """Write weights as safetensors, their digest and the metadata in the header; returns the digest.

    The metadata are one JSON text: safetensors writes several entries in an order that changes from run to run.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digest = weights_digest(tensors)
    path.write_bytes(save(tensors, metadata={"about": canonical_json({**metadata, "sha256": digest})}))
    return digest


def load_weights(path: Path) -> tuple[dict, dict[str, str]]:
    """Weights and metadata of a safetensors file. Raises StudyError when it is missing or not as it was written."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("about", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file: run the stage that makes it first") from None
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, error) from None
    if metadata.get("sha256") != weights_digest(tensors):
        raise _damaged(path, "the weights are not those that were written")
    return tensors, metadata


def weights_digest(tensors: dict) -> str:
    """SHA-256 over the names, shapes and bytes of CPU tensors in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def read_table(path: Path, *columns: str):
    """A CSV as a data frame. Raises StudyError when it is missing, cut off, damaged, or lacks one of the columns."""
    import pandas as pd

    try:
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            raise _damaged(path, "its last line is cut off")
        table = pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file: run the stage that makes it first") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise _damaged(path, f"it has no column {missing[0]!r}")
    garbled = [name for name in table if name not in TEXT_COLUMNS and not pd.api.types.is_numeric_dtype(table[name])]
    if garbled:
        raise _damaged(path, f"its column {garbled[0]!r} has values that are not numbers")
    return table


def write_table(path: Path, table) -> None:
    """Write a data frame as CSV; every float can be read back exactly."""
    table.to_csv(path, index=False, lineterminator="\n")


def check_number(flag: str, paths: list[Path], expected: int) -> None:
    """Raise StudyError unless as many files were given as the config lists."""
    if len(paths) != expected:
        raise StudyError(f"{flag}: the config lists {expected}, but {len(paths)} files were given: give one for each")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _damaged(path: Path, why) -> StudyError:
    reason = " ".join(str(why).split()) or type(why).__name__
    return StudyError(f"{path}: damaged or not of the expected kind ({reason}): delete it and run its stage again")
