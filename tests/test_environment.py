"""The pinned environments agree with each other and with what the code imports."""

import ast
import sys

import yaml
from packaging.markers import Marker

from tests.workflow import ROOT
from workflow_scripts.config.jobs import STAGES
from workflow_scripts.provenance import fingerprints
from workflow_scripts.provenance.definitions import DISTRIBUTIONS

#: recorders that plan and audit, and that no stage loads
NOT_OF_STAGES = tuple(f"workflow_scripts.{room}" for room in ("audit", "engine", "progress"))
JOB_PYTHON = {"python_full_version": "3.12.0", "sys_platform": "linux", "platform_machine": "x86_64"}


def pinned(python):
    """Distribution -> version that requirements.txt pins for a Python."""
    found = {}
    for line in (ROOT / "envs/requirements.txt").read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            requirement, _, marker = line.rstrip("\\ ").partition(";")
            name, version = requirement.strip().split("==")
            if not marker or Marker(marker.strip()).evaluate(python):
                found[name] = version
    return found


def conda_pins():
    dependencies = yaml.safe_load((ROOT / "envs/workflow.yaml").read_text())["dependencies"]
    return dict(line.split("==") for part in dependencies if isinstance(part, dict) for line in part["pip"])


def test_the_conda_environment_has_the_versions_of_the_requirements():
    versions = pinned(JOB_PYTHON)
    assert {name: versions[name] for name in conda_pins()} == conda_pins()


def test_the_conda_environment_has_everything_that_a_stage_imports():
    imported = set()
    sources = fingerprints.sources()
    every_kind = frozenset(path.stem for path in sources.paths.values())
    modules = {name for stage in STAGES for name in sources.modules(stage, every_kind)}
    for name in sorted(name for name in modules if not name.startswith(NOT_OF_STAGES)):
        path = sources.paths[name]
        if not path.is_file():
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split(".")[0] for name in names}
    third_party = imported - set(sys.stdlib_module_names) - {"workflow_scripts", "pydantic_core"}
    assert {DISTRIBUTIONS.get(name, name) for name in third_party} <= set(conda_pins())


def test_every_requirement_has_a_hash_and_names_no_host():
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / "envs" / name).read_text().splitlines()
        assert not [line for line in lines if "://" in line]
        pins = [index for index, line in enumerate(lines) if "==" in line and not line.startswith((" ", "#"))]
        assert len(pins) > 5 and all("--hash=sha256:" in lines[index + 1] for index in pins)
