"""Codes that were shown to be equal: old and new code made the same bytes of the same inputs.

`equal.json`, beside this module, lists them with the evidence; `python -m workflow_scripts.audit.equate` adds to it. A
result made by the old code counts as made by the new one, so that refactoring retrains nothing.
"""

import functools
import json
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from workflow_scripts.config.errors import DamagedResult
from workflow_scripts.provenance import fingerprints

PATH = Path(__file__).with_name("equal.json")


class Again(BaseModel, strict=True, frozen=True):
    """A job that was run again: its wildcards, the key that it had, and the SHA-256 of each product, which it gave."""

    wildcards: dict[str, str]
    key: str
    outputs: dict[str, str]


class Equal(BaseModel, strict=True, frozen=True):
    """Two digests of a stage's code for jobs of these kinds, the jobs that show it, and where and when they ran.

    It says nothing of jobs whose networks ran on another device.
    """

    stage: str
    kinds: list[str]
    old: str
    new: str
    jobs: list[Again]
    date: str
    commit: str | None
    python: str
    os: str
    cpu: str | None
    libraries: dict[str, str]
    device: str = "cpu"


@functools.cache
def known() -> tuple[Equal, ...]:
    """All that is listed. Raises StudyError where the list is damaged."""
    try:
        return tuple(TypeAdapter(list[Equal]).validate_json(PATH.read_bytes()))
    except FileNotFoundError:
        return ()
    except ValueError as error:
        raise DamagedResult(PATH, error) from None


def add(found: list[Equal]) -> None:
    """Append to the list, in place of what it says of the same two digests on the same device."""
    kept = [each for each in known() if _about(each) not in {*map(_about, found)}]
    lines = [
        json.dumps(each.model_dump(exclude_defaults=True), sort_keys=True)
        for each in sorted([*kept, *found], key=_place)
    ]
    PATH.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    known.cache_clear()
    _next.cache_clear()


def way(stage: str, digest: str, device: str = "cpu") -> list[Equal]:
    """The steps from a digest of a stage's code to the latest one that is equal; none where nothing is listed.

    device: the one that the networks of a job ran on, `cpu` where it has none.
    """
    steps, seen = [], {digest}
    while (step := _next().get((stage, digest, device))) and step.new not in seen:
        steps.append(step)
        digest = step.new
        seen.add(digest)
    return steps


def standing(stage: str, digest: str, device: str = "cpu") -> str:
    """The digest that stands for all that are equal to this one on this device: the latest."""
    steps = way(stage, digest, device)
    return steps[-1].new if steps else digest


def fingerprint(stage: str, digest: str, libraries: dict[str, str]) -> str:
    """The fingerprint that stands for a job's code: what Snakemake tracks."""
    return fingerprints.of(standing(stage, digest), libraries)


def before(stage: str, digest: str) -> list[str]:
    """The digests from which some way leads to this one."""
    return [
        each.old
        for each in known()
        if each.stage == stage and standing(stage, each.old, each.device) == digest != each.old
    ]


@functools.cache
def _next() -> dict[tuple[str, str, str], Equal]:
    return {(each.stage, each.old, each.device): each for each in known()}


def _about(each: Equal) -> tuple[str, str, str, str]:
    return each.stage, each.old, each.new, each.device


def _place(each: Equal) -> tuple:
    return each.stage, each.kinds, each.date, each.old
