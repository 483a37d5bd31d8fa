"""What a killed Snakemake left in Slurm's queue is told before anything runs beside it."""

import os
import re
from pathlib import Path

import pytest

from tests.workflow import snakemake
from workflow_scripts.config.errors import StudyError
from workflow_scripts.engine import orphans


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """What squeue says of the jobs of this user."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "squeue"
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")

    def says(text: str, code: int = 0) -> None:
        (tmp_path / "queue").write_text(text)
        command.write_text(f'#!/bin/sh\ncat "{tmp_path}/queue"\nexit {code}\n')
        command.chmod(0o755)

    return says


def jobs(folder: Path, number: int) -> str:
    return "".join(f"{i}|PENDING|rule_train_wildcards_waves_{i}|{folder}\n" for i in range(number))


def test_jobs_of_an_earlier_run_in_the_same_folder_are_named_with_what_to_do(queue, tmp_path):
    queue(f"12|RUNNING|group_measures_waves|{tmp_path}\n13|PENDING|rule_train_wildcards_waves_1|{tmp_path}\n")
    with pytest.raises(StudyError) as raised:
        orphans.refuse(tmp_path)
    said = str(raised.value)
    assert said.startswith(f"{tmp_path}: ") and said.endswith(" scancel 12 13")
    assert "12 (running, group_measures_waves), 13 (pending, rule_train_wildcards_waves_1)" in said
    assert "--directory" in said


def test_of_many_jobs_five_are_named_and_all_can_be_stopped(queue, tmp_path):
    queue(jobs(tmp_path, 7))
    with pytest.raises(StudyError, match=re.escape("waves_4) and 2 more: let them") + ".*scancel 0 1 2 3 4 5 6$"):
        orphans.refuse(tmp_path)


@pytest.mark.parametrize(
    "line", ["", "12|RUNNING|rule_train|/elsewhere\n", "12|RUNNING|(null)|{}\n", "12|COMPLETING|rule_train|{}\n"]
)
def test_other_jobs_hold_nobody_up(line, queue, tmp_path):
    queue(line.format(tmp_path))
    orphans.refuse(tmp_path)


def test_a_slurm_that_does_not_answer_holds_nobody_up(queue, tmp_path, monkeypatch):
    queue(jobs(tmp_path, 1), code=1)
    orphans.refuse(tmp_path)
    monkeypatch.setenv("PATH", "")
    orphans.refuse(tmp_path)


def test_snakemake_ends_with_one_clear_line_before_it_runs_anything(queue, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    queue(jobs(folder, 1))
    done = snakemake(folder, "results/tiny/data/digits.npz")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {folder}: Slurm still has jobs of another run here: 0 (")
    assert "Traceback" not in done.stderr and not (folder / "results/tiny").exists()
    queue("")
    assert snakemake(folder, "results/tiny/data/digits.npz").returncode == 0, "and it left no lock"
