"""Snakemake's records of how results were made, corrected by the sidecars that lie beside these results.

Written for Snakemake 9.27.1, which has no setting for the class of its records.
"""

import functools
import json
from pathlib import Path

from snakemake.persistence import NO_PARAMS_CHANGE, RECORD_FORMAT_VERSION, MetadataRecord, ParamsChange
from snakemake.persistence.file import FilePersistence

from workflow_scripts.provenance import differences, sidecars, upgrades


class SidecarPersistence(FilePersistence):
    """What a result was made with, settings, code and inputs, is what its sidecar says, not what .snakemake says.

    So results that were copied, that an earlier release made, that the jobs of a killed Snakemake finished, and all of
    them once .snakemake is lost, are current or not by what they are. Names don't count, of the study, of its parts or
    of files: only what is in them. A result whose sidecar can't be read is made again.
    """

    def metadata(self, target) -> MetadataRecord | None:
        """Its record, empty where there is none or an earlier release made it, whose rules were others."""
        record, beside = super().metadata(target), _sidecar(str(target))
        if record is None or (beside and beside.version < sidecars.SCHEMA):
            return MetadataRecord(record_format_version=RECORD_FORMAT_VERSION)
        return record

    def params_changed(self, job, file=None):
        """Whether the job reads other settings, runs other code or reads other bytes than its sidecar tells of."""
        if not _has_sidecar(job):
            return super().params_changed(job, file)
        beside = _sidecar(job.output.provenance)
        if beside and not _changes(job, beside):
            return NO_PARAMS_CHANGE
        told = {beside.key} if beside else set()
        return ParamsChange(only_old=told, only_new={"the job as it is now"}, files={str(job.output.provenance)})

    def input_checksums(self, job, input_path) -> set[str]:
        """The digests of an input that the job read, as its sidecar tells."""
        if not _has_sidecar(job):
            return super().input_checksums(job, input_path)
        if not (beside := _sidecar(job.output.provenance)):
            return set()
        return {
            f"sha256:{read.sha256}" for path, read in zip(_read(job), beside.inputs, strict=False) if path == input_path
        }

    def _input_changed(self, job, file=None) -> bool:
        return not _has_sidecar(job) and super()._input_changed(job, file)

    def _clear_cache(self) -> None:
        super()._clear_cache()
        _known.cache_clear()
        _sidecar.cache_clear()


def install() -> None:
    """Let Snakemake use this class."""
    from snakemake import workflow as module  # here: it can't be the first module of Snakemake that is imported

    module.FilePersistence = SidecarPersistence


def _has_sidecar(job) -> bool:
    return hasattr(job.output, "provenance")


def _changes(job, record: sidecars.Sidecar) -> bool:
    """Whether a job differs from the one that a sidecar tells of."""
    planned = json.loads(job.params.cfg)
    if upgrades.fingerprint(record) != job.params.code or differences.settings(record.stage, record.cfg, planned):
        return True
    files = _read(job)
    if len(files) != len(record.inputs):
        return True
    made = [(_sidecar(path), path, read) for path, read in zip(files, record.inputs, strict=True)]
    return any(maker and maker.digest_of(Path(path)) != read.sha256 for maker, path, read in made)


def _read(job) -> list[str]:
    """The files that a job reads, in the order in which sidecars tell them."""
    return [path for option in sorted(job.input.keys()) for path in job.input.get(option)]


@functools.cache
def _sidecar(target: str) -> sidecars.Sidecar | None:
    """The sidecar that speaks of a result, if it is as it was written."""
    path = Path(target)
    beside = path if path.name.endswith(sidecars.SUFFIX) else sidecars.find(path, _known)
    record = _known(beside) if beside else None
    return record if record and not record.fault else None


_known = functools.cache(sidecars.read)
