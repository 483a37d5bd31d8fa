"""Crates of a small finished study: what they hold, what they conform to, and what a check of them finds."""

import io
import json
import os
import shutil
from collections import Counter
from pathlib import PurePosixPath

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from rocrate.rocrate import ROCrate
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

from tests import forks
from tests.workflow import ROOT, planned, sealed
from workflow_scripts.audit import crate, source
from workflow_scripts.audit.verdict import Auditor
from workflow_scripts.config.errors import StudyError
from workflow_scripts.files import hashing
from workflow_scripts.provenance import sidecars

TABLE = "results/tiny/tables/table1.csv"
PHASES = "results/tiny/digits/phases.csv"  # made together with summary.csv
SUMMARY = "results/tiny/digits/summary.csv"
MEASURES = "results/tiny/digits/seed0/measures.csv"
CONFIG = "tests/tiny.yaml"
METADATA = "ro-crate-metadata.json"

#: a config file that is not there
ELSEWHERE = {"configfiles": ["gone.yaml"], "config": {}}

#: recommended rules that our crates break, and why
CANNOT_HOLD = {
    "The Application SHOULD have a url": "CITATION.cff names no repository",
    "The SoftwareApplication id SHOULD be an absolute URI": "the workflow and its modules are files of the crate",
    "The `publisher` property of a `Root Data Entity` SHOULD be an `Organization`": "not known when a crate is written",
    "The organization SHOULD have a URL.": "CITATION.cff names authors without one",
}


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    """The results of the tiny study, and its config. Not to be changed."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(finished / "results", folder / "results")
    (folder / CONFIG).parent.mkdir()
    shutil.copyfile(finished / CONFIG, folder / CONFIG)
    return folder


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    """A crate of one result, and what was said when it was written. Not to be changed."""
    folder = tmp_path_factory.mktemp("crates") / "new" / "crate"
    return folder, crate.write(audit(study), folder)


@pytest.fixture
def copy(written, tmp_path):
    """A crate to change."""
    return shutil.copytree(written[0], tmp_path / "copy")


@pytest.fixture
def other(study, tmp_path):
    """A study to change."""
    return shutil.copytree(study, tmp_path / "other")


def audit(study, name=PHASES):
    return Auditor(None, study / "results").audit([study / name])


def graph(folder):
    return {entity["@id"]: entity for entity in json.loads((folder / METADATA).read_text())["@graph"]}


def listed(value):
    """The @ids that a property has, one or many."""
    return {each["@id"] for each in (value if isinstance(value, list) else [value])}


def found(folder):
    """Verdict -> why, over all that a check of a crate finds."""
    whys = {}
    for finding in [finding for report in crate.check(folder) for finding in report.findings]:
        whys.setdefault(finding.verdict, []).append(finding.why)
    return whys


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def list_again(folder, place):
    """Make the list of a crate tell the bytes that a file has now, as someone who covers an edit would."""
    whole = json.loads((folder / METADATA).read_text())
    entity = next(entity for entity in whole["@graph"] if entity["@id"] == place)
    entity |= {"sha256": hashing.sha256(folder / place), "contentSize": str((folder / place).stat().st_size)}
    (folder / METADATA).write_text(json.dumps(whole))


def sealed_again(path, **changes):
    sidecars.write(path, sidecars.seal(json.loads(path.read_text()) | changes))


def all_sealed_again(folder, **changes):
    for path in folder.rglob("*.prov.json"):
        sealed_again(path, **changes)


def made_with(folder, origin):
    """Let results tell of other config files: their study.json, and each sidecar."""
    own = folder / "results/tiny/study.json"
    own.write_text(json.dumps(json.loads(own.read_text()) | {"origin": origin}))
    all_sealed_again(folder, study=origin)


@pytest.fixture
def offline(tmp_path):
    """A validator's cache with the two JSON-LD contexts, so far as crates use them: any other request is an error."""
    path = tmp_path / "contexts"
    with CachedSession(str(path), backend="sqlite") as session:
        for url, context in json.loads((ROOT / "tests/contexts.json").read_text()).items():
            body, kind = io.BytesIO(json.dumps(context).encode()), {"Content-Type": "application/ld+json"}
            raw = urllib3.HTTPResponse(body, kind, 200, preload_content=False, request_url=url)
            session.cache.save_response(HTTPAdapter().build_response(requests.Request("GET", url).prepare(), raw))
    return path


