"""Whether arrays fit into memory, asked before they are made."""

import os

from workflow_scripts.config.errors import Unfit


def check(n_bytes: int, where: str, what: str, remedy: str) -> None:
    """Raise Unfit where so many bytes are more than the memory of this machine.

    where, what: the keys or the file, and what takes the memory; remedy: which keys to lower.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if n_bytes > memory:
        raise Unfit(
            f"{where}: {what} take {n_bytes >> 30:,} GiB, more than the {memory / 2**30:.1f} GiB of memory here: "
            f"{remedy}"
        )
