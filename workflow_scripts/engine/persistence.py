"""Snakemake's records of how results were made, corrected by the sidecars that lie beside these results.

Written for Snakemake 9.27.1, which has no setting for the class of its records.
"""

import functools
from pathlib import Path

from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.persistence.file import FilePersistence

from workflow_scripts.files import hashing
from workflow_scripts.provenance import sidecars, upgrades


class SidecarPersistence(FilePersistence):
    """What a result was made with, settings, code and inputs, is what its sidecar says, not what .snakemake says.

    So results that were copied, that an earlier release made, that the jobs of a killed Snakemake finished, and all of
    them once .snakemake is lost, are current or not by what they are.
    """

    def metadata(self, target) -> MetadataRecord | None:
        """What its sidecar tells, with the rest from its record; None where it has neither."""
        record, beside = super().metadata(target), _sidecar(str(target))
        if beside is None:
            return record
        recorded = _recorded(beside)
        if record is None or beside.version < sidecars.SCHEMA:  # rules have changed since then
            return MetadataRecord(record_format_version=RECORD_FORMAT_VERSION, **recorded)
        return record.model_copy(update=recorded)

    def _clear_cache(self) -> None:
        super()._clear_cache()
        _read.cache_clear()
        _sidecar.cache_clear()


def install() -> None:
    """Let Snakemake use this class."""
    from snakemake import workflow as module  # here: it can't be the first module of Snakemake that is imported

    module.FilePersistence = SidecarPersistence


def _recorded(record: sidecars.Sidecar) -> dict:
    """What Snakemake compares with the params and the inputs of a job."""
    params = [hashing.canonical_json(upgrades.cfg(record)), upgrades.fingerprint(record)]
    checksums = {path: f"sha256:{digest}" for path, digest in record.inputs.items()}
    return {"params": sorted(map(repr, params)), "input_checksums": checksums}


@functools.cache
def _sidecar(target: str) -> sidecars.Sidecar | None:
    """The sidecar that speaks of a result, if it is as it was written."""
    path = Path(target)
    beside = path if path.name.endswith(sidecars.SUFFIX) else sidecars.find(path, _read)
    record = _read(beside) if beside else None
    return record if record and record.is_sealed else None


_read = functools.cache(sidecars.read)
