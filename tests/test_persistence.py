"""What Snakemake takes for changed: what a sidecar tells otherwise; what that plans is in test_reruns_results."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401  first, as when Snakemake runs; its modules import each other
from snakemake.iocontainers import InputFiles, OutputFiles
from snakemake.persistence import NO_PARAMS_CHANGE, RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.persistence.file import FilePersistence

from tests.workflow import sealed
from workflow_scripts.engine import persistence
from workflow_scripts.files import hashing
from workflow_scripts.provenance import equal, fingerprints, sidecars

CFG = {"wildcards": {"experiment": "a", "seed": "0"}, "inputs": {"data": ["data/d.npz"], "explainers": ["x", "y"]}}
READ = [("data", "data.npz"), ("explainers", "y.npz"), ("explainers", "x.npz")]


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """The sidecar of a job that read the files above, in this order: the working directory has them and its product."""
    monkeypatch.chdir(tmp_path)
    read = []
    for _, name in READ:
        (tmp_path / name).write_text(name)
        read.append(sidecars.Input(f"elsewhere/{name}", hashing.sha256(tmp_path / name)))
    product = tmp_path / "measures.csv"
    product.write_text("a\n1\n")
    path = tmp_path / "measures.csv.prov.json"
    record = sidecars.of_job("measure", CFG, read, {product.name: product}, {}, datetime.now(UTC), "k")
    sidecars.write(path, sealed(record))
    return path


@pytest.fixture
def records(monkeypatch):
    """Snakemake's records as they are hooked, without what was read before; kept: what .snakemake has."""

    def made(kept=None):
        found = persistence.SidecarPersistence()
        found._clear_cache()
        monkeypatch.setattr(FilePersistence, "metadata", lambda self, target: kept)
        return found

    return made


def job(cfg=CFG, code=None, read=READ, provenance="measures.csv.prov.json"):
    """A job as Snakemake plans it."""
    files, products = InputFiles(), OutputFiles()
    for option in dict(read):
        start = len(files)
        files.extend(name for of, name in read if of == option)
        files._set_name(option, start, end=len(files))
    products.append(provenance)
    products._set_name("provenance", 0)
    now = fingerprints.of_job("measure", cfg)
    code = code or fingerprints.of(now["digest"], now["libraries"])
    params = SimpleNamespace(cfg=hashing.canonical_json(cfg), code=code)
    return SimpleNamespace(input=files, output=products, params=params)


def changed(records, job) -> bool:
    return records.params_changed(job, job.output.provenance) is not NO_PARAMS_CHANGE


def test_a_job_that_its_sidecar_tells_of_has_not_changed_whatever_it_is_called(beside, records):
    assert not changed(records(), job())
    named = {"wildcards": {"experiment": "b", "seed": "7"}, "inputs": {"explainers": ["z", "y"], "data": ["q.npz"]}}
    assert not changed(records(), job(named))
    assert not changed(records(), job(read=sorted(READ, key=lambda each: each[0], reverse=True)))


@pytest.mark.parametrize(
    "other",
    [
        {"cfg": CFG | {"seeds": [1]}},
        {"cfg": CFG | {"inputs": {"data": ["data/d.npz"], "explainers": ["x"]}}, "read": READ[:2]},
        {"code": "0" * 16},
        {"provenance": "nowhere.csv.prov.json"},
    ],
)
def test_other_settings_code_or_number_of_files_are_a_change(beside, records, other):
    assert changed(records(), job(**other))


def told_of(path, content="elsewhere"):
    """A sidecar beside a file, which tells of it or of another content."""
    cfg = {"wildcards": {"dataset": path.stem}, "inputs": {}}
    kept = path.read_text()
    path.write_text(content)
    record = sidecars.of_job("prepare_data", cfg, [], {path.name: path}, {}, datetime.now(UTC), "k")
    sidecars.write(path.with_name(f"{path.name}.prov.json"), sealed(record))
    path.write_text(kept)


def test_an_input_that_was_made_anew_is_a_change_and_one_that_was_read_is_none(beside, records):
    told_of(beside.with_name("x.npz"), "x.npz")
    assert not changed(records(), job())
    told_of(beside.with_name("x.npz"), "made anew")
    assert changed(records(), job())


def test_files_that_changed_places_are_a_change(beside, records):
    for name in ("x.npz", "y.npz"):
        told_of(beside.with_name(name), name)
    assert not changed(records(), job())
    assert changed(records(), job(read=[READ[0], READ[2], READ[1]]))


def test_the_bytes_of_an_input_are_those_that_the_sidecar_tells_at_its_place(beside, records):
    for _, name in READ:
        found = records().input_checksums(job(), name)
        assert found == {f"sha256:{hashing.sha256(beside.with_name(name))}"}
    assert records().input_checksums(job(), "other.npz") == set()
    beside.unlink()
    assert records().input_checksums(job(), "x.npz") == set()


@pytest.mark.parametrize(
    "damage",
    [
        lambda told: None,
        lambda told: "{",
        lambda told: json.dumps(told | {"schema": 5}),
        lambda told: json.dumps(sidecars.seal(told | {"schema": 5})),
        lambda told: json.dumps(told | {"user": "somebody else"}),
        lambda told: json.dumps(sidecars.seal(told | {"key": "0" * 16})),
        lambda told: json.dumps(sealed(told | {"inputs": told["inputs"][:2]})),
        lambda told: json.dumps(sealed(told | {"inputs": told["inputs"] * 2})),
    ],
    ids=["missing", "no JSON", "schema 5", "schema 5, sealed", "edited", "another key", "fewer inputs", "more inputs"],
)
@pytest.mark.parametrize("kept", [None, MetadataRecord(record_format_version=RECORD_FORMAT_VERSION)])
def test_a_result_whose_sidecar_tells_nothing_is_made_again_whatever_snakemake_kept(beside, records, damage, kept):
    text = damage(json.loads(beside.read_text()))
    beside.unlink() if text is None else beside.write_text(text)
    assert changed(records(kept), job())


def test_code_that_was_shown_to_be_equal_is_no_change(beside, records, monkeypatch):
    code = sidecars.read(beside).code
    later = fingerprints.of("0" * 16, code.libraries)
    assert changed(records(), job(code=later))
    monkeypatch.setattr(equal, "standing", lambda stage, old, device="cpu": {code.digest: "0" * 16}.get(old, old))
    assert not changed(records(), job(code=later))


KEPT = MetadataRecord(
    record_format_version=RECORD_FORMAT_VERSION,
    params=["'other settings'"],
    input_checksums={"other.csv": "sha256:1"},
    rule="measure",
    shellcmd="python",
)


def test_what_snakemake_kept_tells_the_rest_but_of_an_earlier_release(beside, records, monkeypatch):
    for path in (beside, beside.with_name("measures.csv")):
        kept, lost = records(KEPT).metadata(path), records().metadata(path)
        assert kept.shellcmd == KEPT.shellcmd and lost.shellcmd is None
        assert kept.starttime == lost.starttime and kept.endtime == lost.endtime, "these are the sidecar's"
        assert lost.rule == sidecars.read(beside).stage
    monkeypatch.setattr(sidecars, "SCHEMA", 5)
    assert records(KEPT).metadata(beside).shellcmd is None, "its rules were others"
