"""Definitions as text: normalised syntax with references in place of names, the same from every version of Python."""

import ast
from dataclasses import dataclass, field
from typing import NamedTuple

from workflow_scripts.config.errors import Untracked
from workflow_scripts.provenance.scopes import (
    COMPREHENSIONS,
    FUNCTIONS,
    IMPORTS,
    Scope,
    bound,
    fields,
    is_stored,
    is_type_checking,
    last_name,
)

WHOLE = "*"
#: keys of settings whose values name a kind
TAGS = ("kind", "solver")
ERROR = ("Error", "Exception", "Warning", "SystemExit")

_KEPT = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
_FIELD = ("pydantic.Field", "pydantic.fields.Field")
_FIELD_TEXTS = ("description", "title", "examples", "help")
_OF_ERRORS = ("errno", "strerror", "filename", "lineno", "msg")
_OF_FIELDS = {"model_fields", "__pydantic_fields__"}
_ARGPARSE = ("ArgumentParser", "add_argument", "add_argument_group", "add_parser", "add_subparsers")
_ARGPARSE_TEXTS = ("help", "description", "epilog")
_DYNAMIC = {
    *("__import__", "import_module", "run_path", "run_module", "exec_module", "load_module"),
    *("spec_from_file_location", "spec_from_loader", "module_from_spec"),
}
# what tells of code what doesn't count, or leads to definitions past their names
_HIDDEN = {
    *("__subclasses__", "__doc__", "__globals__", "__annotations__", "__qualname__", "__file__", "__path__"),
    *("__code__", "f_globals", "f_locals", "model_json_schema"),
}
_UNREADABLE_NAMES = {"exec", "eval", "compile", "globals", "__doc__", "__builtins__", "__name__", "__file__"} | _DYNAMIC
_UNREADABLE_ATTRIBUTES = _HIDDEN | _DYNAMIC
_UNREADABLE_LIBRARY = (
    *("sys.modules.", "sys._getframe.", "sys.exc_info.", "inspect.", "traceback.", "pkgutil.", "importlib."),
    *("sys.__dict__.", "typing.get_type_hints.", "pydantic.ImportString.", "pandas.eval."),
    *(f"builtins.{name}." for name in _UNREADABLE_NAMES),
)
_LOCAL = object()


class Node(NamedTuple):
    """A definition, by its module and name; named WHOLE: all of a module."""

    module: str
    name: str


class Kinds(NamedTuple):
    """A reference to an attribute (None: to all) of modules of a family: of one kind, or of those that a job names."""

    family: str
    kind: str | None
    attribute: str | None
    at: str


@dataclass
class Text:
    """A definition as text with references in it, the libraries, modules of ours and kinds that it uses."""

    pieces: list[str | Node | Kinds] = field(default_factory=list)
    libraries: set[str] = field(default_factory=set)
    imports: list[str] = field(default_factory=list)
    kinds: list[Kinds] = field(default_factory=list)


