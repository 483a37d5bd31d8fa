"""Compare every explainer of an experiment with its null models at T0, seed by seed."""

import logging

import numpy as np
import pandas as pd

from workflow_scripts import files, information, nulls, phases, stage, tables, tasks
from workflow_scripts.config.analysis import Nulls
from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.data import Task

log = logging.getLogger("workflow_scripts")

_WHERE = ("seed", "explainer", "checkpoint", "step", "epoch")


class Config(JobConfig):
    """What the stage reads.

    fitted_in: explainer -> the folder under results that has it; references: explainer -> the explainer whose
    performance defines its T0.
    """

    seeds: list[Seed]
    task: Task
    explainers: list[str]
    fitted_in: dict[str, str]
    references: dict[str, str]
    nulls: Nulls


def run(config: Config, inputs, outputs) -> None:
    """Write a row per seed, explainer and null model; a seed that never reaches T0 has rows without values."""
    labels, n_classes = tasks.load_labels(inputs.data, config.task)
    per_seed = len(config.explainers)
    files.check_number("--trajectories", inputs.trajectories, len(config.seeds))
    files.check_number("--explainers", inputs.explainers, len(config.seeds) * per_seed)
    rows = []
    for index, (seed, path) in enumerate(zip(config.seeds, inputs.trajectories, strict=True)):
        trajectory = files.load_arrays(path, "steps", "epochs", "test_predictions")
        shape = (len(labels["test"]), n_classes, len(trajectory["steps"]))
        tasks.check_predictions(path, "test_predictions", trajectory["test_predictions"], *shape)
        paths = inputs.explainers[index * per_seed : (index + 1) * per_seed]
        counts = {}
        for name, explainer_path in zip(config.explainers, paths, strict=True):
            explained = files.load_arrays(explainer_path, "test_predictions")["test_predictions"]
            tasks.check_predictions(explainer_path, "test_predictions", explained, *shape)
            counts[name] = information.joint_counts(
                trajectory["test_predictions"], explained, labels["test"], n_classes
            )
        for number, name in enumerate(config.explainers):
            reference = config.references[name]
            at_reference = information.measures(counts[reference])
            t0 = phases.first_crossing(at_reference["I_FY"], at_reference["I_LY"])
            owner = {"seed": seed, "explainer": name}
            if t0 is None:
                log.warning("seed %d never reaches %s: no T0, no comparison", seed, reference)
                rows += [{**owner, "variant": variant} for variant in nulls.VARIANTS]
                continue
            where = {"checkpoint": t0, "step": trajectory["steps"][t0], "epoch": trajectory["epochs"][t0]}
            rng = np.random.default_rng([config.nulls.seed, seed, number])
            rows += [{**owner, **where, **row} for row in nulls.compare(counts[name][t0], config.nulls.draws, rng)]
    tables.write(outputs.nulls, pd.DataFrame(rows, columns=[*_WHERE, *nulls.COMPARISON]))


if __name__ == "__main__":
    stage.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "trajectories+": "the trajectory of each seed (.npz), in the order of the config",
            "explainers+": "the explainers of the first seed in the order of the config, then of the second (.npz)",
        },
        outputs={"nulls": "the table (.csv)"},
    )
