"""Summarise an experiment over its seeds: every measure at every checkpoint, and the phases of training."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.errors import Foreign
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import per_class, phase_changes, phases, predictions, summary
from workflow_scripts.measures.comparison import Comparison

_NEEDED = (*per_class.INDEX, *phases.QUANTITIES, "I_FY_lo", "I_FY_hi", "mu_null", "lead", "lead_lo", "lead_hi")
_CLASS_NEEDED = (*per_class.CLASS_INDEX, "I_FY_lo", *per_class.QUANTITIES)


class Config(JobConfig):
    """What the stage reads; references: explainer -> the explainer whose performance defines its T0."""

    seeds: list[Seed]
    task: Task
    explainers: list[str]
    references: dict[str, str]
    nested: bool


def run(config: Config, inputs, outputs) -> None:
    """Write the summary, the phases, the summary of each class, and when each seed learned it."""
    npz.check_number("--trajectories", inputs.trajectories, len(config.seeds))
    npz.check_number("--explainers", inputs.explainers, len(config.seeds) * len(config.explainers))
    npz.check_number("--measures", inputs.measures, len(config.seeds))
    npz.check_number("--class-measures", inputs.class_measures, len(config.seeds))
    labels, n_classes = tasks.load_labels(inputs.data, config.task)
    found = [_predictions(inputs, seed, labels, n_classes) for seed in range(len(config.seeds))]
    y, seeds = labels["test"], [(trajectory["test_predictions"], explained) for trajectory, explained in found]
    runs, class_runs = _read_measures(config, inputs, [trajectory for trajectory, _ in found], n_classes)
    summaries, changes, class_summaries = [], [], []
    for index, name in enumerate(config.explainers):
        own, spans = _of(runs, name), [phases.candidates(table) for table in _of(runs, config.references[name])]
        compared = [Comparison.of(f, explained[index], y, n_classes) for f, explained in seeds]
        shared = summary.shared_variances(compared)
        if config.nested:
            together = (Comparison.of_several(f, explained[: index + 1], y, n_classes) for f, explained in seeds)
            shared["mu_joint"] = summary.shared_variance("mu", together)
        summaries.append(summary.table(own, shared))
        changes.append(phase_changes.table(name, own, spans, phase_changes.shared_variances(compared, spans)))
        class_summaries.append(summary.class_table(_of(class_runs, name), per_class.shared_variances(compared)))
    dataframes.write(outputs.summary, pd.concat(summaries, ignore_index=True))
    dataframes.write(outputs.phases, pd.concat(changes, ignore_index=True))
    dataframes.write(outputs.classes, pd.concat(class_summaries, ignore_index=True))
    dataframes.write(outputs.order, per_class.learning_times(_of(class_runs, config.explainers[0]), config.seeds))


def _read_measures(
    config: Config, inputs, trajectories: list[dict[str, np.ndarray]], n_classes: int
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Measures and measures of classes of each seed, with the rows of its trajectory and of the config's explainers."""
    runs, class_runs = [], []
    for place, trajectory in enumerate(trajectories):
        path, class_path, of = inputs.measures[place], inputs.class_measures[place], inputs.trajectories[place]
        runs.append(dataframes.read(path, *_NEEDED, kind=dataframes.MEASURES))
        class_runs.append(dataframes.read(class_path, *_CLASS_NEEDED, kind=dataframes.CLASS_MEASURES))
        steps, n = trajectory["steps"], len(config.explainers)
        rows = pd.DataFrame(
            {
                "explainer": np.repeat(config.explainers, len(steps)),
                "checkpoint": np.tile(np.arange(len(steps)), n),
                "step": np.tile(steps, n),
                "epoch": np.tile(trajectory["epochs"], n),
            }
        )
        _check_rows(path, runs[-1], rows, of)
        _check_rows(class_path, class_runs[-1], rows.loc[rows.index.repeat(n_classes)], of)
        dataframes.check_same("class", class_path, class_runs[-1], inputs.class_measures[0], class_runs[0])
    return runs, class_runs


def _check_rows(path: Path, table: pd.DataFrame, rows: pd.DataFrame, trajectory: Path) -> None:
    """Raise Foreign unless the rows of a seed's table are about these explainers and checkpoints, in this order."""
    if not all(np.array_equal(table[name], rows[name]) for name in rows):
        raise Foreign(path, f"its rows are not those of {trajectory}: measure this seed again")


def _predictions(
    inputs, seed: int, labels: dict[str, np.ndarray], n_classes: int
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """What one seed's network predicts of the test set, and each of its explainers, [N] or [T, N].

    A byte each: those of all seeds fit into memory, and what is made of them is much larger.
    """
    path, per_seed = inputs.trajectories[seed], len(inputs.explainers) // len(inputs.trajectories)
    trajectory = predictions.of_network(path, labels, n_classes)
    own = inputs.explainers[seed * per_seed : (seed + 1) * per_seed]
    explained = [predictions.of_explainer(other, path, trajectory, labels["test"], n_classes) for other in own]
    return trajectory, explained


def _of(runs: list[pd.DataFrame], explainer: str) -> list[pd.DataFrame]:
    """The rows of one explainer in the table of each seed."""
    return [table[table["explainer"] == explainer].reset_index(drop=True) for table in runs]


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "measures+": "measures of each seed (.csv), in the order of the config",
            "class_measures+": "the parts of the classes of each seed (.csv), in the order of the config",
            "trajectories+": "the trajectory of each seed (.npz), in the order of the config",
            "explainers+": "the explainers of the first seed in the order of the config, then of the second (.npz)",
        },
        outputs={
            "summary": "the summary (.csv)",
            "phases": "the phases (.csv)",
            "classes": "the summary of each class (.csv)",
            "order": "when each seed learned each class (.csv)",
        },
    )
