import ast
import copy
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from workflow_scripts.config import jobs
from workflow_scripts.config.errors import StudyError
from workflow_scripts.files import hashing, npz
from workflow_scripts.provenance import fingerprints, machine, sidecars
from workflow_scripts.provenance.definitions import DISTRIBUTIONS, Sources


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a stage, a module that it uses, and one that it doesn't."""
    folder = tmp_path / fingerprints.PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "library.py").write_text("def double(x):\n    return 2 * x\n")
    (folder / "other.py").write_text("VALUE = 1\n")
    (folder / "stage.py").write_text(
        "import numpy as np\nfrom workflow_scripts import library\n\n\nclass Config:\n    pass\n\n\n"
        "def run(config, inputs, outputs):\n    return library.double(np.ones(1))\n"
    )
    monkeypatch.setattr(fingerprints, "ROOT", tmp_path)
    monkeypatch.setattr(fingerprints, "sources", lambda root=None: Sources(tmp_path, fingerprints.PACKAGE, ("job",)))

    def fingerprint(**cfg):
        code = fingerprints.of_job("stage", cfg)
        return fingerprints.of(code["digest"], code["libraries"])

    return folder, fingerprint


def test_behaviour_of_a_module_that_is_used_changes_the_fingerprint_and_of_another_one_does_not(package):
    folder, fingerprint = package
    before = fingerprint()
    (folder / "other.py").write_text("VALUE = 2\n")
    (folder / "library.py").write_text('def double(x):\n    """Twice x."""\n    # twice\n    return (2 * x)\n')
    assert fingerprint() == before
    (folder / "library.py").write_text("def double(x):\n    return 3 * x\n")
    assert fingerprint() != before


def test_a_library_version_changes_the_fingerprint_of_stages_that_use_it(package, monkeypatch):
    _, fingerprint = package
    before = fingerprint()
    monkeypatch.setattr(metadata, "version", lambda name: "0.0" if name == "torch" else "9.9")
    changed = fingerprint()
    assert changed != before
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "torch" else "9.9")
    assert fingerprint() == changed, "the stage does not use torch"


@pytest.mark.parametrize(
    ("there", "line"),
    [
        ("helper.py", "import helper"),
        ("helper.py", "from helper import VALUE"),
        ("tools/__init__.py", "import tools"),
        ("tools/deep.py", "from tools.deep import VALUE"),
        ("tools/deep.py", "def double(x):\n    import tools.deep as deep"),
    ],
)
def test_code_of_this_repository_outside_the_package_is_refused(package, there, line):
    folder, fingerprint = package
    (folder / "library.py").write_text(f"def double(x):\n    return 2 * x\n\n\n{line}\n")
    fingerprint()
    path = folder.parent / there
    path.parent.mkdir(exist_ok=True)
    path.write_text("VALUE = 1\n")
    name = Path(there).parts[0].removesuffix(".py")
    with pytest.raises(StudyError, match=rf"library\.py:\d: {name} lies outside workflow_scripts: move it there"):
        fingerprint()


def test_code_is_told_by_definition_and_a_fingerprint_stands_for_it_and_each_library(package):
    _, fingerprint = package
    code = fingerprints.of_job("stage", {})
    assert {module: set(names) for module, names in code["definitions"].items()} == {
        "stage": {"run", "Config"},
        "library": {"double"},
    }
    assert all(re.fullmatch("[0-9a-f]{8}", told) for names in code["definitions"].values() for told in names.values())
    assert code["libraries"] == {"numpy": np.__version__}
    assert re.fullmatch("[0-9a-f]{16}", code["digest"]) and re.fullmatch("[0-9a-f]{16}", fingerprint())
    others = [("0" * 16, code["libraries"]), (code["digest"], {"numpy": "1.0"}), (code["digest"], {})]
    assert len({fingerprint(), *(fingerprints.of(*other) for other in others)}) == 4


@pytest.mark.parametrize(
    ("cfg", "named"),
    [
        ({}, set()),
        ({"network": {"kind": "mlp", "widths": [8]}}, {"mlp"}),
        ({"settings": {"network": {"kind": "linear"}, "fit": {"solver": "sgd"}}}, {"linear", "sgd"}),
        ({"shown": [{"kind": "cnn"}, [{"kind": "vit"}]]}, {"cnn", "vit"}),
        ({"kind": {"kind": "deep"}, "solver": None, "other": "mlp"}, {"deep"}),
    ],
)
def test_the_kinds_of_a_job_are_what_its_settings_name_anywhere(cfg, named):
    assert fingerprints.kinds(cfg) == named


