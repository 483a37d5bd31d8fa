"""Studies stand apart: no study replaces the results of another one of the same name."""

import json
import random
import shutil
from pathlib import Path

import pytest
import yaml

from tests.workflow import TINY, snakemake
from workflow_scripts.audit import remake
from workflow_scripts.audit.verdict import Auditor
from workflow_scripts.config import paths, study
from workflow_scripts.config.configfiles import merged
from workflow_scripts.config.errors import Damaged, Foreign
from workflow_scripts.engine import owner, plan


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Write a config file, the tiny study with changes: the study, and what Snakemake ran with."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, **changes):
        path = tmp_path / name
        path.write_text(yaml.safe_dump(yaml.safe_load(TINY.read_text()) | changes))
        return study.load(merged([path]), name), plan.origin([path], {})

    return write


CHANGES = [
    {"seeds": [0, 1, 2]},
    {"device": "auto"},
    {"nulls": {"draws": 100}},
    {"figures": {}},
    {"tables": {"table1": {"kind": "phases", "experiments": ["digits"]}}},
    {"simulations": {}, "figures": {}, "tables": {}},
]


def test_the_same_file_may_change_its_settings(given):
    owner.check(*given("mine.yaml"))
    owner.write(*given("mine.yaml"))
    owner.check(*given("mine.yaml", **random.Random(0).choice(CHANGES)))


def test_another_file_of_equal_settings_is_the_same_study(given):
    owner.write(*given("mine.yaml"))
    owner.check(*given("renamed.yaml"))
    owner.check(*given("renamed.yaml", data_root="elsewhere"))
    Path("mine.yaml").rename("moved.yaml")
    owner.check(*given("moved.yaml"))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: " ".join(change))
def test_another_file_of_other_settings_is_refused_unless_its_study_has_another_name(given, change):
    owner.write(*given("mine.yaml"))
    with pytest.raises(Foreign) as raised:
        owner.check(*given("other.yaml", **change))
    assert "results/tiny: " in str(raised.value) and "mine.yaml" in str(raised.value)
    assert "\n" not in str(raised.value)
    owner.check(*given("other.yaml", study="others", **change))
    (Path("results/tiny") / paths.STUDY).unlink()
    owner.check(*given("other.yaml", **change))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b"{}", b'{"origin": 3}', b'{"origin": {"configfiles": 1}, "settings": {}}']
)
def test_a_study_json_that_is_damaged_is_named(given, content):
    owner.write(*given("mine.yaml"))
    told = Path("results/tiny") / paths.STUDY
    told.write_bytes(content)
    with pytest.raises(Damaged, match=r"results/tiny/study\.json: .* delete it") as raised:
        owner.check(*given("mine.yaml"))
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_snakemake_replaces_nothing_of_another_study_of_the_same_name(tmp_path):
    target = "results/tiny/data/sinusoid.npz"
    config = yaml.safe_load(TINY.read_text())
    for name, changes in {"mine": {}, "renamed": {}, "other": {"seeds": [5]}}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config | changes))
    done = snakemake(tmp_path, target, configfiles=("mine.yaml",))
    assert done.returncode == 0, done.stderr
    told = tmp_path / "results/tiny/study.json"
    assert json.loads(told.read_text())["origin"] == {"configfiles": ["mine.yaml"], "config": {}}

    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "results").rglob("*.*")}
    for arguments in ((target,), (target, "--forceall"), (target, "--dry-run"), (target, "--touch")):
        done = snakemake(tmp_path, *arguments, configfiles=("other.yaml",))
        assert done.returncode != 0 and "Traceback" not in done.stderr
        assert "error: results/tiny: these are the results of mine.yaml" in done.stderr
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before

    done = snakemake(tmp_path, target, configfiles=("renamed.yaml",))
    assert done.returncode == 0 and "Nothing to be done" in done.stderr, done.stderr


@pytest.mark.parametrize("content", [b"", b"{", b'{"origin": 3}', b"\xff"])
def test_a_damaged_study_json_is_told_and_all_else_is_judged(finished, tmp_path, content, monkeypatch):
    monkeypatch.chdir(finished)
    monkeypatch.setattr(remake, "LISTED", ())
    results = shutil.copytree(finished / "results", tmp_path / "results")
    (results / "tiny" / paths.STUDY).write_bytes(content)
    verdicts = {report.path.name: report.verdict for report in Auditor(None, results).audit([results])}
    assert verdicts.pop(paths.STUDY) == "UNKNOWN"
    assert verdicts["fig4.svg"] == "CURRENT" and set(verdicts.values()) == {"CURRENT"}


def test_a_run_with_nothing_to_do_writes_down_the_config_files_of_now(finished, tmp_path):
    project = shutil.copytree(finished, tmp_path / "project")
    renamed = shutil.move(project / "tests/tiny.yaml", project / "renamed.yaml")
    assert snakemake(project, "--dry-run", configfiles=(renamed,), root=project).returncode == 0
    assert paths.owner(project / "results/tiny")["origin"]["configfiles"] == ["tests/tiny.yaml"]
    done = snakemake(project, configfiles=(renamed,), root=project)
    assert "Nothing to be done" in done.stderr
    assert paths.owner(project / "results/tiny")["origin"]["configfiles"] == ["renamed.yaml"]
