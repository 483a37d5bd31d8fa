"""Make one data set's arrays: load or draw it, split it, record what it came from."""

from pathlib import Path

from workflow_scripts import datasets, files, stage
from workflow_scripts.config.base import JobConfig
from workflow_scripts.config.data import Dataset


class Config(JobConfig):
    """What the stage reads."""

    source: Dataset


def run(config: Config, inputs, outputs) -> None:
    """Write the arrays of one data set."""
    files.save_arrays(outputs.data, **datasets.make(config.source, inputs.data_root or Path("data")))


if __name__ == "__main__":
    stage.main(
        run,
        Config,
        folders={"data_root": "folder of downloaded data sets (default: data)"},
        outputs={"data": "the arrays (.npz)"},
    )
