import ast
import re
import textwrap
from importlib import metadata
from pathlib import Path

import pytest

from workflow_scripts.config.errors import StudyError
from workflow_scripts.provenance import fingerprints
from workflow_scripts.provenance.definitions import Sources
from workflow_scripts.provenance.modules import Module
from workflow_scripts.provenance.scopes import last_name

ROOT = Path(__file__).resolve().parent.parent
STAGES = [
    *("prepare_data", "train", "extract_final", "distill", "measure", "null_models", "summarize", "order_examples"),
    *("decompose", "simulate", "plot", "tabulate"),
]
RECORDERS = ("stage", "locks", "provenance")

#: a package of three stages: train and measure share a helper that is three calls deep, plot reaches nothing of it
PACKAGE = {
    "__init__": '"""The package."""\n',
    "errors": "class StudyError(Exception):\n    pass\n",
    "train": """
        '''Train.'''
        import logging
        import numpy as np
        from pydantic import BaseModel, Field
        from workflow_scripts import helpers
        from workflow_scripts.errors import StudyError
        from workflow_scripts.training import loop as the_loop

        log = logging.getLogger("workflow_scripts")

        class Config(BaseModel):
            lr: float = Field(0.1, gt=0, description="step size")

        def run(config, inputs, outputs):
            '''Train.'''
            log.info("training with %s", config.lr)
            if config.lr > helpers.LIMIT:
                raise StudyError(f"lr: {config.lr} is too much: lower it")
            return the_loop(config), even(4), np.log(2)

        def even(n):
            return n == 0 or odd(n - 1)

        def odd(n):
            return n > 0 and even(n - 1)
        """,
    "training/__init__": "from workflow_scripts.training.sgd import LAYERS, loop\n",
    "training/sgd": """
        import functools
        from workflow_scripts import helpers

        LAYERS = {"a": lambda x: x + 1, "b": helpers.outer}

        class Base:
            size = 3

            def step(self, x):
                return x - 1

        class Steps(Base):
            pass

        def loop(config, start=0):
            def inner(x):
                return x * 2

            helpers = inner
            return first(helpers(start)), second(LAYERS), Steps().step(config)

        @functools.cache
        def first(x):
            return x

        def second(x):
            return [x for x in [x]]
        """,
    "helpers": """
        LIMIT = 10
        UNUSED = 11

        def outer(x):
            return middle(x)

        def middle(x):
            return inner(x)

        def inner(x):
            return x + 1
        """,
    "measure": """
        from pydantic import BaseModel
        from workflow_scripts.helpers import outer

        class Config(BaseModel):
            pass

        def run(config, inputs, outputs):
            return outer(1)
        """,
    "plot": """
        import argparse
        import matplotlib
        from pydantic import BaseModel
        from workflow_scripts import helpers

        class Config(BaseModel):
            pass

        def run(config, inputs, outputs):
            parser = argparse.ArgumentParser(description="plots")
            parser.add_argument("--n", type=int, help="a number")
            return parser
        """,
}


class Tree:
    """A package in a folder, to be edited."""

    def __init__(self, root):
        self.root, self.package = root, root / "workflow_scripts"

    def write(self, **modules: str) -> "Tree":
        for name, text in modules.items():
            path = self.package / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        return self

    def replace(self, module: str, old: str, new: str) -> None:
        path = self.package / f"{module}.py"
        assert old in path.read_text(), f"{module} has no {old!r}"
        path.write_text(path.read_text().replace(old, new))

    def sources(self) -> Sources:
        return Sources(self.root)

    def code(self, stage: str = "train", *kinds: str) -> dict:
        return self.sources().code(stage, frozenset(kinds))

    def digests(self) -> dict[str, str]:
        return {stage: self.code(stage)["digest"] for stage in ("train", "measure", "plot")}


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path).write(**PACKAGE)


@pytest.fixture
def stage(tmp_path):
    """Writes a stage `train` that runs the given text, after what the text has at top level, and gives its code."""
    tree = Tree(tmp_path).write(__init__="", errors=PACKAGE["errors"])

    def made(body: str = "", top: str = "", /, **modules: str) -> dict:
        body = textwrap.indent(textwrap.dedent(body).strip() or "return 1", "    ")
        config = "class Config:\n    pass\n\n"
        text = f"{textwrap.dedent(top).strip()}\n\n{config}def run(config, inputs, outputs):\n{body}\n"
        return tree.write(**modules, train=text).code()

    made.tree = tree
    return made


def test_the_same_definitions_under_the_same_names_are_told_apart_from_what_is_not_reached(tree):
    code = tree.code()
    assert re.fullmatch("[0-9a-f]{16}", code["digest"])
    assert code["libraries"] == {"numpy": metadata.version("numpy")}
    assert set(code["definitions"]) == {"train", "errors", "training.sgd", "helpers"}
    assert set(code["definitions"]["helpers"]) == {"LIMIT", "outer", "middle", "inner"}
    assert set(code["definitions"]["training.sgd"]) == {"LAYERS", "Base", "Steps", "loop", "first", "second"}
    assert all(re.fullmatch("[0-9a-f]{8}", d) for names in code["definitions"].values() for d in names.values())
    assert tree.code() == code


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("train", "step size", "the size of a step"),
        ("train", 'description="step size"', 'description="step size", title="Step", examples=[1]'),
        ("train", "    '''Train.'''\n", ""),
        ("train", "'''Train.'''\nimport", "'''Another text.'''\nimport"),
        ("train", "too much: lower it", "more than {helpers.UNUSED}"),
        ("train", "training with %s", "lr %s of %s"),
        ("train", '    log.info("training with %s", config.lr)\n', ""),
        ("train", "config, inputs, outputs)", "config: dict[str, int], inputs: 'Nothing', outputs) -> helpers.UNUSED"),
        ("plot", "plots", "draws"),
        ("plot", "a number", "how many"),
        ("helpers", "LIMIT = 10\nUNUSED = 11", "# a comment\nUNUSED = 12\nLIMIT = (10)"),
        ("helpers", "def inner(x):\n    return x + 1\n", "def inner(x):\n\n    # more\n    return (x + 1)\n"),
    ],
)
def test_what_only_people_read_does_not_count(tree, module, old, new):
    before = tree.digests()
    tree.replace(module, old, new)
    assert tree.digests() == before


