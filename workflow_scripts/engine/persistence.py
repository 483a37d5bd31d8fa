"""Snakemake's records of how results were made, with sidecars in place of those that are lost."""

import functools
from pathlib import Path

from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.persistence.file import FilePersistence

from workflow_scripts.files import hashing
from workflow_scripts.provenance import sidecars


class SidecarPersistence(FilePersistence):
    """Where .snakemake has no record of a result, its sidecar stands in.

    So it is after .snakemake was lost, and for what the jobs of a killed Snakemake finished. Snakemake itself would
    take such results for current whatever has changed since.
    """

    def metadata(self, target) -> MetadataRecord | None:
        """Its record, or what its sidecar tells; None where it has neither."""
        return super().metadata(target) or _from_sidecar(str(target))


def install() -> None:
    """Let Snakemake use this class, for which it has no setting."""
    from snakemake import workflow as module  # here: it can't be the first module of Snakemake that is imported

    module.FilePersistence = SidecarPersistence


@functools.cache
def _from_sidecar(target: str) -> MetadataRecord | None:
    path = Path(target)
    beside = path if path.name.endswith(sidecars.SUFFIX) else sidecars.find(path)
    record = sidecars.read(beside) if beside else None
    if record is None or not sidecars.is_sealed(record):
        return None
    return MetadataRecord(
        params=sorted([repr(hashing.canonical_json(record["cfg"])), repr(record["code"]["fingerprint"])]),
        record_format_version=RECORD_FORMAT_VERSION,
        input_checksums={path: f"sha256:{digest}" for path, digest in record["inputs"].items()},
    )
