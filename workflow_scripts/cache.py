"""Snakemake's cache between workflows, made safe: every entry is checked against its sidecar before it is used."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from snakemake import workflow
from snakemake.caching.local import OutputFileCache
from snakemake.logging import logger

from workflow_scripts import files, provenance


class CheckedCache(OutputFileCache):
    """An entry is a job's products and their sidecar, under the hash of the job's params and of all jobs before it.

    Snakemake's own class links results to the cache, so that an edit of a result damages the entry, and believes that
    whatever lies there is right. This one copies, and drops an entry that is not what its sidecar says.
    """

    async def fetch(self, job) -> None:
        """Copy the entry to where the job's products belong. Raises CacheMissException where it has to be computed."""
        pairs = await self.get_outputfiles_and_cachefiles(job)
        if not all(entry.is_file() for _, entry in pairs):
            self.raise_cache_miss_exception(job)
        folder = pairs[0][0].parent
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".cache-") as scratch:
            copies = {product: Path(scratch, entry.name) for product, entry in pairs}
            try:
                for product, entry in pairs:
                    shutil.copyfile(entry, copies[product])
            except FileNotFoundError:  # another workflow has just dropped it
                self.raise_cache_miss_exception(job)
            if wrong := _wrong(copies, job):
                logger.warning(f"cache: {pairs[0][1]}: {wrong}: this entry is dropped, and {job} computed again")
                for _, entry in pairs:
                    entry.unlink(missing_ok=True)
                self.raise_cache_miss_exception(job)
            for product, copy in copies.items():
                os.replace(copy, product)
        logger.info(f"restored from the cache: {', '.join(map(str, copies))}")

    async def store(self, job) -> None:
        """Copy the job's products and their sidecar, which comes last, into the cache."""
        with TemporaryDirectory(dir=self.path) as scratch:
            for product, entry in _sidecar_last(await self.get_outputfiles_and_cachefiles(job)):
                copy = Path(scratch, entry.name)
                shutil.copyfile(product, copy)
                self.set_permissions(copy)
                os.replace(copy, entry)


def install() -> None:
    """Let Snakemake use this class; it offers no setting for that."""
    workflow.LocalOutputFileCache = CheckedCache


def _wrong(copies: dict[Path, Path], job) -> str | None:
    """What is wrong with an entry, if anything is."""
    sidecar = next(product for product in copies if product.name.endswith(provenance.SUFFIX))
    record = provenance.read(copies[sidecar])
    if record is None:
        return "its sidecar can't be read"
    if provenance.seal(record) != record.get("seal"):
        return "its sidecar was edited"
    if record["cfg"] != json.loads(job.params.cfg) or record["code"]["fingerprint"] != job.params.code:
        return "it belongs to another job"
    for product, copy in copies.items():
        if product != sidecar and provenance.told(record, product) != files.sha256(copy):
            return f"{product.name} is not what was stored"
    return None


def _sidecar_last(pairs: Iterable[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    return sorted(pairs, key=lambda pair: pair[0].name.endswith(provenance.SUFFIX))
