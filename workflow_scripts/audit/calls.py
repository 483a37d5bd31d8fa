"""Calls of the commands of this room: a wrong one is one clear line, and an exit code of its own."""

import argparse
import os
from pathlib import Path

#: exit code of a wrong call
MISTAKE = 4


class Parser(argparse.ArgumentParser):
    """A parser of arguments that says what is wrong in one line."""

    def error(self, message: str) -> None:
        """End with one line."""
        self.exit(MISTAKE, f"error: {message}\n")


#: where the command was called, if it went to another folder
_called_from: list[Path] = []


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Let a command work in another folder, as snakemake does."""
    parser.add_argument("--directory", type=Path, metavar="DIR", help="work in this folder, as for snakemake")


def enter(parser: argparse.ArgumentParser, folder: Path | None) -> None:
    """Go to the folder that was given; end with one line where there is none."""
    _called_from[:] = [Path.cwd()] if folder else []
    if folder:
        try:
            os.chdir(folder)
        except OSError as error:
            parser.error(f"--directory {folder}: {error.strerror}: name the folder where snakemake works")


def called_from() -> Path:
    """The folder in which the command was called, where what it prints is to be run."""
    return next(iter(_called_from), Path.cwd())
