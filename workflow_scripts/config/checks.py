"""Checks that several parts of a study need. Each raises Wrong with the key in dots and what to do."""

from collections import Counter

from workflow_scripts.config.base import unknown_name
from workflow_scripts.config.errors import Wrong


def named(key: str, kind: str, name: str, known: dict):
    """What carries this name; kind: what it should be, in words."""
    if name not in known:
        raise Wrong("unknown_name", key, unknown_name(kind, name, known))
    return known[name]


def unique(key: str, values: list) -> None:
    """No value stands twice."""
    if repeated := [value for value, times in Counter(values).items() if times > 1]:
        raise Wrong("repeated", key, f"{repeated[0]!r} is listed twice: keep one")