def validated(folder, cache, severity):
    settings = ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier="provenance-run-crate-0.5",
        requirement_severity=severity,
        offline=True,
        cache_path=cache,
    )
    return services.validate(settings).get_issues()


def test_a_crate_meets_the_profile_but_for_recommendations_that_it_cannot_know(written, offline):
    issues = validated(written[0], offline, Severity.RECOMMENDED)
    assert [issue.message for issue in issues if issue.severity == Severity.REQUIRED] == []
    unknown = dict(CANNOT_HOLD)
    if sidecars.read(written[0] / f"{SUMMARY}.prov.json").commit is None:
        unknown["The SoftwareSourceCode or ComputationalWorkflow SHOULD have a version"] = "no git here"
    assert {issue.message for issue in issues} <= unknown.keys()


def test_the_validator_is_one_that_rejects_a_crate_without_the_run_of_its_workflow(copy, offline):
    edit(copy / METADATA, '"@type": "CreateAction"', '"@type": "ControlAction"')
    assert validated(copy, offline, Severity.REQUIRED)


def test_a_crate_opens_and_lists_each_of_its_files_with_size_and_hash(written):
    opened = ROCrate(written[0])
    assert opened.mainEntity.id == "Snakefile"
    entities = {entity.id: entity for entity in opened.data_entities}
    there = {path.relative_to(written[0]).as_posix(): path for path in written[0].rglob("*") if path.is_file()}
    assert entities.keys() == there.keys() - {METADATA}
    for place, entity in entities.items():
        assert entity["sha256"] == hashing.sha256(there[place])
        assert int(entity["contentSize"]) == there[place].stat().st_size


def test_a_crate_holds_results_all_behind_them_the_workflow_and_the_config_of_the_study(written, study):
    for place in (
        PHASES,
        SUMMARY,
        "results/tiny/digits/seed0/network.safetensors",
        "results/tiny/data/digits.npz",
        CONFIG,
    ):
        assert (written[0] / place).read_bytes() == (study / place).read_bytes()
    for place in ("Snakefile", "rules/train.smk", "workflow_scripts/train.py", "envs/requirements.txt", "LICENSE"):
        assert (written[0] / place).read_bytes() == (ROOT / place).read_bytes()
    assert not list(written[0].rglob("*.pyc"))


def test_every_job_is_an_action_that_says_what_its_sidecar_says(written):
    entities = graph(written[0])
    told = {path.relative_to(written[0]).as_posix(): sidecars.read(path) for path in written[0].rglob("*.prov.json")}
    assert len(told) == len([id for id in entities if id.startswith("#job/")]) == 12
    for place, record in told.items():
        action = entities[entities[place]["about"]["@id"]]
        assert action["instrument"] == {"@id": f"workflow_scripts/{record.stage}.py"}
        assert (action["startTime"], action["endTime"]) == (record.started, record.ended)
        assert entities[action["agent"]["@id"]]["name"] == record.user
        assert entities[action["resourceUsage"]["@id"]]["value"] == record.peak_memory_mib
        assert listed(action["result"]) == {str(PurePosixPath(place).with_name(name)) for name in record.outputs}
        assert {f"results/tiny/{read.path}" for read in record.inputs} <= listed(action["object"])
        values = {entities[id]["name"]: entities[id].get("value") for id in listed(action["object"])}
        assert values["wildcards." + next(iter(record.wildcards))] == next(iter(record.wildcards.values()))
    train = entities["#job/results/tiny/digits/seed0/trajectory.npz.prov.json"]
    values = {entities[id]["name"]: entities[id].get("value") for id in listed(train["object"])}
    assert train["name"] == "train digits seed 0"
    assert (values["sgd.lr"], values["network.channels"], values["sgd.epochs"]) == (0.1, "[8,8]", 12)