class Writer:
    """Writes a definition of a module as text; `own` is its name."""

    def __init__(self, module, own: str | None = None):
        self.module, self.sources, self.own = module, module.sources, own
        self.scopes: list[Scope] = []
        self.annotating = False
        self.attributes: dict[str, ast.Attribute] = {}
        self.nameless: set[ast.AST] = set()
        self.text = Text()
        self.out = self.text.pieces

    def definition(self, statements: list[ast.stmt]) -> Text:
        """The text of the top-level statements that make a definition."""
        self._body("body", statements)
        texts = [node for name, node in self.attributes.items() if name in _FIELD_TEXTS]
        if texts and not _OF_FIELDS.isdisjoint(self.attributes):
            raise self._error(texts[0], "texts of Field don't count")
        if self.own is not None:
            self.out += [f" after {n}" for statement in statements for n in self.module.changes_before(statement)]
        joined: list = []
        for piece in self.out:
            if type(piece) is str and joined and type(joined[-1]) is list:
                joined[-1].append(piece)
            else:
                joined.append([piece] if type(piece) is str else piece)
        self.text.pieces = ["".join(piece) if type(piece) is list else piece for piece in joined]
        return self.text

    # what names refer to

    def lookup(self, node: ast.Name) -> object:
        """What a name is: _LOCAL, a definition or module, a library's dotted name, or None for one that is builtin."""
        for scope in reversed(self.scopes):
            if scope.is_class and scope is not self.scopes[-1]:
                continue
            if node.id in scope.globals:
                break
            if node.id in scope.imports:
                return self.module.follow(scope.imports[node.id], self.module.at(node))
            if node.id in scope.names and not scope.is_class:
                return _LOCAL
        return self.module.resolve(node.id)

    def chain(self, node: ast.expr) -> tuple[Node | str | None, list[str]]:
        """What an attribute chain over modules refers to, and the attributes after that; None: nothing of the kind."""
        attributes = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        target = self.lookup(node) if isinstance(node, ast.Name) else None
        if target is None or target is _LOCAL:
            return None, []
        while attributes and (isinstance(target, str) or target.name == WHOLE):
            name = attributes.pop()
            if isinstance(target, str):
                target = f"{target}.{name}"
            else:
                target = self.sources.attribute(target.module, name, self.module.at(node))
        return target, attributes[::-1]

    def is_dispatch(self, node: ast.expr) -> bool:
        """Whether a node calls kinds.of or kinds.choice."""
        if not isinstance(node, ast.Call):
            return False
        target, rest = self.chain(node.func)
        return not rest and self._is_dispatcher(target)

    def kinds(self, call: ast.Call, attribute: str | None) -> Kinds:
        """The reference that a call of kinds.of or kinds.choice is."""
        literals = [argument.value if isinstance(argument, ast.Constant) else None for argument in call.args[:2]]
        if not literals or not isinstance(literals[0], str):
            raise self._error(call, "the family isn't written out", 'name it, such as "training.networks"')
        is_of = self.chain(call.func)[0].name == "of"
        if is_of and not (isinstance(call.args[-1], ast.Constant) or last_name(call.args[-1]) in TAGS):
            raise self._error(call, "the kind is none of the settings", f"name it, or say SETTINGS.{TAGS[0]}")
        kind = literals[1] if is_of and len(literals) > 1 and isinstance(literals[1], str) else None
        return Kinds(literals[0], kind, attribute if is_of else "Settings", self.module.at(call))

    def is_log(self, node: ast.AST) -> bool:
        """Whether a node is a call of a logger or of logging."""
        if not isinstance(node, ast.Call):
            return False
        target, rest = self.chain(node.func)
        if isinstance(target, str):
            return target.startswith("logging.")
        return bool(rest) and target is not None and self.sources.module(target.module, "").is_logger(target.name)

    def _is_dispatcher(self, target: Node | str | None) -> bool:
        return target in ((self.sources.dispatch, "of"), (self.sources.dispatch, "choice"))

    def _is_exception(self, function: ast.expr) -> bool:
        """Whether what is called is the class of an exception, or a function that does nothing but make one."""
        target, rest = self.chain(function)
        if isinstance(target, Node) and not rest and (made := self.sources.call_returned(target)):
            return Writer(self.sources.module(target.module, ""))._is_exception_class(made.func)
        return self._is_exception_class(function)

    def _is_exception_class(self, function: ast.expr) -> bool:
        """Whether it is the class of an exception: of ours by its bases, else by its name."""
        target, rest = self.chain(function)
        classes = self.sources.classes(target) if isinstance(target, Node) and not rest else []
        if not classes and (not isinstance(target, Node) or rest or target.module in self.sources.recording):
            known = target is not None or self._is_builtin(function, last_name(function))
            return known and last_name(function).endswith(ERROR)
        return any(last_name(base).endswith(ERROR) for _, made in classes for base in made.bases)

    def _is_builtin(self, node: ast.expr, *names: str) -> bool:
        return isinstance(node, ast.Name) and node.id in names and self.lookup(node) is None

    def _error(self, node: ast.AST, what: str, remedy: str = "write out what it does, so that it is tracked"):
        return Untracked(self.module.at(node), f"{what}: {remedy}")

    # what counts

    def _counts(self, statement: ast.stmt) -> bool:
        """Whether a statement is written: not text that stands alone, not a log line, not an import in a function."""
        if isinstance(statement, ast.Expr):
            value = statement.value
            if isinstance(value, ast.Constant):
                return not isinstance(value.value, str)
            return not self.is_log(value) or _keeps(value)
        if isinstance(statement, IMPORTS) and self.scopes:
            self.text.imports += self.module.loaded(statement)
            scope = self.scopes[-1]
            return scope.is_class or not all(name in scope.imports for name, _ in bound([statement]))
        if isinstance(statement, ast.Pass):
            return False
        if isinstance(statement, ast.Global):
            return any(self.module.resolve(name) is None for name in statement.names)
        return not (isinstance(statement, ast.AnnAssign) and statement.value is None and self._is_in_function())

    def _calls_in_log(self, statement: ast.stmt) -> list[ast.stmt]:
        """The calls among the arguments of a log line that may do more than tell, such as a draw of random numbers."""
        if not (isinstance(statement, ast.Expr) and self.is_log(statement.value)):
            return []
        line = statement.value
        calls = [node for node in ast.walk(line) if isinstance(node, ast.Call) and node is not line]
        return [ast.Expr(call) for call in calls if not (self.module.is_pure(call, self) or self._is_of_numpy(call))]

    def _is_of_numpy(self, call: ast.Call) -> bool:
        """Whether a call computes something with NumPy, not at random."""
        target = str(self.chain(call.func)[0])
        return target.startswith("numpy.") and not target.startswith("numpy.random.")

    def _is_in_function(self) -> bool:
        return bool(self.scopes) and not self.scopes[-1].is_class

    def _unread(self, function: ast.expr) -> tuple[str, ...]:
        """Keywords of a call that only people read."""
        if self.chain(function)[0] in _FIELD:
            return _FIELD_TEXTS
        return _ARGPARSE_TEXTS if last_name(function) in _ARGPARSE else ()

    # the text: a node is its type and those of its fields that aren't empty, unless it has a method of its own

    def _write(self, node: ast.AST) -> None:
        method = _METHODS.get(type(node))
        if method:
            method(self, node)
        else:
            self._plain(node)

    def _plain(self, node: ast.AST, *names: str) -> None:
        self.out.append(f"({type(node).__name__}")
        for name in names or fields(node):
            self._field(name, getattr(node, name, None))
        self.out.append(")")

    def _field(self, name: str, value) -> None:
        if value is None or value == []:
            return
        if isinstance(value, list) and isinstance(value[0], ast.stmt):
            self._body(name, value)
            return
        self.out.append(f" {name}:")
        if isinstance(value, list):
            self.out.append("[")
            for item in value:
                self._item(item)
            self.out.append("]")
        else:
            self._item(value)

    def _item(self, value) -> None:
        if isinstance(value, ast.AST):
            self._write(value)
        else:
            self.out.append("-" if value is None else f"{value},")

    def _body(self, name: str, statements: list[ast.stmt]) -> None:
        counted = []
        for statement in statements:
            counted += [statement] if self._counts(statement) else self._calls_in_log(statement)
        if counted:
            self.out.append(f" {name}:[")
            for statement in counted:
                self._write(statement)
            self.out.append("]")

    def _reference(self, target: Node | str, node: ast.AST) -> None:
        """A reference to a definition or to a library."""
        if isinstance(target, str):
            if f"{target}.".startswith(_UNREADABLE_LIBRARY) or not _UNREADABLE_ATTRIBUTES.isdisjoint(target.split(".")):
                raise self._error(node, f"{target} can't be followed by reading")
            self.text.libraries.add(target.partition(".")[0])
            self.out.append(f" <{target}>")
        elif self._is_dispatcher(target):
            raise self._error(node, f"kinds.{target.name} isn't called", "call it here, with the family written out")
        elif target.module == self.sources.dispatch and self.module.name not in self.sources.recording:
            raise self._error(node, f"kinds.{target.name} can't be followed", "call kinds.of or kinds.choice")
        else:
            self.out.append(target)
            if target.module in self.sources.recording and node not in self.nameless and self.sources.classes(target):
                self.out.append(f" recorder:{target.name}")

    def _bound_name(self, name: str) -> str:
        """How a name is written where it is bound: at top level it doesn't count, but which of several it is does."""
        if self.scopes:
            return f" {name}"
        return " @" if name == self.own else " _"

    def _name(self, node: ast.Name) -> None:
        stored = is_stored(node)
        if stored and (not self.scopes or node.id in self.scopes[-1].names):
            self.out.append(f"(Name{self._bound_name(node.id)})")
            return
        target = self.lookup(node)
        if target is None and not stored and node.id in _UNREADABLE_NAMES:
            raise self._error(node, f"{node.id} can't be followed by reading")
        in_doubt = bool(self.scopes) and self.scopes[-1].is_class and node.id in self.scopes[-1].names
        if target is None or target is _LOCAL or in_doubt:
            self.out.append(f"(Name {node.id})")
        if target is not None and target is not _LOCAL:
            self._reference(target, node)

    def _attribute(self, node: ast.Attribute) -> None:
        if self.is_dispatch(node.value):
            self._dispatch(node.value, node.attr)
            return
        owner, after = self.chain(node.value)
        if is_stored(node) and not after and isinstance(owner, Node) and owner.name == WHOLE:
            raise self._error(node, f"{owner.module}.{node.attr} is set", "hand the value on as an argument")
        if node.attr == "__name__" and not isinstance(owner, str) and not self._is_type(node.value):
            raise self._error(node, "names of definitions don't count", "write the name out")
        target, rest = self.chain(node)
        if target is not None and not rest:
            self._reference(target, node)
            return
        if node.attr in _UNREADABLE_ATTRIBUTES:
            raise self._error(node, f"{node.attr} can't be followed by reading")
        self.attributes[node.attr] = node
        self.out.append("(Attribute value:")
        self._write(node.value)
        self.out.append(f" attr:{node.attr})")

    def _call(self, node: ast.Call) -> None:
        if self.is_dispatch(node):
            self._dispatch(node, None)
            return
        self._check_call(node)
        self.nameless.add(node.func)
        self.out.append("(Call func:")
        self._write(node.func)
        if not self._is_exception(node.func) or any(map(_keeps, [*node.args, *node.keywords])):
            unread, annotating, self.annotating = self._unread(node.func), self.annotating, False
            self._field("args", node.args)
            self._field("keywords", [keyword for keyword in node.keywords if keyword.arg not in unread])
            self.annotating = annotating
        self.out.append(")")

    def _check_call(self, node: ast.Call) -> None:
        """Raise StudyError on a builtin that can't be followed with these arguments."""
        if self._is_builtin(node.func, "vars") and not node.args:
            raise self._error(node, "vars() can't be followed by reading")
        if last_name(node.func) in ("query", "eval") and any(map(_may_name, node.args)):
            raise self._error(node, "an expression of pandas may name what stands here", "compare columns in Python")
        if isinstance(node.func, ast.Attribute) and node.func.attr == "register" and self._is_function(node.func.value):
            raise self._error(node, "type hints of what is registered don't count", "register it by a decorator")
        if self.chain(node.func)[0] == "pydantic.validate_call" and node.args:
            raise self._error(node, "type hints of what is validated don't count", "write it as a decorator")
        if self._is_builtin(node.func, "setattr", "delattr") and node.args:
            owner, rest = self.chain(node.args[0])
            if isinstance(owner, Node) and owner.name == WHOLE and not rest:
                raise self._error(node, f"an attribute of {owner.module} is set", "hand the value on as an argument")

    def _is_type(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and self._is_builtin(node.func, "type")

    def _is_function(self, node: ast.expr) -> bool:
        target, rest = self.chain(node)
        return isinstance(target, Node) and not rest and self.sources.is_function(target)

    def _dispatch(self, node: ast.Call, attribute: str | None) -> None:
        of = self.kinds(node, attribute)
        self.text.kinds.append(of)
        self.out += ["(Kinds", of]
        self._field("args", node.args[1:])
        self._field("keywords", node.keywords)
        self.out.append(f" attr:{attribute})" if attribute != of.attribute else ")")

    def _constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, str) and (hidden := [name for name in _HIDDEN if name in value]):
            raise self._error(node, f"{hidden[0]} can't be followed by reading")
        parsed = _parsed_annotation(node) if self.annotating and isinstance(value, str) else None
        if parsed:
            self._write(parsed)
        else:
            self.out.append(f"({type(value).__name__} {hex(value) if type(value) is int else ascii(value)})")

    def _joined(self, node: ast.JoinedStr) -> None:
        """An f-string; how the text between its values is cut depends on the version of Python."""
        parts: list = [""]
        for value in node.values:
            if isinstance(value, ast.Constant):
                parts[-1] += value.value
            else:
                parts += [value, ""]
        self.out.append("(JoinedStr ")
        for part in parts:
            if isinstance(part, str):
                self.out.append(ascii(part) if part else "")
            else:
                self._write(part)
        self.out.append(")")

    def _formatted(self, node: ast.FormattedValue) -> None:
        spec = node.format_spec
        empty = spec is None or all(isinstance(part, ast.Constant) and not part.value for part in spec.values)
        self._plain(node, "value", "conversion", *(() if empty else ("format_spec",)))

    def _subscript(self, node: ast.Subscript) -> None:
        self.out.append("(Subscript value:")
        self._write(node.value)
        annotating, what = self.annotating, str(self.chain(node.value)[0])
        self.annotating = annotating and last_name(node.value) != "Literal" and not what.endswith(".Literal")
        if annotating and what.endswith(".Annotated") and isinstance(node.slice, ast.Tuple):
            self._annotated_type(node.slice)
        else:
            self._field("slice", node.slice)
        self.annotating = annotating
        self.out.append(")")

    def _annotated_type(self, node: ast.Tuple) -> None:
        """What stands in Annotated: a type, and metadata, in which a text is a text."""
        self.out.append(" slice:(Tuple elts:[")
        for element in node.elts:
            self._write(element)
            self.annotating = False
        self.out.append("])")

    def _annotation(self, node: ast.expr | None) -> None:
        if node is not None:
            self.annotating = True
            self._field("annotation", node)
            self.annotating = False

    def _annotated(self, node: ast.AnnAssign) -> None:
        """An annotated assignment; inside a function it is a plain one."""
        if self._is_in_function():
            self._write(ast.Assign([node.target], node.value))
            return
        self.out.append("(AnnAssign" if node.simple or not isinstance(node.target, ast.Name) else "(AnnAssign no:field")
        self._field("target", node.target)
        self._annotation(node.annotation)
        self._field("value", node.value)
        self.out.append(")")

    def _parameters(self, arguments: ast.arguments, annotated: bool) -> list[str]:
        """Write parameters and their defaults; returns their names."""
        names = []
        for kind in ("posonlyargs", "args", "vararg", "kwonlyargs", "kwarg"):
            given = getattr(arguments, kind)
            for argument in given if isinstance(given, list) else filter(None, [given]):
                names.append(argument.arg)
                self.out.append(f" {kind}:{argument.arg}")
                self._annotation(argument.annotation if annotated else None)
        self._field("kw_defaults", arguments.kw_defaults)
        self._field("defaults", arguments.defaults)
        return names

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.out.append(f"({type(node).__name__}{self._bound_name(node.name)}")
        self._field("decorator_list", node.decorator_list)
        names = self._parameters(node.args, bool(node.decorator_list))
        self._annotation(node.returns if node.decorator_list else None)
        self._inside(Scope(node.body, names), node.body)

    def _lambda(self, node: ast.Lambda) -> None:
        self.out.append("(Lambda")
        names = self._parameters(node.args, False)
        self._inside(Scope([node.body], names), node.body)

    def _class(self, node: ast.ClassDef) -> None:
        self.out.append(f"(ClassDef{self._bound_name(node.name)}")
        for name in ("decorator_list", "bases", "keywords"):
            self._field(name, getattr(node, name))
        self._inside(Scope(node.body, is_class=True), node.body)

    def _inside(self, scope: Scope, body: list[ast.stmt] | ast.expr) -> None:
        self.scopes.append(scope)
        self._field("body", body)
        self.scopes.pop()
        self.out.append(")")

    def _comprehension(self, node: ast.expr) -> None:
        """A comprehension; its first iterable belongs to the scope around it."""
        self.out.append(f"({type(node).__name__} of:")
        self._write(node.generators[0].iter)
        self.scopes.append(Scope([generator.target for generator in node.generators]))
        for i, generator in enumerate(node.generators):
            self.out.append(f" for:{generator.is_async}")
            self._write(generator.target)
            self._field("in", generator.iter if i else None)
            self._field("ifs", generator.ifs)
        for name in ("key", "value", "elt"):
            self._field(name, getattr(node, name, None))
        self.scopes.pop()
        self.out.append(")")

    def _raise(self, node: ast.Raise) -> None:
        self._plain(node, "exc")

    def _assert(self, node: ast.Assert) -> None:
        self._plain(node, "test", *(["msg"] if node.msg and _keeps(node.msg) else []))

    def _handler(self, node: ast.ExceptHandler) -> None:
        """An except clause; which of the recorders' errors it catches counts, unless it raises them again."""
        if uses := self._read_as_data(node):
            remedy = f"raise it, log it, or read its {', '.join(_OF_ERRORS[:-1])} or {_OF_ERRORS[-1]}"
            raise self._error(uses[0], f"{node.name} is read, but what errors say doesn't count", remedy)
        if node.type and isinstance(node.body[0], ast.Raise):
            self.nameless |= {*ast.walk(node.type)}
        self._plain(node)

    def _read_as_data(self, handler: ast.ExceptHandler) -> list[ast.Name]:
        """Where a caught error is more than raised, told to people, kept as it is, or handed to a function of ours."""
        told: set[ast.AST] = set()
        for node in ast.walk(handler):
            called = node.func if isinstance(node, ast.Call) else None
            is_kept = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)
            if isinstance(node, ast.Raise) or self.is_log(node) or (called and self._is_exception(called)):
                told |= {*ast.walk(node)}
            elif called and self._is_function(called):
                told |= {*node.args}
            elif is_kept or (isinstance(node, ast.Attribute) and node.attr in _OF_ERRORS):
                told.add(node.value)
        names = [node for node in ast.walk(handler) if isinstance(node, ast.Name) and not is_stored(node)]
        return [node for node in names if node.id == handler.name and node not in told]

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        """An import that may or may not bind its names: it refers to all that it names."""
        self.module.loaded(node)
        self.out.append("(Import")
        for alias in node.names:
            binding = (node.module, alias.name) if isinstance(node, ast.ImportFrom) else alias.name
            self._reference(self.module.follow(binding, self.module.at(node)), node)
        self.out.append(")")

    def _if(self, node: ast.If) -> None:
        if is_type_checking(node):
            self._body("orelse", node.orelse)
        else:
            self._plain(node)