def _move_helper(tree):
    tree.replace("helpers", "\ndef inner(x):\n    return x + 1\n", "")
    tree.replace("helpers", "LIMIT = 10", "from workflow_scripts import deep\nLIMIT = 10")
    tree.replace("helpers", "inner(x)", "deep.inner(x)")
    tree.write(deep="def inner(x):\n    return x + 1\n")


def _rename_module(tree):
    (tree.package / "helpers.py").rename(tree.package / "tools.py")
    for module in ("train", "plot", "training/sgd"):
        tree.replace(module, "import helpers", "import tools as helpers")
    tree.replace("measure", "workflow_scripts.helpers", "workflow_scripts.tools")


def _rename_function(tree):
    tree.replace("helpers", "middle", "centre")
    tree.replace("training/sgd", "second", "another")


def _reorder(tree):
    path = tree.package / "helpers.py"
    path.write_text("\n\n".join(reversed(path.read_text().split("\n\n"))))


def _sort_imports(tree):
    lines = "from workflow_scripts import helpers\nfrom workflow_scripts.errors import StudyError\n"
    tree.replace("train", lines, "from workflow_scripts.errors import StudyError\nimport workflow_scripts.helpers\n")
    tree.replace("train", "helpers.LIMIT", "workflow_scripts.helpers.LIMIT")
    tree.replace("train", "import numpy as np", "from numpy import log as ln")
    tree.replace("train", "np.log(2)", "ln(2)")


def _import_inside(tree):
    tree.replace("measure", "from workflow_scripts.helpers import outer\n", "")
    tree.replace("measure", "return outer", "from workflow_scripts.helpers import outer as o\n    return o")


def _skip_reexport(tree):
    tree.replace("train", "from workflow_scripts.training import", "from workflow_scripts.training.sgd import")


def _import_torch(tree):
    tree.replace("train", "import numpy as np", "import numpy as np\nimport torch")


def _add_main(tree):
    tree.replace("train", "def odd", 'if __name__ == "__main__":\n    print(helpers.UNUSED)\n\ndef odd')


def _add_type_checking(tree):
    tree.replace(
        "train",
        "import numpy",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from workflow_scripts.none import X\nimport numpy",
    )


@pytest.mark.parametrize(
    "edit",
    [
        *(_move_helper, _rename_module, _rename_function, _reorder, _sort_imports, _import_inside, _skip_reexport),
        *(_import_torch, _add_main, _add_type_checking),
    ],
)
def test_moved_and_renamed_code_is_the_same(tree, edit):
    before = {stage: (tree.code(stage)["digest"], tree.code(stage)["libraries"]) for stage in tree.digests()}
    edit(tree)
    assert {stage: (tree.code(stage)["digest"], tree.code(stage)["libraries"]) for stage in before} == before


@pytest.mark.parametrize(
    ("module", "old", "new", "stages"),
    [
        ("helpers", "x + 1", "x + 2", {"train", "measure"}),
        ("helpers", "UNUSED = 11", "UNUSED = 12", set()),
        ("helpers", "LIMIT = 10", "LIMIT = 10.0", {"train"}),
        ("training/sgd", "x - 1", "x - 2", {"train"}),
        ("training/sgd", "size = 3", "size = 4", {"train"}),
        ("training/sgd", "@functools.cache", "@functools.lru_cache(1)", {"train"}),
        ("training/sgd", "start=0", "start=1", {"train"}),
        ("training/sgd", "x + 1", "x + 3", {"train"}),
        ("training/sgd", "helpers.outer", "helpers.middle", {"train"}),
        ("training/sgd", "x * 2", "x * 3", {"train"}),
        ("training/sgd", "first(helpers(start)), second(LAYERS)", "second(helpers(start)), first(LAYERS)", {"train"}),
        ("train", "n > 0", "n >= 0", {"train"}),
        ("train", "lr: float", "lr: int", {"train"}),
        ("train", "0.1, gt=0", "0.1, gt=1", {"train"}),
        ("train", "np.log", "np.exp", {"train"}),
        ("train", "raise StudyError(", "raise ValueError(", {"train"}),
        ("errors", "Exception", "ValueError", {"train"}),
        ("__init__", '"""The package."""', "import matplotlib\nmatplotlib.use('Agg')", {"train", "measure", "plot"}),
        ("training/__init__", "import LAYERS", "import LAYERS\nimport os\nos.environ['A'] = '1'\n#", None),
        ("plot", "type=int", "type=float", {"plot"}),
        ("plot", "import matplotlib\n", "import matplotlib\nmatplotlib.use('Agg')\n", {"plot"}),
        ("helpers", "UNUSED = 11", "UNUSED = print(1)", {"train", "measure", "plot"}),
    ],
)
def test_what_a_job_does_changes_exactly_the_stages_that_reach_it(tree, module, old, new, stages):
    before = tree.digests()
    if stages is None:
        new = new.replace("#", "from workflow_scripts.training.sgd import loop\n#")
        stages = {"train"}
    tree.replace(module, old, new)
    assert {stage for stage, digest in tree.digests().items() if digest != before[stage]} == stages


def test_definitions_name_the_one_that_changed(tree):
    before = tree.code()["definitions"]
    tree.replace("helpers", "x + 1", "x + 2")
    after = tree.code()["definitions"]
    changed = [f"{m}.{n}" for m, names in after.items() for n, d in names.items() if before[m][n] != d]
    assert changed == ["helpers.inner"]