def test_the_run_leads_from_the_config_over_steps_and_jobs_to_the_results(written):
    entities = graph(written[0])
    run = entities["#run"]
    assert run["result"] == {"@id": PHASES} and listed(run["object"]) == {CONFIG}
    jobs = [entity for id, entity in entities.items() if id.startswith("#job/")]
    assert run["startTime"] == min(job["startTime"] for job in jobs)
    assert run["endTime"] == entities["./"]["datePublished"] == max(job["endTime"] for job in jobs)
    controlled = [entities[id] for id in listed(entities["#engine"]["object"])]
    assert sum(len(listed(control["object"])) for control in controlled) == len(jobs)
    steps = [entities[id] for id in listed(entities["Snakefile"]["step"])]
    order = [step["name"] for step in sorted(steps, key=lambda step: int(step["position"]))]
    assert order == ["prepare_data", "train", "extract_final", "distill", "measure", "summarize"]


def test_the_same_results_give_the_same_metadata(written, study, tmp_path):
    crate.write(audit(study), tmp_path / "again")
    assert (tmp_path / "again" / METADATA).read_bytes() == (written[0] / METADATA).read_bytes()
    assert written[1][-1] == hashing.sha256(tmp_path / "again" / METADATA)


def test_what_is_not_known_is_left_out(other, tmp_path):
    all_sealed_again(other, user=None, commit=None, dirty=None, cpu=None, snakemake=None)
    crate.write(audit(other), tmp_path / "crate")
    entities = graph(tmp_path / "crate")
    assert not [id for id, entity in entities.items() if "agent" in entity or entity["@type"] == "Person"]
    assert not {"version", "softwareVersion"} & {*entities["Snakefile"], *entities["https://snakemake.github.io"]}
    assert "None" not in (tmp_path / "crate" / METADATA).read_text()


def test_a_crate_for_anonymous_review_names_nobody_and_is_current(other, tmp_path):
    argv = [
        "/home/ada-l/.venv/bin/python",
        "-m",
        "workflow_scripts.plot",
        "--data-root=/home/ada-l/data",
        "--svg",
        "a.svg",
    ]
    all_sealed_again(other, user="ada-l", host="ada-l-laptop", slurm_job_id="42424242", argv=argv)
    assert any("ada-l@ada-l-laptop" in line for line in crate.write(audit(other), tmp_path / "named"))
    said = crate.write(audit(other), tmp_path / "crate", anonymous=True)
    assert "ada-l" not in "\n".join(said)
    files = [path for path in (tmp_path / "crate").rglob("*") if path.is_file()]
    assert [path for path in files if any(word in path.read_bytes() for word in (b"ada-l", b"42424242"))] == []
    assert {report.verdict for report in crate.check(tmp_path / "crate")} == {"CURRENT"}


def test_the_commit_of_the_jobs_is_the_version_of_the_workflow(other, tmp_path):
    all_sealed_again(other, commit="01234567" * 5, dirty=True)
    crate.write(audit(other), tmp_path / "crate")
    assert graph(tmp_path / "crate")["Snakefile"]["version"] == "012345670123-dirty"


def test_a_crate_is_written_by_the_command_and_checked_with_nothing_but_what_it_holds(study, tmp_path):
    folder = tmp_path / "crate"
    wrote = forks.run("workflow_scripts.audit", study / TABLE, "--crate", folder, cwd=ROOT)
    assert (wrote.returncode, wrote.stderr) == (0, "")
    assert wrote.stdout.splitlines()[-1] == hashing.sha256(folder / METADATA)
    there = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    checked = forks.plain("workflow_scripts.audit", "--crate", ".", cwd=folder, env=there)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    said = checked.stdout.splitlines()
    number = len(graph(folder)["./"]["hasPart"])
    assert said[:3] == ["CURRENT", f"{METADATA}: CURRENT", f"  {number} files as listed and as their sidecars tell"]
    assert said[3] == f"{TABLE}: CURRENT" and said[-1] == "  made again just now: the same bytes"
    bytecode = [str(path.relative_to(folder)) for path in folder.rglob("*.pyc")]
    assert bytecode, "Python wrote it"
    left = forks.run("workflow_scripts.audit", "--crate", folder, cwd=ROOT).stdout
    assert left.startswith("UNKNOWN\n") and f"{bytecode[0]} is not in {METADATA}: remove it" in left


