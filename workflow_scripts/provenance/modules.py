"""The top level of modules: what binds each name, what is imported, and what acts when a module is loaded."""

import ast
import builtins
from functools import cached_property
from pathlib import Path

from workflow_scripts.config.errors import Untracked
from workflow_scripts.provenance import loading
from workflow_scripts.provenance.scopes import (
    DEFINITIONS,
    IMPORTS,
    bound,
    executed,
    is_main,
    is_stored,
    loaded,
    sets_part,
)
from workflow_scripts.provenance.text import ERROR, WHOLE, Kinds, Node, Text, Writer

ON_IMPORT = "on import"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: what acts on nothing when it is called or decorates; one that ends in a point stands for all below it
PURE = _words("""
    abs all any bool bytes chr classmethod complex dict divmod enumerate float frozenset hasattr int isinstance
    issubclass len list max min object ord pow property range repr reversed round set slice sorted staticmethod str sum
    super tuple type zip
    abc. collections.abc. contextlib. dataclasses. enum. itertools. logging. math. operator. pydantic. pydantic_core.
    pytest. string. typing. typing_extensions.
    collections.ChainMap collections.Counter collections.OrderedDict collections.defaultdict collections.deque
    collections.namedtuple datetime.date datetime.datetime datetime.timedelta decimal.Decimal fractions.Fraction
    functools.cache functools.cached_property functools.lru_cache functools.partial functools.partialmethod
    functools.singledispatch functools.singledispatchmethod functools.total_ordering functools.wraps
    pathlib.Path pathlib.PurePath pathlib.PurePosixPath re.compile re.escape struct.Struct textwrap.dedent
    threading.Lock threading.RLock threading.local types.MappingProxyType types.SimpleNamespace
    numpy.arange numpy.array numpy.asarray numpy.bool_ numpy.concatenate numpy.dtype numpy.empty numpy.exp numpy.eye
    numpy.finfo numpy.float32 numpy.float64 numpy.full numpy.geomspace numpy.iinfo numpy.int32 numpy.int64
    numpy.linspace numpy.log numpy.log10 numpy.log2 numpy.logspace numpy.ones numpy.sqrt numpy.stack
    numpy.uint8 numpy.uint32 numpy.uint64 numpy.zeros
    torch.cuda.get_device_name torch.device torch.inference_mode torch.no_grad torch.ones torch.tensor torch.zeros
""")

#: methods of texts, dicts, sets, paths, arrays, trees and properties that act on nothing
PURE_METHODS = _words("""
    absolute as_posix astype casefold copy count decode deleter difference encode endswith format fromkeys get_depth
    get_n_leaves getter index intersection isdecimal isdigit items join joinpath keys lower lstrip max mean min
    partition relative_to removeprefix removesuffix replace reshape resolve rpartition rsplit rstrip setter split
    splitlines startswith strip sum title tolist union upper values with_name with_stem with_suffix zfill
""")

_ACTS = (
    *(ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match),
    *(ast.Delete, ast.AugAssign, ast.Raise, ast.Global),
)
_BUILTINS = frozenset(dir(builtins))
_ON_SUBCLASS = {"__init_subclass__", "__pydantic_init_subclass__"}
_NOT_VALUES = {"__init__", "__new__", "__post_init__", "__set_name__", "model_post_init"} | _ON_SUBCLASS


