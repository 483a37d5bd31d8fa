"""Whose code an edit changes: each kind of edit, on a copy of the package, and the jobs that get another fingerprint.

What a dry run plans of that, and that the audit agrees, is in test_reruns_code.
"""

import ast
import shutil

import pytest
import yaml

from tests.reruns import edit, several
from tests.test_config import every_job
from tests.workflow import ROOT, TINY
from workflow_scripts.config import jobs, study
from workflow_scripts.provenance import fingerprints
from workflow_scripts.provenance.definitions import DISTRIBUTIONS, Sources

PACKAGE = "workflow_scripts"
#: experiment of a linear network, which the tiny study has not: the only one with modes
LINEAR = {"title": "Linear", "task": "ten", "network": {"kind": "linear"}, "sgd": {"lr": 0.1, "epochs": 1}}


def copied(path, to, *pairs):
    """A new module like another, with some text replaced."""

    def change(project):
        text = (project / PACKAGE / path).read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        (project / PACKAGE / to).write_text(text)

    return change


def changed(path, old, new):
    """Text of a module replaced."""
    return edit(f"{PACKAGE}/{path}", old, new)


def appended(path, text):
    def change(project):
        with (project / PACKAGE / path).open("a") as file:
            file.write(text)

    return change


def renamed(path, to, old, new):
    """A module moved, and what imports it."""

    def change(project):
        (project / PACKAGE / path).rename(project / PACKAGE / to)
        for each in (project / PACKAGE).rglob("*.py"):
            each.write_text(each.read_text().replace(old, new))

    return change


def moved(path, name, to):
    """A function moved to the end of another module of its room, and imported from there."""

    def change(project):
        here = project / PACKAGE / path
        text = here.read_text()
        node = next(node for node in ast.parse(text).body if getattr(node, "name", None) == name)
        taken = ast.get_source_segment(text, node)
        docstring, _, rest = text.replace(taken, "").partition('"""\n\n')
        module = f"{PACKAGE}/{to}".removesuffix(".py").replace("/", ".")
        here.write_text(f'{docstring}"""\n\nfrom {module} import {name}\n{rest}')
        appended(to, f"\n\n{taken}\n")(project)

    return change


def reformatted(project):
    """Every module without comments, in another layout, and with other docstrings."""
    for path in (project / PACKAGE).rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                node.body[0].value.value = "Something else."
        path.write_text(ast.unparse(tree))


def effect(path):
    """Something that acts when a module is loaded."""
    return appended(path, "\n\nimport os\n\nos.environ['CHANGED'] = '1'\n")


RECORDING = ("audit/verdict", "config/errors", "config/kinds", "engine/plan", "job/command", "job/locks")
RECORDING += ("progress/report", "provenance/sidecars", "provenance/text")

#: edits that change the code of no job
NOTHING = {
    "a new kind of network": copied("training/networks/mlp.py", "training/networks/wide.py", ("mlp", "wide")),
    "a new kind of data set": copied("data/datasets/ball.py", "data/datasets/disc.py", ('"ball"', '"disc"')),
    "a new kind of explainer": copied("explainers/tree.py", "explainers/bush.py", ('"tree"', '"bush"')),
    "a new kind of figure": copied("figures/dynamics.py", "figures/films.py", ('"dynamics"', '"films"')),
    "a new kind of table": copied("tables/phases.py", "tables/spans.py", ('"phases"', '"spans"')),
    "code that writes down, plans or audits": several(*(effect(f"{module}.py") for module in RECORDING)),
    "a function moved to another module": several(
        appended("measures/binomial.py", "import numpy as np\nfrom scipy.special import xlogy\n"),
        moved("measures/corrections.py", "_excess", "measures/binomial.py"),
    ),
    "a module renamed": renamed("measures/seeds.py", "measures/over_seeds.py", "measures.seeds", "measures.over_seeds"),
    "a kind's helper renamed": renamed("explainers/_scikit.py", "explainers/_sklearn.py", "_scikit", "_sklearn"),
    "a function renamed": changed("tables/claims.py", "_by_interval(", "_judged("),
    "the description of a setting": changed(
        "training/networks/cnn.py", "filters of each convolution", "how many filters"
    ),
    "the text of an error": several(
        changed("training/sgd.py", "training examples: lower it", "examples: choose a lower one"),
        changed("training/networks/cnn.py", "nothing is left of", "there is nothing left of"),
        changed("data/tasks.py", 'examples of {n_classes} groups")\n    check', 'examples")\n    check'),
    ),
    "lines of logs": several(
        changed("training/sgd.py", "%d steps in %.6g epochs on %s; %d checkpoints", "%d steps, %.6g epochs (%s, %d)"),
        changed("explainers/logistic.py", "converged after %d iterations", "took %d iterations"),
        changed("null_models.py", "never reaches %s: no T0, no comparison", "has no T0 of %s"),
    ),
    "type hints of functions": changed("measures/information.py", "counts: np.ndarray", "counts"),
    "help of a command": changed("measure.py", "the part of each class (.csv)", "each class (.csv)"),
    "code that nothing calls": several(
        appended("training/sgd.py", "\n\ndef unused(x):\n    return x\n\n\nUNUSED = 1\n"),
        changed("data/many.py", "BLOCK = 16", "BLOCK = 8"),
    ),
    "every module reformatted, with other comments and docstrings": reformatted,
}


