"""How many inputs the tests draw at random: `make fuzz` draws FUZZ times as many."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("FUZZ", "1"))


def cases(number: int = 50, **how) -> settings:
    """Settings of a test that draws so many inputs; how: as for hypothesis.settings."""
    return settings(max_examples=number * TIMES, deadline=None, **how)
