"""On the path of the jobs of a test: each stage writes down which definitions of this project it executed, to $TRACED.

A code object stands for the top-level definition of its module that holds its line: `training.sgd.evaluate`.
"""

import ast
import atexit
import functools
import json
import os
import sys
import threading
from pathlib import Path


def install(package: Path, folder: Path) -> None:
    """Follow all calls of this process, and write them down when it ends."""
    codes = set()

    def profile(frame, event, _) -> None:
        if event == "call" and frame.f_code not in codes:
            codes.add(frame.f_code)

    def write() -> None:
        sys.setprofile(None)
        names = {name for code in codes if (name := definition(package, code.co_filename, code))}
        about = {"argv": sys.argv, "executed": sorted(names)}
        (folder / f"{os.getpid()}.json").write_text(json.dumps(about))

    atexit.register(write)
    threading.setprofile(profile)
    sys.setprofile(profile)


def definition(package: Path, filename: str, code) -> tuple[str, str] | None:
    """Module and name of the top-level definition that a code object belongs to; None for code of others."""
    path = Path(filename)
    if not path.is_relative_to(package) or code.co_name == "<module>":
        return None
    for node in statements(path):
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        if first <= code.co_firstlineno <= node.end_lineno:
            module = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
            return module, name_of(node)
    return None


@functools.cache
def statements(path: Path) -> list[ast.stmt]:
    """The top-level statements of a module."""
    return ast.parse(path.read_bytes()).body


def name_of(node: ast.stmt) -> str:
    """What a top-level statement defines; its line where it defines nothing."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return next((target.id for target in targets if isinstance(target, ast.Name)), f"line {node.lineno}")


if "TRACED" in os.environ and "-m" in sys.orig_argv:
    stage = next((word for word in sys.orig_argv if word.startswith("workflow_scripts.")), None)
    if stage and "--cfg" in sys.orig_argv:
        root = Path(os.environ["TRACED_PACKAGE"])
        install(root, Path(os.environ["TRACED"]))
