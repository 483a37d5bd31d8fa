"""Draw one figure and write every plotted point beside it."""

import os
from typing import Any

from workflow_scripts.config import kinds
from workflow_scripts.config.base import JobConfig
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.files import dataframes, listed
from workflow_scripts.job import command


class Config(JobConfig):
    """The figure; name -> the files that it reads, under results; what else it reads of the study, as its kind says."""

    settings: kinds.choice("figures")
    shown: dict[str, Any]


def run(config: Config, inputs, outputs) -> None:
    """Write the figure as PDF, PNG and SVG, and its points."""
    os.environ["MPLBACKEND"] = "Agg"  # what a notebook names may be unknown here, and Matplotlib could not be imported
    points = Points()
    files = listed.by_name(inputs.inputs, config.inputs)
    figure = kinds.of("figures", config.settings.kind).draw(config, files, points)
    style.save(figure, outputs.pdf, outputs.png, outputs.svg, outputs.key)
    dataframes.write(outputs.points, points.table())


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={"inputs*": "the files of the config's key inputs, names in alphabetical order"},
        outputs={name: f"the figure (.{name})" for name in ("pdf", "png", "svg")}
        | {"points": "every plotted point (.csv)"},
    )