class Module:
    """A module of the package: statements by the name that they bind, and imports by the name that they bind."""

    def __init__(self, sources, name: str, path: Path):
        self.sources, self.name, self.path = sources, name, path
        everything = _parsed(path).body
        self.body = list(loaded(everything))
        self.command = [statement for statement in everything if is_main(statement)]
        self.statements: dict[str, list[ast.stmt]] = {}
        bindings: dict[str, set] = {}
        for statement in self.body:
            for bound_name, binding in set(bound([statement])):
                bindings.setdefault(bound_name, set()).add(binding)
                if statement not in self.statements.setdefault(bound_name, []):
                    self.statements[bound_name].append(statement)
        self.imports: dict[str, tuple] = {}
        for bound_name, found in bindings.items():
            made = self.statements[bound_name]
            if len(found) == 1 and all(isinstance(statement, IMPORTS) for statement in made):
                self.imports[bound_name] = found.pop(), self.at(made[0])
                del self.statements[bound_name]
        if bindings.get("TYPE_CHECKING", set()) - {("typing", "TYPE_CHECKING")}:
            raise Untracked(f"{path}:1: TYPE_CHECKING isn't that of typing: give it another name")

    def resolve(self, name: str) -> Node | str | None:
        """What a name is at the module's top level; None: nothing of its own."""
        if name in self.statements:
            return Node(self.name, name)
        return self.follow(*self.imports[name]) if name in self.imports else None

    def follow(self, binding: str | tuple[str, str], at: str) -> Node | str:
        """What an import binds: a module, or (module, name)."""
        if isinstance(binding, tuple):
            module, name = binding
            return self.sources.attribute(module, name, at) if self.sources.is_ours(module) else f"{module}.{name}"
        return Node(binding, WHOLE) if self.sources.is_ours(binding) else binding

    def at(self, node: ast.AST) -> str:
        """Path and line of a node."""
        return f"{self.path}:{node.lineno}"

    def text(self, name: str) -> Text:
        """A definition of this module as text."""
        return self._whole() if name == WHOLE else Writer(self, name).definition(self.statements[name])

    def loaded(self, node: ast.Import | ast.ImportFrom) -> list[str]:
        """The modules of ours that an import statement loads. Raises StudyError on one that can't be followed."""
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif node.level:
            raise Untracked(self.at(node), "relative import: name the module in full, so that it is tracked")
        elif node.names[0].name == "*":
            raise Untracked(self.at(node), "star import: name what is imported, so that it is tracked")
        else:
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [node.module, *(name for name in below if name in self.sources.paths)]
        for name in names:
            if self.sources.is_ours(name):
                self.sources.module(name, self.at(node))
            elif self.sources.is_stray(name):
                top, package = name.partition(".")[0], self.sources.package
                raise Untracked(self.at(node), f"{top} lies outside {package}: move it there, so that it is tracked")
        return [name for name in names if self.sources.is_ours(name)]

    @cached_property
    def imported(self) -> list[str]:
        """The modules of ours that are loaded when this one is; each name that is imported from them has to exist."""
        nodes = [node for _, nodes in self._executed for node in nodes if isinstance(node, IMPORTS)]
        modules = [name for node in nodes for name in self.loaded(node)]
        if self.name not in self.sources.recording:
            for node in nodes:
                for _, binding in bound([node]):
                    self.follow(binding, self.at(node))
        return modules

    @cached_property
    def dispatched(self) -> list[Kinds]:
        """The kinds that are chosen when this module is loaded."""
        if self.name in self.sources.recording:
            return []
        calls = [node for _, nodes in self._executed for node in nodes if isinstance(node, ast.Call)]
        return [self._writer.kinds(call, None) for call in calls if self._writer.is_dispatch(call)]

    @cached_property
    def effects(self) -> list[Node]:
        """What may act on more than a name of its own when this module is loaded: statements without a name together.

        Their order counts; that of definitions and constants does not.
        """
        found, acts = [], []
        for statement, nodes in self._executed:
            if isinstance(statement, IMPORTS) or not (any(map(self._acts, nodes)) or self._stands_alone(statement)):
                continue
            if isinstance(statement, DEFINITIONS):
                found.append(Node(self.name, statement.name))
            elif isinstance(statement, ast.Assign | ast.AnnAssign) and not any(map(sets_part, nodes)):
                found.append(Node(self.name, min(name for name, _ in bound([statement]))))
            else:
                acts.append(statement)
        if acts:
            self.statements[ON_IMPORT] = acts
            found.append(Node(self.name, ON_IMPORT))
        return found

    def is_logger(self, name: str) -> bool:
        """Whether a name is what logging.getLogger gave."""
        made = self.statements.get(name, [])
        call = made[0].value if len(made) == 1 and isinstance(made[0], ast.Assign | ast.AnnAssign) else None
        return isinstance(call, ast.Call) and self._writer.chain(call.func)[0] == "logging.getLogger"

    def changes_before(self, statement: ast.stmt) -> list[int]:
        """For each name that a statement reads on import, how many of those that make or change it come before it.

        Names that one statement makes and none changes are left out; so is the order of what acts, which counts anyway.
        """
        if statement not in self.body:
            return []
        before, acting = self.body[: self.body.index(statement)], list(self._named_by)
        names = [node.id for node in executed(statement) if isinstance(node, ast.Name) and not is_stored(node)]
        found = []
        for name in dict.fromkeys(names):
            makes = [each for each in self.statements.get(name, []) if each not in acting]
            acts = [] if statement in acting else [each for each in acting if name in self._named_by[each]]
            if acts or len(makes) > 1:
                found.append(sum(each in before for each in makes + acts))
        return found

    @cached_property
    def _named_by(self) -> dict[ast.stmt, set[str]]:
        """The names in each statement that acts on import."""
        acting = self.statements.get(ON_IMPORT, []) if self.effects else []
        return {each: {node.id for node in executed(each) if isinstance(node, ast.Name)} for each in acting}

    def check_command(self, shell: Node, roots: list[Node]) -> None:
        """Raise StudyError unless the command is one call of the shell, with run and Config of the stage."""
        for statement in (each for block in self.command for each in block.body):
            call = statement.value if isinstance(statement, ast.Expr) else None
            given = [self._writer.chain(each)[0] for each in getattr(call, "args", [])]
            calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
            if given != roots or len(calls) != 1 or self._writer.chain(call.func)[0] != shell:
                remedy = "call command.main(run, Config, ...) alone"
                raise Untracked(self.at(statement), f"what stands under __main__ isn't tracked: {remedy}")

    def class_of(self, name: str) -> ast.ClassDef | None:
        """The class that a name is."""
        made = self.statements.get(name, [])
        return made[0] if len(made) == 1 and isinstance(made[0], ast.ClassDef) else None

    def bases(self, made: ast.ClassDef) -> list[Node | str | None]:
        """What a class of this module derives from: classes of ours, dotted names of others; None is unknown."""
        found = []
        for base in made.bases:
            base = base.value if isinstance(base, ast.Subscript) else base
            target, rest = self._writer.chain(base)
            builtin = base.id if isinstance(base, ast.Name) and base.id in _BUILTINS else None
            found.append(None if rest else target or builtin)
        return found

    @cached_property
    def _writer(self) -> Writer:
        return Writer(self)

    @cached_property
    def _executed(self) -> list[tuple[ast.stmt, list[ast.AST]]]:
        """Statements, each with its nodes that run when this module is loaded."""
        return [(statement, list(executed(statement))) for statement in self.body]

    def _whole(self) -> Text:
        """Everything that an attribute of this module can be."""
        text = Text()
        below = {name.rpartition(".")[2] for name in self.sources.paths if name.rpartition(".")[0] == self.name}
        for name in sorted((below | {*self.statements, *self.imports}) - {ON_IMPORT}):
            target = self.sources.attribute(self.name, name, f"{self.path}:1")
            text.pieces += [f" {name}:", target]
            if isinstance(target, str):
                text.libraries.add(target.partition(".")[0])
        return text

    def _acts(self, node: ast.AST) -> bool:
        """Whether a node that runs when this module is loaded may act on more than a name of its own."""
        if isinstance(node, ast.Call):
            return not self.is_pure(node)
        if isinstance(node, DEFINITIONS) and not all(map(self._is_known_decorator, node.decorator_list)):
            return True
        if isinstance(node, ast.ClassDef):
            return self._acts_on_a_base(node)
        return isinstance(node, _ACTS) or sets_part(node)

    def _acts_on_a_base(self, node: ast.ClassDef) -> bool:
        """Whether the making of a class may run code of a base of ours."""
        bases = [base for base in self.bases(node) if isinstance(base, Node)]
        classes = [self.sources.classes(base) for base in bases]
        above = [made for found in classes for _, made in found]
        if any(keyword.arg == "metaclass" for made in [node, *above] for keyword in made.keywords):
            return True
        known = all(classes) and not any(_defines(made, _ON_SUBCLASS) for made in above)
        return bool(bases) and not (known and not node.keywords)

    def _stands_alone(self, statement: ast.stmt) -> bool:
        """Whether a statement is an expression whose value nothing uses: it acts, or has no use."""
        value = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(value, ast.Call):
            target = self._writer.chain(value.func)[0]
            is_recorder = isinstance(target, Node) and target.module in self.sources.recording
            return not is_recorder and not self._writer.is_log(value)
        return value is not None and not isinstance(value, ast.Constant)

    def is_pure(self, node: ast.Call, writer: Writer | None = None) -> bool:
        """Whether a call acts on nothing; writer: where it stands in a function, that of it."""
        target, rest = (writer or self._writer).chain(node.func)
        if isinstance(target, str):
            return _is_listed(target)
        method = isinstance(node.func, ast.Attribute) and node.func.attr in PURE_METHODS
        if target is None:
            return method or (isinstance(node.func, ast.Name) and node.func.id in PURE)
        if target.module in self.sources.recording or self._writer.is_log(node):
            return True
        return method if rest else self._is_value(target)

    def _is_value(self, target: Node) -> bool:
        """Whether a class of ours runs nothing of its own when a value of it is made, validators aside."""
        classes = self.sources.classes(target)
        bases = [base for module, made in classes for base in module.bases(made)]
        known = [bool(self.sources.classes(base)) if isinstance(base, Node) else _is_plain_base(base) for base in bases]
        metaclass = any(keyword.arg == "metaclass" for _, made in classes for keyword in made.keywords)
        return bool(classes) and all(known) and not metaclass and not any(_defines(c, _NOT_VALUES) for _, c in classes)

    def _is_known_decorator(self, decorator: ast.expr) -> bool:
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(function, ast.Attribute) and function.attr in ("getter", "setter", "deleter"):
            return True
        target, _ = self._writer.chain(function)
        if target is None:
            return isinstance(function, ast.Name) and function.id in PURE
        return isinstance(target, str) and _is_listed(target)


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(_source(path) if path.suffix == ".py" else b"")
    except SyntaxError as error:
        raise Untracked(f"{path}:{error.lineno or 1}: not valid Python ({error.msg}): mend it") from None
    except ValueError:
        raise Untracked(f"{path}:1: not text: mend it") from None


def _source(path: Path) -> bytes:
    """The bytes that this process compiles, or of another copy of this repository those that lie there now."""
    return loading.source(path) if path.is_relative_to(loading.ROOT / loading.PACKAGE) else path.read_bytes()


def _defines(made: ast.ClassDef, names: set[str]) -> bool:
    return any(name in names for name, _ in bound(made.body))


def _is_listed(name: str) -> bool:
    parts = name.split(".")
    return name in PURE or any(".".join(parts[:depth]) + "." in PURE for depth in range(1, len(parts)))


def _is_plain_base(name: str | None) -> bool:
    return name is not None and (_is_listed(name) or name.endswith(ERROR))
