"""The one exception that means: the user can mend this."""

from pathlib import Path


class StudyError(Exception):
    """Bad input in one line: the file or config key, what was expected, what to do. Shown without a traceback."""


def damaged(path: Path, why) -> StudyError:
    """The error for a file that can't be used as it is."""
    reason = " ".join(str(why).split()) or type(why).__name__
    return StudyError(f"{path}: damaged or not of the expected kind ({reason}): delete it and run its stage again")