@pytest.fixture(scope="module")
def known():
    """Each kind of job of the tiny study and of one with modes: stage and the kinds in its settings."""
    config = yaml.safe_load(TINY.read_text())
    config["experiments"]["ten_linear"] = LINEAR | {"explainers": ["linear"], "seeds": [3]}
    of = study.load(config)
    found = {(stage, fingerprints.kinds(jobs.settings(of, stage, **wildcards))) for stage, wildcards in every_job(of)}
    assert {stage for stage, _ in found} == {*jobs.STAGES}
    return found


def codes(root, known):
    """Job -> its digest and libraries, with the package as it is below root."""
    sources = Sources(root, PACKAGE, fingerprints.RECORDERS)
    found = {(stage, kinds): sources.code(stage, kinds) for stage, kinds in known}
    return {
        " ".join([stage, *sorted(kinds)]): (code["digest"], code["libraries"]) for (stage, kinds), code in found.items()
    }


@pytest.fixture(scope="module")
def before(known):
    return codes(ROOT, known)


@pytest.fixture
def differing(known, before, tmp_path):
    """A change of the project -> the jobs whose code it changes."""

    def after(change):
        shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
        change(tmp_path)
        found = codes(tmp_path, known)
        return {job for job, code in found.items() if code != before[job]}

    return after


def test_edits_without_a_part_in_results_change_no_code_all_at_once(differing):
    assert differing(several(*NOTHING.values())) == set()


@pytest.mark.thorough
@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
def test_an_edit_without_a_part_in_results_changes_no_code(differing, change):
    assert differing(change) == set()


EVERY_JOB = {
    *("prepare_data ball", "prepare_data digits", "prepare_data sinusoid", "simulate"),
    *("train cnn", "train linear", "train mlp", "extract_final cnn", "extract_final linear", "extract_final mlp"),
    *("distill linear logistic", "distill linear sgd", "measure", "null_models", "summarize"),
    *("order_examples", "decompose"),
    *("plot boundaries", "plot dynamics", "plot information_accuracy", "plot theorem1"),
    *("tabulate claims", "tabulate phases", "tabulate ratios"),
}


def of(*stages):
    """All jobs of these stages."""
    return {job for job in EVERY_JOB if job.split()[0] in stages}


OF_MEASURES = of("decompose", "measure", "null_models", "order_examples", "simulate", "summarize")