def test_a_global_through_a_reexport_counts(tree):
    tree.write(
        measure="from workflow_scripts import training\n\nclass Config: pass\n\n"
        "def run(config, inputs, outputs):\n    return training.LAYERS\n"
    )
    before = tree.code("measure")
    assert before["definitions"]["training.sgd"].keys() == {"LAYERS"}
    tree.replace("training/sgd", "x + 1", "x + 3")
    assert tree.code("measure")["digest"] != before["digest"]


def test_equal_texts_in_different_roles_are_told_apart(stage):
    top = "X = 1\nY = 1\ndef f(a, b): return a\n"
    assert stage("return f(X, Y)", top)["digest"] == stage("return f(Y, X)", top)["digest"]
    assert stage("return f(X, X)", top)["digest"] != stage("return f(X, Y)", top)["digest"]
    unpacked = "A, B = 1, 2\n"
    assert stage("return A", unpacked)["digest"] != stage("return B", unpacked)["digest"]


# scopes


@pytest.mark.parametrize(
    ("body", "reached"),
    [
        ("return X", True),
        ("X = 2\nreturn X", False),
        ("return (lambda X: X)(2)", False),
        ("return (lambda: X)()", True),
        ("return [X for X in [1]]", False),
        ("return [x for x in [X]]", True),
        ("return [X for X in X]", True),
        ("return {X: y for y in [1]}", True),
        ("def inner(X): return X\nreturn inner(1)", False),
        ("def inner(y=X): return y\nreturn inner()", True),
        ("for X in [1]: pass\nreturn X", False),
        ("with open('a') as X: return X", False),
        ("try:\n    pass\nexcept OSError as X:\n    return X.errno", False),
        ("class A:\n    X = 1\n    def f(self): return X\nreturn A", True),
        ("class A:\n    X = 1\n    y = X\nreturn A", True),
        ("global X\nX = 3", True),
        ("if (X := 2): return X", False),
        ("match config:\n    case {'a': X}: return X", False),
        ("match config:\n    case X: return X", False),
        ("import os as X\nreturn X", False),
        ("def inner():\n    return X\nX = 1\nreturn inner()", False),
        ("def inner():\n    nonlocal X\n    X = 2\nX = 1\nreturn inner()", False),
        ("x: X = 1\nreturn x", False),
        ("config.y: X = 1", False),
        ("def inner(a: X) -> X: return a\nreturn inner", False),
        ("@str\ndef inner(a: X): return a\nreturn inner", True),
        ("@str\ndef inner(a: 'list[X]'): return a\nreturn inner", True),
        ("class A:\n    a: 'X'\nreturn A", True),
        ("class A:\n    a: Literal['X']\nreturn A", False),
        ("raise ValueError(X)", False),
        ("raise ValueError(y := X)", True),
        ("raise ValueError from X", False),
        ("return OSError(str(X))", False),
        ("return mean_squared_error(X)", True),
        ("log.info(X)", False),
        ("logging.warning('%s', X)", False),
        ("log.info(y := X)", True),
        ("log.info('%s', len(X))", False),
        ("log.info('%s', config.draw(X))", True),
        ("log.info('%s', next(X))", True),
        ("assert config, X", False),
        ("return config.rootError(X)", True),
        ("return log.info(X)", True),
        ("print(X)", True),
        ("return f'{X}'", True),
        ("return Field(1, description=X)", False),
        ("return Field(X)", True),
        ("config.add_argument('--x', help=X)", False),
        ("config.add_argument('--x', type=X)", True),
    ],
)
def test_references_follow_scopes_and_skip_what_people_read(stage, body, reached):
    top = (
        "import logging\nfrom typing import Literal\nfrom pydantic import Field\nlog = logging.getLogger('a')\nX = 1\n"
    )
    assert ("X" in stage(body, top)["definitions"]["train"]) == reached


@pytest.mark.parametrize(
    "text",
    [
        "X = 7",
        "X: int = 7",
        "X, other = 7, 2",
        "X = 1\nX = X + 7",
        "if len('a'): X = 7\nelse: X = 2",
        "try:\n    import nothing as X\nexcept ImportError:\n    X = 7",
        "with open('7') as X: pass",
        "for X in [7]: pass",
        "def X(): return 7",
        "async def X(): return 7",
        "class X: a = 7",
        "print(X := 7)",
    ],
)
def test_every_kind_of_definition_counts(stage, text):
    before = stage("return X", text)
    assert "X" in before["definitions"]["train"]
    assert stage("return X", text.replace("7", "8"))["digest"] != before["digest"]


def test_an_import_in_a_function_leads_on_and_only_if_it_is_reached(stage):
    stage.tree.write(deep="def f(): return 1\n")
    assert stage("from workflow_scripts import deep\nreturn deep.f()")["definitions"]["deep"].keys() == {"f"}
    assert "workflow_scripts.deep" in stage.tree.sources().modules("train")
    unreached = "def other():\n    from workflow_scripts import deep\n    return deep.f()"
    assert "deep" not in stage("", unreached)["definitions"]
    assert "workflow_scripts.deep" not in stage.tree.sources().modules("train")


def test_a_name_that_is_imported_or_not_counts_with_what_is_imported(stage):
    body = "if config:\n    from workflow_scripts.deep import f\nelse:\n    f = None\nreturn f"
    assert stage(body, deep="def f(): return 1\n")["definitions"]["deep"].keys() == {"f"}


def test_a_module_as_a_value_counts_whole(stage):
    deep = "import workflow_scripts.deeper as deeper\ndef f(): return 1\ndef g(): return 2\n"

    def code(deep, deeper):
        top = "from workflow_scripts import deep"
        return stage("return getattr(deep, config)", top, deep=deep, deeper=deeper)

    before = code(deep, "A = 1\n")
    assert {"f", "g"} <= before["definitions"]["deep"].keys()
    assert code(deep, "A = 2\n")["digest"] != before["digest"]
    assert code(deep.replace("def g", "def h"), "A = 1\n")["digest"] != before["digest"]
    assert code(deep, "A = 1\n") == before


