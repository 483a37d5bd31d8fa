"""What changed between two jobs, in the words of dry runs and of the audit."""

import copy
from datetime import UTC, datetime

import pytest

from workflow_scripts.provenance import differences, equal, fingerprints, sidecars, upgrades

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
        (changed("seeds", [0, 1, 2, 2]), ["seeds: 2 added"]),
        (changed("seeds", list(range(9))), ["seeds: 2 added, 3 added, 4 added, 5 added, 6 added, 2 more"]),
        (changed("seeds", 3), ["seeds [0, 1] -> 3"]),
        (changed("task.groups", "x" * 99), [f"task.groups none -> {'x' * 57}..."]),
        (changed("wildcards.experiment", "others"), []),
    ],
)
def test_settings_that_differ_are_told_by_key(new, words):
    assert differences.settings("measure", CFG, new) == words


def test_the_number_of_files_is_told_where_no_other_setting_tells_why_and_their_names_never():
    files = {"measures": ["digits/seed0/measures.csv", "digits/seed1/measures.csv"]}
    one, named = {"measures": files["measures"][:1]}, {"measures": ["others/seed0/measures.csv", "measures.csv"]}
    old = CFG | {"inputs": files}
    assert differences.settings("measure", old, CFG | {"inputs": one}) == ["inputs.measures 2 -> 1"]
    assert differences.settings("measure", old, changed("seeds", [0]) | {"inputs": one}) == ["seeds: 1 removed"]
    assert differences.settings("measure", CFG, old) == ["inputs.measures added: 2"]
    assert differences.settings("measure", old, CFG) == ["inputs.measures removed: 2"]
    assert differences.settings("measure", old, old) == []
    assert differences.settings("measure", old, CFG | {"inputs": named}) == []


@pytest.mark.parametrize(
    ("was", "planned", "words"),
    [
        ("cpu", "auto", []),
        ("cuda", "auto", []),
        ("cpu", "cuda", ["device cpu -> cuda"]),
        ("cuda", "cpu", ["device cuda -> cpu"]),
        ("auto", "cpu", ["device auto -> cpu"]),
    ],
)
def test_a_planned_auto_is_whatever_device_it_was_done_on(was, planned, words):
    assert differences.settings("measure", CFG | {"device": was}, CFG | {"device": planned}) == words


def test_the_settings_of_two_kinds_of_network_are_told_key_by_key():
    cnn = changed("network", {"kind": "cnn", "channels": [4, 8]})
    assert differences.settings("measure", CFG, cnn) == [
        "network.kind mlp -> cnn",
        "network.widths removed: [8]",
        "network.channels added: [4, 8]",
    ]


OLD = {"plot": {"run": "1", "Config": "1"}, "drawing.style": {"save": "1", "HEIGHT": "1"}}


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (OLD, []),
        (OLD | {"plot": {"run": "2", "Config": "1"}}, ["plot.run changed"]),
        (OLD | {"plot": {"run": "1"}}, ["plot.Config gone"]),
        (OLD | {"config.base": {"Strict": "1"}}, ["config.base.Strict new"]),
        ({"plot": OLD["plot"]}, ["drawing.style.HEIGHT gone", "drawing.style.save gone"]),
        ({"plot": OLD["plot"], "drawing.page": OLD["drawing.style"]}, []),
        (OLD | {"drawing.style": {"save": "1"}, "drawing.page": {"HEIGHT": "1"}}, []),
        (
            OLD | {"drawing.style": {"save": "1"}, "drawing.page": {"HEIGHT": "2"}},
            ["drawing.page.HEIGHT new", "drawing.style.HEIGHT gone"],
        ),
        (OLD | {"drawing.page": {"save": "1"}}, ["drawing.page.save new"]),
        (
            OLD | {"files.npz": {f"f{i:02}": "1" for i in range(14)}},
            [*(f"files.npz.f{i:02} new" for i in range(12)), "2 more"],
        ),
    ],
)
def test_code_that_differs_is_told_by_definition_but_for_what_only_moved(new, words):
    assert differences.definitions(OLD, new) == words


def test_libraries_that_differ_are_told_by_version():
    old, new = {"numpy": "2.4", "pandas": "3.0"}, {"numpy": "2.5", "pandas": "3.0", "scipy": "1.17"}
    assert differences.versions(old, old) == []
    assert differences.versions(old, new) == ["numpy 2.4 -> 2.5", "scipy not used -> 1.17"]
    assert differences.versions(new, old) == ["numpy 2.5 -> 2.4", "scipy 1.17 -> not used"]


@pytest.fixture
def record(tmp_path):
    """Changes of its code -> the sidecar of a simulation, and its settings."""
    product = tmp_path / "theorem1.csv"
    product.write_text("a\n1\n")
    cfg = {"wildcards": {"simulation": "theorem1"}, "inputs": {}}
    told = sidecars.of_job("simulate", cfg, [], {product.name: product}, {}, datetime.now(UTC), "k")
    beside = tmp_path / "theorem1.csv.prov.json"

    def made(**code):
        sidecars.write(beside, sidecars.seal(told | {"code": told["code"] | code}))
        return sidecars.read(beside), cfg

    return made


def test_the_code_of_a_job_is_compared_with_what_it_would_be_now(record):
    now = fingerprints.of_job("simulate", record()[1])
    assert differences.code(*record()) == []
    definitions = {**now["definitions"], "simulate": {**now["definitions"]["simulate"], "run": "0"}}
    drift = {"libraries": {**now["libraries"], "numpy": "1.0"}}
    numpy = f"numpy 1.0 -> {now['libraries']['numpy']}"
    assert differences.code(*record(**drift)) == [numpy]
    assert differences.code(*record(digest="0" * 16, definitions=definitions)) == ["simulate.run changed"]
    assert differences.code(*record(digest="0" * 16, definitions=definitions, **drift)) == [
        "simulate.run changed",
        numpy,
    ]
    assert differences.code(*record(digest="0" * 16)) == ["its code is put together anew"]


def test_code_that_was_shown_to_be_equal_is_none_that_differs(record, monkeypatch):
    now = fingerprints.of_job("simulate", record()[1])["digest"]
    monkeypatch.setattr(equal, "standing", lambda stage, digest, device="cpu": {"0" * 16: now}.get(digest, digest))
    assert differences.code(*record(digest="0" * 16)) == []
    assert differences.code(*record(digest="1" * 16)) == ["its code is put together anew"]
    (told,) = differences.code(*record(digest="0" * 16, libraries={"numpy": "1.0"}))[:1]
    assert told.startswith("numpy 1.0 -> ")


def test_code_of_an_earlier_release_is_told_as_such_where_it_is_told_by_module(record):
    told, cfg = record()
    modules = upgrades.ModulesCode(fingerprint="0" * 16, modules={"workflow_scripts.simulate": "1"}, distributions={})
    old = told.model_copy(update={"version": 2, "code": modules})
    assert differences.code(old, cfg)[0] == (
        "code of an earlier release, which wrote down modules: not shown to be equal"
    )
    definitions = {**told.code.definitions, "simulate": {**told.code.definitions["simulate"], "run": "0"}}
    old = record(digest="0" * 16, definitions=definitions)[0].model_copy(update={"version": 3})
    assert differences.code(old, cfg) == ["simulate.run changed"]
