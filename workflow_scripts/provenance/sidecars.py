"""Sidecars: what a job tells of itself in a file beside its products."""

import functools
import json
import os
import platform
import re
import resource
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from workflow_scripts.config.errors import Changed
from workflow_scripts.files import hashing
from workflow_scripts.provenance import fingerprints, machine
from workflow_scripts.provenance.definitions import DISTRIBUTIONS

SCHEMA = 3
SUFFIX = ".prov.json"

Recorded = Annotated[str, Field(pattern=r"^[^\x00]{1,1000}$")]


class Code(BaseModel, strict=True, frozen=True):
    """The code of a job: what fingerprints.of_job returns."""

    digest: str
    libraries: dict[str, str]
    definitions: dict[str, dict[str, str]]

    @property
    def fingerprint(self) -> str:
        """The 16 hex digits that stand for it."""
        return fingerprints.of(self.digest, self.libraries)


class ModulesCode(BaseModel, strict=True, frozen=True):
    """Of schema 2: module -> hash of its syntax tree, distribution -> version, and the fingerprint of both."""

    fingerprint: str
    modules: dict[str, str]
    distributions: dict[str, str]

    @property
    def libraries(self) -> dict[str, str]:
        """What schema 3 calls it."""
        return self.distributions


class Origin(BaseModel, strict=True, frozen=True):
    """What Snakemake ran with: its config files (none: the default study), and the values of --config."""

    configfiles: list[Recorded]
    config: dict[str, Any]


class Sidecar(BaseModel, strict=True, frozen=True, extra="allow"):
    """What a job tells of itself; None: unknown. Equal text on disk gives equal objects, whatever a later version adds.

    inputs, outputs: path -> SHA-256; key: see `key`; seal: the digest of all else.
    """

    version: Literal[2, 3] = Field(alias="schema")
    stage: Annotated[str, Field(pattern="^[a-z_]{1,40}$")]
    wildcards: dict[str, str]
    cfg: dict[str, Any]
    code: Code | ModulesCode
    key: str
    inputs: dict[Recorded, str]
    outputs: Annotated[dict[Recorded, str], Field(min_length=1)]
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

    @functools.cached_property
    def is_sealed(self) -> bool:
        """Whether it is as it was written."""
        return _seal(self.model_dump(by_alias=True)) == self.seal

    @property
    def origin(self) -> dict | None:
        """What Snakemake ran with, as plain data."""
        return self.study and self.study.model_dump()

    def digest_of(self, path: Path) -> str | None:
        """The SHA-256 that it tells of a product in its folder."""
        return next((digest for product, digest in self.outputs.items() if Path(product).name == path.name), None)


def key(stage: str, cfg: dict, code: str, inputs: dict[Path, str]) -> str:
    """The 16 hex digits that stand for a job: its settings, its code and the bytes that it reads. Figures carry it.

    code: the fingerprint; inputs: path -> SHA-256, in the order in which the job reads them.
    """
    return hashing.of([stage, cfg, code, list(inputs.values())])[:16]


def key_in(content: bytes) -> str | None:
    """The key that a figure's PDF, PNG or SVG carries in its metadata."""
    found = re.search(rb"provenance key ([0-9a-f]{16})", content)
    return found[1].decode() if found else None


def check_inputs(inputs: dict[Path, str]) -> None:
    """Raise StudyError if an input's bytes are not those that the job that made it wrote; inputs: path -> SHA-256."""
    known = functools.cache(read)
    for path, found in inputs.items():
        beside = find(path, known)
        if beside and (record := known(beside)) and record.digest_of(path) != found:
            raise Changed(
                f"{path}: these are not the bytes that the job that made it wrote ({beside.name}): "
                f"python -m {fingerprints.PACKAGE}.audit {path} prints what makes it again; "
                f"or remove {beside.name} if you mean to use them"
            )


def of_job(
    stage: str, cfg: dict, inputs: dict[Path, str], outputs: dict[Path, Path], started: datetime, key: str
) -> dict:
    """The sidecar of a finished job as plain data; inputs: path -> SHA-256; outputs: path -> where its bytes lie."""
    record = {
        "schema": SCHEMA,
        "stage": stage,
        "wildcards": cfg["wildcards"],
        "cfg": cfg,
        "code": fingerprints.of_job(stage, cfg),
        "key": key,
        "inputs": {str(path): digest for path, digest in inputs.items()},
        "outputs": {str(path): hashing.sha256(there) for path, there in outputs.items()},
        "study": machine.study(),
        "snakemake": machine.snakemake(),
        "commit": machine.git("rev-parse", "HEAD"),
        "dirty": None if (changes := machine.git("status", "--porcelain")) is None else bool(changes),
        "argv": sys.orig_argv,
        "python": platform.python_version(),
        "distributions": {name: metadata.version(name) for name in sorted(DISTRIBUTIONS.values())},
        "host": socket.gethostname(),
        "user": machine.user(),
        "os": platform.platform(),
        "cpu": machine.cpu(),
        **machine.gpu(),
        "threads": machine.threads(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        "started": started.isoformat(timespec="milliseconds"),
        "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / machine.maxrss_per_mib()),
    }
    return {**record, "seal": _seal(record)}


def write(path: Path, record: dict) -> None:
    """Write a sidecar as indented JSON."""
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read(path: Path) -> Sidecar | None:
    """A sidecar, or None where there is none that can be read and has a schema that is known."""
    try:
        content = json.loads(path.read_bytes())
        record = Sidecar.model_validate(content)
        hashing.canonical_json(content)
    except (OSError, ValueError, RecursionError):
        return None
    sound = record.cfg.get("wildcards") == record.wildcards
    return record if sound and isinstance(record.code, Code if record.version == SCHEMA else ModulesCode) else None


def find(path: Path, read: Callable[[Path], Sidecar | None] = read) -> Path | None:
    """The sidecar beside a product that speaks of it: its own, or that of another product of the same job.

    read: how sidecars are read, for callers that keep what they have read.
    """
    own = path.with_name(path.name + SUFFIX)
    if own.is_file():
        return own
    others = sorted(path.parent.glob(f"*{SUFFIX}"))
    return next((other for other in others if (record := read(other)) and record.digest_of(path)), None)


def seal(record: dict) -> dict:
    """A sidecar as plain data, sealed anew."""
    return {**record, "seal": _seal(record)}


def _seal(record: dict) -> str:
    """The digest of all that a sidecar says: it no longer fits once any of it is edited."""
    return hashing.of({name: value for name, value in record.items() if name != "seal"})
