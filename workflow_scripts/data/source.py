"""What the study and the rules ask of the settings of any data set."""

from typing import ClassVar

from workflow_scripts.config.base import Strict


class Source(Strict):
    """The settings of a data set. Each kind has the fields kind, train, test, fresh and seed, and n_classes."""

    #: cores that making it uses
    threads: ClassVar[int] = 1

    @property
    def n_train(self) -> int | None:
        """Training examples; None: as many as there are, which is not known before they are listed."""
        return self.train

    @property
    def listing(self) -> str | None:
        """A digest of the user's own files that it is made from; None: there are none, or they are pinned."""
        return None

    def check_listing(self, planned: str) -> None:
        """Raise StudyError unless the files are those that were listed when the job was planned."""
