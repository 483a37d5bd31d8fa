"""The audit, run as its users run it, on a finished study whose results are then edited, swapped, moved and lost."""

import copy
import errno
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.workflow import ROOT, TINY, counted, sealed, snakemake
from workflow_scripts.audit import __main__ as command
from workflow_scripts.audit import records, remake, source, trace
from workflow_scripts.audit.verdict import Auditor
from workflow_scripts.files import dataframes, hashing
from workflow_scripts.provenance import fingerprints, sidecars

STUDY = yaml.safe_load(TINY.read_text())
CONFIG = "tests/tiny.yaml"
FIGURE = "results/tiny/figures/fig4.svg"
TABLE = "results/tiny/tables/table1.csv"
MEASURES = "results/tiny/sinusoid/seed0/measures.csv"
TRAJECTORY = "results/tiny/sinusoid/seed0/trajectory.npz"
EXPLAINER = "results/tiny/tasks/sinusoid/explainers/linear.npz"
pytestmark = pytest.mark.usefixtures("forked_remakes")
EXIT = {"CURRENT": 0, "STALE": 1, "TAMPERED": 2, "UNKNOWN": 3}


@pytest.fixture
def study(finished, tmp_path, monkeypatch):
    """A copy of results and config file, without .snakemake and .git: the working directory."""
    folder = tmp_path / "study"
    shutil.copytree(finished / "results", folder / "results")
    (folder / "tests").mkdir()
    shutil.copy(TINY, folder / CONFIG)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def audit(monkeypatch, capsys):
    """Run the audit in this process: its verdict and all that it says; a wrong call: what it complains of."""

    def run(*arguments):
        source._load.cache_clear()
        monkeypatch.setattr(sys, "argv", ["audit", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            command.main()
        said = capsys.readouterr()
        if end.value.code == 4:
            assert said.out == "" and re.fullmatch(r"error: [^\n]+\n", said.err), said
            return "error", said.err
        verdict = said.out.partition("\n")[0]
        assert EXIT[verdict] == end.value.code and said.err == ""
        assert "Traceback" not in said.out and said.out.count("repair: ") <= 1
        return verdict, said.out

    return run


@pytest.fixture
def without_remakes(monkeypatch):
    """No figure and no table is made again: seconds for each of a folder."""
    monkeypatch.setattr(remake, "LISTED", ())


def sidecar(path: str) -> Path:
    return sidecars.find(Path(path))


def plain(beside: Path) -> dict:
    """What a sidecar tells, as plain data."""
    return json.loads(beside.read_text())


def rewrite(beside: Path, **changes) -> None:
    """Change a sidecar, and give it its key and seal."""
    sidecars.write(beside, sealed(plain(beside) | changes))


def forge(path: str, content: bytes) -> None:
    """Change a product and its sidecar together, with a new seal."""
    beside = sidecar(path)
    Path(path).write_bytes(content)
    rewrite(beside, outputs=plain(beside)["outputs"] | {Path(path).name: hashing.sha256(Path(path))})


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


def test_every_result_of_a_finished_study_is_current(finished):
    asked = [FIGURE, *(f"results/tiny/figures/fig4.{kind}" for kind in ("pdf", "png", "csv")), MEASURES, TRAJECTORY]
    asked += [TABLE, "results/tiny/tables/table1.html", EXPLAINER, "results/tiny/data/sinusoid.npz"]
    arguments = [sys.executable, "-m", "workflow_scripts.audit", *(finished / name for name in asked)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "CURRENT"
    paths = [str(finished / name) for name in asked]
    of_a_job = [paths[:4], *([path] for path in paths[4:6]), paths[6:8], *([path] for path in paths[8:])]
    assert [line for line in lines if line.endswith(": CURRENT")] == [f"{', '.join(of)}: CURRENT" for of in of_a_job]
    record = sidecars.read(finished / f"{FIGURE}.prov.json")
    assert re.match(rf"  made by .+@{record.host} at 20..-..-.. ..:.., .*, key {record.key}$", lines[2])
    assert lines[3] == "  26 jobs and 36 files as recorded, settings and code as now"
    assert lines.count("  made again just now: the same bytes") == 2, "the figure and the table"
    assert lines[-1] == "  1 job and 1 file as recorded, settings and code as now"
    assert "repair" not in done.stdout


def test_a_folder_is_judged_as_a_whole(study, audit):
    verdict, said = audit("results/tiny/sinusoid", "results/tiny/tasks", "results/tiny/data")
    assert verdict == "CURRENT" and said.splitlines() == ["CURRENT", "27 CURRENT"]
    with Path(MEASURES).open("a") as table:
        table.write("\n")
    Path("results/tiny/tables/notes.txt").write_text("my own")
    verdict, said = audit("results/tiny/sinusoid", "results/tiny/tables")
    assert verdict == "TAMPERED"
    assert said.splitlines()[1] == "16 CURRENT, 1 UNKNOWN, 9 TAMPERED"
    assert "\n  UNKNOWN  results/tiny/tables/notes.txt: no sidecar beside it says what made it\n" in said
    assert "notes.txt" not in said.partition("repair: ")[2], "what no rule makes can't be made again"


def test_the_state_of_a_job_that_was_cut_off_is_no_result(study, audit):
    """Its settings were changed meanwhile, so that no job asks for it any more."""
    for name in ("resume-train-0123456789abcdef", "resume-train-mine"):
        Path(f"results/tiny/sinusoid/seed0/{name}").mkdir()
        Path(f"results/tiny/sinusoid/seed0/{name}/training.npz").write_bytes(b"state")
    verdict, said = audit("results/tiny/sinusoid/seed0")
    assert verdict == "UNKNOWN" and "resume-train-mine/training.npz: no sidecar" in said
    assert "0123456789abcdef/" not in said


def test_without_the_libraries_that_it_needs_the_audit_names_them_and_gives_no_verdict():
    command = [sys.executable, "-S", "-m", "workflow_scripts.audit", "results"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: audit: numpy, pandas, pydantic, scipy, yaml not installed for ")
    assert len(done.stderr.splitlines()) == 1


def test_a_table_is_current_wherever_it_lies(study, audit, tmp_path):
    moved = shutil.move("results", tmp_path / "elsewhere")
    verdict, said = audit(moved / "tiny/tables/table1.html", "--configfile", CONFIG)
    assert verdict == "CURRENT" and "made again just now: the same bytes" in said
    paper = tmp_path / "paper"
    paper.mkdir()
    for name in ("table1.csv", "table1.csv.prov.json"):
        shutil.copy(moved / "tiny/tables" / name, paper)
    of_all, of_one = ("--results", moved), ("--results", moved / "tiny")
    for of in (of_all, of_one):
        assert audit(paper / "table1.csv", *of, "--configfile", CONFIG)[0] == "CURRENT"
    (paper / "table1.csv").rename(paper / "table 2.csv")
    for of in (of_all, of_one):
        assert audit(paper / "table 2.csv", *of, "--configfile", CONFIG)[0] == "CURRENT"
    with (paper / "table 2.csv").open("a") as table:
        table.write("more\n")
    verdict, said = audit(paper / "table 2.csv", "--results", moved)
    assert verdict == "UNKNOWN" and "no sidecar beside it" in said


def test_a_figure_in_a_paper_is_known_by_its_key(study, audit, tmp_path):
    paper = tmp_path / "paper"
    paper.mkdir()
    figure = Path(shutil.copy("results/tiny/figures/fig4.pdf", paper / "figure 2.pdf"))
    verdict, said = audit(figure)
    assert verdict == "CURRENT" and said.splitlines()[1] == f"{figure}: CURRENT"

    content = figure.read_bytes()
    figure.write_bytes(content + b"% edited")
    verdict, said = audit(figure)
    assert verdict == "TAMPERED" and "this copy of results/tiny/figures/fig4.pdf has other bytes than it wrote" in said
    assert "repair" not in said, "the results are sound"

    beside = sidecar("results/tiny/figures/fig4.pdf")
    key = sidecars.read(beside).key
    figure.write_bytes(content.replace(key.encode(), b"0123456789abcdef"))
    figure.rename(paper / "fig4.pdf")
    verdict, said = audit(paper / "fig4.pdf")
    assert verdict == "STALE"
    assert f"it carries provenance key 0123456789abcdef, that of the results has {key}" in said

    verdict, said = audit(paper / "fig4.pdf", "--results", paper)
    assert verdict == "UNKNOWN"
    assert "carries provenance key 0123456789abcdef: name the results that it came from with --results" in said


def test_a_hand_edit_is_found_in_all_that_rests_on_it_and_nowhere_else(study, audit):
    edit("results/tiny/sinusoid/seed1/measures.csv", "linear_t0,0,", "linear_t0,1,")
    verdict, said = audit(FIGURE, TABLE)
    assert verdict == "TAMPERED"
    why = "results/tiny/sinusoid/seed1/measures.csv: these are not the bytes that it wrote"
    assert said.splitlines()[:3] == [
        "TAMPERED",
        f"{FIGURE}, {TABLE}: TAMPERED",
        f"  TAMPERED  measure sinusoid seed 1: {why}",
    ]
    assert "--forcerun results/tiny/sinusoid/seed1/measures.csv" in said.splitlines()[3]
    assert audit(MEASURES)[0] == "CURRENT"
    with Path("results/tiny/figures/fig4.png").open("ab") as figure:
        figure.write(b"edited")
    verdict, said = audit("results/tiny/figures/fig4.png")
    assert "plot sinusoid" not in said
    assert "TAMPERED  plot fig4: results/tiny/figures/fig4.png: these are not the bytes that it wrote" in said


@pytest.mark.parametrize("path", [FIGURE, TABLE, MEASURES, TRAJECTORY, "results/tiny/data/sinusoid.npz"])
def test_an_edited_sidecar_is_found(study, audit, path):
    edit(str(sidecar(path)), '"user": ', '"user": "somebody else", "was": ')
    verdict, said = audit(TABLE if path != FIGURE else FIGURE)
    assert verdict == "TAMPERED"
    assert f"{sidecar(path).name} was edited after it was written" in said


def test_results_forged_with_their_sidecars_are_never_current(study, audit):
    original = Path(MEASURES).read_bytes()
    forge(MEASURES, original.replace(b"linear_t0,0,", b"linear_t0,1,"))
    verdict, said = audit(TABLE)
    assert (
        verdict == "STALE" and f"summarize sinusoid: {MEASURES} has other bytes than it read: it was made at 2" in said
    )


@pytest.mark.parametrize("path", [FIGURE, TABLE])
def test_a_figure_or_table_forged_with_its_sidecar_is_made_again_and_found(study, audit, path):
    forge(path, Path(path).read_bytes().replace(b"1", b"2", 1))
    verdict, said = audit(path)
    assert verdict == "TAMPERED" and f"made again from the same inputs, {Path(path).name} has other bytes" in said
    assert said.splitlines()[-1].endswith(f"--configfile {CONFIG}")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["python", "-m", "workflow_scripts.tabulate", "--cfg"],
        ["--inputs", "results/tiny/sinusoid/summary.csv", "--csv", TABLE],
        ["--csv=/somewhere/else.csv"],
        ["--data-root"],
        ["--data-root", "--csv=/somewhere/else.csv"],
    ],
)
def test_the_command_that_a_sidecar_tells_has_no_part_in_making_its_table_again(study, audit, monkeypatch, argv):
    called = []

    def run(command, **_):
        scratch = Path(command[command.index("--csv") + 1]).parent
        assert scratch.is_dir() and not list(scratch.iterdir())
        called.append([word.replace(str(scratch), "scratch") for word in command])
        return subprocess.CompletedProcess(command, 1, "", "not here")

    monkeypatch.setattr(remake, "subprocess", SimpleNamespace(run=run))
    audit(TABLE)
    rewrite(sidecar(TABLE), argv=argv)
    verdict, said = audit(TABLE)
    assert verdict == "UNKNOWN" and "it can't be made again here: not here" in said
    original, command = called
    assert [word for word in command if not word.startswith("--data-root=")] == original


@pytest.mark.parametrize("wrong", [{name: "0" * 64} for name in ("more.csv", "claims.html", "study.json")])
def test_a_sidecar_can_not_make_the_audit_read_or_write_anything_but_its_products(study, audit, monkeypatch, wrong):
    monkeypatch.setattr(remake, "subprocess", SimpleNamespace(run=lambda *_, **__: pytest.fail("it was run")))
    rewrite(sidecar(TABLE), outputs=plain(sidecar(TABLE))["outputs"] | wrong)
    verdict, said = audit(TABLE)
    assert verdict == "UNKNOWN" and "it can't be made again: tabulate makes nothing that is called as its sid" in said


@pytest.mark.usefixtures("without_remakes")
@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: os.symlink(path, path)], ids=["pipe", "folder", "loop"]
)
def test_one_file_that_can_not_be_read_leaves_the_others_their_verdicts(make, study, audit):
    Path(TRAJECTORY).unlink()
    make(TRAJECTORY)
    verdict, said = audit("results")
    assert verdict == "STALE" and re.search(r"\n\d+ CURRENT, ", said), said
    assert f"STALE  train sinusoid seed 0: {TRAJECTORY}: the study asks for it, and it is not there" in said
    assert f"UNKNOWN  measure sinusoid seed 0: its input {TRAJECTORY} can't be read" in said


