"""Tasks: a data set seen through a label map."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.config.errors import Foreign, Unfit, Wrong
from workflow_scripts.config.tasks import Task
from workflow_scripts.data.parts import PARTS
from workflow_scripts.files import npz


@dataclass(frozen=True)
class TaskData:
    """Inputs and labels of each part of a task; labels are group indices 0..n_classes-1, int64[N]."""

    inputs: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    n_classes: int


def load(path: Path, task: Task) -> TaskData:
    """Read a data set's file and apply the label map. Raises StudyError for a damaged file or an empty group."""
    names = [f"{part}_{kind}" for part in PARTS for kind in ("inputs", "labels")]
    arrays = npz.load(path, *names, "class_names")
    groups = _group_of_class(task, len(arrays["class_names"]))
    inputs, labels = {}, {}
    for part in PARTS:
        mapped = groups[arrays[f"{part}_labels"]]
        kept = mapped >= 0
        inputs[part] = arrays[f"{part}_inputs"] if kept.all() else arrays[f"{part}_inputs"][kept]
        labels[part] = mapped[kept]
    n_classes = int(groups.max()) + 1
    for part in ("train", "test"):
        absent = sorted(set(range(n_classes)) - set(labels[part].tolist()))
        if absent:
            raise Unfit(f"{path}: the {part} part has no example of group {absent[0]}: take more {part} examples")
    return TaskData(inputs, labels, n_classes)


def load_labels(path: Path, task: Task) -> tuple[dict[str, np.ndarray], int]:
    """Labels of every part under the label map, and the number of groups, without reading the inputs."""
    arrays = npz.load(path, *[f"{part}_labels" for part in PARTS], "class_names")
    groups = _group_of_class(task, len(arrays["class_names"]))
    mapped = {part: groups[arrays[f"{part}_labels"]] for part in PARTS}
    return {part: values[values >= 0] for part, values in mapped.items()}, int(groups.max()) + 1


def test_digest(data: TaskData) -> str:
    """SHA-256 of the test inputs and their labels: equal for trajectories that can be compared example by example."""
    digest = hashlib.sha256()
    for values in (data.inputs["test"], data.labels["test"]):
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values))
    return digest.hexdigest()


def check_predictions(path: Path, name: str, values: np.ndarray, n: int, n_classes: int, checkpoints: int = 1) -> None:
    """Raise StudyError unless the values are groups of n examples, [n] or [checkpoints, n]."""
    if values.shape not in ((n,), (checkpoints, n)) or (values.size and values.max() >= n_classes):
        raise Foreign(
            f"{path}: {name} is {values.dtype}{list(values.shape)}, expected {n} examples of {n_classes} groups: made "
            "from other data, or for another task: delete it and run its stage again"
        )


def _group_of_class(task: Task, n_classes: int) -> np.ndarray:
    """int64[n_classes]: the group of each class, -1 for one that is left out."""
    if task.groups is None:
        return np.arange(n_classes)
    try:
        task.check_classes(n_classes)
    except Wrong as error:
        raise Unfit(f"task groups: {error}") from None
    groups = np.full(n_classes, -1)
    for index, members in enumerate(task.groups.values()):
        groups[members] = index
    return groups
