"""Make one data set's arrays: load or draw it, split it, record what it came from."""

from pathlib import Path

from workflow_scripts.config.base import JobConfig
from workflow_scripts.config.data import Dataset
from workflow_scripts.config.errors import StudyError
from workflow_scripts.data import datasets, pictures
from workflow_scripts.files import npz
from workflow_scripts.job import command


class Config(JobConfig):
    """What the stage reads."""

    source: Dataset
    listing: str | None = None


def run(config: Config, inputs, outputs) -> None:
    """Write the arrays of one data set. Raises StudyError if the user's pictures are not those that were listed."""
    if config.listing and config.listing != pictures.listing(Path(config.source.path)):
        raise StudyError(
            f"{config.source.path}: the pictures changed since this job was planned: run snakemake again so that it is "
            "planned with the pictures as they are now"
        )
    npz.save(outputs.data, **datasets.make(config.source, inputs.data_root or Path("data")))


if __name__ == "__main__":
    command.main(
        run,
        Config,
        folders={"data_root": "folder of downloaded data sets (default: data)"},
        outputs={"data": "the arrays (.npz)"},
    )