@pytest.mark.usefixtures("without_remakes")
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_result_that_a_disk_does_not_give_is_unknown_not_tampered(number, study, audit, monkeypatch):
    sha256 = hashing.sha256

    def fail(path):
        if path.name == Path(TABLE).name:
            raise OSError(number, os.strerror(number), str(path))
        return sha256(path)

    monkeypatch.setattr(hashing, "sha256", fail)
    verdict, said = audit("results/tiny/tables")
    assert verdict == "UNKNOWN" and f"{TABLE} can't be read" in said and "TAMPERED" not in said, said


def test_what_is_missing_is_unknown_and_can_be_made_again(study, audit):
    lost = Path(shutil.move(TRAJECTORY, study))
    verdict, said = audit(FIGURE)
    assert verdict == "UNKNOWN"
    assert f"UNKNOWN  measure sinusoid seed 0: its input {TRAJECTORY} is missing" in said
    assert f"--forcerun {TRAJECTORY}" in said
    shutil.move(lost, TRAJECTORY)
    sidecar(TRAJECTORY).unlink()
    verdict, said = audit(FIGURE)
    assert verdict == "UNKNOWN" and f"its input {TRAJECTORY}: no sidecar says what made it" in said
    Path(FIGURE).unlink()
    sidecar(TABLE).unlink()
    for path, found in {
        FIGURE: f"STALE  plot fig4: {FIGURE}: the study asks for it, and it is not there",
        TABLE: f"UNKNOWN  {TABLE}: no sidecar beside it says what made it",
    }.items():
        verdict, said = audit(path)
        assert verdict == found.split()[0] and said.splitlines()[2] == f"  {found}"
        assert said.splitlines()[3].endswith(f" {path} --forcerun {path} {HERE} --configfile {CONFIG}")
    for path in (
        "results/tiny/figures/fig9.svg",
        "results/tiny/notes.txt",
        "results/other",
        study / "nowhere/fig4.svg",
    ):
        verdict, said = audit(path)
        assert verdict == "UNKNOWN" and said.splitlines()[2:] == [f"  UNKNOWN  {path}: no such file"], said