# effects


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("import matplotlib\nmatplotlib.use('Agg')", True),
        ("import torch\ntorch.backends.x = 1", True),
        ("import os\nos.environ['A'] = '1'", True),
        ("import os\ndel os.environ['A']", True),
        ("for x in [1]: print(x)", True),
        ("with open('a') as f: pass", True),
        ("try:\n    import nothing\nexcept ImportError:\n    nothing = None", True),
        ("if True: print(1)", True),
        ("X = []\nX += [1]", True),
        ("X = {}\nX['a'] = 1", True),
        ("def f(): return 1\nX = f()", True),
        ("import numpy as np\nX = np.random.default_rng(0)", True),
        ("import torch\nX = torch.manual_seed(0)", True),
        ("def register(f): return f\n@register\ndef g(): return 1", True),
        ("import unknown\n@unknown.register\nclass A: pass", True),
        ("import functools\n@functools.singledispatch\ndef f(x): return 1\n@f.register\ndef _(x: int): return 2", True),
        ("import operator\nX = {}\noperator.setitem(X, 'a', 1)", True),
        ("class A:\n    def __lshift__(self, x): pass\nX = A\nX << 1", True),
        ("class A:\n    global X\n    X = 1", True),
        (
            "from pydantic import BaseModel\nclass A(BaseModel):\n"
            "    def __pydantic_init_subclass__(cls): pass\nclass B(A): pass",
            True,
        ),
        ("def f(x=print(1)): return x", True),
        ("class A:\n    print(1)", True),
        ("class Base:\n    def __init_subclass__(cls): pass\nclass A(Base): pass", True),
        ("class Base: pass\nclass A(Base, key=1): pass", True),
        ("class Meta(type): pass\nclass A(metaclass=Meta): pass", True),
        ("class A:\n    def __init__(self): pass\nX = A()", True),
        ("from torch import nn\nclass A(nn.Module): pass\nX = A()", True),
        ("'''text'''", False),
        ("X = 1", False),
        ("def f(): print(1)", False),
        ("X = lambda: print(1)", False),
        ("import re\nX = re.compile('a')", False),
        ("import logging\nlog = logging.getLogger('a')\nlog.setLevel(1)\nlogging.basicConfig()", False),
        ("from pathlib import Path\nX = Path(__file__).resolve().parent / 'a'", False),
        ("import numpy as np\nX = np.log(2) + np.arange(3)", False),
        ("X = tuple(a for a in 'a b'.split())", False),
        (
            "from pydantic import BaseModel, Field\nclass A(BaseModel, frozen=True): x: int = Field(1)\nX = A(x=2)",
            False,
        ),
        ("import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass A:\n    x: int = 1\nX = A()", False),
        ("class A:\n    @property\n    def x(self): return 1\n    @x.setter\n    def x(self, v): pass", False),
        ("if __name__ == '__main__':\n    print(1)", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    print(1)", False),
        ("import functools\n@functools.cache\ndef f(): return 1", False),
        ("import torch\n@torch.inference_mode()\ndef f(): return 1", False),
    ],
)
def test_what_acts_on_import_counts_without_a_reference(stage, text, acts):
    top = "import workflow_scripts.other"
    before = stage("", top, other="")
    assert (stage("", top, other=text)["digest"] != before["digest"]) == acts
    module = Module(stage.tree.sources(), "workflow_scripts.other", stage.tree.package / "other.py")
    assert bool(module.effects) == acts


def test_effects_are_those_of_modules_that_may_be_loaded(stage):
    effect = "import matplotlib\nmatplotlib.use('Agg')\n"
    without = stage("")["digest"]
    assert stage("", other=effect)["digest"] == without
    assert stage("", "import workflow_scripts.deep", deep="import workflow_scripts.other")["digest"] != without
    stage.tree.write(other="")
    assert stage("", "import workflow_scripts.pkg.below", **{"pkg/__init__": effect, "pkg/below": ""}) != without


def test_effects_count_in_their_order_and_wherever_they_stand(stage):
    one, two = "print(1)\n", "print(2)\n"
    assert stage("", one + two)["digest"] != stage("", two + one)["digest"]
    assert stage("", "import workflow_scripts.a", a=one)["digest"] == stage("", one)["digest"]


def test_what_an_effect_refers_to_counts_and_its_libraries(stage):
    top = "import torch\nX = 1\ntorch.set_num_threads(X)\n"
    before = stage("", top)
    assert before["libraries"].keys() == {"torch"} and before["definitions"]["train"].keys() >= {"X", "on import"}
    assert stage("", top.replace("X = 1", "X = 2"))["digest"] != before["digest"]


def test_it_counts_which_of_two_equal_registries_is_filled_on_import(stage):
    top, heads = "import workflow_scripts.fill\nfrom workflow_scripts.tables import HEADS, TAILS\n", "HEADS['a'] = 1\n"
    fill = "from workflow_scripts.tables import HEADS, TAILS\n"
    one = stage("return HEADS, TAILS", top, tables="HEADS = {}\nTAILS = {}\n", fill=fill + heads)["digest"]
    assert stage("return HEADS, TAILS", top, fill=fill + heads.replace("HEADS", "TAILS"))["digest"] != one
    alone = stage("return HEADS", top, fill=fill + heads)["digest"]
    assert stage("return HEADS", top, fill=fill + heads.replace("HEADS", "TAILS"))["digest"] != alone


