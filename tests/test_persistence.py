"""Sidecars come before Snakemake's records; what that plans is in test_reruns_results."""

from datetime import UTC, datetime

import pytest
import snakemake.api  # noqa: F401  first, as when Snakemake runs; its modules import each other
from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.persistence.file import FilePersistence

from workflow_scripts.engine import persistence
from workflow_scripts.files import hashing
from workflow_scripts.provenance import equal, fingerprints, sidecars


@pytest.fixture
def sidecar(tmp_path):
    product = tmp_path / "measures.csv"
    product.write_text("a\n1\n")
    settings = {"wildcards": {"seed": "0"}}
    record = sidecars.of_job("measure", settings, {product: "0" * 64}, {product: product}, datetime.now(UTC), "k")
    path = tmp_path / "measures.csv.prov.json"
    sidecars.write(path, record)
    return path


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What the records say of a file, each time read anew; kept: what .snakemake has of it."""
    monkeypatch.chdir(tmp_path)

    def look(path, kept=None):
        records = persistence.SidecarPersistence()
        records._clear_cache()
        monkeypatch.setattr(FilePersistence, "metadata", lambda self, target: kept)
        return records.metadata(path)

    return look


KEPT = MetadataRecord(
    record_format_version=RECORD_FORMAT_VERSION,
    params=["'other settings'", "'other code'"],
    input_checksums={"results/tiny/other.csv": "sha256:1"},
    rule="measure",
    shellcmd="python",
)


def test_a_sidecar_tells_the_tracked_params_and_the_bytes_read(sidecar, told):
    record = sidecars.read(sidecar)
    for path in (sidecar, sidecar.with_name("measures.csv")):
        found = told(path)
        assert found.params == sorted([repr(hashing.canonical_json(record.cfg)), repr(record.code.fingerprint)])
        assert found.input_checksums == {str(sidecar.with_name("measures.csv")): "sha256:" + "0" * 64}


def test_a_sidecar_comes_before_what_snakemake_kept_which_tells_the_rest(sidecar, told):
    for path in (sidecar, sidecar.with_name("measures.csv")):
        found, alone = told(path, KEPT), told(path)
        assert (found.params, found.input_checksums) == (alone.params, alone.input_checksums)
        assert (found.rule, found.shellcmd) == ("measure", "python")


def test_code_that_was_shown_to_be_equal_is_told_as_the_latest(sidecar, told, monkeypatch):
    digest = sidecars.read(sidecar).code.digest
    monkeypatch.setattr(equal, "standing", lambda stage, old: {digest: "0" * 16}.get(old, old))
    libraries = sidecars.read(sidecar).code.libraries
    assert repr(fingerprints.of("0" * 16, libraries)) in told(sidecar).params


def test_a_sidecar_that_was_edited_or_is_missing_tells_nothing(sidecar, told):
    sidecar.write_text(sidecar.read_text().replace('"measure"', '"train"', 1))
    assert told(sidecar.with_name("measures.csv")) is None
    assert told(sidecar.with_name("measures.csv"), KEPT) == KEPT
    sidecar.unlink()
    assert told(sidecar.with_name("measures.csv")) is None
    assert told(sidecar.with_name("measures.csv"), KEPT) == KEPT
