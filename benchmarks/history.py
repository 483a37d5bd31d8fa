"""What the commits of this repository would have rerun, by each way to tell whether a stage's code has changed.

python -m benchmarks.history [--commits 100] [--stage train]

Of each commit that touches the package, every stage's code is compared with that of the commit before: by modules
(those that the stage imports, and those that they import, without comments and docstrings), by the same modules without
what only people read, and by definitions. A stage that can't be analysed before or after counts as changed.
"""

import argparse
import ast
import functools
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from workflow_scripts.config.errors import StudyError
from workflow_scripts.provenance.definitions import Sources
from workflow_scripts.provenance.text import WHOLE, Node

PACKAGE = "workflow_scripts"
ROOT = Path(__file__).resolve().parent.parent
#: modules and packages that have no part in what a job makes; by modules, the command shell was not among them
RECORDERS = ("stage", "locks", "provenance", "job", "engine", "config.kinds")
NO_PART = (f"{PACKAGE}.locks", f"{PACKAGE}.provenance")
WAYS = ("modules", "modules without messages", "definitions")


class History(Sources):
    """Sources of an old commit: a stage without `run` or `Config` counts whole."""

    def roots(self, stage: str) -> list[Node]:
        """Where a stage's code starts."""
        name = f"{self.package}.{stage}"
        has_both = {"run", "Config"} <= self.module(name, name).statements.keys()
        return super().roots(stage) if has_both else [Node(name, WHOLE)]


class WithoutMessages(ast.NodeTransformer):
    """Takes what only people read out of a syntax tree: texts of errors, log lines, descriptions, help."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Without a cause."""
        self.generic_visit(node)
        return ast.Raise(node.exc, None)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """None of a logger's calls."""
        called = ast.unparse(node.value.func) if isinstance(node.value, ast.Call) else ""
        return None if called.startswith(("log.", "logging.")) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Errors without arguments, and no descriptions."""
        self.generic_visit(node)
        name = ast.unparse(node.func).rpartition(".")[2]
        if name.endswith(("Error", "Exception", "Warning")):
            return ast.Call(node.func, [], [])
        if name in ("Field", "add_argument", "ArgumentParser"):
            texts = ("description", "title", "examples", "help", "epilog")
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in texts]
        return node


class Tree:
    """The package at one commit."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.sources = History(folder, PACKAGE, RECORDERS)
        config = folder / "config.yaml"
        self._digests: dict[tuple[str, bool], tuple[str, list[str]]] = {}
        self.kinds = frozenset(_kinds(yaml.safe_load(config.read_bytes()) if config.is_file() else {}))

    def stages(self) -> set[str]:
        """Modules at the top of the package that hand their `run` to the command shell."""
        paths = (self.folder / PACKAGE).glob("*.py")
        return {path.stem for path in paths if re.search(r"\.main\(\s*run,", path.read_text())}

    def code(self, stage: str, way: str) -> object:
        """What stands for a stage's code; a StudyError if it can't be analysed."""
        try:
            if way != "definitions":
                return self.modules(stage, messages=way == "modules")
            code = self.sources.code(stage, self.kinds)
            return code["digest"], sorted(code["libraries"])
        except (StudyError, SyntaxError, OSError, RecursionError) as error:
            return StudyError(f"{way}: {error}".replace(f"{self.folder}/", ""))

    def definitions(self, stage: str) -> dict[str, str]:
        """The definitions of a stage, by module and name."""
        definitions = self.sources.code(stage, self.kinds)["definitions"]
        return {f"{module}.{name}": digest for module, names in definitions.items() for name, digest in names.items()}

    def modules(self, stage: str, messages: bool) -> dict[str, str]:
        """The digests of all modules that a stage imports, and those that these import."""
        found, waiting = {}, [f"{PACKAGE}.{stage}"]
        while waiting:
            name = waiting.pop()
            if name not in found and not f"{name}.".startswith(tuple(f"{other}." for other in NO_PART)):
                if (name, messages) not in self._digests:
                    self._digests[name, messages] = self._module(name, messages)
                found[name], imported = self._digests[name, messages]
                waiting += imported
        return found

    def _module(self, name: str, messages: bool) -> tuple[str, list[str]]:
        tree = ast.parse(self.sources.paths[name].read_bytes() if name in self.sources.paths else b"")
        imported = [name.rpartition(".")[0]] if "." in name else []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        tree = tree if messages else WithoutMessages().visit(tree)
        return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), [n for n in imported if n in self.sources.paths]