#: edits, and the jobs whose code they change
CODE = {
    "the run of a stage": (changed("plot.py", "points = Points()", "points = Points()\n    points.keep()"), of("plot")),
    "a helper three calls deep": (
        changed("measures/information.py", "return counts.sum((-3, -2, -1))", "return counts.sum((-1, -2, -3))"),
        of("distill", "measure", "null_models") | {"plot boundaries"},
    ),
    "a local name of a helper": (
        changed(
            "measures/information.py",
            "n = _total(counts)\n    return np.log(n)",
            "m = _total(counts)\n    n = m\n    return np.log(n)",
        ),
        of("distill", "measure", "null_models") | {"plot boundaries"},
    ),
    "a module constant": (
        changed("measures/intervals.py", "Z_95 = 1.959963984540054", "Z_95 = 1.96"),
        OF_MEASURES | {"tabulate claims", "tabulate ratios"},
    ),
    "a constant of one function": (
        changed("measures/theorem1.py", "_RECORDED_STEPS = 60", "_RECORDED_STEPS = 61"),
        {"simulate"},
    ),
    "a default argument": (
        changed("measures/exact_tests.py", "draws: int = DRAWS", "draws: int = DRAWS + 1"),
        {"measure", "null_models"},
    ),
    "a constant that is a default argument": (
        changed("measures/exact_tests.py", "DRAWS = 199", "DRAWS = 99"),
        {"measure", "null_models"},
    ),
    "a decorator": (
        changed("training/checkpoints.py", "@torch.inference_mode()", "@torch.no_grad()"),
        of("train") | {"distill linear sgd"},
    ),
    "a decorator of a class": (
        changed("data/tasks.py", "@dataclass(frozen=True)", "@dataclass"),
        of("train", "extract_final", "distill") | {"decompose"},
    ),
    "a method of a base class": (changed("data/source.py", "return None", "return ''"), of("prepare_data")),
    "a base class": (
        changed("explainers/_solver.py", "trains_network: ClassVar[bool]", "trains_networks: ClassVar[bool]"),
        of("distill"),
    ),
    "the base class of all settings": (
        changed("config/base.py", "strict=True, frozen=True", "strict=True, frozen=False"),
        EVERY_JOB,
    ),
    "a method of a layer": (
        changed("training/layers.py", "class Crop(nn.Module):", "class Crop(nn.Module):\n    dim = 2\n"),
        {"train cnn", "extract_final cnn"},
    ),
    "an __init__ that acts": (
        effect("measures/__init__.py"),
        OF_MEASURES | of("distill", "tabulate") | {"plot boundaries", "plot dynamics", "plot information_accuracy"},
    ),
    "the __init__ of a family that acts": (effect("figures/__init__.py"), of("plot")),
    "the __init__ of the package that acts": (effect("__init__.py"), EVERY_JOB),
    "a kind that acts": (effect("training/networks/cnn.py"), {"train cnn", "extract_final cnn"}),
    "a kind of network": (
        changed("training/networks/cnn.py", "nn.Conv2d(channels, filters, 3)", "nn.Conv2d(channels, filters, 5)"),
        {"train cnn", "extract_final cnn"},
    ),
    "the settings of a kind of network": (
        changed("training/networks/mlp.py", "Field(min_length=1", "Field(min_length=2"),
        {"train mlp", "extract_final mlp"},
    ),
    "a kind of network that explainers have": (
        changed("training/networks/linear.py", "perceptron(input_shape, []", "perceptron(input_shape, list()"),
        {"train linear", "extract_final linear", "distill linear sgd"},
    ),
    "a kind of data set": (changed("data/datasets/ball.py", "2 * np.pi", "np.pi * 2"), {"prepare_data ball"}),
    "what drawn data sets share": (
        changed("data/parts.py", '"test": settings.test, "fresh": settings.fresh', '"fresh": settings.fresh'),
        {"prepare_data ball", "prepare_data sinusoid"},
    ),
    "the parts that every data set has": (
        changed("data/parts.py", '"fresh", "grid")', '"grid", "fresh")'),
        of("prepare_data", "train", "extract_final", "distill") | OF_MEASURES - {"simulate"} | {"plot boundaries"},
    ),
    "a kind of explainer": (
        changed("explainers/logistic.py", "MAX_TERMS = 2_000", "MAX_TERMS = 3_000"),
        {"distill linear logistic"},
    ),
    "a kind of explainer that trains a network": (
        changed("explainers/sgd.py", "every=1", "every=2"),
        {"distill linear sgd"},
    ),
    "a kind of figure": (changed("figures/boundaries.py", "linewidth=1.4", "linewidth=1.5"), {"plot boundaries"}),
    "what some kinds of figures share": (
        changed("drawing/panel.py", '"markersize": 5', '"markersize": 6'),
        {"plot dynamics"},
    ),
    "what all figures share": (changed("drawing/style.py", "dpi=200", "dpi=300"), of("plot")),
    "a kind of table": (
        changed("tables/claims.py", 'mu["change_hi"] < 0', 'mu["change_hi"] <= 0'),
        {"tabulate claims"},
    ),
    "a kind of table that another one reads": (
        changed("tables/ratios.py", '"ratio_corrected": "ratio_shared"', '"ratio_corrected": None'),
        {"tabulate claims", "tabulate ratios"},
    ),
    "the version of the command shell": (changed("job/command.py", "VERSION = 1", "VERSION = 2"), EVERY_JOB),
}


@pytest.mark.parametrize(("change", "jobs"), CODE.values(), ids=CODE)
def test_an_edit_changes_the_code_of_the_jobs_that_reach_it(differing, change, jobs):
    assert differing(change) == jobs


LIBRARIES = {
    "numpy": EVERY_JOB,
    "scipy": EVERY_JOB - of("prepare_data", "train", "extract_final") - {"plot theorem1", "tabulate phases"},
    "pandas": OF_MEASURES | of("plot", "tabulate"),
    "matplotlib": of("plot"),
    "torch": of("train", "extract_final") | {"distill linear sgd"},
    "safetensors": of("train", "extract_final"),
    "scikit-learn": {"distill linear logistic", "prepare_data digits"},
    "pillow": set(),
    "torchvision": set(),
}


def test_a_job_depends_on_the_versions_of_the_libraries_that_its_code_uses(before):
    used = {name: {job for job, (_, libraries) in before.items() if name in libraries} for name in LIBRARIES}
    assert used == LIBRARIES and LIBRARIES.keys() == {*DISTRIBUTIONS.values()}
