"""Calls of the commands of this room: a wrong one is one clear line, and an exit code of its own."""

import argparse

#: exit code of a wrong call
MISTAKE = 4


class Parser(argparse.ArgumentParser):
    """A parser of arguments that says what is wrong in one line."""

    def error(self, message: str) -> None:
        """End with one line."""
        self.exit(MISTAKE, f"error: {message}\n")
