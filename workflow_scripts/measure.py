"""Information quantities of one seed's trajectory against each of its explainers, checkpoint by checkpoint."""

import pandas as pd

from workflow_scripts.config.base import JobConfig
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import per_checkpoint, per_class, predictions
from workflow_scripts.measures.comparison import Comparison


class Config(JobConfig):
    """What the stage reads."""

    task: Task
    explainers: list[str]
    nested: bool


def run(config: Config, inputs, outputs) -> None:
    """Write a row per explainer and checkpoint, and one for each of their classes."""
    labels, n_classes = tasks.load_labels(inputs.data, config.task)
    names = per_class.class_names(inputs.data, config.task)
    npz.check_number("--explainers", inputs.explainers, len(config.explainers))
    trajectory = predictions.of_network(inputs.trajectory, labels, n_classes, "train")
    f, y = trajectory["test_predictions"], labels["test"]
    measured, of_classes, explained = [], [], []
    for name, path in zip(config.explainers, inputs.explainers, strict=True):
        explained.append(predictions.of_explainer(path, inputs.trajectory, trajectory, y, n_classes))
        compared = Comparison.of(f, explained[-1], y, n_classes)
        table = per_checkpoint.table(name, trajectory, compared, labels["train"], n_classes)
        if config.nested:
            table = table.assign(**per_checkpoint.joint_columns(Comparison.of_several(f, explained, y, n_classes)))
        measured.append(table)
        of_classes.append(per_class.table(compared.counts, table[list(per_class.INDEX)], names))
    dataframes.write(outputs.measures, pd.concat(measured, ignore_index=True))
    dataframes.write(outputs.classes, pd.concat(of_classes, ignore_index=True))


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "trajectory": "the seed's trajectory (.npz)",
            "explainers+": "explainers, fitted or trajectories (.npz), in the order of the config",
        },
        outputs={"measures": "the table (.csv)", "classes": "the part of each class (.csv)"},
    )
