"""Refactored code that makes the same bytes: shown by running jobs again, it reruns nothing, and the audit tells it."""

import json
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest

from tests import forks
from tests.reruns import edit, plan
from tests.test_reruns_code import version
from workflow_scripts.config.errors import StudyError
from workflow_scripts.provenance import equal, sidecars, upgrades

PATH = "workflow_scripts/provenance/equal.json"
MEASURES = "results/tiny/sinusoid/seed0/measures.csv"
TABLE = "results/tiny/tables/table1.csv"
CORRECTIONS = "workflow_scripts/measures/corrections.py"
BIAS = "_row_bias(counts) + _row_bias(np.swapaxes(counts, -3, -1))"

refactored = edit(CORRECTIONS, f"return ({BIAS}) /", f"both = {BIAS}\n    return both /")
wrong = edit(CORRECTIONS, "/ (2 * counts.sum(", "/ (3 * counts.sum(")


@pytest.fixture
def project(project) -> Path:
    """The project, with nothing shown to be equal."""
    (project / PATH).unlink()
    return project


RESULTS = ("--results", "results/tiny")


def call(project: Path, module: str, *arguments: str) -> subprocess.CompletedProcess:
    """A command of the audit, in the project."""
    return forks.run(f"workflow_scripts.audit{module}", *arguments, cwd=project)


def test_a_refactoring_that_is_shown_to_change_no_byte_plans_nothing_and_the_audit_tells_it(project):
    refactored(project)
    planned = plan(project)
    assert planned.jobs == {"measure": 6, "null_models": 4, "summarize": 4, "plot": 1, "tabulate": 3}
    assert "measure 4 of them (6 jobs): measures.corrections._conditional_bias changed" in planned.why
    assert call(project, "", MEASURES).returncode == 1, "STALE"

    done = call(project, ".equate", "measure", *RESULTS, "--jobs", "2")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    (shown,) = json.loads((project / PATH).read_text())
    *same, last = done.stdout.splitlines()
    assert len(same) == 2 and all(line.endswith(": the same bytes") for line in same)
    assert last == f"measure: {shown['old']} counts as {shown['new']}: {PATH}"
    today = datetime.now(UTC).date().isoformat()
    assert (shown["stage"], shown["kinds"], shown["date"], shown["commit"]) == ("measure", [], today, None)
    assert len({job["wildcards"]["experiment"] for job in shown["jobs"]}) == 2
    for job in shown["jobs"]:
        beside = (
            project
            / f"results/tiny/{job['wildcards']['experiment']}/seed{job['wildcards']['seed']}/measures.csv.prov.json"
        )
        record = json.loads(beside.read_text())
        assert (job["key"], job["outputs"]) == (record["key"], record["outputs"])
        assert record["code"]["digest"] == shown["old"]

    assert plan(project).jobs == {"null_models": 4, "tabulate": 2}
    assert call(project, ".equate", "null_models", *RESULTS, "--jobs", "1").returncode == 0
    assert plan(project).jobs == {}
    for path in (MEASURES, TABLE):
        told = call(project, "", path)
        assert told.returncode == 0, told.stdout
        assert told.stdout.startswith("CURRENT\n")
        line = f"  code of measure: counts as today's, by 2 jobs that gave the same bytes on {today}"
        assert line in told.stdout.splitlines()
    of_both = call(project, "", "results/tiny/tables/claims.csv").stdout.splitlines()
    assert [line.split(":")[0] for line in of_both if "code of" in line] == [
        "  code of measure",
        "  code of null_models",
    ]
    assert "code of" not in call(project, "", "results/tiny/data/sinusoid.npz").stdout

    done = call(project, ".equate", "measure", *RESULTS)
    assert done.returncode == 0
    assert done.stdout == "measure: no job below results/tiny was made by other code than today's\n"


def test_an_edit_that_changes_results_is_not_shown_to_be_equal_and_nothing_is_written(project):
    wrong(project)
    done = call(project, ".equate", "measure", *RESULTS, "--jobs", "1")
    assert done.returncode == 1 and done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert line.startswith("measure: not shown to be equal: measure ")
    assert "made again from the same inputs, " in line and line.endswith(".csv has other bytes")
    assert not (project / PATH).exists()
    assert plan(project).jobs["measure"] == 6


