"""How every command ends: whatever stops it becomes one line, and what comes from outside can't act on a terminal."""

import errno
import logging
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from workflow_scripts.config.errors import Misconfigured, StudyError

_REMEDIES = {
    errno.EACCES: "mend its permissions, or give another path",
    errno.EPERM: "mend its permissions, or give another path",
    errno.EROFS: "it can't be written to: give another path",
    errno.ENAMETOOLONG: "the name is too long: give a shorter one",
    errno.ENOENT: "give a path that exists",
    errno.EEXIST: "something else has this name: move it away, or give another path",
    errno.ENOTDIR: "a part of the path is a file: give another path",
    errno.EISDIR: "it is a folder: give the path of a file",
    errno.ELOOP: "its links go in a circle: mend them, or give another path",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open: end other programs, or raise the limit",
    errno.EIO: "the disk or its server fails: see whether it is sound, then run the same command again",
    errno.ESTALE: "its server has lost it: run the same command again",
}

#: what PyTorch says, which has no error of its own for it on a CPU
_MEMORY = re.compile("allocate memory|out of memory", re.IGNORECASE)


def plain(text: str) -> str:
    r"""The text with all that a terminal would act on or hide, such as ESC and line ends, as \x1b."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def lines(texts: Iterable[str]) -> str:
    """Texts as lines, one each, whatever stands in them."""
    return "\n".join(map(plain, texts))


def said(error: BaseException, command: str) -> str:
    """What a command that is stopped by this says: a line, for a config one for each of its mistakes."""
    if isinstance(error, Misconfigured):
        return lines(dict.fromkeys(f"error: {mistake.line}" for mistake in error.mistakes))
    if isinstance(error, KeyboardInterrupt):
        return "stopped: no result was written"
    return plain(f"error: {_why(error, command)}")


def _why(error: BaseException, command: str) -> str:
    """Where, why and what to do."""
    if isinstance(error, StudyError):
        return str(error)
    if isinstance(error, MemoryError) or _MEMORY.search(str(error)):
        return f"{command}: there is not enough memory: give it more, or end other programs"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left where {command} writes: free some, then run the same command again"
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        return f"{error.filename or command}: {error.strerror}: {_REMEDIES[error.errno]}"
    words = " ".join(str(error).split())[:200]
    if isinstance(error, (ImportError, SyntaxError)):
        return (
            f"{command}: {getattr(error, 'name', None) or 'a module'} can't be imported ({words}): set up .venv anew "
            f"(make), and take other folders out of PYTHONPATH ({os.environ.get('PYTHONPATH', '')})"
        )
    return (
        f"{command}: {type(error).__name__}{f' ({words})' if words else ''}: this is a fault of this program: "
        f"report it, with {_kept(error)}"
    )


def _kept(error: BaseException) -> str:
    """Where the traceback of an error is written down."""
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="traceback-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(text)
    except OSError:
        return "the config and the command"
    return file.name


@contextmanager
def clear(command: str, failed: int = 1) -> Iterator[None]:
    """End the process with one line, and this exit code, where anything stops the block; pass on its own exit.

    The block may print: what can't be written is told too. A reader that has gone (`| head`) ends it in silence, as
    SIGPIPE would. Closed outputs (`>&-`) are as /dev/null.
    """
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        sys.exit(128 + 13)
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        text = said(error, command)
        if isinstance(error, OSError):
            _drop_output()
        if failed == 1:
            sys.exit(text)
        print(text, file=sys.stderr)
        sys.exit(failed)


def _drop_output() -> None:
    """Let nothing more be written to standard output: Python would try again at its end, and complain."""
    with suppress(OSError, ValueError):  # not a file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Plain(logging.Formatter):
    """Log lines of which each is one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, made plain."""
        return plain(super().formatMessage(record))