def test_code_that_was_loaded_but_not_named_is_told(package, monkeypatch):
    folder, fingerprint = package
    fingerprint()
    for name in [name for name in sys.modules if name.startswith(fingerprints.PACKAGE)]:
        monkeypatch.setattr(sys.modules[name], "__file__", None)
    fingerprints.check_loaded("stage", {})
    loaded = ModuleType("other")
    loaded.__file__ = str(folder / "other.py")
    monkeypatch.setitem(sys.modules, "other", loaded)
    with pytest.raises(StudyError, match=r"^stage: it loaded workflow_scripts\.other, which .*; nothing was written$"):
        fingerprints.check_loaded("stage", {})


def test_modules_that_lie_about_their_place_are_not_ours(monkeypatch):
    liar = ModuleType("torch.classes")
    liar.__file__ = "_classes.py"
    monkeypatch.setitem(sys.modules, "liar", liar)
    monkeypatch.chdir(fingerprints.ROOT)
    assert fingerprints.first_party(liar) is None


def test_no_stage_unpickles():
    for path in fingerprints.ROOT.joinpath(fingerprints.PACKAGE).rglob("*.py"):
        names = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        assert not names & {
            f"{library}.{verb}" for library in ("torch", "pickle", "joblib") for verb in ("load", "loads")
        }


def test_the_key_of_a_job_stands_for_settings_code_and_the_bytes_read():
    job = {"stage": "plot", "cfg": {"a": 1, "b": 2}, "code": "f", "inputs": ["1", "2"], "bits": {"cpu": "avx"}}
    key = sidecars.key(**job)
    assert re.fullmatch("[0-9a-f]{16}", key)
    assert sidecars.key(**job | {"cfg": {"b": 2, "a": 1}}) == key
    others = [{"stage": "tabulate"}, {"cfg": {"a": 2, "b": 1}}, {"code": "g"}, {"inputs": ["2", "1"]}, {"bits": {}}]
    assert len({key, *(sidecars.key(**job | other) for other in others)}) == 6


def test_the_key_of_a_job_has_no_name_in_it():
    def key(cfg):
        return sidecars.key("measure", cfg, "f", ["1", "2"], {})

    cfg = {"wildcards": {"experiment": "a", "seed": "0"}, "inputs": {"data": ["data/x.npz"], "trajectory": ["a/0.npz"]}}
    other = {"wildcards": {"experiment": "b", "seed": "7"}, "inputs": {"data": ["y.npz"], "trajectory": ["/z/b.npz"]}}
    assert key(other) == key(cfg)
    assert key(other | {"lr": 0.1}) != key(cfg)
    fewer = {"data": ["data/x.npz"]}
    assert len({key(cfg | {"inputs": inputs}) for inputs in (cfg["inputs"], fewer, {"data": ["x", "y"]}, {})}) == 4


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_a_figure_carries_the_key_of_its_job(tmp_path, kind):
    from matplotlib.figure import Figure

    from workflow_scripts.drawing import style

    figure = Figure(figsize=(1, 1))
    outputs = {name: tmp_path / f"figure.{name}" for name in ("svg", "pdf", "png")}
    style.save(figure, key="0123456789abcdef", **outputs)
    assert sidecars.key_in(outputs[kind].read_bytes()) == "0123456789abcdef"
    assert sidecars.key_in(b"panel,x,y\n") is None


@pytest.fixture
def job(package, tmp_path, monkeypatch):
    """A job of the package above that reads x.npz and writes y.npz and z.csv: its sidecar as it lies on disk."""
    _, fingerprint = package
    fingerprint()
    places = {"y": "{experiment}/seed{seed}/y.npz", "z": "{experiment}/seed{seed}/z.csv"}
    monkeypatch.setitem(jobs.OF_STAGE, "stage", jobs.Stage(dict, dict, places))
    for name in ("y.npz", "z.csv"):
        (tmp_path / name).write_bytes(name.encode())

    def told():
        cfg = {"wildcards": {"experiment": "digits", "seed": "0"}, "inputs": {"x": ["digits/x.npz"]}, "lr": 0.1}
        outputs = {name: tmp_path / name for name in ("y.npz", "z.csv")}
        started = datetime.now(UTC) - timedelta(seconds=2)
        path = tmp_path / "y.npz.prov.json"
        read = [sidecars.Input("digits/x.npz", "a" * 64)]
        sidecars.write(path, sidecars.of_job("stage", cfg, read, outputs, {"cpu": "avx"}, started, "k"))
        return json.loads(path.read_text())

    return told


