"""How modules of this package are loaded: from their source as it was when it was first read, from nothing else.

So the source that is compiled is the one that is hashed: a file that is edited while a job waits, or bytecode of
another version of it, can't make a job run code that its fingerprint doesn't tell of.
"""

import functools
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "workflow_scripts"


class Loader(SourceFileLoader):
    """Compiles what `source` gives; no bytecode is read or written."""

    def get_code(self, fullname: str):
        """The code of a module."""
        return compile(source(Path(self.path)), self.path, "exec", dont_inherit=True)


class Finder(PathFinder):
    """Finds the modules of this package."""

    @classmethod
    def find_spec(cls, fullname: str, path=None, target=None) -> ModuleSpec | None:
        """The module's place, with a loader of ours; None for modules of others."""
        if not fullname.startswith(f"{PACKAGE}."):
            return None
        spec = super().find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader, spec.cached = Loader(fullname, spec.origin), None
        return spec


@functools.cache
def source(path: Path) -> bytes:
    """The bytes of a source file, the same however often they are asked for."""
    return path.read_bytes()


def install() -> None:
    """Load what is imported from now on in this way, and tell of what can't be imported in one line."""
    sys.excepthook = tell
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)


def tell(kind: type[BaseException], error: BaseException, trace) -> None:
    """End a command whose modules can't be imported, such as where libraries are absent; show other errors as ever."""
    if not issubclass(kind, (ImportError, SyntaxError)):
        sys.__excepthook__(kind, error, trace)
        return
    from workflow_scripts.config import calls, endings  # here: they are loaded in this way too

    at = Path(sys.argv[0])
    print(endings.said(error, at.parent.name if at.stem == "__main__" else at.stem), file=sys.stderr, flush=True)
    os._exit(calls.MISTAKE)  # 1 would be an answer of the audit's
