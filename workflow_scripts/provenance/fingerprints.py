"""The fingerprint of all code that a stage runs."""

import ast
import functools
import hashlib
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

from workflow_scripts.config.errors import StudyError
from workflow_scripts.files import hashing

PACKAGE = "workflow_scripts"
ROOT = Path(__file__).resolve().parents[2]
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
    return hashing.of([modules, distributions])[:16]


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