def test_jobs_of_other_libraries_or_other_inputs_show_nothing(project):
    refactored(project)
    for path in (project / "results/tiny").rglob("measures.csv.prov.json"):
        told = json.loads(path.read_text())["inputs"]
        product = next(project / "results/tiny" / name for name, _ in told if name.endswith("trajectory.npz"))
        product.rename(f"{product}.away")
    done = call(project, ".equate", "measure", *RESULTS, "--jobs", "1")
    assert done.returncode == 1
    assert done.stdout.endswith("trajectory.npz is missing, or has other bytes now\n")
    version("numpy")(project)
    done = call(project, ".equate", "measure", *RESULTS, "--jobs", "1")
    assert done.returncode == 1 and done.stderr == ""
    assert done.stdout.endswith(f": made with other libraries: numpy {metadata.version('numpy')} -> 99.0\n")
    assert not (project / PATH).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: STAGE"),
        (["measures"], "argument STAGE: invalid choice: 'measures' (choose from "),
        (["measure", "--results", "nowhere"], "--results nowhere: no such folder: name the folder of the results"),
        (["measure", "--jobs", "0"], "--jobs 0: expected 1 or more"),
        (["measure", "--jobs", "x"], "argument --jobs: invalid int value: 'x'"),
        (["measure", "--job", "1"], "unrecognized arguments: --job 1"),
    ],
)
def test_a_wrong_call_is_one_clear_line(tmp_path, arguments, said):
    (tmp_path / "results/default").mkdir(parents=True)
    (tmp_path / "workflow_scripts").symlink_to(Path(equal.__file__).parents[1])
    done = call(tmp_path, ".equate", *arguments)
    assert done.returncode == 4 and done.stdout == ""
    assert done.stderr.startswith(f"error: {said}") and done.stderr.count("\n") == 1


@pytest.fixture
def record_of():
    """As much of a sidecar as tells what code made a job's products, and on which device."""

    def made(stage, device, digest):
        code = sidecars.Code.model_construct(digest=digest)
        return sidecars.Sidecar.model_construct(stage=stage, cfg={"device": device}, code=code)

    return made


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Write down that one digest of the stage measure equals another."""
    monkeypatch.setattr(equal, "PATH", tmp_path / "equal.json")

    def add(old, new, date="2026-01-01", jobs=(), stage="measure", device="cpu"):
        about = {"python": "3", "os": "Linux", "cpu": None, "libraries": {}, "commit": None, "kinds": []}
        equal.add([equal.Equal(stage=stage, old=old, new=new, date=date, jobs=list(jobs), device=device, **about)])

    equal.known.cache_clear()
    equal._next.cache_clear()
    yield add
    equal.known.cache_clear()
    equal._next.cache_clear()


def test_one_step_after_another_leads_to_the_latest_code(listed):
    assert equal.way("measure", "a") == [] and equal.standing("measure", "a") == "a"
    listed("a", "b")
    listed("b", "c")
    listed("x", "c")
    assert [(step.old, step.new) for step in equal.way("measure", "a")] == [("a", "b"), ("b", "c")]
    assert [equal.standing("measure", digest) for digest in "abcx"] == ["c"] * 4
    assert equal.standing("train", "a") == "a", "of that stage alone"
    assert sorted(equal.before("measure", "c")) == ["a", "b", "x"] and equal.before("measure", "a") == []
    codes = {equal.fingerprint("measure", digest, {"numpy": "1"}) for digest in "abcx"}
    assert len(codes) == 1 and equal.fingerprint("measure", "c", {"numpy": "2"}) not in codes


def test_what_was_shown_on_one_device_says_nothing_of_another(listed, record_of):
    listed("a", "b", stage="train")
    listed("b", "c", stage="train", device="cuda")
    on_cpu, on_cuda = record_of("train", device="cpu", digest="a"), record_of("train", device="cuda", digest="a")
    assert (upgrades.digest(on_cpu), upgrades.digest(on_cuda)) == ("b", "a")
    assert upgrades.digest(record_of("train", device="cuda", digest="b")) == "c"
    assert equal.before("train", "b") == ["a"] and equal.before("train", "c") == ["b"]


def test_what_is_shown_again_replaces_what_was_shown(listed):
    listed("a", "b", date="2026-01-01")
    listed("a", "b", date="2026-02-02")
    assert [(each.old, each.date) for each in equal.known()] == [("a", "2026-02-02")]
    assert len(equal.PATH.read_text().splitlines()) == 3, "a line each, for reviews"


@pytest.mark.parametrize("content", ["", "{", "{}", "[{}]", '[{"stage": 1}]'])
def test_a_damaged_list_is_one_clear_line(listed, content):
    equal.PATH.write_text(content)
    with pytest.raises(StudyError, match=r"equal\.json: damaged") as raised:
        equal.standing("measure", "a")
    assert "\n" not in str(raised.value)
