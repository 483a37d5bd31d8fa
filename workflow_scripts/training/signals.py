"""SIGTERM, SIGHUP and Ctrl-C, held back until nothing is half done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(Exception):
    """A signal to stop has come, and nothing is half done."""


class Signals:
    """Signals to stop while a training runs: noticed between two steps, so that its state can be saved.

    SIGTERM, Ctrl-C and SIGHUP (the terminal is gone), but for those that are ignored, as by nohup or in the background
    of a shell script. came: the number of one that has come.
    """

    def __enter__(self):
        self.came, self._at_once = None, False
        numbers = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._keep) for number in numbers}
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
