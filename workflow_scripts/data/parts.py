"""The parts of a data set.

Parts are train, test, fresh: inputs that no network trains on, kept for distillation, and grid: points of the plane at
which predictions are recorded, for pictures of boundaries; it is empty for most data sets. Inputs are uint8 images
[N, channels, height, width], where 255 means 1.0, or float32 of any shape. Labels are class indices.
"""

from pathlib import Path

import numpy as np

from workflow_scripts.config.errors import DamagedResult, Unfit
from workflow_scripts.data.source import Source
from workflow_scripts.files import npz

PARTS = ("train", "test", "fresh", "grid")
#: what inputs may be
INPUTS = ("uint8", "float32")
#: what each array of a data set's file is, see npz.Form
FORMS = {
    "class_names": npz.Form("U", ("classes",)),
    "source_hashes": npz.Form("U", ("sources",)),
    "notes": npz.Form("U", ("notes",)),
    **{f"{part}_labels": npz.Form("iu", (f"examples of {part}",), 0) for part in PARTS},
    **{f"{part}_inputs": npz.Form("uf", (f"examples of {part}", "..."), finite=True, dtypes=INPUTS) for part in PARTS},
    **{f"{part}_flipped": npz.Form("b", (f"examples of {part}",)) for part in PARTS},
}


def arrays(
    given: dict[str, tuple[np.ndarray, np.ndarray]], class_names: list[str], sources: dict[str, str]
) -> dict[str, np.ndarray]:
    """The arrays of a data set's file: `{part}_inputs`, `{part}_labels`, `class_names`, `source_hashes`.

    given: part -> inputs [N, ...] and labels [N]; parts that are not given are empty. sources: file or bundled array
    that the data came from -> its SHA-256; none for drawn data. source_hashes lists "name sha256" of each. A kind whose
    examples have names adds `{part}_names`: warnings tell them, and they are not written.
    """
    made, (shown, _) = {}, given["train"]
    for part in PARTS:
        inputs, labels = given.get(part, (shown[:0], []))
        made |= {f"{part}_inputs": np.ascontiguousarray(inputs), f"{part}_labels": np.asarray(labels, np.int64)}
    hashes = [f"{name} {digest}" for name, digest in sources.items()]
    return made | {"class_names": np.array(class_names), "source_hashes": np.array(hashes, dtype=str)}


def sources(path: Path) -> list[tuple[str, str]]:
    """What the data of a data set's file came from: names and SHA-256s. Raises StudyError for a damaged file."""
    told = [tuple(source.rsplit(" ", 1)) for source in npz.load(path, "source_hashes", forms=FORMS)["source_hashes"]]
    if any(len(source) != 2 for source in told):
        raise DamagedResult(path, "its array 'source_hashes' has one without a name")
    return told


def notes(path: Path) -> list[str]:
    """What there was to warn of when a data set's file was made. Raises StudyError for a damaged file."""
    return npz.load(path, optional=("notes",), forms=FORMS).get("notes", np.array([], str)).tolist()


def check(where: str, made: dict[str, np.ndarray], n_classes: int) -> None:
    """Raise Unfit unless these can be the arrays of a data set of so many classes; where: what made them."""
    labels = {f"{part}_labels": FORMS[f"{part}_labels"]._replace(most=n_classes - 1) for part in PARTS}
    needed = {name: form for name, form in FORMS.items() if name in made or not name.endswith(("_flipped", "notes"))}
    npz.check(where, made, needed | labels, classes=n_classes)
    shape = made["train_inputs"].shape[1:]
    for part in PARTS:
        if made[f"{part}_inputs"].shape[1:] != shape:
            of_part = list(made[f"{part}_inputs"].shape[1:])
            raise Unfit(where, f"{part}_inputs are {of_part} each, train_inputs {list(shape)}: mend what it returns")
        if part in ("train", "test") and not len(made[f"{part}_labels"]):
            raise Unfit(where, f"no {part} examples: mend what it returns")


def sizes(settings: Source) -> dict[str, int]:
    """The number of examples of each part that is drawn, in the order of drawing."""
    return {"train": settings.train, "test": settings.test, "fresh": settings.fresh}


def training_and_fresh(order: np.ndarray, train: int | None, fresh: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices of the training part and of the fresh part, the first ones of a random order."""
    kept, held_out = order[fresh:], order[:fresh]
    return np.sort(kept[:train]), np.sort(held_out)
