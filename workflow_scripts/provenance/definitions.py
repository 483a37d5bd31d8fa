"""The code that a job runs, as definitions: what it reaches from its entry, and nothing else.

A job's code is made of top-level definitions: functions, classes, constants. It starts at `run` and `Config` of its
stage, and at the number `VERSION` of the command shell; what one of its definitions refers to belongs to it too. Two
jobs have the same code, that is equal digests, if these definitions say the same, wherever they stand and whatever they
are called: code that was moved, renamed, reordered or laid out anew is the same code.

What counts:

- References, by Python's scopes, imports (also inside functions) and attributes of modules, through names that an
  `__init__` hands on. Where it can't be told whether something is a reference, it is one. A module that is used as a
  value counts with all that it defines and imports. Classes count whole, and so does an `if`, `try`, `with` or `for` at
  top level for each name that it binds.
- What acts on import, for every job that may load the module, though nothing refers to it: calls, loops, `with`, `try`,
  `del`, `+=`, assignments to attributes and items; expressions whose value nothing uses; constants made by a call that
  isn't on the list PURE, or by a class of ours with an `__init__`; definitions under a decorator that isn't on the
  list; classes with keywords for a base of ours, or with one that has `__init_subclass__`; and the like in class bodies
  and default arguments.
- Annotations where something may read them: in class bodies, at top level, and in decorated functions.
- Versions of the libraries that the definitions use; an `import` alone is no use.

What only people read doesn't count, nor what only that refers to: docstrings and other texts that stand alone, the
arguments of exceptions and assertions, causes (`from error`), lines of loggers but for calls in them that may act, such
as a draw of random numbers, descriptions and titles of pydantic's `Field`, help of argparse, and what stands under
`if TYPE_CHECKING:` or `if __name__ == "__main__":`. So code that reads such texts is an error: `__doc__`, what a caught
error says, `__name__`, `__file__`, `inspect`; and a stage's command is one call of the shell with `run` and `Config`.

Kinds: `kinds.of("training.networks", kind).build` refers to `build` of those modules of the package `training.networks`
that the job's settings name; with a kind written out, of that module. `kinds.choice("training.networks")` refers to
their `Settings`. So a job depends on its own kinds, and on no others.

Recorders, such as provenance itself, have no part in what a job makes: references into them lead nowhere; but the
names of their errors count where these are caught or asked for.

What can't be followed by reading (`eval`, imports by a computed name, star imports, ...) is a StudyError that names the
line, if a job reaches or loads it.

The digest: from a root, definitions are numbered in the order in which they are met, level by level; the text of each
is its syntax with every reference to a definition replaced by the number. Equal texts in equal order are the same code,
cycles included. Where definitions that say the same are met from several roots, their numbers are told, so that it
counts which of two empty registries is filled; and where a name is made or changed by several statements, how many of
these come before one that reads it on import. What is not seen: such an order across modules, or by way of a function
that is called in between; names of classes that a value shows (`repr`, `type(x).__name__`); what pydantic reads of the
type hints of a function that it is given as a value.
"""

import ast
import collections
import hashlib
import itertools
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.config.errors import Untracked
from workflow_scripts.provenance.modules import Module
from workflow_scripts.provenance.scopes import FUNCTIONS
from workflow_scripts.provenance.text import WHOLE, Kinds, Node, Text

#: in place of the version of a library that is not installed
ABSENT = "absent"

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

_RECORDER = ("recorder",)
_MODULE_TEXTS = ("__name__", "__file__", "__path__", "__package__", "__spec__")


class Reach(NamedTuple):
    """Roots of a job, definitions that it reaches, modules that it loads, and what acts when they are loaded."""

    roots: list[Node]
    nodes: set[Node]
    modules: set[str]
    effects: list[Node]


class Walk(NamedTuple):
    """The digest of a definition with all that it reaches, and the number of each of these."""

    digest: str
    numbers: dict[Node, int]