HERE = f"--snakefile {ROOT / 'Snakefile'}"


def test_swapped_results_are_found_with_and_without_their_sidecars(study, audit):
    other = MEASURES.replace("seed0", "seed1")
    beside = sidecar(MEASURES), sidecar(other)
    kept = [path.read_bytes() for path in (Path(other), beside[1])]
    edited = f"TAMPERED  measure sinusoid seed 1: {other}: these are not the bytes that it wrote"
    shutil.copy(beside[0], beside[1])
    for target in (TABLE, other):
        verdict, said = audit(target)
        assert verdict == "TAMPERED" and edited in said
    shutil.copy(MEASURES, other)
    verdict, said = audit(TABLE)
    classes = other.replace("measures.csv", "classes.csv")
    assert verdict == "TAMPERED" and f"{classes}: these are not the bytes that it wrote" in said
    own = Path(classes).read_bytes()
    shutil.copy(classes.replace("seed1", "seed0"), classes)
    for target in (TABLE, other):
        verdict, said = audit(target)
        trajectory = TRAJECTORY.replace("seed0", "seed1")
        assert verdict == "STALE" and f"measure sinusoid seed 1: {trajectory} has other bytes than it read" in said
        assert f"--forcerun {other} " in said
    beside[1].write_bytes(kept[1])
    verdict, said = audit(other)
    assert verdict == "TAMPERED" and edited in said
    Path(other).write_bytes(kept[0])
    Path(classes).write_bytes(own)
    assert audit(other)[0] == "CURRENT"
    shutil.copy(sidecar(TABLE), sidecar(FIGURE))
    verdict, said = audit(FIGURE)
    assert verdict == "TAMPERED", said
    assert f"{FIGURE} has the sidecar of fig4.csv, which tabulate table1 made" in said


