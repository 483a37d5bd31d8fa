"""What a result was made from: the fingerprint of a stage's code, and the sidecar beside its products."""

import json
import os
import platform
import re
import resource
import socket
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from workflow_scripts.config.errors import StudyError
from workflow_scripts.files import hashing
from workflow_scripts.provenance import fingerprints, machine

SCHEMA = 2
SUFFIX = ".prov.json"


Told = Annotated[str, Field(pattern=r"^[^\x00]{1,1000}$")]


class Code(BaseModel, strict=True):
    """All code of a stage: module -> hash of what it does, distribution -> version, and the fingerprint of both."""

    fingerprint: str
    modules: dict[str, str]
    distributions: dict[str, str]


class Origin(BaseModel, strict=True):
    """What Snakemake ran with: its config files (none: the default study), and the values of --config."""

    configfiles: list[Told]
    config: dict[str, Any]


class Sidecar(BaseModel, strict=True):
    """What a job tells of itself beside its products; None: unknown. On disk and in code it is plain data."""

    stage: Annotated[str, Field(pattern="^[a-z_]{1,40}$")]
    wildcards: dict[str, str]
    cfg: dict[str, Any]
    code: Code
    key: str
    inputs: dict[Told, str]
    outputs: Annotated[dict[Told, str], Field(min_length=1)]
    study: Origin | None
    snakemake: str | None
    commit: str | None
    dirty: bool | None
    argv: list[str]
    python: str
    distributions: dict[str, str]
    host: str
    user: str | None
    os: str
    cpu: str | None
    gpu: str | None
    driver: str | None
    cuda: str | None
    threads: dict[str, int]
    slurm_job_id: str | None
    started: str
    ended: str
    peak_memory_mib: int
    seal: str


def key(stage: str, cfg: dict, code: str, inputs: dict[Path, str]) -> str:
    """The 16 hex digits that stand for a job: its settings, its code and the bytes that it reads. Figures carry it."""
    return hashing.of([stage, cfg, code, list(inputs.values())])[:16]


def key_in(content: bytes) -> str | None:
    """The key that a figure's PDF, PNG or SVG carries in its metadata."""
    found = re.search(rb"provenance key ([0-9a-f]{16})", content)
    return found[1].decode() if found else None


def seal(record: dict) -> str:
    """The digest of all that a sidecar says: it no longer fits once any of it is edited."""
    return hashing.of({name: value for name, value in record.items() if name != "seal"})


def is_sealed(record: dict) -> bool:
    """Whether a sidecar is as it was written."""
    return seal(record) == record["seal"]


def check_inputs(inputs: dict[Path, str]) -> None:
    """Raise StudyError if an input's bytes are not those that the job that made it wrote; inputs: path -> SHA-256."""
    for path, found in inputs.items():
        beside = find(path)
        if beside and told(read(beside), path) != found:
            raise StudyError(
                f"{path}: these are not the bytes that the job that made it wrote ({beside.name}): "
                f"python -m {fingerprints.PACKAGE}.audit {path} prints what makes it again; "
                f"or remove {beside.name} if you mean to use them"
            )


def of_job(
    stage: str, cfg: dict, inputs: dict[Path, str], outputs: dict[Path, Path], started: datetime, key: str
) -> dict:
    """The provenance of a finished job: inputs, path -> SHA-256; outputs, path -> where its bytes lie now."""
    now = datetime.now(UTC)
    record = {
        "schema": SCHEMA,
        "stage": stage,
        "wildcards": cfg["wildcards"],
        "cfg": cfg,
        "code": fingerprints.code(stage),
        "key": key,
        "inputs": {str(path): digest for path, digest in inputs.items()},
        "outputs": {str(path): hashing.sha256(there) for path, there in outputs.items()},
        "study": machine.study(),
        "snakemake": machine.snakemake(),
        "commit": machine.git("rev-parse", "HEAD"),
        "dirty": None if (changes := machine.git("status", "--porcelain")) is None else bool(changes),
        "argv": sys.orig_argv,
        "python": platform.python_version(),
        "distributions": {name: metadata.version(name) for name in sorted(fingerprints.DISTRIBUTIONS.values())},
        "host": socket.gethostname(),
        "user": machine.user(),
        "os": platform.platform(),
        "cpu": machine.cpu(),
        **machine.gpu(),
        "threads": machine.threads(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        "started": started.isoformat(timespec="milliseconds"),
        "ended": now.isoformat(timespec="milliseconds"),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / machine.maxrss_per_mib()),
    }
    return {**record, "seal": seal(record)}


def write(path: Path, record: dict) -> None:
    """Write a sidecar as indented JSON."""
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def find(path: Path) -> Path | None:
    """The sidecar beside a product that speaks of it: its own, or that of another product of the same job."""
    own = path.with_name(path.name + SUFFIX)
    if own.is_file():
        return own
    others = sorted(path.parent.glob(f"*{SUFFIX}"))
    return next((other for other in others if (record := read(other)) and told(record, path)), None)


def told(record: dict | None, path: Path) -> str | None:
    """The SHA-256 that a sidecar tells of a product in its folder."""
    outputs = record["outputs"] if record else {}
    return next((digest for product, digest in outputs.items() if Path(product).name == path.name), None)


def read(path: Path) -> dict | None:
    """A sidecar, or None where there is none that can be read and has this schema."""
    try:
        record = json.loads(path.read_bytes())
        Sidecar.model_validate(record)
        hashing.canonical_json(record)
    except (OSError, ValueError, RecursionError):
        return None
    sound = record.get("schema") == SCHEMA and record["cfg"].get("wildcards") == record["wildcards"]
    return record if sound else None