def test_an_effect_counts_as_often_as_it_acts(stage):
    top = "import workflow_scripts.fill\nimport workflow_scripts.more\nfrom workflow_scripts.tables import HEADS\n"
    fill = "from workflow_scripts.tables import HEADS\n"
    once = stage("return HEADS", top, tables="HEADS = []\n", fill=f"{fill}HEADS.append(1)\n", more=fill)["digest"]
    assert stage("return HEADS", top, more=f"{fill}HEADS.append(1)\n")["digest"] != once


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        (["X = 1", "Y = X", "X = 2"], True),
        (["X = {}", "Y = dict(X)", "X['a'] = 2"], True),
        (["X = []", "def Y(n=len(X)): return n", "X.append(2)"], True),
        (["X = []", "Y = 1", "X.append(2)"], False),
        (["X = []", "def Y(): return X", "X.append(2)"], False),
        (["X = []", "Y = X + [1]", "Z = 2"], False),
    ],
)
def test_the_order_of_a_change_and_of_what_reads_it_on_import_counts(stage, lines, counts):
    first, *others = lines
    digests = {stage("return X, Y", "\n".join([first, *order]))["digest"] for order in (others, others[::-1])}
    assert len(digests) == 1 + counts


def test_a_name_imported_in_a_class_counts_with_what_is_imported(stage):
    body = "class A:\n    from workflow_scripts.deep import f\nreturn A.f()"
    assert stage(body, deep="def f(): return 1\n")["definitions"]["deep"].keys() == {"f"}


def test_which_error_of_recorders_is_caught_counts_unless_it_is_raised_again(stage):
    def code(text):
        return stage(text, "from workflow_scripts.job import errors", **job)["digest"]

    job = {"job/__init__": "", "job/errors": "class A(Exception): pass\nclass B(A): pass\n"}
    caught = "try: return 1\nexcept errors.A: return 2"
    again = "try: return 1\nexcept errors.A as e: raise ValueError(e)"
    asked = "return isinstance(config, errors.A)"
    kept = "for error in (errors.A,): return error"
    assert code(caught) != code(caught.replace("errors.A", "errors.B"))
    assert code(again) == code(again.replace("errors.A", "errors.B"))
    assert code(asked) != code(asked.replace("errors.A", "errors.B"))
    assert code(kept) != code(kept.replace("errors.A", "errors.B"))


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("command.main(run, Config, inputs={'data': 'the data'})", None),
        ("command.main(other, Config)", "isn't tracked"),
        ("command.main(lambda *a: run(*a), Config)", "isn't tracked"),
        ("command.main(run, Config, inputs=dict(a='b'))", "isn't tracked"),
        ("print(1)\n    command.main(run, Config)", "isn't tracked"),
        ("VALUE = 2", "isn't tracked"),
    ],
)
def test_the_command_of_a_stage_hands_over_its_run_and_its_config_and_does_nothing_else(tree, command, what):
    tree.write(**{"job/__init__": "", "job/command": "VERSION = 1\ndef main(*a, **k): pass\n"})
    tree.replace("train", "import logging", "import logging\nfrom workflow_scripts.job import command")
    with (tree.package / "train.py").open("a") as file:
        file.write(f"\nother = run\n\nif __name__ == '__main__':\n    {command}\n")
    if what is None:
        tree.code()
    else:
        with pytest.raises(StudyError, match=rf"train\.py:\d+: .*{what}"):
            tree.code()


@pytest.mark.parametrize("path", ["helpers/__init__.py", "helpers.cpython-311-x86_64-linux-gnu.so", "helpers.pyd"])
def test_what_is_loaded_in_place_of_a_module_is_an_error(tree, path):
    (tree.package / path).parent.mkdir(exist_ok=True)
    (tree.package / path).touch()
    with pytest.raises(StudyError, match=r"helpers.*remove"):
        tree.code()


# kinds


@pytest.fixture
def family(stage):
    stage.tree.write(**{"config/__init__": "", "config/kinds": "import importlib\ndef of(family, kind): return 1\n"})
    stage.tree.write(**{"networks/__init__": "", "networks/_shared": "A = 1\n", "networks/deep/__init__": ""})
    for name, value in (("mlp", 1), ("cnn", 2)):
        text = f"from workflow_scripts.networks import _shared\nclass Settings:\n    x: int = {value}\n\n"
        stage.tree.write(**{f"networks/{name}": f"{text}def build(s):\n    return {value}\n\nOTHER = {value}\n"})
    top = "from workflow_scripts.config import kinds"
    stage("return kinds.of('networks', config.kind).build(config)", top)
    return stage.tree


@pytest.mark.parametrize(("kinds", "reached"), [(("mlp",), {"mlp"}), (("cnn", "sgd"), {"cnn"}), ((), set())])
def test_a_job_depends_on_its_own_kinds(family, kinds, reached):
    code = family.code("train", *kinds)
    assert {name for name in ("mlp", "cnn") if f"networks.{name}" in code["definitions"]} == reached
    assert all(code["definitions"][f"networks.{name}"].keys() == {"build"} for name in reached)
    loaded = family.sources().modules("train", frozenset(kinds))
    assert {name for name in ("mlp", "cnn", "_shared") if f"workflow_scripts.networks.{name}" in loaded} == (
        reached | ({"_shared"} if reached else set())
    )


def test_a_new_kind_and_a_change_of_another_leave_a_job_as_it_is(family):
    before = family.code("train", "mlp")
    family.write(**{"networks/vit": "def build(s): return 3\n"})
    family.replace("networks/cnn", "return 2", "return 4")
    assert family.code("train", "mlp") == before
    assert family.code("train", "mlp", "vit")["digest"] != before["digest"]
    family.replace("networks/mlp", "return 1", "return 4")
    assert family.code("train", "mlp")["digest"] != before["digest"]


def test_equal_kinds_under_different_names_are_different_code(family):
    family.write(**{"networks/cnn": (family.package / "networks/mlp.py").read_text()})
    assert family.code("train", "mlp")["digest"] != family.code("train", "cnn")["digest"]


@pytest.mark.parametrize(
    ("expression", "reached"),
    [
        ("kinds.of('networks', 'cnn').build(config)", {"build"}),
        ("kinds.of('networks', 'cnn')", {"Settings", "build", "OTHER", "*"}),
        ("kinds.choice('networks', 'kind')", None),
    ],
)
def test_a_kind_written_out_a_whole_module_and_a_choice(family, expression, reached):
    family.replace("train", "kinds.of('networks', config.kind).build(config)", expression)
    if reached is None:
        assert "networks.cnn" not in family.code()["definitions"]
        assert family.code("train", "cnn")["definitions"]["networks.cnn"].keys() == {"Settings"}
    else:
        assert family.code()["definitions"]["networks.cnn"].keys() == reached