def test_whole_folders_of_seeds_that_changed_places_are_stale_by_their_seeds(study, audit, without_remakes):
    one, other = (Path(f"results/tiny/sinusoid/seed{seed}") for seed in (0, 1))
    one.rename("away")
    other.rename(one)
    Path("away").rename(other)
    for target in (TABLE, FIGURE, "results/tiny"):
        verdict, said = audit(target)
        assert verdict == "STALE", said
        for was, now in ((1, 0), (0, 1)):
            assert f"  STALE  train sinusoid seed {now}: seed {was} -> {now}\n" in said


def forged(record: dict, name: str = "") -> dict:
    """Sealed, with the key of its job if it could be one's."""
    try:
        return sidecars.seal(record) if name == "key" else sealed(record)
    except (TypeError, ValueError, LookupError, AttributeError):
        return sidecars.seal(record)


def wrong_sidecars(record: dict):
    """Sidecars that no job wrote, and why."""
    yield "empty", ""
    yield "no JSON", "{"
    for name, value in {"null": None, "list": [record], "number": 3, "schema": record | {"schema": 1}}.items():
        yield name, json.dumps(value)
    for name in record:
        for value in (None, "", 0, -1.5, [], {}, [[]], {"a": 1}, {"a": {"b": "c"}}, "\ud800", "x" * 5000):
            if value != record[name]:
                wrong = {**record, name: value}
                yield f"{name}: {value!r:.20}", json.dumps(wrong if name == "seal" else forged(wrong, name))
        yield f"no {name}", json.dumps({key: value for key, value in record.items() if key != name})
    for part, wrong in {
        "numbers": {"inputs": [[name, 3] for name, _ in record["inputs"]]},
        "paths": {"inputs": [[name, "0" * 64] for name in ("", "/", "a\0b", "x" * 5000, "../../..")]},
        "folders": {"inputs": [[name, "0" * 64] for name in ("/", ".", "../../..", "sinusoid", "/etc/passwd")]},
        "fewer inputs": {"inputs": []},
        "more inputs": {"inputs": record["inputs"] * 3},
        "directory": {"outputs": {"seed0": "0" * 64}},
        "elsewhere": {"outputs": {"../measures.csv": "0" * 64}},
        "stage": {"stage": "../../evil", "cfg": {"wildcards": {}}, "wildcards": {}},
        "another stage": {"stage": "plot"},
        "no files": {"cfg": {name: value for name, value in record["cfg"].items() if name != "inputs"}},
        "files": {"cfg": record["cfg"] | {"inputs": {"data": 3}}},
        "other files": {"cfg": record["cfg"] | {"inputs": {"more": ["a", "b"]}}},
        "seeds": {"cfg": record["cfg"] | {"seeds": "all"}},
        "wildcards": {"wildcards": {"a": "b"}, "cfg": record["cfg"] | {"wildcards": {"a": "b"}}},
        "stage argument": {"wildcards": {"stage": "b"}, "cfg": record["cfg"] | {"wildcards": {"stage": "b"}}},
        "seed": {"wildcards": {"seed": "x"}, "cfg": record["cfg"] | {"wildcards": {"seed": "x"}}},
        "cfg": {"cfg": {"wildcards": record["wildcards"], "lr": [{"a": None}]}},
        "definitions": {"code": record["code"] | {"digest": "0" * 16, "definitions": {"os": {"system": "0"}}}},
        "modules": {"code": {"fingerprint": "0" * 16, "modules": {"os": "0"}, "distributions": {}}},
    }.items():
        yield part, json.dumps(forged(record | wrong))
    for part in ("cfg", "study"):
        infinite = {"wildcards": record["wildcards"], "configfiles": [], "config": {"lr": float("inf")}}
        yield f"infinite {part}", json.dumps(record | {part: infinite})


#: what a sidecar may tell of another machine, user or run without a part in the result
ELSEWHERE = {"commit", "dirty", "argv", "python", "distributions", "host", "user", "os", "cpu", "gpu", "driver", "cuda"}
ELSEWHERE |= {"threads", "snakemake", "slurm_job_id", "started", "ended", "peak_memory_mib", "study", "bits"}
#: the sidecars above that tell other names alone: what lies at a place is the job of that place
NAMES = {"wildcards", "stage argument", "seed"}


@pytest.mark.parametrize("path", [MEASURES, TRAJECTORY])
def test_a_sidecar_of_nonsense_is_a_verdict_and_never_current(study, audit, path):
    beside = sidecar(path)
    record = plain(beside)
    tried = 0
    for name, text in wrong_sidecars(record):
        beside.write_text(text)
        verdict, said = audit(MEASURES)
        readable = sidecars.read(beside) is not None
        if name.partition(":")[0] in ELSEWHERE | NAMES and readable:
            expected = {"CURRENT"}
        else:
            expected = {"STALE", "TAMPERED", "UNKNOWN"} if readable else {"UNKNOWN"}
        assert verdict in expected, (name, said)
        tried += 1
    assert tried > 200


