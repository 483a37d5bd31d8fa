"""Make one table of the paper: numbers as CSV, and a page to read."""

from typing import Any

from workflow_scripts.config import kinds
from workflow_scripts.config.base import JobConfig
from workflow_scripts.files import dataframes, listed
from workflow_scripts.job import command


class Config(JobConfig):
    """The table; name -> the files that it reads, under results; what else it reads of the study, as its kind says."""

    settings: kinds.choice("tables")
    shown: dict[str, Any]


def run(config: Config, inputs, outputs) -> None:
    """Write the table as CSV and as a page."""
    files = listed.by_name(inputs.inputs, config.inputs)
    table = kinds.of("tables", config.settings.kind).table(config, files)
    first = ["experiment", "title"]
    table = table[first + [column for column in table.columns if column not in first]]
    dataframes.write(outputs.csv, table)
    outputs.html.write_text(kinds.of("tables", config.settings.kind).page(table, config.wildcards["table"]))


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={"inputs*": "the files of the config's key inputs, names in alphabetical order"},
        outputs={"csv": "the table (.csv)", "html": "the table as a page (.html)"},
    )