def test_a_choice_at_top_level_loads_the_chosen_kinds_and_does_not_act(family):
    family.replace("train", "import kinds\n", "import kinds\nNetwork = kinds.choice('networks')\n")
    before = family.code("train", "mlp")
    assert "Network" not in before["definitions"]["train"]
    assert "workflow_scripts.networks.mlp" in family.sources().modules("train", frozenset({"mlp"}))
    family.replace("networks/mlp", "x: int", "y: int")
    assert family.code("train", "mlp") == before
    family.replace("train", "class Config:\n    pass", "class Config:\n    network: Network")
    with_settings = family.code("train", "mlp")
    family.replace("networks/mlp", "y: int", "x: int")
    assert family.code("train", "mlp")["digest"] != with_settings["digest"]


# recorders


def test_recorders_are_loaded_and_lead_nowhere_but_to_the_version(stage):
    command = "import sys\nfrom workflow_scripts import job\nVERSION = 1\ndef main(): return sys.modules\n"
    job = {"job/__init__": "", "job/command": command}
    top = "from workflow_scripts.job import command"
    before = stage("command.main()", top, **job)
    assert before["definitions"]["job.command"].keys() == {"VERSION"}
    assert {"workflow_scripts.job", "workflow_scripts.job.command"} <= stage.tree.sources().modules("train")
    stage.tree.replace("job/command", "return sys.modules", "return None")
    assert stage.tree.code() == before
    stage.tree.replace("job/command", "VERSION = 1", "VERSION = 2")
    assert stage.tree.code()["digest"] != before["digest"]


def test_two_recorders_are_told_apart(stage):
    job = {"job/__init__": "", "job/command": "VERSION = 1\n"}
    top = "from workflow_scripts.job import command"
    one = stage("command.a()\ncommand.b()", top, **job)["digest"]
    assert stage("command.a()\ncommand.a()", top)["digest"] != one
    assert stage("command.c()\ncommand.d()", top)["digest"] == one


# errors


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("exec('1')", "exec"),
        ("return eval('1')", "eval"),
        ("return compile('1', '', 'eval')", "compile"),
        ("f = eval", "eval"),
        ("return __import__('os')", "__import__"),
        ("import importlib\nreturn importlib.import_module('a')", "importlib.import_module"),
        ("from importlib import import_module as i\nreturn i('a')", "importlib.import_module"),
        ("import importlib.util as u\nreturn u.spec_from_file_location('a')", "spec_from_file_location"),
        ("import runpy\nrunpy.run_path('a')", "runpy.run_path"),
        ("import builtins\nbuiltins.eval('1')", "builtins.eval"),
        ("return globals()['a']", "globals"),
        ("return vars()", "vars()"),
        ("import sys\nreturn sys.modules['a']", "sys.modules"),
        ("import sys\nreturn sys.modules.get('a')", "sys.modules"),
        ("return config.__subclasses__()", "__subclasses__"),
        ("return run.__doc__", "__doc__"),
        ("return config.a.__doc__.strip()", "__doc__"),
        ("return __doc__", "__doc__"),
        ("return getattr(run, '__doc__')", "__doc__"),
        ("return '{0.__doc__}'.format(run)", "__doc__"),
        ("return run.__name__", "names of definitions"),
        ("return errors.__name__", "names of definitions"),
        ("return __name__", "__name__"),
        ("return run.__qualname__", "__qualname__"),
        ("return run.__annotations__", "__annotations__"),
        ("return open(__file__)", "__file__"),
        ("import inspect; return inspect.getsource(run)", "inspect.getsource"),
        ("import traceback; return traceback.format_exc()", "traceback.format_exc"),
        ("import sys; return sys.exc_info()", "sys.exc_info"),
        ("import sys; return sys._getframe(1)", "sys._getframe"),
        ("import pkgutil; return pkgutil.get_data('a', 'b')", "pkgutil.get_data"),
        ("from importlib import resources; return resources.files('a')", "importlib.resources"),
        ("return config.query('a > @LIMIT')", "pandas"),
        ("return config.eval(inputs)", "pandas"),
        ("from pydantic import validate_call; return validate_call(run)", "type hints"),
        ("run.register(run)", "type hints"),
        ("return [f.description for f in config.model_fields.values()]", "texts of Field"),
        ("return config.model_json_schema()", "model_json_schema"),
        ("kinds.of('networks', 'm' + 'lp').build", "the kind is none of the settings"),
        ("kinds.names('networks')", "kinds.names can't be followed"),
        ("errors.X = 1", "workflow_scripts.errors.X is set"),
        ("setattr(errors, 'X', 1)", "an attribute of workflow_scripts.errors is set"),
        ("return errors.Missing", "workflow_scripts.errors has no Missing"),
        ("from workflow_scripts.errors import Missing; return Missing", "workflow_scripts.errors has no Missing"),
        ("import workflow_scripts.missing", "there is no module workflow_scripts.missing"),
        ("from workflow_scripts.missing import X", "there is no module workflow_scripts.missing"),
        ("from . import errors", "relative import"),
        ("import outside", "outside lies outside workflow_scripts"),
        ("from outside.deep import X", "outside lies outside workflow_scripts"),
        ("kinds.of(config.family, 'mlp').build", "the family isn't written out"),
        ("kinds.choice(config.family)", "the family isn't written out"),
        ("kinds.of('networks', 'vit').build", "networks has no kind vit"),
        ("kinds.of('networks', 'mlp').missing", "workflow_scripts.networks.mlp has no missing"),
        ("kinds.of('nowhere', 'mlp').build", "there is no package workflow_scripts.nowhere"),
        ("f = kinds.of", "kinds.of isn't called"),
    ],
)
def test_what_cannot_be_followed_is_an_error_that_names_the_line(family, body, what):
    top = "from workflow_scripts import errors\nfrom workflow_scripts.config import kinds\n"
    (family.root / "outside.py").write_text("")
    body = textwrap.indent(f"x = 1\n{body}", "    ")
    family.write(train=f"{top}class Config: pass\ndef run(config, inputs, outputs):\n{body}\n")
    line = 4 + len(body.splitlines())
    with pytest.raises(StudyError, match=rf"train\.py:{line}: .*{re.escape(what)}.*: ") as raised:
        family.code()
    assert "\n" not in str(raised.value)
    unreached = f"{top}class Config: pass\ndef run(config, inputs, outputs): pass\ndef other(config):\n{body}\n"
    family.write(train=unreached)
    family.code()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("from os import *", "star import"),
        ("from . import errors", "relative import"),
        ("import outside", "outside lies outside"),
        ("import workflow_scripts.missing", "there is no module"),
        ("from workflow_scripts.errors import Missing", "has no Missing"),
        ("X = eval('1')", "eval can't be followed"),
        ("def f(:\n    pass", "not valid Python"),
        ("TYPE_CHECKING = True", "TYPE_CHECKING isn't that of typing"),
        ("import workflow_scripts.errors\nworkflow_scripts.errors.X = 1", "is set"),
    ],
)
def test_a_loaded_module_that_cannot_be_followed_is_an_error(stage, text, what):
    (stage.tree.root / "outside").mkdir()
    stage("", other=text)
    line = 1 if "def" in text else text.count("\n") + 1
    with pytest.raises(StudyError, match=rf"other\.py:{line}: .*{re.escape(what)}"):
        stage("", "import workflow_scripts.other")


