"""A job runs the code that its fingerprint tells of, and libraries that compute as they do everywhere."""

import os
import py_compile
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow import ROOT
from workflow_scripts import SWITCHES


@pytest.fixture
def project(tmp_path):
    """A copy of the package with a module that tells a number."""
    shutil.copytree(ROOT / "workflow_scripts", tmp_path / "workflow_scripts", ignore=shutil.ignore_patterns("__pyc*"))
    tells(tmp_path, 1)
    return tmp_path


def tells(project: Path, number: int) -> Path:
    """Let the module tell this number, without a change of size or time."""
    path = project / "workflow_scripts" / "measures" / "told.py"
    path.write_text(f"NUMBER = {number}\n")
    os.utime(path, (1, 1))
    return path


def said(project: Path, code: str) -> str:
    """What Python says in the folder of a project."""
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout.strip()


READ = "from workflow_scripts.provenance import modules, loading; from pathlib import Path; import os;"
PATH = "path = loading.ROOT / 'workflow_scripts/measures/told.py';"
EDIT = "path.write_text('NUMBER = 2\\n'); os.utime(path, (1, 1));"
HASH = "hashed = modules._parsed(path).body[0].value.value;"
IMPORT = "from workflow_scripts.measures import told;"


@pytest.mark.parametrize("order", [HASH + EDIT + IMPORT, IMPORT + EDIT + HASH, EDIT + IMPORT + HASH])
def test_what_is_compiled_is_what_is_hashed_whenever_the_file_is_edited(project, order):
    hashed, compiled = said(project, READ + PATH + order + "print(hashed, told.NUMBER)").split()
    assert hashed == compiled


def test_bytecode_of_another_version_is_not_used(project):
    path = tells(project, 7)
    py_compile.compile(str(path), doraise=True)
    tells(project, 8)
    assert said(project, "from workflow_scripts.measures import told; print(told.NUMBER)") == "8"


def test_no_bytecode_is_written(project):
    said(project, IMPORT)
    assert not (project / "workflow_scripts" / "measures" / "__pycache__").exists()


@pytest.mark.parametrize("name", ["random.py", "numpy/__init__.py", "scipy/__init__.py", "json.py", "pandas.py"])
def test_a_namesake_of_a_library_in_the_working_folder_is_not_run(tmp_path, name):
    shadow = tmp_path / name
    shadow.parent.mkdir(exist_ok=True)
    shadow.write_text("raise SystemExit('it was run')\n")
    command = [sys.executable, "-P", "-m", "workflow_scripts.simulate", "--help"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr


def test_every_rule_starts_python_without_the_working_folder():
    for path in sorted((ROOT / "rules").glob("*.smk")):
        calls = path.read_text().count("python ")
        assert calls == path.read_text().count("python -P -m workflow_scripts."), path


def test_a_library_from_elsewhere_is_refused(tmp_path):
    (tmp_path / "scipy").symlink_to(Path(__import__("scipy").__file__).parent)
    shutil.copy(__import__("bisect").__file__, tmp_path / "bisect.py")
    code = (
        "import sys; {}import workflow_scripts, scipy, bisect;"
        "from workflow_scripts.provenance import fingerprints; fingerprints.check_libraries({{'scipy': '1'}})"
    )
    clean = [sys.executable, "-P", "-c", code.format("")]
    shadowed = [sys.executable, "-P", "-c", code.format(f"sys.path.insert(0, {str(tmp_path)!r});")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(clean, env=environment).returncode == 0
    (tmp_path / "scipy").unlink()
    done = subprocess.run(shadowed, capture_output=True, text=True, env=environment)
    assert "errors.Foreign" in done.stderr and str(tmp_path / "bisect.py") in done.stderr


def test_switches_of_libraries_are_off():
    names = [f"{switch}{random.Random(0).choice(['MAX_CPU_ISA', 'CORETYPE', 'X'])}" for switch in SWITCHES]
    code = f"import workflow_scripts, os; print([name for name in {names} if name in os.environ])"
    environment = os.environ | dict.fromkeys(names, "1")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("switch", ["ATEN_CPU_CAPABILITY=default", "ONEDNN_MAX_CPU_ISA=SSE41", "MKL_CBWR=COMPATIBLE"])
def test_a_switch_changes_no_bit(switch):
    code = (
        "import workflow_scripts, torch; torch.manual_seed(0); x = torch.randn(64, 3, 28, 28); "
        "y = torch.conv2d(x, torch.randn(8, 3, 5, 5)).exp().sum(0) @ torch.randn(24, 24); "
        "import hashlib; print(hashlib.sha256(y.numpy().tobytes()).hexdigest())"
    )
    name, value = switch.split("=")
    bare = {key: of for key, of in os.environ.items() if key != name}
    said = [
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment).stdout
        for environment in (bare, bare | {name: value})
    ]
    assert said[0] == said[1] != ""
