"""Weights as safetensors, with their digest, so that damage is noticed."""

import hashlib
import json
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open

from workflow_scripts.config.errors import DamagedResult, Missing
from workflow_scripts.files import hashing, opening


def save(path: Path, tensors: dict, **metadata: str) -> str:
    """Write weights as safetensors, their digest and the metadata in the header; returns the digest.

    The metadata are one JSON text: safetensors writes several entries in an order that changes from run to run.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sha256 = digest(tensors)
    path.write_bytes(
        safetensors.torch.save(tensors, metadata={"about": hashing.canonical_json({**metadata, "sha256": sha256})})
    )
    return sha256


def load(path: Path) -> tuple[dict, dict[str, str]]:
    """Weights and metadata of a safetensors file. Raises StudyError when it is missing or not as it was written."""
    try:
        opening.regular(path).close()
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("about", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sound = isinstance(metadata, dict) and metadata.get("sha256") == digest(tensors)
    except FileNotFoundError:
        raise Missing(path, "no such file: run the stage that makes it first") from None
    except PermissionError:
        raise
    except (SafetensorError, ValueError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise DamagedResult(path, error) from None
    if not sound:
        raise DamagedResult(path, "the weights are not those that were written")
    return tensors, metadata


def digest(tensors: dict) -> str:
    """SHA-256 over the names, shapes and bytes of CPU tensors in the order of their names."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()
