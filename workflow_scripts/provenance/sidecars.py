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
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, Field

from workflow_scripts.config import jobs, kinds
from workflow_scripts.config.errors import Changed
from workflow_scripts.files import hashing, opening
from workflow_scripts.provenance import fingerprints, machine, upgrades
from workflow_scripts.provenance.definitions import DISTRIBUTIONS

SCHEMA = 4
SUFFIX = ".prov.json"


Recorded = Annotated[str, Field(pattern=r"^[^\x00]{0,999}[^\x00/.]$")]
Name = Annotated[str, Field(pattern=r"^[^\x00/]{0,254}[^\x00/.]$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Code(BaseModel, strict=True, frozen=True):
    """The code of a job: what fingerprints.of_job returns."""

    digest: str
    libraries: dict[str, str]
    definitions: dict[str, dict[str, str]]

    @property
    def fingerprint(self) -> str:
        """The 16 hex digits that stand for it."""
        return fingerprints.of(self.digest, self.libraries)


class Origin(BaseModel, strict=True, frozen=True):
    """What Snakemake ran with: its config files (none: the default study), and the values of --config."""

    configfiles: list[Recorded]
    config: dict[str, Any]


class Input(NamedTuple):
    """A file that a job read: its path in the study's results (elsewhere: as it was given), and its SHA-256."""

    path: Recorded
    sha256: Digest


class _Settings(BaseModel, strict=True):
    """What the settings of any job have, besides those of its stage."""

    wildcards: dict[str, str]
    inputs: dict[str, list[str]]
    seeds: list[int] = []


def _known(stage: str) -> str:
    if stage not in jobs.OF_STAGE:
        raise ValueError("there is no such stage")
    return stage


def _checked(cfg: dict) -> dict:
    _Settings.model_validate(cfg)
    return cfg


#: who ran a job and where, in a sidecar that doesn't tell
NOBODY = {"host": "", "user": None, "slurm_job_id": None}


class Sidecar(BaseModel, strict=True, frozen=True, extra="allow"):
    """What a job tells of itself; None: unknown. Equal text on disk gives equal objects, whatever a later version adds.

    version: the schema that it was written in; all else is told as today (see upgrades). inputs: in the order of their
    options, by name; outputs: name of a product beside it -> SHA-256; bits: what decided on the last bits besides (see
    machine.bits); key: see `key`; is_sealed: whether it is as it was written.
    """

    version: int
    stage: Annotated[str, AfterValidator(_known)]
    wildcards: dict[str, str]
    cfg: Annotated[dict[str, Any], AfterValidator(_checked)]
    code: Code | upgrades.ModulesCode
    key: str
    inputs: list[Input]
    outputs: Annotated[dict[Name, Digest], Field(min_length=1)]
    bits: dict[str, str]
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
    is_sealed: bool

    @property
    def origin(self) -> dict | None:
        """What Snakemake ran with, as plain data."""
        return self.study and self.study.model_dump()

    @property
    def first(self) -> str:
        """The product that stands for all."""
        return next(iter(self.outputs))

    @property
    def who(self) -> str:
        """Who ran the job, and where, in words."""
        return f"{self.user or 'unknown user'}@{self.host or 'unknown host'}"

    @functools.cached_property
    def fault(self) -> str | None:
        """What shows that it isn't as a job wrote it; of earlier schemas the key isn't known."""
        if not self.is_sealed:
            return "was edited after it was written"
        read = [each.sha256 for each in self.inputs]
        if self.version < SCHEMA or self.key == key(self.stage, self.cfg, self.code.fingerprint, read, self.bits):
            return None
        return "has a key that is not that of its job"

    def digest_of(self, path: Path) -> str | None:
        """The SHA-256 that it tells of a product in its folder."""
        return self.outputs.get(path.name)


def key(stage: str, cfg: dict, code: str, inputs: list[str], bits: dict[str, str]) -> str:
    """The 16 hex digits that stand for a job: what decides on the bytes that it writes, and no name. Figures carry it.

    cfg: its settings; code: the fingerprint; inputs: SHA-256s in the order of their options, by name; bits: see
    machine.bits.
    """
    return hashing.of([stage, essence(stage, cfg), code, inputs, bits])[:16]


def essence(stage: str, cfg: dict) -> dict:
    """Of a job's settings what decides on its products: not what it is called, nor where the files lie that it reads.

    Of these there is the number that each option takes; names count in a stage that writes them down.
    """
    inputs = {option: len(files) for option, files in cfg.get("inputs", {}).items()}
    kept = cfg | {"inputs": inputs}
    if not jobs.OF_STAGE[stage].writes_names:
        del kept["wildcards"]
    if source := kept.get("source"):
        places = kinds.of("data.datasets", source["kind"]).Settings.places
        kept["source"] = {name: value for name, value in source.items() if name not in places}
    return kept


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
                path,
                f"these are not the bytes that the job that made it wrote ({beside.name}): "
                f"python -m {fingerprints.PACKAGE}.audit {path} prints what makes it again; "
                f"or remove {beside.name} if you mean to use them",
            )


def of_job(
    stage: str,
    cfg: dict,
    inputs: list[Input],
    outputs: dict[str, Path],
    bits: dict[str, str],
    started: datetime,
    key: str,
) -> dict:
    """The sidecar of a finished job as plain data; outputs: name of each product -> where its bytes lie."""
    record = {
        "schema": SCHEMA,
        "stage": stage,
        "wildcards": cfg["wildcards"],
        "cfg": cfg,
        "code": fingerprints.of_job(stage, cfg),
        "key": key,
        "inputs": inputs,
        "outputs": {name: hashing.sha256(path) for name, path in outputs.items()},
        "bits": bits,
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
    return seal(record)


def write(path: Path, record: dict) -> None:
    """Write a sidecar as indented JSON."""
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def anonymous(written: dict) -> dict:
    """A sidecar as plain data without who ran its job, on which machine and in which folders, sealed anew."""
    argv = [re.sub("(^|=)/.*/", r"\1", word) for word in written["argv"]]
    return seal(written | NOBODY | {"argv": argv})


def read(path: Path) -> Sidecar | None:
    """A sidecar, or None where there is none that can be read and has a schema that is known."""
    try:
        written = opening.data(path)
        told = upgrades.READERS[written["schema"]](written)
        record = Sidecar(**told, version=written["schema"], is_sealed=_seal(written) == written["seal"])
        record = record.model_copy(update={"outputs": _named(record.stage, record.outputs, path)})
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    by_module = isinstance(record.code, upgrades.ModulesCode)
    sound = record.cfg["wildcards"] == record.wildcards and by_module == (record.version == 2)
    return record if sound else None


def find(path: Path, read: Callable[[Path], Sidecar | None] = read) -> Path | None:
    """The sidecar beside a product that speaks of it: its own, or that of another product of the same job.

    read: how sidecars are read, for callers that keep what they have read.
    """
    own = path.with_name(path.name + SUFFIX)
    if own.is_file():
        return own
    others = sorted(path.parent.glob(f"*{SUFFIX}"))
    return next((other for other in others if (record := read(other)) and record.digest_of(path)), None)


def _named(stage: str, outputs: dict[str, str], path: Path) -> dict[str, str]:
    """The products as they are called beside a sidecar: another study may call a figure or an explainer otherwise.

    The first one stands for all.
    """
    ordered = dict.fromkeys([*jobs.options(stage, outputs).values(), *outputs])
    was, now = Path(next(iter(ordered))).stem, Path(path.name.removesuffix(SUFFIX)).stem
    return {Path(name).with_stem(now).name if Path(name).stem == was else name: outputs[name] for name in ordered}


def seal(record: dict) -> dict:
    """A sidecar as plain data, sealed anew."""
    return {**record, "seal": _seal(record)}


def _seal(record: dict) -> str:
    """The digest of all that a sidecar says: it no longer fits once any of it is edited."""
    return hashing.of({name: value for name, value in record.items() if name != "seal"})
