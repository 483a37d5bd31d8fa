"""Equal inputs of a data set: in several parts, or under several labels."""

import hashlib
from collections import defaultdict

import numpy as np

from workflow_scripts.data import many

#: the parts whose inputs are examples
_PARTS = ("train", "test", "fresh")


def told(made: dict[str, np.ndarray], names: dict[str, list[str]]) -> list[str]:
    """What there is to warn of, a line each: inputs that are equal, but of several parts, or of several labels.

    Args:
        made: the arrays of the data set (`parts.arrays`).
        names: part -> what its examples are called; of other parts they are counted.

    Returns:
        Lines with how often that is so, and the first of them; none where no two inputs are equal in such a way.
    """
    alike = defaultdict(list)
    for part in _PARTS:
        called = names.get(part) or [f"{part} {place}" for place in range(len(made[f"{part}_inputs"]))]
        for image, label, name in zip(made[f"{part}_inputs"], made[f"{part}_labels"].tolist(), called, strict=True):
            alike[hashlib.sha256(np.ascontiguousarray(image)).digest()].append((part, label, name))
    lines = []
    for how, column in (("in several parts", 0), ("under several labels", 1)):
        found = [{example[column]: example[2] for example in reversed(of)} for of in alike.values() if len(of) > 1]
        examples = [" = ".join(many.shown(name, 60) for name in reversed(of.values())) for of in found if len(of) > 1]
        if examples:
            lines.append(f"the same input {how}, {len(examples)} times: {many.several(examples, length=200)}")
    return lines
