"""Snakemake's cache between workflows, made safe: every entry is checked against its sidecar before it is used.

Written for Snakemake 9.27.1, which has no setting for the class of its cache.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from snakemake.caching import LOCATION_ENVVAR
from snakemake.caching.local import OutputFileCache
from snakemake.logging import logger

from workflow_scripts.config.errors import Missing, StudyError
from workflow_scripts.files import hashing
from workflow_scripts.job import locks, scratch
from workflow_scripts.provenance import differences, equal, fingerprints, sidecars, upgrades

_STAGE = re.compile(r"-m workflow_scripts\.(\w+)")


class CheckedCache(OutputFileCache):
    """An entry is a job's products and their sidecar, under the hash of its settings, its code and the bytes it reads.

    Snakemake's own class links results to the cache, so that an edit of a result damages the entry, and believes that
    whatever lies there is right. This one copies, and passes over an entry that is not what its sidecar says: the job
    is computed again, and its products replace the entry. Snakemake's own hash is another one for jobs on other nodes.
    """

    async def get_outputfiles_and_cachefiles(self, job) -> list[tuple[Path, Path]]:
        """The job's products and their places in the cache: of code that is equal, where such an entry lies."""
        cfg, inputs = json.loads(job.params.cfg), _inputs(job)
        entries = [sidecars.key(_stage(job.rule), cfg, code, inputs, bits={}) for code in _codes(job.rule, cfg)]
        endings = list(self.get_outputfiles(job))
        found = [key for key in entries if any((self.path / f"{key}{ending}").exists() for _, ending in endings)]
        key = (found or entries)[0]
        return [(Path(product), self.path / f"{key}{ending}") for product, ending in endings]

    async def exists(self, job) -> bool:
        """Whether a dry run can tell that the job is in the cache: not before its inputs are there."""
        return all(os.path.isfile(path) for path in job.input) and await super().exists(job)

    async def fetch(self, job) -> None:
        """Copy the entry to where the job's products belong. Raises CacheMissException where it has to be computed."""
        try:
            await self._restore(job)
        except (StudyError, OSError) as error:  # the job itself says what is to be done
            logger.warning(f"cache: {error}: {job} is computed again")
            self.raise_cache_miss_exception(job)

    async def _restore(self, job) -> None:
        pairs = _sidecar_last(await self.get_outputfiles_and_cachefiles(job))
        if not any(entry.exists() for _, entry in pairs):
            self.raise_cache_miss_exception(job)
        last = pairs[-1][0]
        last.parent.mkdir(parents=True, exist_ok=True)
        with locks.held(last), scratch.folders(last, [last.parent]) as folders:
            copies = {product: folders[product.parent] / product.name for product, _ in pairs}
            try:
                for product, entry in pairs:
                    shutil.copyfile(entry, copies[product])
                found = wrong(copies, job)
            except OSError as error:
                found = f"{error.filename} can't be read: {error.strerror}"
            if found:
                logger.warning(f"cache: {pairs[0][1]}: {found}: it is not used, {job} is computed again")
                self.raise_cache_miss_exception(job)
            scratch.replace(copies)
        logger.info(f"restored from the cache: {', '.join(map(str, copies))}")
        for log in job.log:
            Path(log).write_text(f"restored from the cache: {pairs[0][1]}\n")

    async def store(self, job) -> None:
        """Copy the job's products and their sidecar, which comes last, into the cache; go on where that can't be."""
        pairs = await self.get_outputfiles_and_cachefiles(job)
        try:
            with TemporaryDirectory(dir=self.path) as scratch:
                for product, entry in _sidecar_last(pairs):
                    copy = Path(scratch, entry.name)
                    shutil.copyfile(product, copy)
                    self.set_permissions(copy)
                    os.replace(copy, entry)
        except OSError as error:
            logger.warning(f"cache: {self.path}: {error.strerror}: {job} is done, but it was not stored there")


def install(workflow) -> None:
    """Let Snakemake use this class, for which it has no setting. Raises StudyError where --cache names no folder."""
    from snakemake import workflow as module  # here: it can't be the first module of Snakemake that is imported

    module.LocalOutputFileCache = CheckedCache
    folder = os.environ.get(LOCATION_ENVVAR, "")
    if workflow.workflow_settings.cache is not None and not os.path.isdir(folder):
        raise Missing(f"--cache: {LOCATION_ENVVAR}={folder}: no such folder: make it, or name another in this variable")


def spell_out(workflow) -> None:
    """Name the cached rules in a bare --cache: Snakemake hands it on to jobs on other nodes only with names."""
    if workflow.workflow_settings.cache == []:
        workflow.workflow_settings.cache = [rule.name for rule in workflow.rules if rule.cache and rule.cache.output]


def _codes(rule, cfg: dict) -> list[str]:
    """The fingerprint of a job's code, then those of code that was shown to be equal to it."""
    stage = _stage(rule)
    code = fingerprints.of_job(stage, cfg)
    standing = equal.standing(stage, code["digest"])
    return [fingerprints.of(digest, code["libraries"]) for digest in (standing, *equal.before(stage, standing))]


def wrong(copies: dict[Path, Path], job) -> str | None:
    """What is wrong with copies of a job's products (product -> its copy), if anything is. Raises OSError."""
    sidecar = next(product for product in copies if product.name.endswith(sidecars.SUFFIX))
    record = sidecars.read(copies[sidecar])
    if record is None:
        return "its sidecar can't be read"
    if record.fault:
        return f"its sidecar {record.fault}"
    other = differences.settings(record.stage, record.cfg, json.loads(job.params.cfg))
    if other or upgrades.fingerprint(record) != job.params.code:
        return "it belongs to another job"
    for product, copy in copies.items():
        if product != sidecar and record.digest_of(product) != hashing.sha256(copy):
            return f"{product.name} is not what was stored"
    if [read.sha256 for read in record.inputs] != _inputs(job):
        return "it was made from other inputs"
    return None


def _inputs(job) -> list[str]:
    """The SHA-256s of what a job reads, in the order of its options."""
    return [hashing.sha256(Path(path)) for option in sorted(job.input.keys()) for path in job.input.get(option)]


def _stage(rule) -> str:
    """The stage that a rule calls."""
    return _STAGE.search(rule.shellcmd)[1]


def _sidecar_last(pairs: Iterable[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    return sorted(pairs, key=lambda pair: pair[0].name.endswith(sidecars.SUFFIX))
