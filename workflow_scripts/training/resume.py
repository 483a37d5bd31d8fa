"""The state of a training that was cut off, from which the same training goes on, and the signals that cut it off."""

import logging
import os
import signal
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

log = logging.getLogger("workflow_scripts")

#: between two saves
SECONDS = 120.0


class Stopped(Exception):
    """SIGTERM or Ctrl-C has come, and nothing is half done."""


class Signals:
    """SIGTERM and Ctrl-C while a training runs: told between two steps, so that its state can be saved.

    came: the number of the signal, once one has come.
    """

    def __enter__(self):
        self.came, self._at_once = None, False
        self._before = {number: signal.signal(number, self._keep) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise Stopped if a signal has come."""
        if self.came:
            raise Stopped

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within it nothing can be left half done: a signal raises Stopped wherever it comes."""
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False

    def _keep(self, number, _) -> None:
        self.came = number
        if self._at_once:
            self._at_once = False
            raise Stopped


def save(path: Path, state: dict[str, np.ndarray]) -> bool:
    """Write a state in place of the one before; False where that can't be, which is reported."""
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            np.savez(file, **state)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        log.warning("%s: the state can't be saved here: %s", path, error.strerror or error)
        return False
    return True


def load(path: Path) -> dict[str, np.ndarray] | None:
    """A saved state; None where there is none, or where it is damaged, which is reported."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        return None
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as e:
        refused(path, e)
        return None


def refused(path: Path, why) -> None:
    """Report a state that is not used."""
    log.warning("%s: damaged (%s): it is not used, training starts anew", path, " ".join(str(why).split()))