def test_snakemake_goes_on_from_a_crate_as_from_a_finished_study(copy):
    assert planned(copy, PHASES, configfiles=(copy / CONFIG,)) == {}


def test_a_check_hashes_every_file_once(written, monkeypatch):
    hashed, sha256 = [], hashing.sha256
    monkeypatch.setattr(hashing, "sha256", lambda path: hashed.append(path) or sha256(path))
    crate.check(written[0])
    times = Counter(path for path in hashed if path.is_relative_to(written[0]))
    assert set(times.values()) == {1} and len(times) == len(graph(written[0])["./"]["hasPart"])


@pytest.mark.parametrize("place", [PHASES, SUMMARY, f"{SUMMARY}.prov.json", "rules/train.smk"])
def test_a_changed_byte_is_found_and_its_file_named(copy, place):
    content = bytearray((copy / place).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / place).write_bytes(content)
    assert f"{place}: not the bytes that {METADATA} lists" in found(copy)["TAMPERED"]


@pytest.mark.parametrize("place", [PHASES, SUMMARY, f"{SUMMARY}.prov.json", CONFIG])
def test_a_missing_file_is_found_and_named(copy, place):
    (copy / place).unlink()
    whys = found(copy)
    assert f"{place} is missing" in whys["UNKNOWN"] and "TAMPERED" not in whys


@pytest.mark.parametrize(
    "place",
    [
        "results/tiny/digits/notes.csv",
        "results/other/study.json",
        "notes.txt",
        "config.yaml",
        "workflow_scripts/measures/more.py",
        "workflow_scripts/audit/numpy.py",
        "rules/more.smk",
    ],
)
def test_a_file_that_is_not_listed_is_found_wherever_it_lies(copy, place):
    (copy / place).parent.mkdir(exist_ok=True)
    (copy / place).write_text("")
    assert found(copy) == {"UNKNOWN": [f"{place} is not in {METADATA}: remove it"]}


def test_a_module_in_the_place_of_a_library_is_named_and_no_code_can_be_compared_with_it(copy):
    (copy / "numpy.py").write_text("")
    whys = found(copy)
    assert whys["UNKNOWN"] == [f"numpy.py is not in {METADATA}: remove it"]
    assert whys["STALE"] and all(why.startswith("its code can't be compared: ") for why in whys["STALE"])


@pytest.mark.parametrize("place", [PHASES, SUMMARY, MEASURES])
def test_a_file_edited_together_with_the_list_is_betrayed_by_its_sidecar(copy, place):
    (copy / place).write_bytes((copy / place).read_bytes() + b"\n")
    list_again(copy, place)
    assert [why for why in found(copy)["TAMPERED"] if place in why]


def test_a_sidecar_with_the_key_of_another_job_is_found_though_it_is_sealed_and_listed(copy):
    place = f"{MEASURES}.prov.json"
    sealed_again(copy / place, key=sidecars.read(copy / f"{SUMMARY}.prov.json").key)
    list_again(copy, place)
    assert f"{place} has a key that is not that of its job" in found(copy)["TAMPERED"]


def test_code_edited_together_with_the_list_is_betrayed_by_the_sidecars(copy):
    place = "workflow_scripts/training/sgd.py"
    edit(copy / place, "last = int(steps[-1])", "last = int(steps[-1] + 0)")
    list_again(copy, place)
    assert found(copy) == {"STALE": ["training.sgd.train here is not the code that made all of the results"]}


def test_code_edited_without_an_effect_on_any_job_is_no_other_code(copy):
    place = "workflow_scripts/training/sgd.py"
    (copy / place).write_text((copy / place).read_text() + "\nSTEPS = 1\n")
    list_again(copy, place)
    assert found(copy) == {}


def test_a_crate_is_compared_with_the_config_that_it_holds(copy):
    edit(copy / CONFIG, "lr: 0.1", "lr: 0.2")
    list_again(copy, CONFIG)
    assert "sgd.lr 0.1 -> 0.2" in found(copy)["STALE"]


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_text(path.read_text()[:-9]), "damaged"),
        (lambda path: path.write_text("[]"), "damaged"),
        (lambda path: edit(path, '"sha256":', '"md5":'), "damaged"),
        (lambda path: edit(path, f'"@id": "{SUMMARY}"', '"@id": "../secret"'), "damaged"),
    ],
)
def test_a_damaged_list_is_an_error(copy, damage, error):
    damage(copy / METADATA)
    with pytest.raises(StudyError, match=f"{METADATA}: {error}"):
        crate.check(copy)


