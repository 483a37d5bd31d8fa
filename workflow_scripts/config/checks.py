"""Checks that several parts of a study need. Each raises Wrong with the key in dots and what to do."""

from collections import Counter
from collections.abc import Iterable

from workflow_scripts.config.base import unknown_name
from workflow_scripts.config.errors import Wrong

LONGEST_NAME = 120


def named(key: str, kind: str, name: str, known: dict):
    """What carries this name; kind: what it should be, in words."""
    if name not in known:
        raise Wrong("unknown_name", key, unknown_name(kind, name, known))
    return known[name]


def visible(key: str, names: Iterable[str]) -> None:
    """Each of these names, which figures show, shows something that fits there, and other things than the others."""
    seen: dict[str, str] = {}
    for name in names:
        shown = " ".join("".join(sign for sign in name if sign.isprintable() or sign.isspace()).split())
        if not shown:
            raise Wrong("bad_value", key, f"{name!a} shows nothing: give it a name")
        if len(name) > LONGEST_NAME:
            raise Wrong(
                "bad_value", key, f"it has {len(name)} signs, and figures have room for {LONGEST_NAME}: shorten it"
            )
        if shown in seen:
            raise Wrong("repeated", key, f"{seen[shown]!a} and {name!a} look the same: rename one of them")
        seen[shown] = name


def unique(key: str, values: list) -> None:
    """No value stands twice."""
    if repeated := [value for value, times in Counter(values).items() if times > 1]:
        raise Wrong("repeated", key, f"{repeated[0]!r} is listed twice: keep one")
