"""What changed between two jobs, in the words of dry runs and of the audit."""

import copy

import pytest

from workflow_scripts.provenance import differences

CFG = {
    "seeds": [0, 1],
    "sgd": {"lr": 0.1, "momentum": 0.0},
    "network": {"kind": "mlp", "widths": [8]},
    "task": {"groups": None},
    "wildcards": {"experiment": "digits"},
}


def changed(key: str, *value) -> dict:
    """The settings above with one key, dotted, set to a value, or removed."""
    cfg = copy.deepcopy(CFG)
    *parents, last = key.split(".")
    inner = cfg
    for parent in parents:
        inner = inner[parent]
    if value:
        inner[last] = value[0]
    else:
        del inner[last]
    return cfg


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (CFG, []),
        (dict(reversed(CFG.items())), []),
        (changed("sgd.lr", 0.2), ["sgd.lr 0.1 -> 0.2"]),
        (changed("sgd.lr", "fast"), ["sgd.lr 0.1 -> fast"]),
        (changed("sgd.momentum", None), ["sgd.momentum 0.0 -> none"]),
        (changed("task.groups", {"odd": [1]}), ["task.groups none -> {'odd': [1]}"]),
        (changed("sgd.nesterov", True), ["sgd.nesterov added: True"]),
        (changed("sgd.lr"), ["sgd.lr removed: 0.1"]),
        (changed("sgd", {"lr": 0.2, "momentum": 0.9}), ["sgd.lr 0.1 -> 0.2", "sgd.momentum 0.0 -> 0.9"]),
        (changed("seeds", [0, 1, 2]), ["seeds: 2 added"]),
        (changed("seeds", [0]), ["seeds: 1 removed"]),
        (changed("seeds", [0, 3]), ["seeds: 3 added, 1 removed"]),
        (changed("seeds", [1, 0]), ["seeds: another order"]),
        (changed("seeds", list(range(9))), ["seeds: 2 added, 3 added, 4 added, 5 added, 6 added, 2 more"]),
        (changed("seeds", 3), ["seeds [0, 1] -> 3"]),
        (changed("wildcards.experiment", "x" * 99), [f"wildcards.experiment digits -> {'x' * 57}..."]),
    ],
)
def test_settings_that_differ_are_told_by_key(new, words):
    assert differences.settings(CFG, new) == words


def test_the_settings_of_two_kinds_of_network_are_told_key_by_key():
    cnn = changed("network", {"kind": "cnn", "channels": [4, 8]})
    assert differences.settings(CFG, cnn) == [
        "network.kind mlp -> cnn",
        "network.widths removed: [8]",
        "network.channels added: [4, 8]",
    ]


def test_code_that_differs_is_told_by_file_and_by_library():
    old = {"modules": {"workflow_scripts.plot": "1", "workflow_scripts.style": "1"}, "distributions": {"numpy": "2.4"}}
    assert differences.code(old, old) == []
    new = {
        "modules": {"workflow_scripts.plot": "2", "workflow_scripts.config.base": "1"},
        "distributions": {"numpy": "2.5", "scipy": "1.17"},
    }
    assert differences.code(old, new) == [
        "workflow_scripts/config/base.py added",
        "workflow_scripts/plot.py changed",
        "workflow_scripts/style.py gone",
        "numpy 2.4 -> 2.5",
        "scipy not used -> 1.17",
    ]
    assert differences.code(new, old)[-2:] == ["numpy 2.5 -> 2.4", "scipy 1.17 -> not used"]
