"""Make one data set's arrays: load or draw it, split it, record what it came from."""

import logging
from pathlib import Path

import numpy as np

from workflow_scripts.config import kinds
from workflow_scripts.config.base import JobConfig
from workflow_scripts.data import parts, repeats
from workflow_scripts.files import npz
from workflow_scripts.job import command

log = logging.getLogger("workflow_scripts")


class Config(JobConfig):
    """What the stage reads; listing: that of the user's own files when the job was planned."""

    source: kinds.choice("data.datasets")
    listing: str | None = None


def run(config: Config, inputs, outputs) -> None:
    """Write the arrays of one data set, and as `notes` what there is to warn of, if anything.

    Raises StudyError if the user's files are not those that were listed, or a kind returns what is no data set.
    """
    if config.listing:
        config.source.check_listing(config.listing)
    made = kinds.of("data.datasets", config.source.kind).make(config.source, inputs.data_root or Path("data"))
    names = {part: made.pop(f"{part}_names", np.array([])).tolist() for part in parts.PARTS}
    parts.check(f"data.datasets.{config.source.kind}.make", made, config.source.n_classes)
    notes = repeats.told(made, names)
    for note in notes:
        log.warning("%s", note)
    npz.save(outputs.data, **made, **({"notes": np.array(notes)} if notes else {}))


if __name__ == "__main__":
    command.main(
        run,
        Config,
        folders={"data_root": "folder of downloaded data sets (default: data)"},
        outputs={"data": "the arrays (.npz)"},
    )
