"""Where Snakemake's records are lost, sidecars stand in; what that plans is in test_reruns_results."""

import json
from datetime import UTC, datetime

import pytest
import snakemake.api  # noqa: F401  first, as when Snakemake runs; its modules import each other

from workflow_scripts.engine import persistence
from workflow_scripts.files import hashing
from workflow_scripts.provenance import sidecars


@pytest.fixture
def sidecar(tmp_path):
    product = tmp_path / "measures.csv"
    product.write_text("a\n1\n")
    settings = {"wildcards": {"seed": "0"}}
    record = sidecars.of_job("measure", settings, {product: "0" * 64}, {product: product}, datetime.now(UTC), "k")
    path = tmp_path / "measures.csv.prov.json"
    sidecars.write(path, record)
    return path


def looked_up(path):
    persistence._from_sidecar.cache_clear()
    return persistence._from_sidecar(str(path))


def test_a_sidecar_tells_the_tracked_params_and_the_bytes_read(sidecar):
    record = json.loads(sidecar.read_text())
    for path in (sidecar, sidecar.with_name("measures.csv")):
        found = looked_up(path)
        assert found.params == sorted(
            [repr(hashing.canonical_json(record["cfg"])), repr(record["code"]["fingerprint"])]
        )
        assert found.input_checksums == {str(sidecar.with_name("measures.csv")): "sha256:" + "0" * 64}


def test_a_sidecar_that_was_edited_or_is_missing_tells_nothing(sidecar):
    sidecar.write_text(sidecar.read_text().replace('"measure"', '"train"', 1))
    assert looked_up(sidecar.with_name("measures.csv")) is None
    sidecar.unlink()
    assert looked_up(sidecar.with_name("measures.csv")) is None