@pytest.mark.parametrize(
    ("use", "fine"),
    [
        ("raise ValueError(f'{e}')", True),
        ("raise", True),
        ("log.info('%s', e)", True),
        ("inputs['a'] = e", True),
        ("return e.errno", True),
        ("return help(e)", True),
        ("return str(e)", False),
        ("return e.args[0]", False),
        ("inputs.append(e)", False),
        ("words = f'{e}'\n    raise ValueError(words)", False),
    ],
)
def test_what_a_caught_error_says_is_only_for_people(stage, use, fine):
    top = "import logging\nlog = logging.getLogger('a')\ndef help(e): return 1\n"
    body = f"try:\n    pass\nexcept OSError as e:\n    {use}"
    if fine:
        stage(body, top)
    else:
        with pytest.raises(StudyError, match=r"train\.py:\d+: e is read"):
            stage(body, top)


def test_a_stage_without_run_is_an_error(stage):
    stage.tree.write(train="class Config: pass\n")
    with pytest.raises(StudyError, match=r"train\.py:1: workflow_scripts\.train has no run"):
        stage.tree.code()


# libraries


def test_libraries_are_those_that_are_used_and_one_that_is_absent_is_no_error(stage, monkeypatch):
    assert stage("return np.ones(1)", "import numpy as np\nimport torch")["libraries"].keys() == {"numpy"}
    assert stage("raise ValueError(np.ones(1))", "import numpy as np")["libraries"] == {}
    assert stage("def f(x: np.ndarray): pass\nreturn f", "import numpy as np")["libraries"] == {}
    assert stage("from sklearn.datasets import load_digits\nreturn load_digits()")["libraries"].keys() == {
        "scikit-learn"
    }

    def version(name):
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    top = "import numpy as np\nimport torch"
    assert stage("return np, torch", top)["libraries"] == {"numpy": "1.0", "torch": "absent"}


# the text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return 1", "return 1.0"),
        ("return 1", "return True"),
        ("return 0.0", "return -0.0"),
        ("return 'a'", "return b'a'"),
        ("return None", "return"),
        ("return ...", "return Ellipsis"),
        ("return 1j", "return 1"),
        ("return {**config}", "return {None: config}"),
        ("def f(*, a, b=1): pass\nreturn f", "def f(*, a=1, b): pass\nreturn f"),
        ("return f'{config!r}'", "return f'{config!s}'"),
        ("return f'{config:>{inputs}}'", "return f'{config:<{inputs}}'"),
        ("return 'a' 'b'", "return 'a', 'b'"),
        ("class A:\n    a: int = 1\nreturn A", "class A:\n    (a): int = 1\nreturn A"),
        (
            "from typing import Annotated\nclass A:\n    a: Annotated[int, 'str']\nreturn A",
            "from typing import Annotated\nclass A:\n    a: Annotated[int, str]\nreturn A",
        ),
        (
            "from typing import Literal as L\nclass A:\n    a: L['1']\nreturn A",
            "from typing import Literal as L\nclass A:\n    a: L[1]\nreturn A",
        ),
        ("return [a for a in config]", "return {a for a in config}"),
        ("return [a for a in config if a]", "return [a for a in config]"),
        ("return config.a", "return config.b"),
        ("return f(a=1)", "return f(b=1)"),
        ("x = 1\nreturn x", "y = 1\nreturn y"),
        ("return config[1:]", "return config[:1]"),
        ("async def f(): pass\nreturn f", "def f(): pass\nreturn f"),
        ("x = 1\ndef f():\n    nonlocal x\n    x = 2\nreturn f", "x = 1\ndef f():\n    x = 2\nreturn f"),
    ],
)
def test_different_code_has_different_digests(stage, one, other):
    assert stage(one)["digest"] != stage(other)["digest"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return f'a{config}'", "return f'a' f'{config}'"),
        ("return f'{config}{{'", "return f'{config}' '{'"),
        ("return f'{config:}'", "return f'{config}'"),
        ("return 'a' 'b'", "return 'ab'"),
        ("return 0x10", "return 16"),
        ("return u'a'", "return 'a'"),
        ("x: int = 1\nreturn x", "x = 1\nreturn x"),
        ("x: int\nreturn 1", "return 1"),
        ("'text'\nreturn 1", "return 1"),
        ("assert config, 'text'\nreturn 1", "assert config\nreturn 1"),
        ("raise SystemExit('text')", "raise SystemExit('words')"),
        ("class A: pass\nreturn A", "class A: 'text'\nreturn A"),
        ("def f() -> int:\n    'text'\n    return 1\nreturn f", "def f():\n    return 1\nreturn f"),
    ],
)
def test_the_same_code_written_differently_has_the_same_digest(stage, one, other):
    assert stage(one)["digest"] == stage(other)["digest"]