class Sources:
    """The source tree of one package, below root, as it is now; every file is read once."""

    def __init__(
        self,
        root: Path,
        package: str = "workflow_scripts",
        recorders: tuple[str, ...] = ("job", "provenance", "engine", "config.kinds"),
        version: tuple[str, str] | None = ("job.command", "VERSION"),
    ):
        self.root, self.package = root, package
        self.paths = _paths(root, package)
        beginnings = tuple(f"{package}.{recorder}." for recorder in recorders)
        self.recording = {name for name in self.paths if f"{name}.".startswith(beginnings)}
        self.dispatch = f"{package}.config.kinds"
        self.version = Node(f"{package}.{version[0]}", version[1]) if version else None
        self._modules: dict[str, Module] = {}
        self._texts: dict[Node, Text] = {}
        self._stray: dict[str, bool] = {}
        self._versions: dict[str, str] = {}
        self._alone: dict[Node, str] = {}
        self._reaches: dict[tuple[str, frozenset[str]], Reach] = {}
        self._codes: dict[tuple[str, frozenset[str]], dict] = {}

    def code(self, stage: str, kinds: frozenset[str] = frozenset()) -> dict:
        """A job's code: its digest, the versions of its libraries, and its definitions by module, each with a digest.

        kinds: what the job's settings name by the keys kind and solver. The digest of a definition speaks of that one
        alone. Raises StudyError on what can't be followed by reading.
        """
        if (stage, kinds) not in self._codes:
            self._codes[stage, kinds] = self._code(self._reach(stage, kinds), kinds)
        return self._codes[stage, kinds]

    def modules(self, stage: str, kinds: frozenset[str] = frozenset()) -> frozenset[str]:
        """The package's modules that a job may load, by their full names; all recorders are among them."""
        return frozenset(self._reach(stage, kinds).modules | self.recording)

    def roots(self, stage: str) -> list[Node]:
        """Where a job's code starts: run and Config of its stage, and the version of the command shell."""
        name = f"{self.package}.{stage}"
        roots = [self.attribute(name, wanted, f"{self.paths.get(name, name)}:1") for wanted in ("run", "Config")]
        if self.version and self.version.module in self.paths:
            at = f"{self.paths[self.version.module]}:1"
            roots.append(self.attribute(*self.version, at, into_recorders=True))
            self.module(name, name).check_command(Node(self.version.module, "main"), roots[:2])
        return roots

    def module(self, name: str, at: str) -> Module:
        """A module of the package; `at` is the line that needs it."""
        if name not in self._modules:
            if name not in self.paths:
                raise Untracked(at, f"there is no module {name}: put it back, or import another one")
            self._modules[name] = Module(self, name, self.paths[name])
        return self._modules[name]

    def attribute(self, module: str, name: str, at: str, into_recorders: bool = False) -> Node | str:
        """What an attribute of a module of ours is: a definition, a module (as a whole), or a library's dotted name."""
        below = f"{module}.{name}"
        if module in self.recording and not into_recorders:
            return Node(below, WHOLE) if below in self.paths else Node(module, name)
        found = self.module(module, at).resolve(name)
        if found is not None:
            return found
        if below in self.paths:
            return Node(below, WHOLE)
        if name == "__dict__":
            return Node(module, WHOLE)
        if name in _MODULE_TEXTS:
            return below
        raise Untracked(at, f"{module} has no {name}: define it there, or refer to what there is")

    def classes(self, node: Node) -> list[tuple[Module, ast.ClassDef]]:
        """The class that a definition is, and those of ours that it derives from; none if it is no class."""
        module = self.module(node.module, node.module)
        made = module.class_of(node.name)
        if made is None:
            return []
        bases = [base for base in module.bases(made) if isinstance(base, Node) and base != node]
        return [(module, made), *(found for base in bases for found in self.classes(base))]

    def is_function(self, node: Node) -> bool:
        """Whether a definition is a function."""
        made = self.module(node.module, node.module).statements.get(node.name, [])
        return bool(made) and isinstance(made[0], FUNCTIONS)

    def call_returned(self, node: Node) -> ast.Call | None:
        """The call whose value a function returns, if it does nothing else."""
        made = self.module(node.module, node.module).statements.get(node.name, [])
        body = made[0].body if self.is_function(node) else []
        last = body[-1] if len(body) == 1 + (bool(body) and ast.get_docstring(made[0]) is not None) else None
        return last.value if isinstance(last, ast.Return) and isinstance(last.value, ast.Call) else None

    def is_ours(self, name: str) -> bool:
        """Whether a dotted name is the package or lies in it."""
        return name == self.package or name.startswith(f"{self.package}.")

    def is_stray(self, name: str) -> bool:
        """Whether a dotted name is a module of this repository that lies outside the package."""
        top = name.partition(".")[0]
        if top not in self._stray:
            self._stray[top] = (self.root / f"{top}.py").is_file() or (self.root / top).is_dir()
        return self._stray[top]

    def _text(self, node: Node) -> Text:
        if node not in self._texts:
            self._texts[node] = self.module(node.module, node.module).text(node.name)
        return self._texts[node]

    def _is_followed(self, node: Node) -> bool:
        return node.module not in self.recording or node == self.version

    def _family(self, family: str, at: str) -> list[str]:
        """The kinds of a family: the modules of a package, without those that begin with an underscore."""
        package = f"{self.package}.{family}"
        if package not in self.paths:
            raise Untracked(at, f"there is no package {package}: make it, with a module for each kind")
        below = [name for name, path in self.paths.items() if _is_module_below(package, name, path)]
        return sorted(kind for name in below if not (kind := name.rpartition(".")[2]).startswith("_"))

    def _chosen(self, of: Kinds, kinds: frozenset[str]) -> dict[str, str]:
        """The kinds that a job with these settings means -> their modules."""
        there = self._family(of.family, of.at)
        if of.kind is not None and of.kind not in there:
            raise Untracked(of.at, f"{of.family} has no kind {of.kind}: name one of {', '.join(there)}")
        meant = kinds if of.kind is None else {of.kind}
        return {kind: f"{self.package}.{of.family}.{kind}" for kind in there if kind in meant}

    def _pieces(self, node: Node, kinds: frozenset[str]) -> Iterable[str | Node]:
        """A definition's text for one job: its kinds are chosen, and recorders are blank."""
        if not self._is_followed(node):
            return _RECORDER
        text = self._text(node)
        if not text.kinds:
            return text.pieces
        return itertools.chain.from_iterable(
            self._expanded(piece, kinds) if type(piece) is Kinds else (piece,) for piece in text.pieces
        )

    def _expanded(self, of: Kinds, kinds: frozenset[str]) -> list[str | Node]:
        pieces: list[str | Node] = []
        for kind, module in self._chosen(of, kinds).items():
            target = self.attribute(module, of.attribute, of.at) if of.attribute else Node(module, WHOLE)
            pieces += [f" {kind}:", target]
        return pieces

    def _reach(self, stage: str, kinds: frozenset[str]) -> Reach:
        if (stage, kinds) in self._reaches:
            return self._reaches[stage, kinds]
        reach = Reach(self.roots(stage), set(), set(), [])
        modules, nodes = [f"{self.package}.{stage}"], list(reach.roots)
        while modules or nodes:
            if modules:
                name = modules.pop()
                if name not in reach.modules:
                    reach.modules.add(name)
                    module = self.module(name, name)
                    modules += self._loaded_by(module, kinds)
                    effects = [] if name in self.recording else module.effects
                    reach.effects.extend(effects)
                    nodes += effects
            elif (node := nodes.pop()) not in reach.nodes:
                reach.nodes.add(node)
                modules.append(node.module)
                nodes += [piece for piece in self._pieces(node, kinds) if type(piece) is Node]
                if self._is_followed(node):
                    text = self._text(node)
                    modules += text.imports + self._of_kinds(text.kinds, kinds)
        self._reaches[stage, kinds] = reach
        return reach

    def _loaded_by(self, module: Module, kinds: frozenset[str]) -> list[str]:
        """What the import of a module loads: the package around it, its own imports, and the chosen of its kinds."""
        package = module.name.rpartition(".")[0]
        return ([package] if package else []) + module.imported + self._of_kinds(module.dispatched, kinds)

    def _of_kinds(self, references: list[Kinds], kinds: frozenset[str]) -> list[str]:
        return [module for of in references for module in self._chosen(of, kinds).values()]

    def _walk(self, root: Node, kinds: frozenset[str]) -> Walk:
        """The digest of a definition and all that it reaches, each numbered when it is first met."""
        numbers, order, texts = {root: 0}, [root], []
        for node in order:
            for piece in self._pieces(node, kinds):
                if type(piece) is str:
                    texts.append(piece)
                    continue
                if piece not in numbers:
                    numbers[piece] = len(order)
                    order.append(piece)
                texts.append(f" #{numbers[piece]}")
            texts.append("\n")
        return Walk(_sha256("".join(texts)), numbers)

    def _meant(self, walks: list[Walk], kinds: frozenset[str]) -> list[str]:
        """Of definitions that say the same, met by more than one walk: the numbers that each has there.

        Two empty registries say the same; it counts which of them is filled on import, and which is read.
        """
        nodes = {node for walk in walks for node in walk.numbers if self._is_followed(node)}
        alike = _groups(nodes, lambda node: "".join(piece for piece in self._text(node).pieces if type(piece) is str))
        same = [group for each in alike for group in _groups(each, lambda node: self._walk(node, kinds).digest)]
        lines = []
        for group in same:
            places = [[(walk.digest, walk.numbers[node]) for walk in walks if node in walk.numbers] for node in group]
            if len({digest for place in places for digest, _ in place}) > 1:
                lines += [str(sorted(place)) for place in places]
        return sorted(lines)

    def _code(self, reach: Reach, kinds: frozenset[str]) -> dict:
        roots = [self._walk(root, kinds) for root in reach.roots]
        effects = sorted((self._walk(effect, kinds) for effect in reach.effects), key=lambda walk: walk.digest)
        digests = [*(walk.digest for walk in roots), "effects", *(walk.digest for walk in effects)]
        followed = [node for node in sorted(reach.nodes) if self._is_followed(node)]
        used = {DISTRIBUTIONS[name] for node in followed for name in self._text(node).libraries & DISTRIBUTIONS.keys()}
        if "safetensors" in used:  # whose arrays are PyTorch's here
            used.add("torch")
        definitions: dict[str, dict[str, str]] = {}
        for node in followed:
            module = node.module.removeprefix(f"{self.package}.") if node.module != self.package else "__init__"
            definitions.setdefault(module, {})[node.name] = self._digest_alone(node)
        return {
            "digest": _sha256("\n".join([*digests, *self._meant([*roots, *effects], kinds)]))[:16],
            "libraries": {name: self._version(name) for name in sorted(used)},
            "definitions": definitions,
        }

    def _digest_alone(self, node: Node) -> str:
        """The digest of a definition that has of others only their names."""
        if node not in self._alone:
            pieces = [piece if type(piece) is str else f" {_last_name(piece)}" for piece in self._text(node).pieces]
            self._alone[node] = _sha256("".join(pieces))[:8]
        return self._alone[node]

    def _version(self, distribution: str) -> str:
        if distribution not in self._versions:
            try:
                self._versions[distribution] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                self._versions[distribution] = ABSENT
        return self._versions[distribution]


