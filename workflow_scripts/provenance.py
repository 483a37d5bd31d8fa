"""What a result was made from: the code fingerprint of a stage, and the sidecar that is written beside its products."""

import ast
import functools
import getpass
import hashlib
import json
import os
import platform
import resource
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from workflow_scripts import files
from workflow_scripts.errors import StudyError

SCHEMA = 1
PACKAGE = "workflow_scripts"
ROOT = Path(__file__).resolve().parent.parent

#: imported top-level name -> distribution whose version can change a result
DISTRIBUTIONS = {
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pandas": "pandas",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "torchvision": "torchvision",
}


@functools.cache
def code(stage: str) -> str:
    """Fingerprint of all code that the stage runs: canonical JSON of module -> hash and distribution -> version.

    Modules are the first-party import closure of the stage, normalised so that comments, docstrings, blank lines and
    formatting don't count. Raises StudyError on a dynamic import, which such a closure can't see.
    """
    modules, distributions = {}, {}
    waiting = [f"{PACKAGE}.{stage}"]
    while waiting:
        name = waiting.pop()
        if name in modules:
            continue
        digest, imported = _module(name)
        modules[name] = digest
        waiting += [other for other in imported if other.split(".")[0] == PACKAGE]
        for other in imported:
            distribution = DISTRIBUTIONS.get(other.split(".")[0])
            if distribution:
                distributions[distribution] = metadata.version(distribution)
    return hashlib.sha256(files.canonical_json([modules, distributions]).encode()).hexdigest()[:16]


def sidecar(stage: str, cfg: dict, inputs: list[Path], outputs: dict[Path, Path], started: datetime) -> dict:
    """The provenance of a finished job; outputs maps each final path to where its bytes lie now."""
    return {
        "schema": SCHEMA,
        "stage": stage,
        "cfg": cfg,
        "code": code(stage),
        "command": [Path(sys.executable).name, "-m", f"{PACKAGE}.{stage}", *sys.argv[1:]],
        "inputs": {str(path): files.sha256(path) for path in inputs},
        "outputs": {str(path): files.sha256(there) for path, there in outputs.items()},
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if (changes := _git("status", "--porcelain")) is None else bool(changes),
        "python": platform.python_version(),
        "distributions": {name: metadata.version(name) for name in sorted(DISTRIBUTIONS.values())},
        "host": socket.gethostname(),
        "user": _user(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "gpu": _gpu(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        "started": started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _maxrss_per_mib()),
    }


@functools.cache
def _module(name: str) -> tuple[str, list[str]]:
    """Hash of a first-party module's normalised syntax tree, and the modules it imports."""
    path = ROOT.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_bytes(), filename=str(path))
    imported = [name.rpartition(".")[0]] if "." in name else []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise StudyError(f"{path}:{node.lineno}: relative import: name the module in full, so it is tracked")
            imported.append(node.module)
            imported += [f"{node.module}.{alias.name}" for alias in node.names if _is_module(node.module, alias.name)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("__import__", "import_module"):
            raise StudyError(f"{path}:{node.lineno}: dynamic import: import by name, so that the module is tracked")
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


def _is_module(package: str, name: str) -> bool:
    if package.split(".")[0] != PACKAGE:
        return False
    path = ROOT.joinpath(*package.split("."), name)
    return path.is_dir() or path.with_suffix(".py").is_file()


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return None


def _cpu() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def _gpu() -> dict | None:
    """The CUDA device that this process used, if it used one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return {"name": torch.cuda.get_device_name(), "cuda": torch.version.cuda}


def _maxrss_per_mib() -> int:
    return 1 << 20 if sys.platform == "darwin" else 1 << 10


def write(path: Path, record: dict) -> None:
    """Write a sidecar as indented JSON."""
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