def test_a_changed_config_is_stale_by_key_with_old_and_new_value(study, audit):
    edit(CONFIG, "lr: 0.2, batch_size: 32, epochs: 8", "lr: 0.3, batch_size: 32, epochs: 8")
    verdict, said = audit(FIGURE)
    assert verdict == "STALE"
    assert said.splitlines()[2] == "  STALE  train sinusoid seeds 0, 1: sgd.lr 0.2 -> 0.3"
    seeds = " ".join(f"results/tiny/sinusoid/seed{seed}/trajectory.npz" for seed in (0, 1))
    assert f" --forcerun {seeds} " in said
    assert audit("results/tiny/data/sinusoid.npz")[0] == "CURRENT"

    shutil.copy(TINY, CONFIG)
    Path("other.yaml").write_text(yaml.safe_dump({"experiments": {"sinusoid": {"title": "Odd"}}, "seeds": [0, 1, 2]}))
    verdict, said = audit(TABLE, "--configfile", CONFIG, "other.yaml")
    assert verdict == "STALE"
    assert "STALE  tabulate table1: shown.titles.sinusoid Sinusoid -> Odd" in said
    assert "STALE  summarize sinusoid: seeds: 2 added" in said
    assert said.splitlines()[-1].endswith(f"--configfile {CONFIG} other.yaml")

    verdict, said = audit(TABLE, "--config", "seeds=[1]")
    assert verdict == "STALE" and "STALE  summarize sinusoid: seeds: 0 removed" in said
    words = shlex.split(said.splitlines()[-1])
    assert words[words.index("--config") + 1] == 'seeds=["1"]'


def test_a_job_that_the_study_no_longer_has_is_stale(study, audit):
    gone = "  STALE  tabulate table1: the study no longer has this job: remove it, or name its study"
    Path(CONFIG).write_text(yaml.safe_dump(STUDY | {"tables": {}}))
    verdict, said = audit(TABLE)
    assert verdict == "STALE" and said.splitlines()[2:] == [gone]
    Path(CONFIG).write_text(yaml.safe_dump(STUDY | {"tables": {}, "seeds": [0]}))
    verdict, said = audit(TABLE)
    assert verdict == "STALE" and said.splitlines()[2:4] == [
        "  STALE  summarize digits: seeds: 1 removed",
        "  STALE  summarize sinusoid: seeds: 1 removed",
    ]
    assert said.splitlines()[4] == gone
    summaries = "results/tiny/digits/summary.csv results/tiny/sinusoid/summary.csv"
    assert f"--cores all {summaries} --forcerun {summaries} {HERE}" in said


def test_changed_code_and_libraries_are_told_by_name(study, audit):
    beside = sidecar(MEASURES)
    code = plain(beside)["code"]
    code["definitions"]["measures.information"]["measures"] = "0" * 8
    code["definitions"]["gone"] = {"away": "0" * 8}
    code |= {"digest": "0" * 16, "libraries": {**code["libraries"], "numpy": "1.0"}}
    rewrite(beside, code=code)
    verdict, said = audit(MEASURES)
    assert verdict == "STALE"
    for words in (
        "measures.information.measures changed",
        "gone.away gone",
        f"numpy 1.0 -> {np.__version__}",
    ):
        assert f"STALE  measure sinusoid seed 0: {words}\n" in said
    record = sidecars.read(beside)
    drifted = record.distributions | {"matplotlib": "1.0", "jax": "1.0"}
    rewrite(beside, code=fingerprints.of_job("measure", record.cfg), distributions=drifted)
    verdict, said = audit(MEASURES)
    assert verdict == "CURRENT" and "  of no effect on it: jax 1.0 -> not used, matplotlib 1.0 -> " in said


@pytest.mark.parametrize("content", ["", "3", "{", "seeds: [0", "seeds: [0]", b"\xff\xfe", "{sedes: [0]}"])
def test_a_config_that_can_not_be_read_leaves_it_unknown(study, audit, content):
    Path(CONFIG).write_bytes(content.encode() if isinstance(content, str) else content)
    verdict, said = audit(FIGURE, MEASURES)
    assert verdict == "UNKNOWN" and said.count("name the config files to compare with: --configfile") == 1
    assert f"{CONFIG}: " in said
    gone = {"configfiles": ["gone.yaml"], "config": {}}
    rewrite(sidecar(MEASURES), study=gone)
    assert f"{CONFIG}: " in audit(MEASURES)[1], "study.json comes before sidecars"
    own = Path("results/tiny/study.json")
    own.write_text(json.dumps(json.loads(own.read_text()) | {"origin": gone}))
    for there in (True, False):
        verdict, said = audit(MEASURES)
        assert verdict == "UNKNOWN" and "gone.yaml: No such file or directory" in said
        own.unlink(missing_ok=not there)


def numbers(line: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"(\w+) (-?[0-9.]+(?:e-?\d+)?)(?=, |$)", line)}


