"""The runs that are kept in docs/gallery are as they were made, and can still be read."""

import numpy as np
import pytest

from tests.workflow import ROOT
from workflow_scripts.files import hashing
from workflow_scripts.provenance import sidecars
from workflow_scripts.training import trajectories

SIDECARS = sorted((ROOT / "docs/gallery").rglob(f"*{sidecars.SUFFIX}"))


@pytest.mark.parametrize("path", SIDECARS, ids=lambda path: path.parent.name)
def test_a_kept_sidecar_is_sound_and_vouches_for_what_is_kept(path):
    record = sidecars.read(path)
    assert record.fault is None
    kept = [path.with_name(name) for name in record.outputs if path.with_name(name).exists()]
    assert kept and [record.digest_of(product) for product in kept] == [hashing.sha256(product) for product in kept]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_kept_trajectory_is_of_the_whole_training(seed):
    labels = {"train": np.empty(50_000), "test": np.empty(10_000)}
    kept = trajectories.load(ROOT / f"docs/gallery/resnet/seed{seed}/trajectory.npz", labels, 2, "train", "test")
    assert kept.steps[0] == 0 and kept.steps[-1] == 20_000 and len(kept.steps) == 71
    assert {*kept.predictions} == {"train", "test"} and not np.array_equal(*kept.predictions["test"][[0, -1]])


def test_there_is_a_gallery():
    assert len(SIDECARS) == 2
