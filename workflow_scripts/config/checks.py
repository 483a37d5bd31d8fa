"""Checks that several parts of a study need. Each raises ValueError with the key in dots and what to do."""

from collections import Counter

from workflow_scripts.config.base import unknown_name


def named(key: str, kind: str, name: str, known: dict):
    """What carries this name; kind: what it should be, in words."""
    if name not in known:
        raise ValueError(f"{key}: {unknown_name(kind, name, known)}")
    return known[name]


def unique(key: str, values: list) -> None:
    """No value stands twice."""
    if repeated := [value for value, times in Counter(values).items() if times > 1]:
        raise ValueError(f"{key}: {repeated[0]!r} is listed twice: keep one")