def test_a_row_is_traced_to_the_rows_and_jobs_that_it_came_from(study):
    report = Auditor(None, Path("results")).audit([Path("results/tiny/figures/fig4.csv")])[0]
    points = pd.read_csv("results/tiny/figures/fig4.csv").query("panel == 'sinusoid'")
    tables = {name: pd.read_csv(f"results/tiny/sinusoid/{name}.csv") for name in ("summary", "phases")}
    measures = [pd.read_csv(f"results/tiny/sinusoid/seed{seed}/measures.csv") for seed in (0, 1)]

    def step(line, table, told):
        found = re.fullmatch(rf" *results/tiny/sinusoid/{told}\.csv row (\d+): (.*)", line)
        return table.iloc[int(found[1])], numbers(found[2])

    curves = points[points["x"].notna() & points["y"].notna()].index
    level = points[points["x"].isna()].index
    instants = points[points["y"].isna()].index
    assert (len(level), len(instants)) == (2, 1), "a level for each explainer, the T0 of the first"
    for row in [*curves[::7], *level]:
        lines = trace.lines(report, row)
        assert lines[0].startswith(f"results/tiny/figures/fig4.csv row {row}: panel sinusoid, series ")
        found, said = step(lines[1], tables["summary"], "summary")
        point = points.loc[row]
        assert (found["explainer"], found["quantity"]) == (point["explainer"], point["quantity"])
        assert found["checkpoint"] == point["checkpoint"] == said["checkpoint"]
        assert found["mean"] == point["y"] == said["mean"]
        values = []
        for seed, line in enumerate(lines[2:4]):
            found, said = step(line, measures[seed], f"seed{seed}/measures")
            assert (found["explainer"], found["checkpoint"]) == (point["explainer"], point["checkpoint"])
            assert said == {point["quantity"]: found[point["quantity"]]}
            values.append(found[point["quantity"]])
        assert np.mean(values) == pytest.approx(point["y"], abs=1e-12)
        assert lines[4] == "jobs, from the data on:"
    for row in instants:
        lines = trace.lines(report, row)
        found, said = step(lines[1], tables["phases"], "phases")
        assert found["to_epoch"] == points["x"][row] == said["to_epoch"]
        assert (found["explainer"], found["phase"]) == (points["explainer"][row], "first")
        rows = measures[0][measures[0]["explainer"] == points["explainer"][row]].index
        assert f"seed0/measures.csv {len(rows)} rows, {rows[0]} to {rows[-1]}: " in lines[2]

    jobs = [line.strip() for line in trace.lines(report, curves[0])[5:]]
    assert jobs[1] == "from no file: it is drawn"
    names = [line.split(": ")[0] for line in jobs if not line.startswith("from ")]
    assert names == [
        "prepare_data sinusoid",
        *("train sinusoid seed 0", "train sinusoid seed 1"),
        *("distill sinusoid linear", "distill sinusoid seed 0 linear_t0", "distill sinusoid seed 1 linear_t0"),
        *("measure sinusoid seed 0", "measure sinusoid seed 1"),
        "summarize sinusoid",
        "plot fig4",
    ]
    record = sidecars.read(sidecar(TRAJECTORY))
    assert f"{record.cpu}, code {record.code.fingerprint}, key {record.key}" in jobs[2]


def test_a_point_of_a_simulation_is_traced_to_its_row_which_comes_from_no_file(study, audit):
    points, table = (pd.read_csv(f"results/tiny/{name}/theorem1.csv") for name in ("figures", "simulations"))
    for row in points.index[points["x"].notna()][::160]:
        verdict, said = audit("results/tiny/figures/theorem1.svg", "--trace", row)
        assert verdict == "CURRENT"
        way = said.split("\n\n")[1].splitlines()
        found = table.loc[int(re.match(r"  results/tiny/simulations/theorem1\.csv row (\d+): ", way[1])[1])]
        assert all(found[key] == points[key][row] for key in ("noise", "init", "step", "quantity"))
        assert found["mean"] == points["y"][row]
        assert way[2] == "jobs, from the data on:"
        assert way[3].startswith("  simulate theorem1: ") and way[4] == "    from no file: it is drawn"
        assert way[5].startswith("  plot theorem1: ") and len(way) == 6


def test_a_point_of_a_boundary_is_traced_to_the_jobs_of_the_seed_shown(study, audit):
    verdict, said = audit("results/tiny/figures/fig1.csv", "--trace", 0)
    assert verdict == "CURRENT"
    way = said.split("\n\n")[1].splitlines()
    assert way[0].startswith("results/tiny/figures/fig1.csv row 0: panel disc step 0, series ")
    read = ("data/disc.npz", "tasks/disc/explainers/linear.npz", "disc/seed2/trajectory.npz")
    assert way[1] == f"  from arrays, which have no rows: {', '.join(f'results/tiny/{name}' for name in read)}"
    assert way[2] == "jobs, from the data on:"
    jobs = [line.partition(": ")[0] for line in way[3:]]
    assert jobs == [
        "  prepare_data disc",
        "    from no file",
        "  train disc seed 2",
        "  distill disc linear",
        "  plot fig1",
    ]


def test_what_a_paper_prints_is_traced_to_no_table_of_ours(study, audit):
    points = pd.read_csv("results/tiny/figures/fig4.csv")
    row = points.index[points["series"].str.startswith("printed: ")][0]
    verdict, said = audit("results/tiny/figures/fig4.csv", "--trace", row)
    assert verdict == "CURRENT"
    way = said.split("\n\n")[1].splitlines()
    assert way[1] == "  from no result: it is what a paper prints"
    assert way[2] == "jobs, from the data on:" and way[3].startswith("  plot fig4: ") and len(way) == 4


@pytest.fixture
def table_of(monkeypatch):
    """Reads each table once."""
    read = functools.cache(dataframes.read_shown)
    monkeypatch.setattr(dataframes, "read_shown", read)
    return read


def behind(line: str, table_of) -> pd.DataFrame | None:
    """The rows of a table that a line of a way names, None: it says why there are none."""
    found = re.match(r" +(results/tiny/\S+\.csv) (?:row (\d+)|\d+ rows, (\d+) to (\d+))", line)
    if not found:
        assert re.match(
            " +(from (arrays, which have no rows: results|no file|no result)|nothing in it says from which rows)", line
        ), line
        return None
    first, last = (found[2], found[2]) if found[2] else (found[3], found[4])
    return table_of(Path(found[1]).absolute()).loc[int(first) : int(last)]


