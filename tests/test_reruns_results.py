"""What a change of results, or of Snakemake's records of them, reruns; where that is nothing, the audit finds it."""

import json
import os
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from tests.reruns import CONFIG, audit, edit, plan, put, repair, several, snakemake
from tests.workflow import sealed
from workflow_scripts.files import hashing
from workflow_scripts.provenance import sidecars

pytestmark = pytest.mark.thorough

TRAJECTORY = "results/tiny/digits/seed0/trajectory.npz"
MEASURES = "results/tiny/digits/seed0/measures.csv"
TABLE = "results/tiny/tables/table1.csv"
SIDECAR = sidecars.SUFFIX

MEASURE = edit("workflow_scripts/measure.py", "ignore_index=True", "ignore_index=False")

OF_MEASURES = {"summarize": 1, "plot": 1, "tabulate": 2}
OF_FINAL = {"distill_final_labels": 1, "measure": 1, "null_models": 1, "summarize": 1, "plot": 1, "tabulate": 3}
OF_TRAJECTORY = {"extract_final": 1, **OF_FINAL}
OF_SEEDS = {"null_models": 1, "summarize": 1, "plot": 1, "tabulate": 3}
EDITED = "measure digits (1 job): measures.csv.prov.json was edited after it was written"
UNREADABLE = "measure digits (1 job): measures.csv.prov.json can't be read"
WITHOUT = f"UNKNOWN  {MEASURES}: measures.csv.prov.json can't be read: damaged, or written by another version"


def removed(path):
    def change(project):
        found = project / path
        shutil.rmtree(found) if found.is_dir() else found.unlink()

    return change


def edited(path, keep_time=False):
    """Another last byte."""

    def change(project):
        file = project / path
        before = file.stat()
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        if keep_time:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change


def truncated(path):
    def change(project):
        (project / path).write_bytes((project / path).read_bytes()[:500])

    return change


def seeds_swapped(project):
    """The folders of two seeds, one in the place of the other."""
    one, other = (project / f"results/tiny/digits/seed{seed}" for seed in (0, 1))
    one.rename(one.with_name("away"))
    other.rename(one)
    one.with_name("away").rename(other)


def swapped(path, *suffixes):
    """A file, and those that go with it, in the place of the other seed's."""

    def change(project):
        for suffix in ("", *suffixes):
            one, other = project / (path + suffix), project / (path.replace("seed0", "seed1") + suffix)
            contents = one.read_bytes(), other.read_bytes()
            other.write_bytes(contents[0])
            one.write_bytes(contents[1])

    return change


def sidecar(path, seal=sealed, **values):
    """Other values in a sidecar; seal: as someone does who knows how."""

    def change(project):
        beside = project / (path + SIDECAR)
        sidecars.write(beside, seal(json.loads(beside.read_text()) | values))

    return change


def of_other_code(path, **libraries):
    """A sidecar, sealed, that tells of another `run` and other libraries."""

    def change(project):
        code = json.loads((project / (path + SIDECAR)).read_text())["code"]
        code["definitions"]["measure"]["run"] = "0" * 8
        sidecar(path, code=code | {"digest": "0" * 16, "libraries": code["libraries"] | libraries})(project)

    return change


def forged(path, seal=sealed):
    """Another last byte, and the sidecar follows."""

    def change(project):
        edited(path)(project)
        outputs = json.loads((project / (path + SIDECAR)).read_text())["outputs"]
        sidecar(path, seal, outputs=outputs | {Path(path).name: hashing.sha256(project / path)})(project)

    return change


def touched(project):
    """Snakemake's own records, falsified: --touch writes the new settings into them."""
    put("experiments.sinusoid.sgd.lr", 0.3)(project)
    done = snakemake(project, "--touch", configfiles=(CONFIG,), root=project)
    assert done.returncode == 0, done.stderr


