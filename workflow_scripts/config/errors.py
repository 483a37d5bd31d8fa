"""The one exception that means: the user can mend this; and what it can be about."""

from pathlib import Path
from typing import NamedTuple


class StudyError(Exception):
    """What the user can mend, in one line: `where: why: remedy`. Shown without a traceback.

    Raise one of the classes below, of (where, "why: remedy"), or of the whole line where no path is in it. Programs
    and tests rely on the class and on `where`, the file, folder, argument or key that is to be mended;
    the words may change.
    """

    def __init__(self, *parts: object):
        super().__init__(": ".join(map(str, parts)))
        self.where = str(parts[0]) if len(parts) > 1 else str(self).partition(": ")[0]


class Missing(StudyError):
    """A file or folder that isn't there."""


class Damaged(StudyError):
    """A file that can't be used as it is: broken, cut off, lacking a part, or of another kind."""


class DamagedResult(Damaged):
    """A damaged file that a stage makes again."""

    def __init__(self, path: Path, why: object):
        reason = " ".join(str(why).split()) or type(why).__name__
        super().__init__(path, f"damaged or not of the expected kind ({reason}): delete it and run its stage again")


class Foreign(StudyError):
    """A sound file that doesn't belong here: of another seed, task or data set, or in a place that isn't its own."""


class Changed(StudyError):
    """Code or files that are not what a job was planned with, what it wrote, or what was pinned."""


class Unfit(StudyError):
    """Settings and data that don't go together, or settings that this machine can't follow."""


class Misused(StudyError):
    """A command that was given the wrong arguments."""


class Blocked(StudyError):
    """What another user, another run or the file system doesn't let us do."""


class Untracked(StudyError):
    """Code that a job's fingerprint can't follow."""


class Mistake(NamedTuple):
    """One mistake in a config: the file, the key in dots, what kind of mistake it is, and the line that says so.

    kind: pydantic's name for it, such as missing or int_type, or one of ours: unknown_key and those of Wrong.
    """

    source: str
    key: str
    kind: str
    line: str


class Misconfigured(StudyError):
    """A config with mistakes: a line for each."""

    def __init__(self, mistakes: list[Mistake]):
        super().__init__("\nerror: ".join(dict.fromkeys(mistake.line for mistake in mistakes)))
        self.mistakes, self.where = mistakes, mistakes[0].source


class Wrong(ValueError):
    """A mistake that a validator of the config finds.

    kind: unknown_name, repeated, too_many (more than there are), bad_value, conflict (of keys that don't go together),
    or missing and too_short, as pydantic has them. key: in dots, below the model that the validator is of, or empty.
    """

    def __init__(self, kind: str, key: str, words: str):
        super().__init__(f"{key}: {words}" if key else words)
        self.kind, self.key, self.words = kind, key, words
