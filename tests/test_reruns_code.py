"""What an edit of code, or another version of a library, reruns: that and nothing else; and why."""

import shutil
import subprocess
from importlib import metadata

import pytest

from tests.reruns import ANALYSIS, CONFIG, DIGITS, DISTIL, TRAIN, audit, check, edit, plan, put, several, snakemake
from tests.test_code_of_jobs import NOTHING

pytestmark = pytest.mark.thorough


def version(distribution):
    """Another version of a distribution: its metadata lie where Python looks first."""

    def change(project):
        folder = project / f"{distribution}-99.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 99.0\n")

    return change


TOTAL = edit("workflow_scripts/measures/information.py", "return counts.sum((-3, -2, -1))", "return sum(counts)")
CNN = edit("workflow_scripts/training/networks/cnn.py", "nn.Conv2d(channels, filters, 3)", "nn.Conv2d(filters, 3)")
BALL = edit("workflow_scripts/data/datasets/ball.py", "2 * np.pi", "np.pi * 2")
BOUNDARIES = edit("workflow_scripts/figures/boundaries.py", "linewidth=1.4", "linewidth=1.5")
CLAIMS = edit("workflow_scripts/tables/claims.py", 'mu["change_hi"] < 0', 'mu["change_hi"] <= 0')

#: what changes, the jobs that it plans, and lines that tell why
CODE = {
    "every edit that changes no code": (
        several(
            edit("rules/train.smk", "rule train:", "# trains\nrule train:"),
            edit("rules/train.smk", "progress in", "see"),
            edit("envs/workflow.yaml", "name:", "# ours\nname:"),
            *NOTHING.values(),
        ),
        {},
        [],
    ),
    "a helper three calls deep": (
        TOTAL,
        {**DISTIL, **ANALYSIS},
        [
            "distill_t0_labels sinusoid (2 jobs): measures.information._total changed",
            "measure 4 of them (6 jobs): measures.information._total changed",
            "plot fig1 (1 job): measures.information._total changed",
            "plot fig4 (1 job): follows summarize",
        ],
    ),
    "a kind of network": (
        CNN,
        {"train": 2, "extract_final": 2, "distill_final_labels": 2, **DIGITS},
        [
            "train digits (2 jobs): training.networks.cnn.build changed",
            "null_models digits (1 job): follows train, distill_final_labels",
        ],
    ),
    "a kind of data set": (
        BALL,
        {"prepare_data": 1, "train": 1, "extract_final": 1, "distill_true_labels": 1}
        | {"measure": 1, "null_models": 1, "summarize": 1, "plot": 1},
        [
            "prepare_data disc (1 job): data.datasets.ball.make changed",
            "train disc (1 job): follows prepare_data",
        ],
    ),
    "a kind of figure, and one of table": (
        several(BOUNDARIES, CLAIMS),
        {"plot": 1, "tabulate": 1},
        [
            "plot fig1 (1 job): figures.boundaries.drawn changed",
            "tabulate claims (1 job): tables.claims._claim_2 changed",
        ],
    ),
    "PyTorch": (
        version("torch"),
        {**TRAIN, **DISTIL, **ANALYSIS, "distill_true_labels": 0},
        [
            f"train 4 of them (6 jobs): torch {metadata.version('torch')} -> 99.0",
            f"distill_true_labels_by_sgd low_high (1 job): torch {metadata.version('torch')} -> 99.0",
            "distill_t0_labels sinusoid (2 jobs): follows train",
        ],
    ),
}


@pytest.mark.parametrize(("change", "jobs", "why"), CODE.values(), ids=CODE)
def test_code_reruns_what_it_has_a_part_in_and_the_audit_agrees(project, change, jobs, why):
    check(project, change, {stage: number for stage, number in jobs.items() if number}, why)


def test_another_shell_command_reruns_its_rule_which_the_audit_cannot_see(project):
    edit("rules/tabulate.smk", "> {log:q}", ">  {log:q}")(project)
    planned = plan(project)
    assert planned.jobs == {"tabulate": 3}
    assert planned.why == ["tabulate claims, table1, table2 (3 jobs): the shell command in rules/tabulate.smk changed"]
    assert audit(project).wrong == set()


def test_after_a_change_of_a_plot_a_target_before_it_plans_nothing(project):
    edit("workflow_scripts/drawing/style.py", "dpi=200", "dpi=300")(project)
    assert plan(project, "measures").jobs == {}
    assert plan(project, "figures").jobs == {"plot": 4}


def test_a_dynamic_import_is_an_error_before_anything_is_planned(project):
    module = project / "workflow_scripts" / "measures" / "phases.py"
    lines = len(module.read_text().splitlines())
    with module.open("a") as file:
        file.write("\n\n__import__('json')\n")
    done = snakemake(project, "--dry-run", configfiles=(CONFIG,), root=project)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "Job stats" not in done.stderr
    why = "__import__ can't be followed by reading: write out what it does, so that it is tracked"
    assert [line for line in done.stderr.splitlines() if "error" in line] == [f"error: {module}:{lines + 3}: {why}"]
    assert done.stderr.splitlines()[-1].startswith("error: ")


def git(folder, *arguments):
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_fresh_checkout_and_a_branch_switched_away_and_back_plan_nothing(project, tmp_path):
    git(project, "init", "--initial-branch=main")
    git(project, "add", ".")
    git(project, "commit", "-m", "All")
    git(project, "switch", "-c", "other")
    several(CNN, put("device", "auto"))(project)
    git(project, "commit", "-am", "Another network")
    git(project, "switch", "main")
    assert plan(project).jobs == {}
    git(tmp_path, "clone", project, "checkout")
    shutil.rmtree(tmp_path / "checkout" / ".git")
    shutil.copytree(tmp_path / "checkout", project, dirs_exist_ok=True, copy_function=shutil.copyfile)
    assert plan(project).jobs == {}
