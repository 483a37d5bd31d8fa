"""The results of the release before, commit a7cca9c, whose sidecars have schema 2, stay usable."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from tests import forks
from tests.conftest import PROJECT
from tests.reruns import DISTIL, edit, put
from tests.workflow import ROOT, planned, snakemake
from workflow_scripts.provenance import sidecars

#: results of tests/tiny.yaml, without some pictures
RELEASE = ROOT / "tests" / "data" / "results_of_a7cca9c.tar.xz"
CONFIG = "tests/tiny.yaml"
TABLES = ("table1", "table2", "claims")
#: what is measured and summarised otherwise since then, and what shows it: rounding, the interval of the lead
OTHERWISE = {"measure": 6, "summarize": 4, "plot": 1, "tabulate": 2}
ALL = (
    *("trained", "finals", "explainers", "measures", "nulls", "simulations", "results/tiny/figures/fig4.svg"),
    *(f"results/tiny/tables/{table}.csv" for table in TABLES),
)


@pytest.fixture
def upgraded(tmp_path) -> Path:
    """A project of today with the results of the release, and the versions of libraries that made them."""
    project = tmp_path / "project"
    for name in PROJECT:
        original, copy = ROOT / name, project / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(original, copy) if original.is_dir() else shutil.copy2(original, copy)
    with tarfile.open(RELEASE) as archive:
        archive.extractall(tmp_path, filter="data")
    (project / "results").mkdir()
    (tmp_path / "results").rename(project / "results/tiny")  # as docs/provenance.md says
    record = sidecars.read(project / "results/tiny/figures/fig4.svg.prov.json")
    for name, version in record.distributions.items():
        folder = project / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return project


def dry_run(project: Path) -> dict[str, int]:
    return planned(project, *ALL, configfiles=(CONFIG,), root=project)


def test_nothing_reruns_but_what_is_made_otherwise(upgraded):
    schemas = {json.loads(path.read_text())["schema"] for path in upgraded.rglob("*.prov.json")}
    assert schemas == {2}
    assert dry_run(upgraded) == OTHERWISE


def test_a_setting_that_changed_since_reruns_what_it_always_did(upgraded):
    put("experiments.ten_digits.sgd.lr", 0.3)(upgraded)
    plan = dry_run(upgraded)
    assert plan == OTHERWISE | {"train": 1, "extract_final": 1, "null_models": 1, "tabulate": 3}


def test_an_edit_of_code_reruns_what_reaches_it(upgraded):
    edit("workflow_scripts/explainers/logistic.py", 'solver = "covariance_eigh"', 'solver = "full"')(upgraded)
    plan = dry_run(upgraded)
    assert plan.keys() >= {"distill_true_labels", "distill_final_labels", "distill_t0_labels", "measure"}
    assert not plan.keys() & {"prepare_data", "train", "distill_true_labels_by_sgd"}
    assert {name: plan[name] for name in DISTIL if name in plan} == {
        name: number for name, number in DISTIL.items() if name != "distill_true_labels_by_sgd"
    }


def test_results_of_other_code_than_that_of_the_release_rerun(upgraded):
    path = upgraded / "results/tiny/digits/nulls.csv.prov.json"
    record = json.loads(path.read_text())
    record["code"]["modules"]["workflow_scripts.information"] = "0" * 64
    path.write_text(json.dumps(sidecars.seal(record)))
    done = snakemake(upgraded, "--dry-run", "nulls", configfiles=(CONFIG,), root=upgraded)
    why = [line.strip() for line in done.stderr.splitlines() if line.startswith("  null_models ")]
    assert why == [
        "null_models digits (1 job): code of an earlier release, which wrote down modules: not shown to be equal"
    ]


def test_the_audit_finds_them_current_and_tells_the_evidence(upgraded):
    done = forks.run("workflow_scripts.audit", "results/tiny/tables/table2.csv", cwd=upgraded)
    assert done.stdout.startswith("CURRENT\n"), done.stdout + done.stderr
    assert "made again just now: the same bytes" in done.stdout
    assert "code of train: counts as today's" in done.stdout
