"""What an edit of code, or another version of a library, reruns: that and nothing else; and why."""

import ast
import shutil
import subprocess

import pytest

from tests.reruns import ANALYSIS, CONFIG, DISTIL, TRAIN, audit, check, code, edit, plan, put, several, snakemake

pytestmark = pytest.mark.thorough


def reformatted(project):
    """Every module without comments, in another layout, and with other docstrings."""
    for path in (project / "workflow_scripts").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                node.body[0].value.value = "Something else."
        path.write_text(ast.unparse(tree))


def version(distribution):
    """Another version of a distribution: its metadata lie where Python looks first."""

    def change(project):
        folder = project / f"{distribution}-99.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 99.0\n")

    return change


#: what changes, the jobs that it plans, and lines that tell why
CODE = {
    "every module reformatted, with other comments and docstrings": (reformatted, {}, []),
    "code that writes down, plans or audits": (
        several(*map(code, ("provenance", "planning", "cache", "differences", "audit/verdict", "config/study"))),
        {},
        [],
    ),
    "a comment and a message in the rules, and the file of the conda environment": (
        several(
            edit("rules/train.smk", "rule train:", "# trains\nrule train:"),
            edit("rules/train.smk", "progress in", "see"),
            edit("envs/workflow.yaml", "name:", "# ours\nname:"),
        ),
        {},
        [],
    ),
    "information": (
        code("information"),
        {"simulate": 1, **DISTIL, **ANALYSIS, "plot": 4},
        [
            "distill_t0_labels sinusoid (2 jobs): workflow_scripts/information.py changed",
            "plot 4 of them (4 jobs): workflow_scripts/information.py changed",
        ],
    ),
    "uncertainty": (
        edit("workflow_scripts/uncertainty.py", "Z_95 = 1.959963984540054", "Z_95 = 1.96"),
        {"simulate": 1, "measure": 6, "null_models": 4, "summarize": 4, "plot": 4, "tabulate": 3},
        [
            "simulate theorem1 (1 job): workflow_scripts/uncertainty.py changed",
            "summarize 4 of them (4 jobs): workflow_scripts/uncertainty.py changed",
            "plot 4 of them (4 jobs): workflow_scripts/uncertainty.py changed",
        ],
    ),
    "plot": (code("plot"), {"plot": 4}, ["plot 4 of them (4 jobs): workflow_scripts/plot.py changed"]),
    "one kind of figure, and one of table": (
        several(code("figures/boundaries"), code("tabulated/claims")),
        {"plot": 4, "tabulate": 3},
        ["tabulate claims, table1, table2 (3 jobs): workflow_scripts/tabulated/claims.py changed"],
    ),
    "style": (code("style"), {"plot": 4}, []),
    "the simulation": (
        code("theorem1"),
        {"simulate": 1, "plot": 1, "tabulate": 1},
        ["plot theorem1 (1 job): follows simulate", "tabulate claims (1 job): follows simulate"],
    ),
    "tabulate": (code("tabulate"), {"tabulate": 3}, []),
    "networks": (
        code("networks"),
        {**TRAIN, **DISTIL, **ANALYSIS},
        [
            "train 4 of them (6 jobs): workflow_scripts/networks.py changed",
            "null_models 4 of them (4 jobs): "
            "follows train, distill_true_labels, distill_true_labels_by_sgd, distill_final_labels, distill_t0_labels",
        ],
    ),
    "explainers by scikit-learn": (
        code("shallow"),
        {**DISTIL, **ANALYSIS},
        ["distill_final_labels digits (2 jobs): workflow_scripts/shallow.py changed"],
    ),
    "datasets": (
        code("datasets"),
        {"prepare_data": 3, **TRAIN, **DISTIL, **ANALYSIS},
        [
            "prepare_data digits, disc, sinusoid (3 jobs): workflow_scripts/datasets.py changed",
            "train 4 of them (6 jobs): follows prepare_data",
        ],
    ),
    "pictures": (
        code("pictures"),
        {"prepare_data": 3, **TRAIN, **DISTIL, **ANALYSIS},
        ["prepare_data digits, disc, sinusoid (3 jobs): workflow_scripts/pictures.py changed"],
    ),
    "the settings of figures and tables": (
        code("config/analysis"),
        {"null_models": 4, "plot": 4, "tabulate": 3},
        ["plot 4 of them (4 jobs): workflow_scripts/config/analysis.py changed"],
    ),
    "PyTorch": (version("torch"), {**TRAIN, **DISTIL, **ANALYSIS}, []),
    "Pillow": (version("pillow"), {"prepare_data": 3, **TRAIN, **DISTIL, **ANALYSIS}, []),
    "Matplotlib": (version("matplotlib"), {"plot": 4}, []),
    "pandas": (version("pandas"), {"simulate": 1, **ANALYSIS, "plot": 4}, []),
}


@pytest.mark.parametrize(("change", "jobs", "why"), CODE.values(), ids=CODE)
def test_code_reruns_what_it_has_a_part_in_and_the_audit_agrees(project, change, jobs, why):
    check(project, change, jobs, why)


def test_another_shell_command_reruns_its_rule_which_the_audit_cannot_see(project):
    edit("rules/tabulate.smk", "> {log:q}", ">  {log:q}")(project)
    planned = plan(project)
    assert planned.jobs == {"tabulate": 3}
    assert planned.why == ["tabulate claims, table1, table2 (3 jobs): the shell command in rules/tabulate.smk changed"]
    assert audit(project).wrong == set()


def test_after_a_change_of_a_plot_a_target_before_it_plans_nothing(project):
    code("plot")(project)
    assert plan(project, "measures").jobs == {}
    assert plan(project, "figures").jobs == {"plot": 4}


def test_a_dynamic_import_is_an_error_before_anything_is_planned(project):
    module = project / "workflow_scripts" / "phases.py"
    lines = len(module.read_text().splitlines())
    with module.open("a") as file:
        file.write("\n\ndef late():\n    __import__('json')\n")
    done = snakemake(project, "--dry-run", configfiles=(CONFIG,), root=project)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert errors == [f"error: {module}:{lines + 4}: dynamic import: import by name, so that the module is tracked"]


def git(folder, *arguments):
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_fresh_checkout_and_a_branch_switched_away_and_back_plan_nothing(project, tmp_path):
    git(project, "init", "--initial-branch=main")
    git(project, "add", ".")
    git(project, "commit", "-m", "All")
    git(project, "switch", "-c", "other")
    several(code("networks"), put("device", "auto"))(project)
    git(project, "commit", "-am", "Another network")
    git(project, "switch", "main")
    assert plan(project).jobs == {}
    git(tmp_path, "clone", project, "checkout")
    shutil.rmtree(tmp_path / "checkout" / ".git")
    shutil.copytree(tmp_path / "checkout", project, dirs_exist_ok=True, copy_function=shutil.copyfile)
    assert plan(project).jobs == {}