def _kinds(settings: object) -> set[str]:
    """All that settings name by the keys kind and solver."""
    if isinstance(settings, list):
        return set().union(*map(_kinds, settings))
    if not isinstance(settings, dict):
        return set()
    own = {value for key, value in settings.items() if key in ("kind", "solver") and isinstance(value, str)}
    return own.union(*map(_kinds, settings.values()))


def git(*arguments: str) -> str:
    """What git says of this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def extracted(commit: str, folder: Path) -> Tree:
    """The package, and the default study, at a commit."""
    folder.mkdir(exist_ok=True)
    present = [path for path in (PACKAGE, "config.yaml") if git("ls-tree", "--name-only", commit, path)]
    archive = subprocess.run(["git", "archive", commit, *present], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return Tree(folder)


def why(before: Tree, after: Tree, stage: str) -> str:
    """The definitions that differ, those that were only moved left out."""
    try:
        old, new = before.definitions(stage), after.definitions(stage)
    except (StudyError, RecursionError):
        return "can't be analysed"
    differing = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    gone = {(name.rpartition(".")[2], old[name]) for name in differing if name in old}
    come = {(name.rpartition(".")[2], new[name]) for name in differing if name in new}
    told = [n for n in sorted(differing) if (n.rpartition(".")[2], new.get(n, old.get(n))) not in gone & come]
    shown = [
        f"`{name}`" + ("" if name in old and name in new else " (new)" if name in new else " (gone)") for name in told
    ]
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return (", ".join(shown[:8]) + more) or "what their names refer to"


def compare(before: Tree, after: Tree) -> dict[str, set[str]]:
    """The stages whose code differs, by each way to tell; stages that only one of the trees has are left out."""
    changed: dict[str, set[str]] = {way: set() for way in WAYS}
    for stage in sorted(before.stages() & after.stages()):
        for way in WAYS:
            old, new = before.code(stage, way), after.code(stage, way)
            for failed in {str(code) for code in (old, new) if isinstance(code, StudyError)}:
                print(f"{stage} counts as changed: {failed}", file=sys.stderr)
            if old != new:
                changed[way].add(stage)
    return changed


def totals(changed: dict[str, dict[str, set[str]]]) -> str:
    """A table of how many commits change each stage."""
    stages = sorted({stage for ways in changed.values() for found in ways.values() for stage in found})
    rows = [
        (f"change {stage}", [sum(stage in ways[way] for ways in changed.values()) for way in WAYS]) for stage in stages
    ]
    rows.append(("change any stage", [sum(bool(ways[way]) for ways in changed.values()) for way in WAYS]))
    rows.append(("stages changed in all", [sum(len(ways[way]) for ways in changed.values()) for way in WAYS]))
    lines = [f"| of {len(changed)} commits | {' | '.join(WAYS)} |", f"|---|{'---|' * len(WAYS)}"]
    return "\n".join(lines + [f"| {name} | {' | '.join(map(str, numbers))} |" for name, numbers in rows])


def row(commit: str, changed: dict[str, set[str]], stage: str, reason: str) -> str:
    """What a commit changes of one stage, as a row of a table."""
    marks = ["yes" if stage in changed[way] else "" for way in WAYS[:-1]]
    subject = git("log", "-1", "--format=%s", commit).strip()
    return f"| {commit} | {subject} | {' | '.join(marks)} | {reason} |"


def main() -> None:
    """Print what the commits rerun, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=100, help="how many, the latest first")
    parser.add_argument("--stage", default="train", help="the stage whose changes are listed")
    arguments = parser.parse_args()
    listed = git("log", "--no-merges", "--format=%h %p", f"-{arguments.commits}", "--", PACKAGE).splitlines()
    with tempfile.TemporaryDirectory() as scratch:

        @functools.lru_cache(maxsize=4)
        def tree(package: str, commit: str) -> Tree:
            return extracted(commit, Path(scratch) / package)

        changed, rows = {}, []
        for commit, *parents in map(str.split, listed):
            if parents and git("ls-tree", parents[0], PACKAGE):
                before, after = (tree(git("rev-parse", f"{c}:{PACKAGE}").strip(), c) for c in (parents[0], commit))
                changed[commit] = compare(before, after)
                if any(arguments.stage in stages for stages in changed[commit].values()):
                    counts = arguments.stage in changed[commit]["definitions"]
                    reason = why(before, after, arguments.stage) if counts else ""
                    rows.append(row(commit, changed[commit], arguments.stage, reason))
    print(totals(changed))
    print(f"\n| commit | what changes {arguments.stage} | {' | '.join(WAYS)}: why |\n|---|---|{'---|' * len(WAYS)}")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
