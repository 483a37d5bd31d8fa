import ast
import sys
from types import ModuleType

import pytest

from workflow_scripts import provenance
from workflow_scripts.errors import StudyError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules: a stage and a library that it imports."""
    folder = tmp_path / provenance.PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "library.py").write_text("def double(x):\n    return 2 * x\n")
    (folder / "other.py").write_text("VALUE = 1\n")
    (folder / "stage.py").write_text(
        "import numpy as np\nfrom workflow_scripts import library\n\nVALUE = library.double(np.ones(1))\n"
    )
    monkeypatch.setattr(provenance, "ROOT", tmp_path)

    def fingerprint():
        provenance.code.cache_clear()
        provenance._module.cache_clear()
        return provenance.code("stage")

    yield folder, fingerprint
    provenance.code.cache_clear()
    provenance._module.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        "def double(x):\n    # twice\n    return 2 * x\n",
        '"""A library."""\n\n\ndef double(x):\n    """Twice x."""\n\n    return (2 * x)\n',
    ],
)
def test_comments_docstrings_and_layout_change_no_fingerprint(package, text):
    folder, fingerprint = package
    before = fingerprint()
    (folder / "library.py").write_text(text)
    assert fingerprint() == before


def test_behaviour_of_an_imported_module_changes_the_fingerprint_and_of_another_one_does_not(package):
    folder, fingerprint = package
    before = fingerprint()
    (folder / "other.py").write_text("VALUE = 2\n")
    assert fingerprint() == before
    (folder / "library.py").write_text("def double(x):\n    return 3 * x\n")
    assert fingerprint() != before


def test_a_library_version_changes_the_fingerprint_of_stages_that_import_it(package, monkeypatch):
    _, fingerprint = package
    before = fingerprint()
    monkeypatch.setattr(provenance.metadata, "version", lambda name: "0.0" if name == "torch" else "9.9")
    changed = fingerprint()
    assert changed != before
    monkeypatch.setattr(provenance.metadata, "version", lambda name: "0.1" if name == "torch" else "9.9")
    assert fingerprint() == changed, "the stage does not import torch"


@pytest.mark.parametrize(
    "line", ["import importlib\nimportlib.import_module('x')", "__import__('x')", "from . import library"]
)
def test_imports_that_a_closure_cannot_see_are_refused(package, line):
    folder, fingerprint = package
    (folder / "library.py").write_text(line + "\n")
    with pytest.raises(StudyError, match=r"library\.py:\d"):
        fingerprint()


def test_training_depends_on_networks_and_not_on_plots():
    provenance.code.cache_clear()
    imported, waiting = set(), [f"{provenance.PACKAGE}.train"]
    while waiting:
        name = waiting.pop()
        imported.add(name)
        found = provenance._module(name)[1]
        waiting += [other for other in found if other.startswith(provenance.PACKAGE) and other not in imported]
    assert {"workflow_scripts.networks", "workflow_scripts.config.training"} <= imported
    assert not imported & {f"workflow_scripts.{name}" for name in ("plot", "nulls", "uncertainty", "config.study")}


def test_modules_that_lie_about_their_place_are_not_ours(monkeypatch):
    liar = ModuleType("torch.classes")
    liar.__file__ = "_classes.py"
    monkeypatch.setitem(sys.modules, "liar", liar)
    monkeypatch.chdir(provenance.ROOT)
    assert provenance._first_party_name(liar) is None


def test_no_stage_unpickles():
    for path in provenance.ROOT.joinpath(provenance.PACKAGE).rglob("*.py"):
        names = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        assert not names & {
            f"{library}.{verb}" for library in ("torch", "pickle", "joblib") for verb in ("load", "loads")
        }
