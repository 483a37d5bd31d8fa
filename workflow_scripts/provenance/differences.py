"""What changed between two jobs, in words: settings by key, code by module, libraries by version."""

from typing import Any


def settings(old: Any, new: Any, key: str = "") -> list[str]:
    """The keys whose values differ, such as `sgd.lr 0.1 -> 0.2` or `seeds: 2 added`; cfg as plain data."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        names = dict.fromkeys([*old, *new])
        found = [_one(old, new, name, f"{key}.{name}".lstrip(".")) for name in names]
        return [text for texts in found for text in texts]
    if isinstance(old, list) and isinstance(new, list):
        added = [item for item in new if item not in old]
        removed = [item for item in old if item not in new]
        words = [f"{_short(item)} added" for item in added] + [f"{_short(item)} removed" for item in removed]
        return [f"{key}: {', '.join(_few(words)) if words else 'another order'}"]
    return [f"{key} {_short(old)} -> {_short(new)}"]


def code(old: dict, new: dict) -> list[str]:
    """The modules whose code differs and the libraries whose version does; old, new: provenance.code()."""
    return _modules(old["modules"], new["modules"]) + versions(old["distributions"], new["distributions"])


def versions(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The distributions whose version differs, such as `torch 2.14.0 -> 2.15.0`."""
    names = sorted({*old, *new})
    return [
        f"{name} {old.get(name, 'not used')} -> {new.get(name, 'not used')}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _modules(old: dict[str, str], new: dict[str, str]) -> list[str]:
    def fate(name: str) -> str:
        return "added" if name not in old else "gone" if name not in new else "changed"

    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return [f"{name.replace('.', '/')}.py {fate(name)}" for name in names]


def _one(old: dict, new: dict, name: str, key: str) -> list[str]:
    if name not in old:
        return [f"{key} added: {_short(new[name])}"]
    if name not in new:
        return [f"{key} removed: {_short(old[name])}"]
    return settings(old[name], new[name], key)


def _few(words: list[str], most: int = 5) -> list[str]:
    return words if len(words) <= most else [*words[:most], f"{len(words) - most} more"]


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
