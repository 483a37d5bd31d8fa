"""A new kind of figure or of table is one new module: it is planned, run, told and audited, and reruns nothing."""

import pandas as pd
import pytest
import yaml

from tests import forks
from tests.workflow import TINY, planned, snakemake
from workflow_scripts.config.configfiles import merged

SETTINGS = '''"""The accuracy at the end of training."""

from typing import Literal

import pandas as pd

from workflow_scripts.config import paths
from workflow_scripts.config.base import Strict
from workflow_scripts.config.shown import Experiments, check_experiments, titles
from workflow_scripts.drawing import style
from workflow_scripts.files import dataframes

CAPTION = r"""How well each network does in the end, A\\ :sub:`end`\\ ."""


class FinalAccuracy(Strict):
    """The accuracy at the end of training, of each experiment."""

    kind: Literal["final_accuracy"]
    experiments: Experiments


Settings = FinalAccuracy


def check(settings, study, key):
    check_experiments(key, settings.experiments, study)


def inputs(settings, study):
    return {"summaries": paths.of_experiments(settings.experiments, "summary.csv")}


def shown(settings, study):
    return {"titles": titles(study, settings.experiments)}


def _ends(job, inputs):
    rows = []
    for name, path in zip(job.settings.experiments, inputs["summaries"], strict=True):
        found = dataframes.read(path, "quantity", "mean").query("quantity == 'accuracy'")
        rows.append({"experiment": name, "title": job.shown["titles"][name], "mean": found["mean"].iloc[-1]})
    return pd.DataFrame(rows)
'''
DRAW = """

def draw(job, inputs, points):
    figure, axes = style.panels(1, 1)
    ends = _ends(job, inputs)
    axes[0, 0].bar(ends["title"], ends["mean"])
    points.keep(panel=ends["experiment"], series="accuracy", x=ends.index, y=ends["mean"])
    return figure
"""
TABLE = """

def table(job, inputs):
    return _ends(job, inputs)


def page(rows, title):
    return f"<h1>{title}</h1>{rows.to_html()}"
"""
CHANGE = {
    part: {"ends": {"kind": "final_accuracy", "experiments": ["digits", "sinusoid"]}} for part in ("figures", "tables")
}


@pytest.mark.slow
def test_a_new_figure_and_a_new_table_are_a_module_each_and_rerun_nothing(project):
    (project / "workflow_scripts/figures/final_accuracy.py").write_text(SETTINGS + DRAW)
    (project / "workflow_scripts/tables/final_accuracy.py").write_text(SETTINGS + TABLE)
    assert planned(project, configfiles=("tests/tiny.yaml",), root=project) == {}
    (project / "tests/tiny.yaml").write_text(yaml.safe_dump(merged([TINY], CHANGE)))
    given = {"configfiles": ("tests/tiny.yaml",), "root": project}
    assert planned(project, **given) == {"plot": 1, "tabulate": 1}
    done = snakemake(project, **given)
    assert done.returncode == 0, done.stderr
    assert planned(project, **given) == {}
    summaries = [pd.read_csv(project / f"results/tiny/{name}/summary.csv") for name in ("digits", "sinusoid")]
    ends = [table.loc[table["quantity"] == "accuracy", "mean"].iloc[-1] for table in summaries]
    assert pd.read_csv(project / "results/tiny/figures/ends.csv")["y"].tolist() == ends
    assert pd.read_csv(project / "results/tiny/tables/ends.csv")["mean"].tolist() == ends
    assert (project / "results/tiny/tables/ends.html").read_text().startswith("<h1>ends</h1>")

    audited = forks.run(
        "workflow_scripts.audit", "results/tiny/figures/ends.svg", "results/tiny/tables/ends.csv", cwd=project
    )
    assert audited.returncode == 0 and audited.stdout.startswith("CURRENT"), audited.stdout + audited.stderr

    done = snakemake(project, "--report", "report.html", **given)
    assert done.returncode == 0, done.stderr
    report = (project / "report.html").read_text()
    assert report.count("How well each network does in the end, A<sub>end</sub>.") == 3, "a picture, a table, its page"
    assert "Lines are means over seeds" in report, "the captions of the other kinds are there too"
