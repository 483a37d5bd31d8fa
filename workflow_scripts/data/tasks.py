"""Tasks: a data set seen through a label map."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.config.errors import DamagedResult, Foreign, Unfit, Wrong
from workflow_scripts.config.tasks import Task
from workflow_scripts.data.parts import FORMS, PARTS
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
    arrays = _arrays(path, names)
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
            raise Unfit(path, f"the {part} part has no example of group {absent[0]}: take more {part} examples")
    return TaskData(inputs, labels, n_classes)


def load_labels(path: Path, task: Task) -> tuple[dict[str, np.ndarray], int]:
    """Labels of every part under the label map, and the number of groups, without reading the inputs."""
    arrays = _arrays(path, [f"{part}_labels" for part in PARTS])
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


def load_predictions(path: Path, labels: dict[str, np.ndarray], n_classes: int) -> dict[str, np.ndarray]:
    """What a fitted explainer says of these parts of the task: part -> groups, [N].

    labels: part -> [N]. Raises StudyError when the file is missing or damaged, or was made from other data or for
    another task.
    """
    names = {part: f"{part}_predictions" for part in labels}
    arrays = npz.load(path, *names.values())
    for part, name in names.items():
        check_predictions(path, name, arrays[name], len(labels[part]), n_classes)
    return {part: arrays[name] for part, name in names.items()}


def check_predictions(
    path: Path, name: str, values: np.ndarray, n: int, n_classes: int, checkpoints: int | None = None
) -> None:
    """Raise StudyError unless the values are groups of n examples: [n], or [checkpoints, n] where so many are given."""
    if values.shape not in ((n,), (checkpoints, n)):
        raise _foreign(path, name, values, f"{n} examples of {n_classes} groups")
    check_groups(path, name, values, n_classes)


def check_groups(path: Path, name: str, values: np.ndarray, n_classes: int) -> None:
    """Raise StudyError unless the values are groups, whole numbers 0..n_classes-1."""
    whole, signed = values.dtype.kind in "iu", values.dtype.kind == "i"
    if not whole or (values.size and (values.max() >= n_classes or (signed and values.min() < 0))):
        raise _foreign(path, name, values, f"{values.shape[-1]} examples of {n_classes} groups")


def _foreign(path: Path, name: str, values: np.ndarray, expected: str) -> Foreign:
    return Foreign(
        path,
        f"{name} is {values.dtype}{list(values.shape)}, expected {expected}: made from other data, or for "
        "another task: delete it and run its stage again",
    )


def _arrays(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """These arrays of a data set's file and its class names. Raises StudyError for labels of no class."""
    arrays = npz.load(path, *names, "class_names", forms=FORMS)
    n_classes = len(arrays["class_names"])
    for name in names:
        if name.endswith("_labels"):
            check_groups(path, name, arrays[name], n_classes)
    shapes = {arrays[name].shape[1:] for name in names if name.endswith("_inputs")}
    if len(shapes) > 1:
        raise DamagedResult(path, f"its inputs are of several shapes: {', '.join(map(str, sorted(shapes)))}")
    return arrays


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
