"""What a network predicted at every checkpoint, and what an explainer did: fixed, or co-trained (S23) and a trajectory.

A co-trained explainer is the trajectory of another experiment. It is compared with the network at the same checkpoint,
so the checkpoints of both must be after the same steps, on the same test examples with the same labels.
"""

from pathlib import Path

import numpy as np

from workflow_scripts.data import tasks
from workflow_scripts.files import npz
from workflow_scripts.training import trajectories


def of_network(path: Path, labels: dict[str, np.ndarray], n_classes: int, *parts: str) -> dict[str, np.ndarray]:
    """What a network predicted of the test set, and of other parts, at each of T checkpoints.

    Args:
        path: its trajectory (.npz).
        labels: part -> true labels, [N].
        n_classes: C.
        parts: those besides the test set.

    Returns:
        steps, epochs [T]; test_sha256; {part}_predictions, class indices, [T, N].

    Raises:
        StudyError: the file is damaged, or was made from other data or for another task.
    """
    found = trajectories.load(path, labels, n_classes, "test", *parts)
    about = {"steps": found.steps, "epochs": found.epochs, "test_sha256": found.test_sha256}
    return about | {f"{part}_predictions": values for part, values in found.predictions.items()}


def of_explainer(
    path: Path,
    trajectory_path: Path,
    trajectory: dict[str, np.ndarray],
    labels: np.ndarray,
    n_classes: int,
    part: str = "test",
) -> np.ndarray:
    """What an explainer predicts of a part of the data.

    Args:
        path: the explainer (.npz), or the trajectory of a co-trained one.
        trajectory_path, trajectory: the network's, of_network(trajectory_path, ...).
        labels: true labels of the part, [N].
        n_classes: C.
        part: such as "test".

    Returns:
        Class indices, [N], or [T, N] of a co-trained explainer.

    Raises:
        StudyError: as of_network; or the checkpoints, the test set or the label map of a co-trained explainer are not
            the network's.
    """
    name, steps = f"{part}_predictions", trajectory["steps"]
    said = npz.load(path, name)[name]
    if said.ndim == 2:
        trajectories.check_cotrained(path, trajectory_path, steps, trajectory["test_sha256"])
    tasks.check_predictions(path, name, said, len(labels), n_classes, len(steps))
    return said
