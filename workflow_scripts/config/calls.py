"""Calls of commands: a wrong one is one clear line, and each can work in another folder."""

import argparse
import os
from pathlib import Path

from workflow_scripts.config.errors import Misused

#: exit code of a wrong call of a command whose other exit codes are answers
MISTAKE = 4


class Parser(argparse.ArgumentParser):
    """A parser of arguments that says what is wrong in one line, and takes no abbreviations."""

    def __init__(self, **given):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **given)

    def error(self, message: str) -> None:
        """Raise Misused."""
        raise Misused(message)


#: where the command was called, if it went to another folder
_called_from: list[Path] = []


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Let a command work in another folder, as snakemake does."""
    parser.add_argument("--directory", type=Path, metavar="DIR", help="work in this folder, as for snakemake")


def enter(folder: Path | None) -> None:
    """Go to the folder that was given. Raises Misused where there is none."""
    _called_from[:] = [Path.cwd()] if folder else []
    if folder:
        try:
            os.chdir(folder)
        except OSError as error:
            raise Misused(f"--directory {folder}", f"{error.strerror}: name the folder where snakemake works") from None


def called_from() -> Path:
    """The folder in which the command was called, where what it prints is to be run."""
    return next(iter(_called_from), Path.cwd())
