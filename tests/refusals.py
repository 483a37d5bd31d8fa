"""What tests assert of errors: a class, the place that is named, and the values that the line shows.

How it is put may change: `holds` has values alone, words that stand apart. test_errors.py pins the few messages that
others rely on.
"""

import contextlib
import functools
import json
import runpy
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow import ROOT
from workflow_scripts.config.errors import Misconfigured, StudyError
from workflow_scripts.provenance import fingerprints

ABSENT = object()


def laid_over(config: dict, changes: dict) -> dict:
    """The config with these keys (dotted) set, or removed."""
    for key, value in changes.items():
        *path, last = key.split(".")
        inner = functools.reduce(lambda node, part: node[part], path, config)
        inner[last] = value
        if value is ABSENT:
            del inner[last]
    return config


def assert_holds(line: str, holds: str) -> None:
    """The values stand in the line, each as a word."""
    words = [word.strip(",;:()?") for word in line.split()]
    for value in holds.split():
        assert value.strip(",") in words, line


def assert_refused(error: BaseException, kind: type[StudyError], where: object, holds: str = "") -> None:
    """One line `where: why: remedy`, of this kind, about this place, with these values."""
    assert isinstance(error, kind), error
    line = str(error)
    assert error.where == str(where)
    assert "\n" not in line and len(line) < 500 and all(part.strip() for part in line.split(": "))
    assert_holds(line, holds)


def assert_mistake(error: Misconfigured, key: str, kind: str, holds: str) -> None:
    """One mistake of the study, in one line that begins with the file and names the key."""
    assert type(error) is Misconfigured
    (mistake,) = error.mistakes
    assert (mistake.source, mistake.key, mistake.kind) == ("study.yaml", key, kind)
    assert error.where == "study.yaml" and str(error) == mistake.line
    assert "\n" not in mistake.line and len(mistake.line) < 500
    assert mistake.line.replace(": ", ".").startswith(f"study.yaml.{key}")
    assert_holds(mistake.line, holds)


def refused(command, *arguments: object) -> tuple[BaseException, str]:
    """What a command, called with these arguments, is stopped by, and the line that it prints."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(sys, "argv", ["command", *map(str, arguments)])
        command()
    return stop.value.__context__, stop.value.code


def call(stage: str, cfg, **arguments) -> StudyError | OSError | None:
    """Run a stage as a command, in this process, and return what stopped it; its `line` is what the command prints."""
    argv = [stage, "--cfg", cfg if isinstance(cfg, str) else json.dumps(cfg)]
    for name, value in arguments.items():
        argv += [flag(name), *map(str, value if isinstance(value, list) else [value])]
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", argv)
        patch.setattr(fingerprints, "check_loaded", lambda stage, cfg: None)  # this process has loaded every stage
        try:
            runpy.run_path(str(ROOT / "workflow_scripts" / f"{stage}.py"), run_name="__main__")
        except SystemExit as stop:
            error = stop.__context__
            assert isinstance(error, OSError) or stop.code == f"error: {error}"
            assert stop.code.startswith("error: ") and "\n" not in stop.code and len(stop.code) < 500
            error.line = stop.code
            return error
        finally:
            signal.signal(signal.SIGTERM, on_sigterm)


def flag(name: str) -> str:
    return f"--{name}".replace("_", "-")


def assert_nothing_in(folder: Path) -> None:
    assert not [path for path in folder.rglob("*") if not path.is_dir()]
    assert not list(folder.rglob(".*")), "a scratch folder is left"


@contextlib.contextmanager
def refusal(kind: type[StudyError], where: object, holds: str = "") -> Iterator[None]:
    """The block is stopped by an error of this kind, about this place, that shows these values."""
    with pytest.raises(kind) as raised:
        yield
    assert_refused(raised.value, kind, where, holds)
