"""What statements bind, and which of their parts run when: Python's scopes, read from the syntax tree."""

import ast
from collections.abc import Iterable, Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
IMPORTS = (ast.Import, ast.ImportFrom)

_SKIPPED = {"ctx", "kind", "type_comment", "type_ignores", "simple"}
_FIELDS: dict[type, tuple[str, ...]] = {}
_GLOBAL, _NONLOCAL = object(), object()


class Scope:
    """The names that a function, comprehension or class binds, those that its imports bind, and its globals."""

    def __init__(self, body: Iterable[ast.AST], parameters: Iterable[str] = (), is_class: bool = False):
        found: dict[str, set] = {name: {None} for name in parameters}
        for name, binding in bound(body):
            found.setdefault(name, set()).add(binding)
        self.is_class = is_class
        self.globals = {name for name, bindings in found.items() if _GLOBAL in bindings}
        self.names = {name for name, bindings in found.items() if not bindings & {_GLOBAL, _NONLOCAL}}
        single = {name: next(iter(found[name])) for name in self.names if len(found[name]) == 1}
        self.imports = {name: binding for name, binding in single.items() if binding is not None}


def bound(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, object]]:
    """The names that statements bind in their own scope, each with what it is imported from, or None.

    What is imported is a module's dotted name, or (module, name).
    """
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                yield node.id, None
        elif isinstance(node, DEFINITIONS):
            yield node.name, None
            stack += _outside(node)
        elif isinstance(node, ast.Lambda):
            stack += _outside(node)
        elif isinstance(node, COMPREHENSIONS):
            yield from ((below.target.id, None) for below in ast.walk(node) if isinstance(below, ast.NamedExpr))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, (node.module or "", alias.name)) for alias in node.names)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from ((name, _GLOBAL if isinstance(node, ast.Global) else _NONLOCAL) for name in node.names)
        else:
            if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                yield node.name, None
            if isinstance(node, ast.MatchMapping) and node.rest:
                yield node.rest, None
            stack += _children(node)


def executed(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a top-level statement that run when its module is imported: not what functions hold."""
    stack = [statement]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, (*FUNCTIONS, ast.Lambda)):
            stack += _outside(node)
        elif isinstance(node, ast.If) and is_type_checking(node):
            stack += node.orelse
        else:
            stack += _children(node)


def loaded(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module without those that no import runs."""
    for statement in body:
        if isinstance(statement, ast.If) and (is_type_checking(statement) or is_main(statement)):
            yield from loaded(statement.orelse)
        else:
            yield statement


def is_type_checking(node: ast.If) -> bool:
    """Whether a condition is TYPE_CHECKING; modules may bind that name to nothing else (Module)."""
    return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def last_name(node: ast.expr) -> str:
    """The name, or the last attribute, that an expression is; empty for any other."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def is_stored(node: ast.AST) -> bool:
    """Whether a name, attribute or item is assigned to or deleted."""
    context = getattr(node, "ctx", None)
    return context is not None and not isinstance(context, ast.Load)


def sets_part(node: ast.AST) -> bool:
    """Whether a node is an attribute or an item of something, and is assigned to or deleted."""
    return isinstance(node, ast.Attribute | ast.Subscript) and is_stored(node)


def fields(node: ast.AST) -> tuple[str, ...]:
    """The fields of a node that say what it does."""
    kind = type(node)
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(name for name in kind._fields if name not in _SKIPPED)
    return _FIELDS[kind]


def is_main(node: ast.stmt) -> bool:
    """Whether a statement is what runs only where the module is the command."""
    test = node.test if isinstance(node, ast.If) else None
    return isinstance(test, ast.Compare) and ast.unparse(test).replace("'", '"') == '__name__ == "__main__"'


def _outside(node: ast.AST) -> list[ast.expr]:
    """The parts of a function, lambda or class that belong to the scope around it."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
    defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default)]
    return defaults + getattr(node, "decorator_list", [])


def _children(node: ast.AST) -> list[ast.AST]:
    found = []
    for name in fields(node):
        value = getattr(node, name, None)
        if type(value) is list:
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found
