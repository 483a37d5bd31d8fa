"""Order the test examples of an experiment: from which epoch on each seed has each of them right."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import learning_order, per_class
from workflow_scripts.measures.seeds import over_seeds
from workflow_scripts.training import trajectories


class Config(JobConfig):
    """What the stage reads."""

    seeds: list[Seed]
    task: Task


def run(config: Config, inputs, outputs) -> None:
    """Write a row per test example."""
    npz.check_number("--trajectories", inputs.trajectories, len(config.seeds))
    labels, n_classes = tasks.load_labels(inputs.data, config.task)
    names = np.array(per_class.class_names(inputs.data, config.task))
    epochs = {
        seed: _epochs(path, labels["test"], n_classes)
        for seed, path in zip(config.seeds, inputs.trajectories, strict=True)
    }
    dataframes.write(outputs.examples, table(names[labels["test"]], epochs))


def table(class_of: np.ndarray, epochs: dict[int, np.ndarray]) -> pd.DataFrame:
    """A row per test example: its place in the test part of the task, and its class.

    learned: how many seeds learn it; mean, std: of their epochs; seed{n}: the epoch of that seed, NaN for never.
    class_of: name of each example's class, [N]; epochs: seed -> [N].
    """
    over = over_seeds(np.stack(list(epochs.values())))
    about = {"example": np.arange(len(class_of)), "class": class_of, "learned": over["seeds"]}
    each = {f"seed{seed}": of_seed for seed, of_seed in epochs.items()}
    return pd.DataFrame(about | {name: over[name] for name in ("mean", "std")} | each)


def _epochs(path: Path, y: np.ndarray, n_classes: int) -> np.ndarray:
    """The epoch from which on each example is right, float[N]; NaN: never."""
    trajectory = trajectories.load(path, {"test": y}, n_classes, "test")
    return np.append(trajectory.epochs, np.nan)[learning_order.checkpoint_learned(trajectory.predictions["test"], y)]


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "trajectories+": "the trajectory of each seed (.npz), in the order of the config",
        },
        outputs={"examples": "the table (.csv)"},
    )