def test_a_sidecar_says_what_made_a_result(job, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    monkeypatch.setenv(machine.STUDY, '{"configfiles": ["mine.yaml"], "config": {"device": "cpu"}}')
    record = job()
    assert set(record) == {"schema", "seal", *sidecars.Sidecar.model_fields} - {"version", "is_sealed"}
    assert record["schema"] == 4
    read = sidecars.read(tmp_path / "y.npz.prov.json")
    assert (read.version, read.is_sealed, read.first) == (4, True, "y.npz")
    assert json.loads(read.model_dump_json(exclude={"version", "is_sealed"})) | {"schema": 4} == record
    assert (record["stage"], record["key"]) == ("stage", "k")
    assert record["wildcards"] == record["cfg"]["wildcards"] == {"experiment": "digits", "seed": "0"}
    assert record["cfg"]["lr"] == 0.1
    assert record["code"] == fingerprints.of_job("stage", record["cfg"])
    assert record["inputs"] == [["digits/x.npz", "a" * 64]]
    assert record["outputs"] == {name: hashing.sha256(tmp_path / name) for name in ("y.npz", "z.csv")}
    assert record["bits"] == {"cpu": "avx"}
    assert record["study"] == {"configfiles": ["mine.yaml"], "config": {"device": "cpu"}}
    assert record["snakemake"] == metadata.version("snakemake")
    assert record["argv"] == sys.orig_argv
    assert record["python"] == platform.python_version()
    assert record["distributions"]["torch"] == metadata.version("torch")
    assert set(record["distributions"]) == set(DISTRIBUTIONS.values())
    assert (record["host"], record["os"]) == (socket.gethostname(), platform.platform())
    assert record["user"] in (None, os.environ.get("USER"), subprocess.getoutput("id -un"))
    cpus = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else platform.processor()
    assert record["cpu"] is None or record["cpu"] in cpus
    assert record["threads"] and all(number >= 1 for number in record["threads"].values())
    assert record["slurm_job_id"] == "42"
    took = datetime.fromisoformat(record["ended"]) - datetime.fromisoformat(record["started"])
    assert timedelta(seconds=2) <= took < timedelta(seconds=30)
    assert abs(datetime.fromisoformat(record["ended"]) - datetime.now(UTC)) < timedelta(seconds=30)
    assert 20 < record["peak_memory_mib"] < 100_000


def test_what_a_sidecar_can_not_know_is_null(job, monkeypatch):
    for name in ("SLURM_JOB_ID", machine.STUDY, "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    record = job()
    unknown = {name for name, value in record.items() if value is None}
    of_no_run = {"slurm_job_id", "study", "snakemake", "user", "commit", "dirty", "gpu", "driver", "cuda"}
    assert unknown - {"cpu"} == of_no_run


def test_the_commit_is_that_of_the_project_alone(job, tmp_path, monkeypatch):
    def git(*arguments, folder=tmp_path):
        identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"]
        done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def said():
        record = job()
        return record["commit"], record["dirty"]

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert said() == (None, None), "no repository"
    git("init")
    git("add", "workflow_scripts")
    git("commit", "-m", "first")
    (tmp_path / ".git/info/exclude").write_text("*.npz\n*.csv\n*.json\n")
    assert said() == (git("rev-parse", "HEAD"), False)
    (tmp_path / "workflow_scripts/other.py").write_text("VALUE = 2\n")
    assert said() == (git("rev-parse", "HEAD"), True)
    inside = shutil.copytree(tmp_path / "workflow_scripts", tmp_path / "inside/workflow_scripts")
    monkeypatch.setattr(machine, "ROOT", inside.parent)
    assert said() == (None, None), "the repository around it says nothing of it"


@pytest.mark.gpu
def test_a_sidecar_names_the_gpu_that_was_used(job):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    torch.zeros(1, device="cuda")
    record = job()
    assert record["gpu"] == torch.cuda.get_device_name() and record["cuda"] == torch.version.cuda
    assert re.fullmatch(r"[0-9.]+", record["driver"])


def every_value(value, path=()):
    """The path of every value in plain data."""
    yield path
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from every_value(inner, (*path, name))


def test_the_seal_holds_all_that_a_sidecar_says(job, tmp_path):
    record = job()

    def is_sealed(told):
        return sidecars.seal(told) == told

    assert sidecars.read(tmp_path / "y.npz.prov.json").is_sealed and is_sealed(record)
    assert is_sealed(dict(reversed(record.items())))
    for *path, last in [path for path in every_value(record) if path]:
        edited = copy.deepcopy(record)
        inner = edited
        for name in path:
            inner = inner[name]
        inner[last] = "edited"
        assert not is_sealed(edited), (*path, last)
    assert not is_sealed(record | {"more": 1})
    for change in ({"more": 1}, {"user": "edited"}):
        sidecars.write(tmp_path / "edited.prov.json", record | change)
        assert not sidecars.read(tmp_path / "edited.prov.json").is_sealed
    sidecars.write(tmp_path / "edited.prov.json", sidecars.seal(record | {"user": "edited"}))
    assert sidecars.read(tmp_path / "edited.prov.json").is_sealed


@pytest.mark.parametrize(
    "content",
    [None, b"", b"\xff", b"null", b"[]", b'"text"', b"{}", b"[" * 100_000, b'{"schema": 3}', b'{"cfg": 1e999}'],
)
def test_a_sidecar_that_is_none_reads_as_none(tmp_path, content):
    path = tmp_path / "y.npz.prov.json"
    if content is not None:
        path.write_bytes(content)
    assert sidecars.read(path) is None
    assert sidecars.find(tmp_path / "z.csv") is None


def test_a_sidecar_with_a_wrong_or_missing_part_reads_as_none(job, tmp_path):
    record, path = job(), tmp_path / "edited.prov.json"
    for name in record:
        for edited in ({**record, name: [[0]]}, {key: value for key, value in record.items() if key != name}):
            sidecars.write(path, sidecars.seal(edited) if name != "seal" else edited)
            read = sidecars.read(path)
            assert read is None or (name == "seal" and edited.get(name) and not read.is_sealed), name
    for wrong in (
        {"schema": 1},
        {"cfg": record["cfg"] | {"lr": float("inf")}},
        {"cfg": record["cfg"] | {"inputs": {"x": "digits/x.npz"}}},
        {"cfg": record["cfg"] | {"inputs": ["digits/x.npz"]}},
        {"cfg": record["cfg"] | {"seeds": 3}},
        {"inputs": [["digits/x.npz", 3]]},
        {"inputs": [["digits/x.npz", "a"]]},
        {"inputs": [["digits/\0", "a" * 64]]},
        {"inputs": [["", "a" * 64]]},
        {"inputs": [["digits/x.npz"]]},
        {"inputs": {"digits/x.npz": "a" * 64}},
        {"outputs": {}},
        *({"outputs": {name: "a" * 64}} for name in ("", "/", ".", "..", "../y.npz", "/y.npz", "a/y.npz", "y\0.npz")),
        {"wildcards": {"experiment": "sinusoid"}},
        {"code": {**record["code"], "definitions": {"a": 1}}},
        {"code": {**record["code"], "definitions": {"a": {"b": 1}}}},
        {"code": {"fingerprint": "0" * 16, "modules": {}, "distributions": {}}},
        {"schema": 2},
        {"schema": 3},
        {"schema": 5},
        {"schema": "4"},
        {"study": {"configfiles": "mine.yaml", "config": {}}},
    ):
        sidecars.write(path, record | wrong)
        assert sidecars.read(path) is None, wrong
    sidecars.write(path, record | {"more": 1})
    assert sidecars.read(path), "a later version may say more"


def test_a_product_is_found_in_its_own_sidecar_or_in_that_of_its_job(job, tmp_path):
    job()
    beside = tmp_path / "y.npz.prov.json"
    record = sidecars.read(beside)
    (tmp_path / "a.csv.prov.json").write_text("damaged")
    for name in ("y.npz", "z.csv"):
        assert sidecars.find(tmp_path / name) == beside
        assert record.digest_of(tmp_path / name) == hashing.sha256(tmp_path / name)
    assert sidecars.find(tmp_path / "a.csv") == tmp_path / "a.csv.prov.json"
    assert sidecars.find(tmp_path / "other.csv") is None
    assert record.digest_of(tmp_path / "other.csv") is None


def test_a_hand_edited_input_is_refused_by_the_next_stage(tmp_path):
    def run(stage, *arguments):
        command = [sys.executable, "-m", f"workflow_scripts.{stage}", *map(str, arguments)]
        return subprocess.run(command, cwd=fingerprints.ROOT, capture_output=True, text=True)

    data, beside, explainer = tmp_path / "d.npz", tmp_path / "d.npz.prov.json", tmp_path / "made/linear.npz"
    source = {"kind": "sinusoid", "train": 60, "test": 40, "dimension": 3}
    cfg = hashing.canonical_json({"source": source, "wildcards": {"dataset": "d"}})
    done = run("prepare_data", "--cfg", cfg, "--data", data, "--provenance", beside)
    assert done.returncode == 0, done.stderr
    arrays = dict(np.load(data))
    arrays["train_labels"] = 1 - arrays["train_labels"]
    npz.save(data, **arrays)
    settings = {"labels": "true"}
    cfg = {"settings": settings, "task": {"dataset": "d"}, "device": "cpu", "wildcards": {"explainer": "linear"}}
    fit = ("distill", "--cfg", hashing.canonical_json(cfg), "--data", data, "--explainer", explainer)
    done = run(*fit)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr == (
        f"error: {data}: these are not the bytes that the job that made it wrote (d.npz.prov.json): "
        f"python -m workflow_scripts.audit {data} prints what makes it again; "
        "or remove d.npz.prov.json if you mean to use them\n"
    )
    assert not list(tmp_path.rglob("made/*"))
    beside.unlink()
    assert run(*fit).returncode == 0, "with its sidecar removed, it is used"