MAKES_ERRORS = """
class Foreign(Exception): pass
def foreign(path, text):
    "An error."
    return Foreign(f"{path}: {text}")
"""


@pytest.mark.parametrize(
    ("one", "other", "top", "is_same"),
    [
        ("raise foreign(config, 'a')", "raise foreign(config, f'b {inputs}')", MAKES_ERRORS, True),
        ("error = foreign(config, 'a')", "error = foreign(config, 'b')", MAKES_ERRORS, True),
        ("raise foreign(config, x := 1)", "raise foreign(config, x := 2)", MAKES_ERRORS, False),
        ("return f('a')", "return f('b')", "def f(x):\n    return [x]", False),
        ("raise f('a')", "raise f('b')", "def f(x):\n    print(x)\n    return ValueError(x)", False),
        ("raise f('a')", "raise f('b')", "def f(x):\n    return f(x)", False),
        ("raise f('a')", "raise f('b')", "def f(x):\n    return ValueError(x) if x else None", False),
    ],
)
def test_what_is_handed_to_a_function_that_makes_an_error_counts_only_where_it_does_more(
    stage, one, other, top, is_same
):
    assert (stage(one, top)["digest"] == stage(other, top)["digest"]) == is_same


def test_digests_are_the_same_in_every_version_of_python(stage):
    text = """
    x = f"a{config!r:>{inputs}}{{b}}" f"{config=}" "\\u00e9\\U0001f40d" f"{config:%Y-{inputs}}"
    def f(a, /, b=1.5e300, *c, d: int = 2, **e) -> "x":
        return lambda y=1: (yield y)
    class A(dict, metaclass=type):
        x: int
        async def g(self):
            async with self as b, config: pass
            return [i async for i in self if (z := i)]
    match config:
        case {"a": [1, *rest], **others} | A(x=None): pass
        case None: pass
    try: pass
    except* ValueError as error: raise
    return x[1:2, ...], 1_000, b"\\xff", 1e10j, {**config}, -1, not x, f(*x, **x)
    """
    assert stage(text)["digest"] == "ae2fcde04dd11f4b"


# the package itself


@pytest.fixture(scope="module")
def real():
    return fingerprints.sources()


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_can_be_followed(real, name):
    code = real.code(name, frozenset())
    assert {"run", "Config"} <= code["definitions"][name].keys()


def test_stages_reach_what_they_do(real):
    train, measure, plot = (
        real.code(stage, frozenset(kinds))
        for stage, kinds in (("train", ["mlp"]), ("measure", []), ("plot", ["dynamics"]))
    )
    assert {"torch", "numpy", "safetensors"} <= train["libraries"].keys()
    assert not {"pandas", "matplotlib", "scipy", "torchvision"} & train["libraries"].keys()
    assert "torchvision" in real.code("train", frozenset({"vit"}))["libraries"]
    assert "torch" not in measure["libraries"] and "torch" not in plot["libraries"]
    assert "matplotlib" in plot["libraries"] and "_pyplot" in plot["definitions"]["drawing.style"]
    for code in (train, measure, plot):
        rooms = {module.partition(".")[0] for module in code["definitions"]}
        assert not {"engine", "audit", "provenance", "progress"} & rooms
        assert code["definitions"]["job.command"].keys() == {"VERSION"}


_TOLD = ("errno", "strerror", "filename", "lineno", "msg")
_LOGS = ("debug", "info", "warning", "error", "exception")


def _returns_errors(trees: dict[Path, ast.Module]) -> set[str]:
    """Names of functions all of whose returns are errors."""
    functions = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {function.name for function in functions if last_name(function.returns or ast.Pass()).endswith("Error")}


def _uses(name: str, handler: ast.ExceptHandler) -> list[ast.Name]:
    names = [node for node in ast.walk(handler) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return [node for node in names if node.id == name]


def _only_told(use: ast.Name, handler: ast.ExceptHandler, parents: dict[ast.AST, ast.AST], errors: set[str]) -> bool:
    """Whether an exception, or what is made of it, is used where nothing but people sees it."""
    node = use
    while node is not handler:
        node, below = parents[node], node
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Attribute) and node.attr in _TOLD):
            return True
        if isinstance(node, ast.Call) and below is not node.func:
            called = last_name(node.func)
            if called.endswith(("Error", "Exception")) or called in errors or called in _LOGS:
                return True
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            return True  # kept, to be raised with others
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            made = _uses(node.targets[0].id, handler)
            return all(_only_told(other, handler, parents, errors) for other in made)
    return False


def test_no_text_of_an_exception_reaches_a_product(real):
    modules = sorted({name for stage in STAGES for name in real.modules(stage) - real.recording})
    trees = {real.paths[name]: ast.parse(real.paths[name].read_bytes()) for name in modules}
    errors, found = _returns_errors(trees) | {"refused", "said", "isinstance"}, []
    for path, tree in trees.items():
        parents = {below: node for node in ast.walk(tree) for below in ast.iter_child_nodes(node)}
        for handler in ast.walk(tree):
            if isinstance(handler, ast.ExceptHandler) and handler.name:
                uses = _uses(handler.name, handler)
                found += [f"{path}:{use.lineno}" for use in uses if not _only_told(use, handler, parents, errors)]
    assert found == []
