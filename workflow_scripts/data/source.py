"""What the study and the rules ask of the settings of any data set."""

from pathlib import Path
from typing import ClassVar

from workflow_scripts.config.base import Strict
from workflow_scripts.config.errors import Missing


class Source(Strict):
    """The settings of a data set. Each kind has the fields kind, train, test, fresh and seed, and n_classes."""

    #: cores that making it uses
    threads: ClassVar[int] = 1
    #: fields that say where its files lie; they change no result
    places: ClassVar[tuple[str, ...]] = ()

    @property
    def n_train(self) -> int | None:
        """Training examples; None: as many as there are, which is not known before they are listed."""
        return self.train

    @property
    def listing(self) -> str | None:
        """A digest of the user's own files that it is made from; None: there are none, or they are pinned.

        Raises Missing where they are absent, and another StudyError where they can't be read or used.
        """
        return None

    def check_listing(self, planned: str) -> None:
        """Raise StudyError unless the files are those that were listed when the job was planned."""


def expanded(path: str | Path) -> Path:
    """The path with ~ and ~user replaced by that folder. Raises Missing where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise Missing(path, f"{error}: write the folder out") from None
