"""On the path of the jobs of a test: stages write down which definitions of this project they executed, to $TRACED.

Of jobs with the same code and experiment only the first does.

A code object stands for the top-level definition of its module that holds its line: `training.sgd.evaluate`. What only
runs when a module is loaded, such as the body of a class, is none.
"""

import ast
import atexit
import functools
import inspect
import itertools
import json
import os
import sys
import threading
from pathlib import Path

COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


def install(package: Path, folder: Path) -> None:
    """Follow all calls of this process, in every thread, and write them down when it ends."""
    from cProfile import Profile  # here: no other process of a test has to load it

    profiles = []

    def follow(*_) -> None:
        profiles.append(Profile(builtins=False))
        profiles[-1].enable()

    def write() -> None:
        threading.setprofile(None)
        profiles[0].disable()
        codes = {entry.code for profile in profiles for entry in profile.getstats() if not isinstance(entry.code, str)}
        names = {name for code in codes if (name := definition(package, code))}
        about = {"argv": sys.argv, "executed": sorted(names)}
        (folder / f"{os.getpid()}.json").write_text(json.dumps(about))

    atexit.register(write)
    threading.setprofile(follow)
    follow()


def definition(package: Path, code) -> tuple[str, str] | None:
    """Module and name of the top-level definition that a code object belongs to; None for code of others."""
    path = Path(code.co_filename)
    if not path.is_relative_to(package) or loads(code):
        return None
    for node in statements(path):
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        if first <= code.co_firstlineno <= node.end_lineno:
            module = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
            return module, name_of(node)
    return None


def loads(code) -> bool:
    """Whether code is that of a module or of the body of a class, or a comprehension in one of them."""
    return not code.co_flags & inspect.CO_OPTIMIZED or (
        code.co_name in COMPREHENSIONS and "<locals>" not in code.co_qualname
    )


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


def is_first(folder: Path, words: list[str]) -> bool:
    """Whether no job of the same stage, code and experiment is followed yet; those of other seeds do the same."""
    stage = next((word for word in words if word.startswith("workflow_scripts.")), None)
    if not stage or "--cfg" not in words:
        return False
    told = dict(itertools.pairwise(words))
    experiment = json.loads(told["--cfg"])["wildcards"].get("experiment", "")
    try:
        (folder / f"{stage} {told['--code']} {experiment}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


if "TRACED" in os.environ and "-m" in sys.orig_argv and is_first(Path(os.environ["TRACED"]), sys.orig_argv):
    install(Path(os.environ["TRACED_PACKAGE"]), Path(os.environ["TRACED"]))
