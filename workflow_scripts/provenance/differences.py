"""What changed between two jobs, in words: settings by key, code by definition, libraries by version."""

from collections import Counter
from typing import Any

from workflow_scripts.provenance import equal, fingerprints, upgrades
from workflow_scripts.provenance.definitions import ABSENT
from workflow_scripts.provenance.sidecars import Sidecar, essence


def settings(old: dict, new: dict) -> list[str]:
    """The keys whose values differ, such as `sgd.lr 0.1 -> 0.2` or `seeds: 2 added`; cfg as plain data.

    old: of a job that was done, new: as it is planned: device auto is whatever it was done on. What a job and its files
    are called doesn't count. How many files it reads (`inputs`) follows from the other settings, so it is told only
    where none of these differs.
    """
    old, new = essence(old), essence(new)
    if new.get("device") == "auto":
        new["device"] = old.get("device")
    names = dict.fromkeys([*old, *new])
    others = [text for name in names if name != "inputs" for text in _one(old, new, name, name)]
    return others or _one(old, new, "inputs", "inputs")


def _values(old: Any, new: Any, key: str) -> list[str]:
    """The keys at and below this one whose values differ."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        names = dict.fromkeys([*old, *new])
        found = [_one(old, new, name, f"{key}.{name}") for name in names]
        return [text for texts in found for text in texts]
    if isinstance(old, list) and isinstance(new, list):
        added = [item for item in new if item not in old]
        removed = [item for item in old if item not in new]
        words = [f"{_short(item)} added" for item in added] + [f"{_short(item)} removed" for item in removed]
        words = list(dict.fromkeys(words))
        return [f"{key}: {', '.join(_few(words)) if words else 'another order'}"]
    return [f"{key} {_short(old)} -> {_short(new)}"]


def code(record: Sidecar, cfg: dict) -> list[str]:
    """The definitions and the libraries in which the code that a sidecar tells of differs from the job's code now.

    cfg: the job's settings as they are now. None where the codes are equal, or were shown to be; libraries that are not
    installed here (see `absent`) are passed over. Raises StudyError.
    """
    now, then = fingerprints.of_job(record.stage, cfg), upgrades.libraries(record)
    here = now["libraries"] | {name: then[name] for name in absent(record, cfg) if name in then}
    if upgrades.fingerprint(record) == equal.fingerprint(record.stage, now["digest"], here):
        return []
    changed = versions(then, here)
    if upgrades.digest(record) == equal.standing(record.stage, now["digest"]):
        return changed
    if isinstance(record.code, upgrades.ModulesCode):
        return ["code of an earlier release, which wrote down modules: not shown to be equal", *changed]
    return (definitions(record.code.definitions, now["definitions"]) or ["its code is put together anew"]) + changed


def absent(record: Sidecar, cfg: dict) -> list[str]:
    """The libraries of the job's code that are not installed here, so that their versions can't be compared."""
    libraries = fingerprints.of_job(record.stage, cfg)["libraries"]
    return [name for name, version in libraries.items() if version == ABSENT]


def definitions(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> list[str]:
    """The definitions that differ, such as `training.sgd.evaluate changed`; old, new: module -> name -> hash.

    One that only moved to another module is not named.
    """
    before, after = (
        {(module, name): digest for module, names in code.items() for name, digest in names.items()}
        for code in (old, new)
    )
    gone, added = Counter(_bare(before, after)), Counter(_bare(after, before))
    words = []
    for module, name in sorted({*before, *after}):
        was, now = before.get((module, name)), after.get((module, name))
        moved = (name, was) in added if now is None else (name, now) in gone if was is None else False
        if was != now and not moved:
            fate = "gone" if now is None else "new" if was is None else "changed"
            words.append(f"{module}.{name} {fate}")
    return _few(words, 12)


def versions(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The distributions whose version differs, such as `torch 2.14.0 -> 2.15.0`."""
    names = sorted({*old, *new})
    return [
        f"{name} {old.get(name, 'not used')} -> {new.get(name, 'not used')}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _bare(these: dict[tuple[str, str], str], others: dict) -> list[tuple[str, str]]:
    """Name and hash of the definitions that are not where the others are."""
    return [(name, digest) for (module, name), digest in these.items() if (module, name) not in others]


def _one(old: dict, new: dict, name: str, key: str) -> list[str]:
    if name not in old:
        return [f"{key} added: {_short(new[name])}"]
    if name not in new:
        return [f"{key} removed: {_short(old[name])}"]
    return _values(old[name], new[name], key)


def _few(words: list[str], most: int = 5) -> list[str]:
    return words if len(words) <= most else [*words[:most], f"{len(words) - most} more"]


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
