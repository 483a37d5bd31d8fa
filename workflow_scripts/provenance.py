"""What a result was made from: the fingerprint of a stage's code, and the sidecar beside its products."""

import ast
import functools
import getpass
import hashlib
import json
import os
import platform
import re
import resource
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import BaseModel, Field
from threadpoolctl import threadpool_info

from workflow_scripts import files
from workflow_scripts.errors import StudyError

SCHEMA = 2
SUFFIX = ".prov.json"
PACKAGE = "workflow_scripts"
ROOT = Path(__file__).resolve().parent.parent

#: imported top-level name -> distribution whose version can change a result
DISTRIBUTIONS = {
    "PIL": "pillow",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pandas": "pandas",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "torchvision": "torchvision",
}

#: modules that have no part in what a job makes: an edit of theirs reruns nothing
RECORDERS = (f"{PACKAGE}.locks", f"{PACKAGE}.provenance")

Told = Annotated[str, Field(pattern=r"^[^\x00]{1,1000}$")]


class Code(BaseModel, strict=True):
    """All code of a stage: module -> hash of what it does, distribution -> version, and the fingerprint of both."""

    fingerprint: str
    modules: dict[str, str]
    distributions: dict[str, str]


class Origin(BaseModel, strict=True):
    """What Snakemake ran with: its config files (none: the default study), and the values of --config."""

    configfiles: list[Told]
    config: dict[str, Any]


class Sidecar(BaseModel, strict=True):
    """What a job tells of itself beside its products; None: unknown. On disk and in code it is plain data."""

    stage: Annotated[str, Field(pattern="^[a-z_]{1,40}$")]
    wildcards: dict[str, str]
    cfg: dict[str, Any]
    code: Code
    key: str
    inputs: dict[Told, str]
    outputs: Annotated[dict[Told, str], Field(min_length=1)]
    study: Origin | None
    snakemake: str | None
    commit: str | None
    dirty: bool | None
    argv: list[str]
    python: str
    distributions: dict[str, str]
    host: str
    user: str | None
    os: str
    cpu: str | None
    gpu: str | None
    driver: str | None
    cuda: str | None
    threads: dict[str, int]
    slurm_job_id: str | None
    started: str
    ended: str
    peak_memory_mib: int
    seal: str


_DYNAMIC = ("__import__", "import_module", "run_path", "run_module", "spec_from_file_location")


@functools.cache
def code(stage: str) -> dict:
    """All code that a stage runs: fingerprint, and what it is the hash of, module -> hash and distribution -> version.

    Modules are the first-party import closure of the stage, normalised so that comments, docstrings, blank lines and
    formatting don't count. Raises StudyError on an import that such a closure can't see.
    """
    modules, distributions = {}, {}
    waiting = [f"{PACKAGE}.{stage}"]
    while waiting:
        name = waiting.pop()
        if name in modules or name in RECORDERS:
            continue
        digest, imported = _module(name)
        modules[name] = digest
        waiting += [other for other in imported if other.split(".")[0] == PACKAGE]
        for other in imported:
            distribution = DISTRIBUTIONS.get(other.split(".")[0])
            if distribution:
                distributions[distribution] = metadata.version(distribution)
    return {"fingerprint": fingerprint(modules, distributions), "modules": modules, "distributions": distributions}


def fingerprint(modules: dict[str, str], distributions: dict[str, str]) -> str:
    """The 16 hex digits that stand for a stage's code."""
    return digest([modules, distributions])[:16]


def key(stage: str, cfg: dict, fingerprint: str, inputs: dict[Path, str]) -> str:
    """The 16 hex digits that stand for a job: its settings, its code and the bytes that it reads. Figures carry it."""
    return digest([stage, cfg, fingerprint, list(inputs.values())])[:16]


def key_in(content: bytes) -> str | None:
    """The key that a figure's PDF, PNG or SVG carries in its metadata."""
    found = re.search(rb"provenance key ([0-9a-f]{16})", content)
    return found[1].decode() if found else None