def _paths(root: Path, package: str) -> dict[str, Path]:
    """Every module of a package -> its file; a package without an __init__ -> its folder."""
    paths = {}
    for path in sorted((root / package).rglob("*")):
        if path.suffix in (".so", ".pyd"):
            raise Untracked(path, "it is loaded in place of source, and can't be read: remove it")
        if path.suffix != ".py":
            continue
        parts = path.relative_to(root).with_suffix("").parts
        if path.with_suffix("").joinpath("__init__.py").is_file():
            raise Untracked(path, "it isn't loaded, as there is a package of its name: remove one of them")
        for depth in range(1, len(parts)):
            paths.setdefault(".".join(parts[:depth]), root.joinpath(*parts[:depth]))
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def _is_module_below(package: str, name: str, path: Path) -> bool:
    return name.rpartition(".")[0] == package and path.suffix == ".py" and path.name != "__init__.py"


def _groups(nodes: Iterable[Node], text: Callable[[Node], str]) -> list[list[Node]]:
    """The nodes of which several have the same text."""
    found = collections.defaultdict(list)
    for node in nodes:
        found[text(node)].append(node)
    return [group for group in found.values() if len(group) > 1]


def _last_name(reference: Node | Kinds) -> str:
    if isinstance(reference, Kinds):
        return reference.attribute or reference.family
    return reference.module.rpartition(".")[2] if reference.name == WHOLE else reference.name


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
