"""What happens on clusters, done to a real one: the results are those of an undisturbed run, and no work is repeated."""

import pytest

from tests.slurm.conftest import ONCE
from tests.workflow import products

pytestmark = pytest.mark.slurm


def test_a_job_that_fails_once_is_tried_again(project, reference, tell):
    """Each training exits 1 at its first attempt."""
    assert project.run(FAULT="train:exit") == 0, project.said
    assert products(project.folder) == reference
    assert project.counts() == {**ONCE, "train": 4}
    project.is_finished()
    tell("tried again")