#: what happens to results, the jobs that Snakemake plans then, and what the audit says
SEEN = {
    "a trajectory edited": (
        edited(TRAJECTORY),
        OF_TRAJECTORY,
        "extract_final digits (1 job): results/tiny/digits/seed0/trajectory.npz changed",
        f"TAMPERED  train digits seed 0: {TRAJECTORY}: these are not the bytes that it wrote",
    ),
    "f_inf truncated": (
        truncated("results/tiny/digits/seed0/final.npz"),
        OF_FINAL,
        "distill_final_labels digits (1 job): results/tiny/digits/seed0/final.npz changed",
        "TAMPERED  extract_final digits seed 0: results/tiny/digits/seed0/final.npz: these are not the bytes that it "
        "wrote",
    ),
    "measures swapped between seeds": (
        swapped(MEASURES),
        OF_MEASURES,
        "summarize digits (1 job): results/tiny/digits/seed0/measures.csv and 1 more changed",
        "TAMPERED  measure digits seeds 0, 1: results/tiny/digits/seed*/measures.csv: these are not the bytes that it "
        "wrote",
    ),
    "measures swapped between seeds with their sidecars": (
        swapped(MEASURES, SIDECAR),
        {"measure": 2, **OF_MEASURES},
        "measure digits (2 jobs): made from other files than it reads",
        "TAMPERED  measure digits seeds 0, 1: results/tiny/digits/seed*/classes.csv: these are not the bytes that it "
        "wrote",
    ),
    "the folders of two seeds swapped": (
        seeds_swapped,
        {"train": 2, "extract_final": 2, "distill_final_labels": 2, "measure": 2, **OF_SEEDS},
        "train digits (1 job): seed 1 -> 0",
        "STALE  train digits seed 0: seed 1 -> 0",
    ),
    "measures edited, and their sidecar": (
        forged(MEASURES, seal=dict),
        {"measure": 1, **OF_MEASURES},
        EDITED,
        "TAMPERED  measure digits seed 0: measures.csv.prov.json was edited after it was written",
    ),
    "a summary deleted": (
        removed("results/tiny/digits/summary.csv"),
        OF_MEASURES,
        "summarize digits (1 job): results/tiny/digits/summary.csv missing",
        "STALE  summarize digits: results/tiny/digits/summary.csv: the study asks for it, and it is not there",
    ),
}

#: the same of sidecars and records that tell of other settings or code than those of now
TOLD = {
    "a sidecar edited and sealed": (
        of_other_code(MEASURES, numpy="1.0"),
        {"measure": 1, **OF_MEASURES},
        f"measure digits (1 job): measure.run changed; numpy 1.0 -> {metadata.version('numpy')}",
        "STALE  measure digits seed 0: measure.run changed",
    ),
    "Snakemake's records falsified by --touch": (
        touched,
        {"train": 2, "extract_final": 2, "distill_t0_labels": 2, "measure": 2, "null_models": 1, "summarize": 1}
        | {"plot": 1, "tabulate": 3},
        "train sinusoid (2 jobs): sgd.lr 0.2 -> 0.3",
        "STALE  train sinusoid seeds 0, 1: sgd.lr 0.2 -> 0.3",
    ),
}

#: what happens to results, so that Snakemake plans nothing; what the audit says, and the jobs of the repair it offers
UNSEEN = {
    "a trajectory deleted": (
        removed(TRAJECTORY),
        f"STALE  train digits seed 0: {TRAJECTORY}: the study asks for it, and it is not there",
        {"train": 1, **OF_TRAJECTORY},
    ),
    "a page of a figure deleted": (
        removed("results/tiny/figures/fig4.pdf"),
        "STALE  plot fig4: results/tiny/figures/fig4.pdf: the study asks for it, and it is not there",
        {"plot": 1},
    ),
    "a trajectory edited, its time kept": (
        edited(TRAJECTORY, keep_time=True),
        f"TAMPERED  train digits seed 0: {TRAJECTORY}: these are not the bytes that it wrote",
        {"train": 1, **OF_TRAJECTORY},
    ),
    "a figure edited": (
        edited("results/tiny/figures/fig4.svg"),
        "TAMPERED  plot fig4: results/tiny/figures/fig4.svg: these are not the bytes that it wrote",
        {"plot": 1},
    ),
}

#: the same of sidecars that tell nothing: Snakemake plans their jobs, whatever its own records say
TELLS_NOTHING = {
    "deleted": (
        removed(MEASURES + SIDECAR),
        "measure digits (1 job): measures.csv.prov.json missing",
        f"UNKNOWN  {MEASURES}: no sidecar beside it says what made it",
    ),
    "truncated": (truncated(MEASURES + SIDECAR), UNREADABLE, WITHOUT),
    "no JSON": (lambda project: (project / (MEASURES + SIDECAR)).write_bytes(b"\xff"), UNREADABLE, WITHOUT),
    "of schema 5": (sidecar(MEASURES, schema=5), UNREADABLE, WITHOUT),
    "edited": (
        sidecar(MEASURES, seal=dict, host="elsewhere"),
        EDITED,
        "TAMPERED  measure digits seed 0: measures.csv.prov.json was edited after it was written",
    ),
    "of another key": (
        sidecar(MEASURES, seal=sidecars.seal, key="0" * 16),
        "measure digits (1 job): measures.csv.prov.json has a key that is not that of its job",
        "TAMPERED  measure digits seed 0: measures.csv.prov.json has a key that is not that of its job",
    ),
}


@pytest.mark.parametrize(("change", "jobs", "why", "said"), SEEN.values(), ids=SEEN)
def test_the_audit_finds_what_snakemake_sees_of_changed_results(project, change, jobs, why, said):
    change(project)
    planned, audited = plan(project), audit(project)
    assert planned.jobs == jobs
    assert why in planned.why
    assert said in audited.lines
    assert audited.lines[0] == said.split()[0]
    if audited.lines[0] == "TAMPERED":
        assert planned.sidecars <= audited.wrong, "and the culprit, which Snakemake leaves alone"