def digest(value) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(files.canonical_json(value).encode()).hexdigest()


def seal(record: dict) -> str:
    """The digest of all that a sidecar says: it no longer fits once any of it is edited."""
    return digest({name: value for name, value in record.items() if name != "seal"})


def is_sealed(record: dict) -> bool:
    """Whether a sidecar is as it was written."""
    return seal(record) == record["seal"]


def module_digest(root: Path, module: str) -> str | None:
    """What `code` tells of a module, for a copy of this repository; None where that can't be read."""
    try:
        return _normalised_digest(ast.parse(_file(root, module).read_bytes()))
    except (OSError, SyntaxError, ValueError):
        return None


def check_imports(stage: str) -> None:
    """Raise StudyError if this process has loaded first-party code outside the stage's import closure."""
    known = {*code(stage)["modules"], *RECORDERS}
    loaded = {name for module in list(sys.modules.values()) if (name := _first_party_name(module))}
    outside = sorted(loaded - known)
    if outside:
        raise StudyError(
            f"{stage}: it loaded {outside[0]}, which none of its modules imports by name: import it by name, so that a "
            "change of it is noticed; nothing was written"
        )


def check_inputs(inputs: dict[Path, str]) -> None:
    """Raise StudyError if an input's bytes are not those that the job that made it wrote; inputs: path -> SHA-256."""
    for path, found in inputs.items():
        beside = find(path)
        if beside and told(read(beside), path) != found:
            raise StudyError(
                f"{path}: these are not the bytes that the job that made it wrote ({beside.name}): "
                f"python -m {PACKAGE}.audit {path} prints what makes it again; "
                f"or remove {beside.name} if you mean to use them"
            )


def sidecar(
    stage: str, cfg: dict, inputs: dict[Path, str], outputs: dict[Path, Path], started: datetime, key: str
) -> dict:
    """The provenance of a finished job: inputs, path -> SHA-256; outputs, path -> where its bytes lie now."""
    now = datetime.now(UTC)
    record = {
        "schema": SCHEMA,
        "stage": stage,
        "wildcards": cfg["wildcards"],
        "cfg": cfg,
        "code": code(stage),
        "key": key,
        "inputs": {str(path): digest for path, digest in inputs.items()},
        "outputs": {str(path): files.sha256(there) for path, there in outputs.items()},
        "study": _study(),
        "snakemake": _snakemake(),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if (changes := _git("status", "--porcelain")) is None else bool(changes),
        "argv": sys.orig_argv,
        "python": platform.python_version(),
        "distributions": {name: metadata.version(name) for name in sorted(DISTRIBUTIONS.values())},
        "host": socket.gethostname(),
        "user": _user(),
        "os": platform.platform(),
        "cpu": _cpu(),
        **_gpu(),
        "threads": _threads(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        "started": started.isoformat(timespec="milliseconds"),
        "ended": now.isoformat(timespec="milliseconds"),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _maxrss_per_mib()),
    }
    return {**record, "seal": seal(record)}


def write(path: Path, record: dict) -> None:
    """Write a sidecar as indented JSON."""
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def find(path: Path) -> Path | None:
    """The sidecar beside a product that speaks of it: its own, or that of another product of the same job."""
    own = path.with_name(path.name + SUFFIX)
    if own.is_file():
        return own
    others = sorted(path.parent.glob(f"*{SUFFIX}"))
    return next((other for other in others if (record := read(other)) and told(record, path)), None)


def told(record: dict | None, path: Path) -> str | None:
    """The SHA-256 that a sidecar tells of a product in its folder."""
    outputs = record["outputs"] if record else {}
    return next((digest for product, digest in outputs.items() if Path(product).name == path.name), None)


