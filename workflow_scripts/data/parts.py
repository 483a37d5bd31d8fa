"""The parts of a data set.

Parts are train, test, fresh: inputs that no network trains on, kept for distillation, and grid: points of the plane at
which predictions are recorded, for pictures of boundaries; it is empty for most data sets. Inputs are uint8 images
[N, channels, height, width], where 255 means 1.0, or float32 of any shape. Labels are class indices.
"""

import numpy as np

from workflow_scripts.data.source import Source

PARTS = ("train", "test", "fresh", "grid")


def arrays(
    given: dict[str, tuple[np.ndarray, np.ndarray]], class_names: list[str], sources: dict[str, str]
) -> dict[str, np.ndarray]:
    """The arrays of a data set's file: `{part}_inputs`, `{part}_labels`, `class_names`, `source_hashes`.

    given: part -> inputs [N, ...] and labels [N]; parts that are not given are empty. sources: file or bundled array
    that the data came from -> its SHA-256; none for drawn data. source_hashes lists "name sha256" of each.
    """
    made, (shown, _) = {}, given["train"]
    for part in PARTS:
        inputs, labels = given.get(part, (shown[:0], []))
        made |= {f"{part}_inputs": np.ascontiguousarray(inputs), f"{part}_labels": np.asarray(labels, np.int64)}
    hashes = [f"{name} {digest}" for name, digest in sources.items()]
    return made | {"class_names": np.array(class_names), "source_hashes": np.array(hashes, dtype=str)}


def sizes(settings: Source) -> dict[str, int]:
    """The number of examples of each part that is drawn, in the order of drawing."""
    return {"train": settings.train, "test": settings.test, "fresh": settings.fresh}


def training_and_fresh(order: np.ndarray, train: int | None, fresh: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices of the training part and of the fresh part, the first ones of a random order."""
    kept, held_out = order[fresh:], order[:fresh]
    return np.sort(kept[:train]), np.sort(held_out)
