"""Snakemake's records of how results were made, corrected by the sidecars that lie beside these results.

Written for Snakemake 9.27.1, which has no setting for the class of its records.
"""

import contextlib
import fcntl
import functools
import json
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from snakemake.logging import logger
from snakemake.persistence import NO_PARAMS_CHANGE, RECORD_FORMAT_VERSION, MetadataRecord, ParamsChange
from snakemake.persistence.file import FilePersistence

from workflow_scripts.job import locks
from workflow_scripts.provenance import differences, sidecars, upgrades


class SidecarPersistence(FilePersistence):
    """What a result was made with, settings, code and inputs, is what its sidecar says, not what .snakemake says.

    So results that were copied, that an earlier release made, that the jobs of a killed Snakemake finished, and all of
    them once .snakemake is lost, are current or not by what they are. Names don't count, of the study, of its parts or
    of files: only what is in them. A result whose sidecar can't be read is made again.
    """

    def __init__(self, *arguments, path: Path | None = None, **options):
        """Where .snakemake can't be written, as by a colleague who looks at results, it is only read."""
        path = path or Path(".snakemake").absolute()
        try:
            super().__init__(*arguments, path=path, **options)
        except OSError as error:
            logger.warning(f"{error.filename}: {error.strerror}: no records and no locks of this run are kept")
            self._instead = TemporaryDirectory()
            super().__init__(*arguments, path=Path(self._instead.name), **options)
            self._metadata_path, self._incomplete_path = map(str, (path / "metadata", path / "incomplete"))

    def metadata(self, target) -> MetadataRecord | None:
        """Its record, empty where there is none or an earlier release made it, whose rules were others."""
        record, beside = super().metadata(target), _sidecar(str(target))
        if record is None or (beside and beside.version < sidecars.SCHEMA):
            record = MetadataRecord(record_format_version=RECORD_FORMAT_VERSION)
        return record.model_copy(update=_told(beside, record)) if beside else record

    def params_changed(self, job, file=None):
        """Whether the job reads other settings, runs other code or reads other bytes than its sidecar tells of."""
        if not has_sidecar(job):
            return super().params_changed(job, file)
        beside = _sidecar(job.output.provenance)
        if beside and not _changes(job, beside):
            return NO_PARAMS_CHANGE
        told = {beside.key} if beside else set()
        return ParamsChange(only_old=told, only_new={"the job as it is now"}, files={str(job.output.provenance)})

    def input_checksums(self, job, input_path) -> set[str]:
        """The digests of an input that the job read, as its sidecar tells."""
        if not has_sidecar(job):
            return super().input_checksums(job, input_path)
        if not (beside := _sidecar(job.output.provenance)):
            return set()
        return {
            f"sha256:{read.sha256}" for path, read in zip(_read(job), beside.inputs, strict=False) if path == input_path
        }

    def _input_changed(self, job, file=None) -> bool:
        return not has_sidecar(job) and super()._input_changed(job, file)

    async def incomplete(self, job) -> list:
        """What was being made when Snakemake was killed: a job that writes a sidecar leaves nothing half made."""
        return [] if has_sidecar(job) else await super().incomplete(job)

    def failed(self, job) -> None:
        """Forget that a job was started: what it was to make is as it was before, and so is its record."""
        for path in job.output:
            self._unmark_incomplete(self._get_key(path))

    def _read_record(self, key: str) -> MetadataRecord | None:
        try:
            return super()._read_record(key)
        except (OSError, ValueError, TypeError):  # half of it was lost
            return None

    @contextlib.contextmanager
    def lock(self):
        """Work here, once what killed jobs left beside their products is cleared away."""
        with super().lock():
            for folder in {Path(path).parent for job in self.dag.jobs for path in job.output}:
                locks.clear(folder)
            yield

    def _write_locks(self, lock_type: str, keys) -> None:
        if keys := list(keys):
            super()._write_locks(lock_type, [*keys, locks.holder()])
            self._held = [*getattr(self, "_held", []), open(self._lockfile[lock_type])]  # noqa: SIM115 held until the end
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(self._held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _read_locks(self):
        """What runs that still live have locked."""
        for lock_type in ("input", "output"):
            for path in sorted(Path(self._lockdir).glob(f"*.{lock_type}.lock")):
                if not locks.is_left(path):
                    yield from ((lock_type, key) for key in path.read_text(encoding="utf-8").splitlines())

    def _clear_cache(self) -> None:
        super()._clear_cache()
        _known.cache_clear()
        _sidecar.cache_clear()


def install() -> None:
    """Let Snakemake use this class."""
    from snakemake import workflow as module  # here: it can't be the first module of Snakemake that is imported

    module.FilePersistence = SidecarPersistence


def has_sidecar(job) -> bool:
    """Whether a job's rule is one of ours, so that its products are what their sidecar tells."""
    return hasattr(job.output, "provenance")


def _told(beside: sidecars.Sidecar, record: MetadataRecord) -> dict:
    """What reports show of a job: when it ran, and where its record was lost what it was."""
    started, ended = (datetime.fromisoformat(time).timestamp() for time in (beside.started, beside.ended))
    known = {"rule": record.rule or beside.stage, "job_hash": record.job_hash or hash(beside.key)}
    return {"starttime": started, "endtime": ended, **known}


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