_METHODS = {
    ast.Name: Writer._name,
    ast.Attribute: Writer._attribute,
    ast.Call: Writer._call,
    ast.Constant: Writer._constant,
    ast.JoinedStr: Writer._joined,
    ast.FormattedValue: Writer._formatted,
    ast.Subscript: Writer._subscript,
    ast.AnnAssign: Writer._annotated,
    ast.Lambda: Writer._lambda,
    ast.ClassDef: Writer._class,
    ast.ExceptHandler: Writer._handler,
    ast.Raise: Writer._raise,
    ast.Assert: Writer._assert,
    ast.If: Writer._if,
    **dict.fromkeys(FUNCTIONS, Writer._function),
    **dict.fromkeys(COMPREHENSIONS, Writer._comprehension),
    **dict.fromkeys(IMPORTS, Writer._import),
}


def _may_name(argument: ast.expr) -> bool:
    """Whether an expression given to pandas may name a variable of Python, such as @LIMIT."""
    return not (isinstance(argument, ast.Constant) and "@" not in str(argument.value))


def _keeps(node: ast.AST) -> bool:
    """Whether a text that people read does something else too."""
    return any(isinstance(below, _KEPT) for below in ast.walk(node))


def _parsed_annotation(node: ast.Constant) -> ast.expr | None:
    """What an annotation given as text says; None if it is no expression."""
    try:
        parsed = ast.parse(node.value.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    for below in ast.walk(parsed):
        if hasattr(below, "lineno"):
            below.lineno = node.lineno
    return parsed