def test_a_folder_that_is_not_new_is_refused(study, written, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes").write_text("mine")
    reports = audit(study)
    for folder in (tmp_path / "taken", tmp_path / "taken" / "notes", study / "results/tiny" / "crate"):
        with pytest.raises(StudyError, match="name a"):
            crate.write(reports, folder)
    assert (tmp_path / "taken" / "notes").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    crate.write(reports, tmp_path / "empty")
    assert (tmp_path / "empty" / METADATA).read_bytes() == (written[0] / METADATA).read_bytes()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda study: edit(study / PHASES, "linear", "Linear"), "TAMPERED"),
        (lambda study: edit(study / MEASURES, "linear", "Linear"), "TAMPERED"),
        (lambda study: (study / MEASURES).unlink(), "measures.csv: missing"),
        (lambda study: made_with(study, ELSEWHERE), "gone.yaml: missing"),
        (lambda study: (study / f"{SUMMARY}.prov.json").unlink(), "no sidecar"),
    ],
)
def test_results_that_are_tampered_with_or_not_whole_make_no_crate(other, tmp_path, change, error):
    change(other)
    with pytest.raises(StudyError, match=error):
        crate.write(audit(other), tmp_path / "crates" / "crate")
    assert not (tmp_path / "crates").exists()


def test_a_file_that_no_audit_looked_at_is_compared_with_its_sidecar_and_nothing_is_left_behind(other, tmp_path):
    reports = audit(other)
    edit(other / SUMMARY, "linear", "Linear")
    with pytest.raises(StudyError, match=r"summary\.csv: these are not the bytes that its job wrote"):
        crate.write(reports, tmp_path / "crates" / "crate")
    assert list((tmp_path / "crates").iterdir()) == []


def test_results_that_are_stale_make_a_crate_that_says_so(other, tmp_path):
    edit(other / CONFIG, "lr: 0.1", "lr: 0.2")
    assert "STALE" in crate.write(audit(other), tmp_path / "crate")[0]
    assert graph(tmp_path / "crate")["./"]["description"].endswith("STALE.")
    assert crate.check(tmp_path / "crate")[1].verdict == "STALE"


def test_results_of_two_folders_make_no_crate(study, other, tmp_path):
    with pytest.raises(StudyError, match="one folder"):
        crate.write([*audit(study), *audit(other)], tmp_path / "crate")


def test_a_sidecar_that_names_a_file_outside_the_results_makes_no_crate(other, tmp_path):
    path = other / f"{SUMMARY}.prov.json"
    record = json.loads(path.read_text())
    record["inputs"].append([f"../../{CONFIG}", hashing.sha256(other / CONFIG)])
    sidecars.write(path, sealed(record))
    with pytest.raises(StudyError, match="not in the results folder"):
        crate.write(audit(other), tmp_path / "crate")


def test_a_config_file_from_anywhere_has_a_place_in_the_crate_and_values_of_the_command_line_too(other, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "mine.yaml"
    elsewhere.parent.mkdir()
    (other / CONFIG).rename(elsewhere)
    made_with(other, {"configfiles": [str(elsewhere)], "config": {"seeds": [0, 1]}})
    crate.write(audit(other), tmp_path / "crate")
    (kept,) = (tmp_path / "crate/config").rglob("mine.yaml")
    assert kept.read_bytes() == elsewhere.read_bytes()
    entities = graph(tmp_path / "crate")
    given = [entities[id] for id in listed(entities["#run"]["object"])]
    assert [(each["name"], each["value"]) for each in given if each["@type"] == "PropertyValue"] == [("seeds", "[0,1]")]
    edit(elsewhere, "lr: 0.1", "lr: 0.2")
    source._load.cache_clear()
    assert {report.verdict for report in crate.check(tmp_path / "crate")} == {"CURRENT"}