@pytest.mark.parametrize(("change", "jobs", "why", "said"), TOLD.values(), ids=TOLD)
def test_what_sidecars_tell_is_planned_and_audited_and_the_same_repairs_it(project, change, jobs, why, said):
    change(project)
    planned, audited = plan(project), audit(project)
    assert planned.jobs == jobs
    assert why in planned.why
    assert [line for line in audited.lines if line.startswith(said)] != [], audited.lines
    assert audited.lines[0] == "STALE"
    assert planned.sidecars == audited.wrong
    assert repair(project, audited.repair, "--dry-run") == jobs


@pytest.mark.parametrize(("change", "said", "jobs"), UNSEEN.values(), ids=UNSEEN)
def test_the_audit_finds_what_snakemake_does_not_see_and_offers_the_repair(project, change, said, jobs):
    change(project)
    audited = audit(project)
    assert plan(project).jobs == {}
    assert [line for line in audited.lines if line.startswith(said)] != [], audited.lines
    assert audited.lines[0] == said.split()[0]
    assert repair(project, audited.repair, "--dry-run") == jobs


@pytest.mark.parametrize("lost", [False, True], ids=["", "and .snakemake lost"])
@pytest.mark.parametrize(("change", "why", "said"), TELLS_NOTHING.values(), ids=TELLS_NOTHING)
def test_what_lies_beside_a_sidecar_that_tells_nothing_is_made_again(project, change, why, said, lost):
    change(project)
    if lost:
        removed(".snakemake")(project)
    planned, audited = plan(project), audit(project)
    assert planned.jobs == {"measure": 1, **OF_MEASURES}
    assert why in planned.why
    assert said in audited.lines
    assert repair(project, audited.repair, "--dry-run") == planned.jobs


def test_new_times_of_all_files_plan_nothing(project):
    for index, path in enumerate(sorted(project.rglob("*"), key=lambda path: path.name[::-1])):
        seconds = 1e9 + 1e7 * index  # from 2001 to far from now, in an order of its own
        os.utime(path, (seconds, seconds))
    assert plan(project).jobs == {}


def test_a_copy_without_times_in_another_folder_plans_nothing(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "elsewhere" / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(project)
    assert plan(copy).jobs == {}


def test_without_its_records_snakemake_plans_nothing_and_the_audit_finds_all_current_even_in_a_copy(project, tmp_path):
    removed(".snakemake")(project)
    assert plan(project).jobs == {}
    copy = shutil.copytree(project / "results", tmp_path / "elsewhere" / "results")
    assert audit(project, results=str(copy)).lines == ["CURRENT", "91 CURRENT"]


def test_without_records_sidecars_tell_what_changed(project):
    several(removed(".snakemake"), put("experiments.ten_digits.title", "10 digits"), MEASURE)(project)
    planned, audited = plan(project), audit(project)
    assert planned.jobs["measure"] == 6 and "train" not in planned.jobs
    assert "measure 4 of them (6 jobs): measure.run changed" in planned.why
    assert "STALE  plot fig4: shown.titles.ten_digits Ten digits -> 10 digits" in audited.lines
    assert audited.wrong == planned.sidecars
    assert repair(project, audited.repair) == planned.jobs
    assert audit(project).lines[0] == "CURRENT"
    assert plan(project).jobs == {}


def test_without_records_a_result_that_was_edited_counts_as_a_new_input(project):
    several(removed(".snakemake"), edited(MEASURES))(project)
    assert plan(project).jobs == OF_MEASURES


def test_measures_edited_under_their_old_time_are_found_and_repaired_with_all_after_them(project):
    path = "results/tiny/ten_digits/seed3/measures.csv"
    before = (project / path).read_bytes()
    edited(path, keep_time=True)(project)
    assert plan(project).jobs == {}
    assert repair(project, audit(project).repair) == {"measure": 1, "summarize": 1, "plot": 1}
    assert (project / path).read_bytes() == before
    assert audit(project).lines[0] == "CURRENT"
    assert plan(project).jobs == {}


def test_a_table_forged_with_its_sidecar_and_seal_is_found_by_making_it_again_and_repaired(project):
    forged(TABLE)(project)
    assert plan(project).jobs == {}
    audited = audit(project, results=TABLE, remake=True)
    assert (
        f"TAMPERED  tabulate table1: made again from the same inputs, {Path(TABLE).name} has other bytes"
        in audited.lines
    )
    assert repair(project, audited.repair) == {"tabulate": 1}
    assert audit(project, results=TABLE, remake=True).lines[0] == "CURRENT"
