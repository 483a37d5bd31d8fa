"""Whatever a config holds, it is a study or is refused, in lines of its own."""

import copy
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.drawn import cases
from tests.refusals import refusal
from tests.workflow import ROOT
from workflow_scripts.config import configfiles, endings, study
from workflow_scripts.config.errors import Damaged, Misconfigured, Misused, StudyError

TINY = yaml.safe_load((ROOT / "tests/tiny.yaml").read_text(encoding="utf-8"))
NAMES = ["", " ", "NA", "null", "~", "nan", "1e5", "007", "leave_out", "Ba$$in", "$x", "{x}", "</script>", "a" * 10_000]
ODD_TEXT = st.sampled_from([*NAMES, "h\nCURRENT", "\x1b[2J", "\x9b", "\u202e", "\ud800", "e\u0301"])
ODD_NUMBER = st.sampled_from([0, -1, 10**12, 2**31, 2**63, 10**4000, 1e308, -1e308, float("nan"), float("inf"), 5e-324])
LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), ODD_TEXT, ODD_NUMBER, st.binary())
KEY = st.one_of(st.text(max_size=5), ODD_TEXT, st.none(), st.integers(), st.booleans(), st.floats(), st.dates())
VALUE = st.recursive(LEAF, lambda of: st.lists(of, max_size=3) | st.dictionaries(KEY, of, max_size=3), max_leaves=5)


def places(node, path=()):
    """Where the parts of plain data are, as keys from its root."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in parts:
        yield (*path, key)
        yield from places(value, (*path, key))


PLACES = sorted(places(TINY), key=repr)


def has(node, key) -> bool:
    """Whether there is a part of that key or index."""
    if isinstance(node, list):
        return isinstance(key, int) and key < len(node)
    return isinstance(node, dict) and key in node


def changed(config: dict, place: tuple, how: str, key, value) -> dict:
    """The config with the part at a place replaced or removed, or with another beside it."""
    inner = config = copy.deepcopy(config)
    *path, last = place
    for part in path:
        if not has(inner, part):
            return config
        inner = inner[part]
    if isinstance(inner, dict):
        inner.pop(last, None) if how == "remove" else inner.update({key if how == "add" else last: value})
    elif has(inner, last):
        inner[last] = value
    return config


CHANGE = st.tuples(st.sampled_from(PLACES), st.sampled_from(["replace", "remove", "add"]), KEY, VALUE)


@cases(75)
@given(changes=st.lists(CHANGE, min_size=1, max_size=3))
@example(changes=[(("experiments", "digits", "title"), "replace", None, "h\nCURRENT")])
@example(changes=[(("experiments", "digits", "sgd", "epochs"), "replace", None, 10**4000)])
@example(changes=[(("tasks", "low_high", "groups", "0-4"), "add", None, [1])])
def test_any_config_is_a_study_or_is_refused(changes):
    config = TINY
    for change in changes:
        config = changed(config, *change)
    try:
        study.load(config, "study.yaml")
    except Misconfigured as error:
        for line in endings.said(error, "snakemake").split("\n"):
            assert line.startswith("error: study.yaml") and line.isprintable()


@cases(75)
@given(content=st.binary(max_size=60) | st.text(alphabet="abc:{}[]&*!|>-\n \t\"'#%?,~<0", max_size=60).map(str.encode))
@example(content=b"a: &a [*a]")
@example(content=b"[" * 5000)
@example(content=b"a: \xff")
@example(content=b"? [a]\n: b")
@example(content=b"<<: {a: 1}\n<<: {b: 1}")
def test_any_file_is_read_strictly_or_is_refused(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(content)
    try:
        configfiles.check(path)
    except StudyError as error:
        assert endings.said(error, "snakemake").replace("\n", "").isprintable()


LAUGHS = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'ha'}]" for i in range(20))


@pytest.mark.parametrize(
    "content", ["a: &a {b: *a}", "[" * 200 + "]" * 200, "[" * 9999, LAUGHS, "a: [", "\x00", "- &x [*y]"]
)
def test_a_file_that_is_no_plain_data_is_refused(tmp_path, content):
    (tmp_path / "study.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(Damaged) as refused:
        configfiles.check(tmp_path / "study.yaml")
    assert refused.value.where == str(tmp_path / "study.yaml") and len(str(refused.value)) < 1000


def test_a_pipe_is_refused_unread(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reading, writing = os.pipe()
    for path in (tmp_path / "pipe", Path(f"/dev/fd/{reading}"), Path("/dev/null")):
        with refusal(Misused, path):
            configfiles.check(path)
        with refusal(Misused, path):
            configfiles.merged([path])
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("content", "mistaken"),
    [
        ("a: {b: 1, c: 2, b: 3}", [("a.b", "repeated")]),
        ("a: 1\nb: 2\na: 3\na: 4", [("a", "repeated"), ("a", "repeated")]),
        ('"a": 1\na: 2', [("a", "repeated")]),
        ("seeds: [001, 010, 8, 0]", [("seeds[0]", "bad_value"), ("seeds[1]", "bad_value")]),
        ("a: 2024-01-01\nb: 1:30", [("a", "bad_value"), ("b", "bad_value")]),
        ("a: !!binary aGE=", [("a", "bad_value")]),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}\ne: 0x10", []),
    ],
)
def test_what_yaml_would_read_as_something_else_is_refused(tmp_path, content, mistaken):
    path = tmp_path / "study.yaml"
    path.write_text(content, encoding="utf-8")
    found = []
    try:
        configfiles.check(path)
    except Misconfigured as error:
        found = [(mistake.key, mistake.kind) for mistake in error.mistakes]
    assert found == mistaken


@pytest.mark.parametrize(
    "argv",
    [
        ["--configfile", "a", "--configfile", "b"],
        ["--configfile=a", "--configfiles", "b"],
        ["--config", "a=1", "-C", "b=2"],
        ["-Ca=1", "-Cb=2"],
        ["-nC", "a=1", "--config=b=2"],
    ],
)
def test_an_option_that_would_be_dropped_is_refused(argv):
    with pytest.raises(Misused):
        configfiles.refuse_repeated(argv)
    configfiles.refuse_repeated(argv[:1])


@pytest.mark.parametrize(
    "name",
    ["", " ", "leave_out", None, "a\n", "e\u0301", "\u202ea", "\ud800", "\u200b", "\u00ad", "b ", "b\u200d", "c" * 121],
)
def test_a_group_without_a_sound_name_is_refused(name):
    with pytest.raises(Misconfigured):
        study.load(
            changed(TINY, ("tasks", "low_high", "groups"), "replace", None, {name: [*range(5)], "b": [*range(5, 10)]})
        )


@pytest.mark.parametrize("title", ["", "\u00a0", "\u200b\ufeff", "c" * 150, "\ue000"])
def test_a_title_that_figures_cannot_show_is_refused(title):
    with pytest.raises(Misconfigured) as refused:
        study.load(changed(TINY, ("experiments", "digits", "title"), "replace", None, title))
    assert refused.value.mistakes[0].key == "experiments.digits.title"


@pytest.mark.parametrize("name", ["NA", "null", "None", "nan", "1e5", "007", "Größe", "数"])
def test_a_group_may_have_a_name_that_looks_like_something_else(name):
    groups = {name: [*range(5)], "b": [*range(5, 10)]}
    found = study.load(changed(TINY, ("tasks", "low_high", "groups"), "replace", None, groups))
    assert found.tasks["low_high"].groups == groups
