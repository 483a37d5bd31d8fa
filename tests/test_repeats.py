"""Equal inputs in several parts, or under several labels, are told of every kind of data set."""

import json
from collections import defaultdict

import numpy as np
import pytest

from tests.pets import put
from tests.refusals import call
from workflow_scripts.config import kinds
from workflow_scripts.data import parts, repeats, tasks
from workflow_scripts.data.datasets import images
from workflow_scripts.files import npz

SMALL = {
    "ball": {"train": 30, "test": 20, "grid": 3},
    "digits": {"test": 400, "fresh": 100},
    "images": {"path": "pets", "classes": ["cat", "dog"]},
    "sinusoid": {"train": 30, "test": 20, "dimension": 4},
    "theorem1": {"train": 30, "test": 20, "dimension": 2, "noise": 0.3},
}


def counted(made) -> tuple[int, int]:
    """How many inputs there are in several parts, and under several labels; one by one."""
    found = defaultdict(list)
    for part in ("train", "test", "fresh"):
        for x, y in zip(made[f"{part}_inputs"], made[f"{part}_labels"], strict=True):
            found[x.tobytes()].append((part, int(y)))
    return tuple(sum(len({example[at] for example in of}) > 1 for of in found.values()) for at in (0, 1))


def prepared(kind, settings, folder, monkeypatch, caplog) -> tuple[list[str], list[str]]:
    """The warnings of the log, and the notes of the file that is made."""
    monkeypatch.chdir(folder)
    caplog.clear()
    source = kinds.of("data.datasets", kind).Settings(kind=kind, **settings)
    cfg = {
        "wildcards": {"dataset": "d"},
        "source": source.model_dump(mode="json"),
        "listing": source.listing,
        "inputs": {},
    }
    assert call("prepare_data", json.dumps(cfg), data=folder / "d.npz") is None
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"], parts.notes(
        folder / "d.npz"
    )


@pytest.mark.parametrize("kind", SMALL)
def test_inputs_that_are_put_into_another_part_are_told(kind, tmp_path, monkeypatch, caplog):
    put(tmp_path / "pets")
    module = kinds.of("data.datasets", kind)
    make = module.make
    settings = SMALL[kind] | {"test": 4} if kind == "images" else SMALL[kind]

    def repeated(settings, data_root):
        arrays = make(settings, data_root)
        arrays["test_inputs"][:2] = arrays["train_inputs"][:2]
        arrays["test_labels"][:2] = arrays["train_labels"][:2] ^ [0, 1]
        return arrays

    for maker in (make, repeated):
        monkeypatch.setattr(module, "make", maker)
        warnings, notes = prepared(kind, settings, tmp_path, monkeypatch, caplog)
        assert warnings == notes
        with np.load(tmp_path / "d.npz") as archive:
            several = counted(dict(archive))
            assert "train_names" not in archive.files and ("notes" in archive.files) == bool(notes)
        expected = dict(zip(("in several parts", "under several labels"), several, strict=True))
        told = {how: n for how, n in expected.items() if any(f"{how}, {n} times: " in note for note in notes)}
        assert told == {how: n for how, n in expected.items() if n}
    assert several[0] >= 2 and several[1] >= 1
    first = "train/cat/0.png = test/" if kind == "images" else "train 0 = test 0"
    assert kind == "theorem1" or first in notes[0], "it has more, drawn so"
    assert tasks.load_labels(tmp_path / "d.npz", tasks.Task(dataset="d"))[1] == len(
        npz.load(tmp_path / "d.npz", "class_names")["class_names"]
    )


def test_names_of_pictures_are_those_of_their_files(tmp_path):
    put(tmp_path / "pets")
    settings = images.ImageFolder(kind="images", path=str(tmp_path / "pets"), classes=["cat", "dog"], fresh=2)
    made = images.make(settings, tmp_path)
    assert {part: len(made[f"{part}_names"]) for part in ("train", "test", "fresh")} == {
        "train": 4,
        "test": 4,
        "fresh": 2,
    }
    assert repeats.told(made, {}) == []