@pytest.mark.parametrize("stage", ["measure", "null_models", "simulate", "summarize", "plot", "tabulate"])
def test_every_row_of_every_table_is_traced_to_rows_about_the_same_or_says_why_not(stage, study, table_of):
    tables = [
        path for path in sorted(Path("results/tiny").rglob("*.csv")) if sidecars.read(sidecar(path)).stage == stage
    ]
    assert tables
    for path in tables:
        report, table = Auditor(None, Path("results"))._trace_back(path.absolute()), table_of(path.absolute())
        about = [key for key in trace.KEYS if key in table]
        for row in table.drop_duplicates([*about, "panel"] if "panel" in table else about or None).index:
            lines = trace.lines(report, row)
            way = lines[1 : lines.index("jobs, from the data on:")]
            assert way, lines
            for line in way:
                rows = behind(line, table_of)
                for key in (
                    () if rows is None else ("explainer", "class", "quantity", "phase", "variant", "noise", "init")
                ):
                    if key in rows and pd.notna(table.at[row, key] if key in table else None):
                        value = table.at[row, key]
                        told = (
                            set(value.split(", "))
                            if str(value) not in set(rows[key]) and key == "explainer"
                            else {value}
                        )
                        assert told <= set(rows[key]), (row, line)
            seed = table.at[row, "seed"] if "seed" in table else None
            if seed is not None and stage == "summarize":
                assert all(f"/seed{seed}/" in line for line in way)


def test_a_claim_about_two_explainers_is_traced_to_the_rows_of_both(study):
    report = Auditor(None, Path("results")).audit([Path("results/tiny/tables/claims.csv")])[0]
    table = pd.read_csv("results/tiny/tables/claims.csv")
    row = table.index[table["claim"] == "Conjecture 1"][0]
    lines = trace.lines(report, row)
    assert table["explainer"][row] == "linear, linear_sgd"
    assert re.fullmatch(r"  results/tiny/digits/nulls\.csv 20 rows, 0 to \d+", lines[1])
    jobs = [line.strip().partition(": ")[0] for line in lines]
    assert {"null_models digits", "train digits seed 0", "prepare_data digits"} <= set(jobs)
    assert "simulate theorem1" not in jobs
    theorem = trace.lines(report, table.index[table["claim"] == "Theorem 1"][0])
    assert theorem[1].startswith("  results/tiny/simulations/theorem1.csv ") and len(theorem) == 6


def test_a_row_of_a_table_is_traced_by_the_command(study, audit):
    table = pd.read_csv(TABLE)
    row = table.index[(table["explainer"] == "linear_sgd") & (table["quantity"] == "mu")][0]
    verdict, said = audit("results/tiny/tables/table1.html", "--trace", row)
    assert verdict == "CURRENT"
    way = said.split("\n\n")[1].splitlines()
    assert way[0].startswith(
        f"{TABLE} row {row}: experiment digits, title Digits & friends, explainer linear_sgd, phase first"
    )
    found = int(re.match(r"  results/tiny/digits/phases\.csv row (\d+): ", way[1])[1])
    behind = pd.read_csv("results/tiny/digits/phases.csv").loc[found]
    assert all(behind[key] == table[key][row] for key in ("explainer", "phase", "quantity", "sign"))
    measures = pd.read_csv("results/tiny/digits/seed1/measures.csv")
    rows = measures[measures["explainer"] == "linear_sgd"]
    ends = (
        f"{len(rows)} rows, {rows.index[0]} to {rows.index[-1]}: mu from {rows['mu'].iloc[0]} to {rows['mu'].iloc[-1]}"
    )
    assert way[3] == f"    results/tiny/digits/seed1/measures.csv {ends}"
    jobs = way[way.index("jobs, from the data on:") + 1 :]
    assert jobs[0].startswith("  prepare_data digits: ") and jobs[-1].startswith("  tabulate table1: ")
    source = np.load("results/tiny/data/digits.npz")["source_hashes"][0]
    assert jobs[1] == f"    from {source.replace(' ', ', SHA-256 ')}"
    assert re.search(r" sklearn\.datasets\.load_digits, SHA-256 [0-9a-f]{64}$", jobs[1])


def test_a_wrong_call_is_one_clear_line(study, audit):
    (study / "empty").mkdir()
    rows = len(pd.read_csv(MEASURES))
    for arguments, words in [
        ([], "PATH is missing"),
        ([FIGURE, "--forse"], "unrecognized arguments: --forse"),
        ([FIGURE, "--configfile", "nowhere.yaml"], "--configfile nowhere.yaml: no such file"),
        ([FIGURE, "--configfile"], "--configfile: expected at least one argument"),
        ([FIGURE, "--config", "seeds"], "--config: Invalid config definition"),
        ([FIGURE, "--results", "nowhere"], "--results nowhere: no such folder"),
        (["empty"], "empty: no results lie there"),
        ([FIGURE, TABLE, "--trace", "0"], "--trace follows a row of one CSV: name one PATH"),
        ([MEASURES, "--trace", "x"], "argument --trace: invalid int value: 'x'"),
        ([MEASURES, "--trace", rows], f"{MEASURES}: it has rows 0 to {rows - 1}: there is no row {rows}"),
        ([MEASURES, "--trace", "-1"], "there is no row -1"),
        ([TRAJECTORY, "--trace", "0"], "not a table or figure: --trace follows a row of a CSV"),
        (["nowhere.csv", "--trace", "0"], "nowhere.csv: no such file: there is nothing to trace"),
    ]:
        verdict, said = audit(*arguments)
        assert verdict == "error" and words in said, (arguments, said)


