"""What a network predicted while it was trained, and its file, trajectory.npz: nothing else knows the names in there.

| array | form | |
| --- | --- | --- |
| `steps`, `epochs` | int64[T], float64[T] | when the checkpoints are |
| `{part}_predictions` | uint8[T, N] | for each part of the data: train, test, fresh, grid |
| `train_loss`, `test_loss` | float32[T] | mean (binary) cross-entropy, nats |
| `weights.{name}` | float32[T, ...] | of linear networks only |
| `test_sha256` | text | digest of the test inputs and their labels |
| `pretraining_accuracy` | float64 | share of the random labels that pretraining fitted, NaN without |
| `weights_sha256` | text | digest of the weights that training ended with |
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.config.errors import Foreign
from workflow_scripts.data import tasks
from workflow_scripts.files import npz

#: what each array of the file is, see npz.Form
_FORMS = {
    "steps": npz.Form("iu", ("T",), 0, rising=True),
    "epochs": npz.Form("f", ("T",), 0, finite=True, rising=True),
    "test_sha256": npz.TEXT,
    "weights_sha256": npz.TEXT,
}
#: the parts of the data whose losses are kept
LOSSES = ("train", "test")


@dataclass(frozen=True)
class Trajectory:
    """What a network predicted at each of T checkpoints.

    steps: int64[T], SGD steps done; epochs: float64[T]; predictions: part -> uint8[T, N]; losses: part -> float32[T],
    mean (binary) cross-entropy in nats; weights: name -> float32[T, ...], if they were kept; test_sha256: digest of the
    test inputs and their labels. One that is read from a file has only the arrays that were asked for.
    """

    steps: np.ndarray
    epochs: np.ndarray
    predictions: dict[str, np.ndarray]
    losses: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    test_sha256: str


def save(path: Path, trajectory: Trajectory, weights_sha256: str, pretraining_accuracy: float = np.nan) -> None:
    """Write a trajectory; weights_sha256: digest of the weights that it ends with."""
    npz.save(
        path,
        steps=trajectory.steps,
        epochs=trajectory.epochs,
        **{_predictions(part): values for part, values in trajectory.predictions.items()},
        **{f"{part}_loss": trajectory.losses[part] for part in LOSSES},
        **{f"weights.{name}": values for name, values in trajectory.weights.items()},
        test_sha256=trajectory.test_sha256,
        pretraining_accuracy=pretraining_accuracy,
        weights_sha256=weights_sha256,
    )


def load(path: Path, labels: dict[str, np.ndarray], n_classes: int, *parts: str) -> Trajectory:
    """A trajectory with the predictions [T, N] of these parts; labels: part -> [N], of the task.

    Raises StudyError when the file is missing or damaged, or was made from other data or for another task.
    """
    forms = {_predictions(part): npz.Form("iu", ("T", len(labels[part]))) for part in parts}
    arrays = npz.load(path, "steps", "epochs", "test_sha256", *forms, forms=_FORMS | forms)
    predictions = {part: arrays[_predictions(part)] for part in parts}
    for part, values in predictions.items():
        tasks.check_groups(path, _predictions(part), values, n_classes)
    return Trajectory(arrays["steps"], arrays["epochs"], predictions, {}, {}, str(arrays["test_sha256"]))


def load_weights(path: Path, shapes: dict[str, tuple[int, ...]]) -> Trajectory:
    """A trajectory with the weights [T, *shape] of these names and shapes, and no predictions.

    Raises StudyError when the file is missing or damaged, has no weights, or has some of another shape.
    """
    forms = {f"weights.{name}": npz.Form("f", ("T", *shape), finite=True) for name, shape in shapes.items()}
    arrays = npz.load(path, "steps", "epochs", "test_sha256", *forms, forms=_FORMS | forms)
    weights = {name: arrays[f"weights.{name}"] for name in shapes}
    return Trajectory(arrays["steps"], arrays["epochs"], {}, {}, weights, str(arrays["test_sha256"]))


def load_weights_digest(path: Path) -> str:
    """SHA-256 of the weights that a trajectory ends with. Raises StudyError for a missing or damaged file."""
    return str(npz.load(path, "weights_sha256", forms=_FORMS)["weights_sha256"])


def check_task(path: Path, trajectory: Trajectory, data: tasks.TaskData) -> None:
    """Raise Foreign unless a trajectory, read from path, is of this task."""
    if trajectory.test_sha256 != tasks.test_digest(data):
        raise Foreign(
            path,
            "its test set or label map is not that of the task: made from other data, or for another task: "
            "delete it and run its stage again",
        )


def check_cotrained(path: Path, network_path: Path, steps: np.ndarray, test_sha256: str) -> None:
    """Raise StudyError unless a trajectory has the checkpoints and the test set of the network's.

    path: the trajectory of a co-trained explainer (S23); steps, test_sha256: those of the one at network_path.
    """
    other = npz.load(path, "steps", "test_sha256", forms=_FORMS)
    if not np.array_equal(other["steps"], steps):
        raise Foreign(
            path,
            f"its {len(other['steps'])} checkpoints are not those of {network_path} ({len(steps)}): "
            "train both with the same batch_size, epochs and checkpoints",
        )
    if str(other["test_sha256"]) != str(test_sha256):
        raise Foreign(path, f"its test set or label map is not that of {network_path}: train both on the same task")


def _predictions(part: str) -> str:
    return f"{part}_predictions"