def read(path: Path) -> dict | None:
    """A sidecar, or None where there is none that can be read and has this schema."""
    try:
        record = json.loads(path.read_bytes())
        Sidecar.model_validate(record)
        files.canonical_json(record)
    except (OSError, ValueError, RecursionError):
        return None
    sound = record.get("schema") == SCHEMA and record["cfg"].get("wildcards") == record["wildcards"]
    return record if sound else None


@functools.cache
def _module(name: str) -> tuple[str, list[str]]:
    """Hash of a first-party module's normalised syntax tree, and the modules it imports."""
    path = _file(ROOT, name)
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except FileNotFoundError:
        raise StudyError(f"{path}: no such module, but a stage needs it: put it back") from None
    except SyntaxError as error:
        raise StudyError(f"{path}:{error.lineno}: not valid Python ({error.msg}): mend it") from None
    imported = [name.rpartition(".")[0]] if "." in name else []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise StudyError(f"{path}:{node.lineno}: relative import: name the module in full, so it is tracked")
            imported.append(node.module)
            imported += [f"{node.module}.{alias.name}" for alias in node.names if _is_module(node.module, alias.name)]
        elif isinstance(node, ast.Call) and _is_dynamic(ast.unparse(node.func)):
            raise StudyError(f"{path}:{node.lineno}: dynamic import: import by name, so that the module is tracked")
        if isinstance(node, ast.Import | ast.ImportFrom) and (stray := _stray(node)):
            raise StudyError(f"{path}:{node.lineno}: {stray} lies outside {PACKAGE}: move it there, so it is tracked")
    return _normalised_digest(tree), imported


def _file(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _normalised_digest(tree: ast.Module) -> str:
    """Hash of a syntax tree without its docstrings, which are taken out of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_dynamic(function: str) -> bool:
    return function in ("exec", "eval") or function.split(".")[-1] in _DYNAMIC


def _stray(node: ast.Import | ast.ImportFrom) -> str | None:
    """An imported top-level module of this repository that is not in the package."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
    tops = {name.split(".")[0] for name in names} - {PACKAGE}
    return next((top for top in tops if (ROOT / f"{top}.py").is_file() or (ROOT / top).is_dir()), None)


def _is_module(package: str, name: str) -> bool:
    if package.split(".")[0] != PACKAGE:
        return False
    path = ROOT.joinpath(*package.split("."), name)
    return path.is_dir() or path.with_suffix(".py").is_file()


def _first_party_name(module: ModuleType) -> str | None:
    """The dotted name of a module that lies in this repository; __main__ gets its real name."""
    path = Path(getattr(module, "__file__", None) or "")
    if not path.is_absolute() or not path.is_relative_to(ROOT) or path.is_relative_to(Path(sys.prefix).absolute()):
        return None
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _study() -> dict | None:
    """The config files and --config values that Snakemake ran with; None for a stage run by hand."""
    given = os.environ.get("STUDY")
    return json.loads(given) if given else None


def _snakemake() -> str | None:
    """The version of Snakemake; None for a stage run by hand, or where its environment has none."""
    try:
        return metadata.version("snakemake") if _study() else None
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    """What git says of this repository; None without git, or where the project is only a folder inside another one."""

    def said(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()

    try:
        return said(*arguments) if Path(said("rev-parse", "--show-toplevel")).samefile(ROOT) else None
    except (OSError, subprocess.SubprocessError):
        return None


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


def _gpu() -> dict[str, str | None]:
    """The CUDA device that this process used, if it used one, its driver, and the CUDA version of PyTorch."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return dict.fromkeys(("gpu", "driver", "cuda"))
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        driver = None
    return {"gpu": torch.cuda.get_device_name(), "driver": driver, "cuda": torch.version.cuda}


def _threads() -> dict[str, int]:
    """Threads by library, of those that this process has loaded."""
    threads = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
    torch = sys.modules.get("torch")
    return threads | ({} if torch is None else {"torch": torch.get_num_threads()})


def _maxrss_per_mib() -> int:
    return 1 << 20 if sys.platform == "darwin" else 1 << 10