def test_the_repair_is_a_command_that_repairs(study, audit):
    edit(TABLE, "linear_t0", "wreak")
    verdict, said = audit(TABLE)
    assert verdict == "TAMPERED"
    repair = said.splitlines()[-1].removeprefix("repair: ")
    done = subprocess.run(
        repair, shell=True, capture_output=True, text=True, env=os.environ | {"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr
    assert "tabulate" in done.stderr and "1 of 1 steps (100%) done" in done.stderr
    assert "wreak" not in Path(TABLE).read_text()
    assert audit(TABLE)[0] == "CURRENT"


def test_the_repair_of_results_elsewhere_names_folder_and_files(study, audit, monkeypatch, tmp_path):
    edit(MEASURES, "linear_t0,0,", "linear_t0,1,")
    moved = tmp_path / "it's here"
    shutil.move(study, moved)
    monkeypatch.chdir(ROOT)
    words = shlex.split(audit(moved / TABLE)[1].splitlines()[-1])
    assert words[:5] == ["repair:", *words[1:2], "--cores", "all", TABLE]
    assert words[5:] == [
        *("--forcerun", MEASURES),
        *("--directory", str(moved)),
        *("--configfile", os.path.relpath(moved / CONFIG)),
    ]
    done = subprocess.run([*words[1:], "--dry-run"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^measure +1$", done.stdout, re.M) and not re.search(r"^train +\d", done.stdout, re.M)


def test_a_folder_is_audited_with_each_file_hashed_once(study, audit, without_remakes, monkeypatch):
    hashed = []
    monkeypatch.setattr(hashing, "sha256", lambda path, sha256=hashing.sha256: hashed.append(path) or sha256(path))
    assert audit("results/tiny")[0] == "CURRENT"
    assert len(hashed) == len(set(hashed))
    assert set(hashed) == {path.absolute() for path in records.products(Path("results/tiny").absolute())}


def test_a_folder_is_stale_where_the_study_asks_for_more_than_lies_there(study, audit, without_remakes):
    config = copy.deepcopy(STUDY)
    config["experiments"]["more"] = config["experiments"]["sinusoid"] | {"title": "More", "seeds": [0]}
    Path(CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))
    reports = Auditor(None, Path("results")).audit([Path("results/tiny")])
    absent = {report.name: report.verdict for report in reports if not report.path.exists()}
    of_jobs = ["summary.csv", "phases.csv", "classes.csv", "order.csv", "nulls.csv"]
    of_seeds = [
        "trajectory.npz",
        "network.safetensors",
        "final.npz",
        "final.safetensors",
        "measures.csv",
        "classes.csv",
    ]
    names = [*of_jobs, *(f"seed0/{name}" for name in [*of_seeds, "explainers/linear_t0.npz"])]
    assert absent == {f"more/{name}": "STALE" for name in names}
    verdict, said = audit("results/tiny")
    assert verdict == "STALE"
    assert "STALE  train more seed 0: results/tiny/more/seed0/trajectory.npz: the study asks for it, and it is" in said
    assert said.splitlines()[-1].startswith("repair: ")
    assert audit("results/tiny/digits")[0] == "CURRENT", "of that folder nothing is missing"


def test_a_figure_that_was_deleted_with_its_sidecar_is_missed(study, audit, without_remakes):
    for path in Path("results/tiny/figures").glob("fig4.*"):
        path.unlink()
    for folder in ("results/tiny", "results", "results/tiny/figures"):
        verdict, said = audit(folder)
        assert verdict == "STALE" and f"STALE  plot fig4: {FIGURE}: the study asks for it, and it is not there" in said
        assert f" --forcerun {FIGURE} " in said
    assert audit("results/tiny/tables")[0] == "CURRENT"


@pytest.mark.parametrize("path", [FIGURE, MEASURES, TRAJECTORY, EXPLAINER, "results/tiny/data/sinusoid.npz"])
def test_a_key_that_is_not_that_of_its_job_is_tampered_whatever_its_seal(study, audit, without_remakes, path):
    beside = sidecar(path)
    for key in (sidecars.read(sidecar(TABLE)).key, "0" * 16, ""):
        sidecars.write(beside, sidecars.seal(plain(beside) | {"key": key}))
        verdict, said = audit(FIGURE)
        assert verdict == "TAMPERED" and f"{beside.name} has a key that is not that of its job" in said
    assert audit(TABLE)[0] == ("CURRENT" if path == FIGURE else "TAMPERED")


@pytest.mark.parametrize("linked", ["results", "results/tiny", "results/tiny/sinusoid", "results/tiny/sinusoid/seed0"])
def test_links_among_results_are_followed(study, audit, without_remakes, tmp_path, linked):
    there = tmp_path / "other disk"
    Path(linked).rename(there)
    Path(linked).symlink_to(there)
    Path("results/tiny/again").symlink_to(Path("results").absolute())
    verdict, said = audit("results")
    assert verdict == "CURRENT" and said.splitlines()[1] == "91 CURRENT"
    edit(MEASURES, "linear_t0,0,", "linear_t0,1,")
    verdict, said = audit("results/tiny/sinusoid")
    assert verdict == "TAMPERED" and f"{MEASURES}: these are not the bytes that it wrote" in said


def test_a_linked_file_is_audited_as_what_it_is(study, audit, without_remakes, tmp_path):
    moved = shutil.move(MEASURES, tmp_path / "measures.csv")
    Path(MEASURES).symlink_to(moved)
    assert audit(MEASURES)[0] == audit(TABLE)[0] == "CURRENT"


def test_a_planned_auto_is_the_device_that_was_used(study, audit):
    edit(CONFIG, "device: cpu", "device: auto")
    assert audit(TABLE, TRAJECTORY)[0] == "CURRENT"
    done = snakemake(Path.cwd(), "--dry-run", configfiles=(CONFIG,))
    assert done.returncode == 0 and counted(done.stderr) == {}, done.stderr
    edit(CONFIG, "device: auto", "device: cuda")
    verdict, said = audit(TRAJECTORY)
    assert verdict == "STALE" and "STALE  train sinusoid seed 0: device cpu -> cuda" in said
