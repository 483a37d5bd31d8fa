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
    runs = _read_tables(config, "--measures", inputs.measures, dataframes.MEASURES, per_class.INDEX, _NEEDED)
    class_runs = _read_tables(
        config,
        "--class-measures",
        inputs.class_measures,
        dataframes.CLASS_MEASURES,
        per_class.CLASS_INDEX,
        _CLASS_NEEDED,
    )
    labels, n_classes = tasks.load_labels(inputs.data, config.task)
    y, seeds = labels["test"], [_predictions(inputs, seed, labels, n_classes) for seed in range(len(config.seeds))]
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


def _read_tables(
    config: Config,
    flag: str,
    paths: list[Path],
    kind: dataframes.Kind,
    index: tuple[str, ...],
    columns: tuple[str, ...],
) -> list[pd.DataFrame]:
    """One table per seed, all with the same rows, of all the explainers. Raises StudyError."""
    npz.check_number(flag, paths, len(config.seeds))
    runs = [dataframes.read(path, *columns, kind=kind) for path in paths]
    for path, table in zip(paths, runs, strict=True):
        if not table[[*index]].equals(runs[0][[*index]]):
            raise Foreign(path, f"its rows are not those of {paths[0]}: measure this seed again")
    if set(runs[0]["explainer"]) != set(config.references):
        raise Foreign(paths[0], f"expected explainers {', '.join(config.references)}: measure again")
    return runs


def _predictions(
    inputs, seed: int, labels: dict[str, np.ndarray], n_classes: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """What one seed's network predicts of the test set, [T, N], and each of its explainers, [N] or [T, N].

    A byte each: those of all seeds fit into memory, and what is made of them is much larger.
    """
    path, per_seed = inputs.trajectories[seed], len(inputs.explainers) // len(inputs.trajectories)
    trajectory = predictions.of_network(path, labels, n_classes)
    own = inputs.explainers[seed * per_seed : (seed + 1) * per_seed]
    explained = [predictions.of_explainer(other, path, trajectory, labels["test"], n_classes) for other in own]
    return trajectory["test_predictions"], explained


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
