"""Compare every explainer of an experiment with its null models at T0, seed by seed."""

import logging

import numpy as np
import pandas as pd

from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.nulls import Nulls
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import intervals, nulls, phases, predictions
from workflow_scripts.measures.comparison import Comparison
from workflow_scripts.measures.seeds import SharedExamples

log = logging.getLogger("workflow_scripts")

_INDEX = ("seed", "explainer", "checkpoint", "step", "epoch", "epoch_lo", "epoch_hi")


class Config(JobConfig):
    """What the stage reads; references: explainer -> the explainer whose performance defines its T0."""

    seeds: list[Seed]
    task: Task
    explainers: list[str]
    references: dict[str, str]
    nulls: Nulls


def run(config: Config, inputs, outputs) -> None:
    """Write a row per seed, explainer and null model; a seed that never reaches T0 has rows without values."""
    labels, n_classes = tasks.load_labels(inputs.data, config.task)
    per_seed = len(config.explainers)
    npz.check_number("--trajectories", inputs.trajectories, len(config.seeds))
    npz.check_number("--explainers", inputs.explainers, len(config.seeds) * per_seed)
    rows, shared = [], SharedExamples()
    for index, (seed, path) in enumerate(zip(config.seeds, inputs.trajectories, strict=True)):
        trajectory = predictions.of_network(path, labels, n_classes)
        paths = inputs.explainers[index * per_seed : (index + 1) * per_seed]
        explained = {
            name: predictions.of_explainer(explainer_path, path, trajectory, labels["test"], n_classes)
            for name, explainer_path in zip(config.explainers, paths, strict=True)
        }
        rows += _rows_of_seed(config, seed, trajectory, explained, labels["test"], n_classes, shared)
    table = pd.DataFrame(rows, columns=[*_INDEX, *nulls.COMPARISON])
    variances = shared.variances()
    for quantity in nulls.SHARED:
        table[f"{quantity}_shared"] = [float(variances.get((name, quantity), np.nan)) for name in table["explainer"]]
    dataframes.write(outputs.nulls, table)


def _rows_of_seed(
    config: Config,
    seed: int,
    trajectory: dict[str, np.ndarray],
    explained: dict[str, np.ndarray],
    y: np.ndarray,
    n_classes: int,
    shared: SharedExamples,
) -> list[dict]:
    """The rows of one seed; adds what its test examples contribute to shared, by explainer and quantity."""
    f, rows = trajectory["test_predictions"], []
    leads = {name: intervals.lead(Comparison.of(f, l, y, n_classes).at_end().counts) for name, l in explained.items()}
    for number, (name, l) in enumerate(explained.items()):
        reference = config.references[name]
        index, t0 = {"seed": seed, "explainer": name}, phases.first_crossing(leads[reference]["lead"])
        if t0 is None:
            log.warning("seed %d never reaches %s: no T0, no comparison", seed, reference)
            rows += [{**index, "variant": variant} for variant in nulls.VARIANTS]
            continue
        index |= _when(leads[reference], trajectory, t0)
        l_at_t0 = l[t0] if l.ndim == 2 else l
        compared = Comparison.of(f[t0], l_at_t0, y, n_classes)
        for quantity, influence in compared.by_example(nulls.influences(compared.counts).items()):
            shared.add((name, quantity), influence)
        rng = np.random.default_rng([config.nulls.seed, seed, number])
        rows += [{**index, **row} for row in nulls.compare(compared.counts, config.nulls.draws, rng)]
    return rows


def _when(lead: dict[str, np.ndarray], trajectory: dict[str, np.ndarray], t0: int) -> dict[str, float]:
    """T0, and the epochs between which it lies, given the noise of the test set; epoch_hi: NaN if it may never come."""
    epochs = trajectory["epochs"]
    earliest, latest = phases.crossing_interval(lead["lead_lo"], lead["lead_hi"], t0)
    return {
        "checkpoint": t0,
        "step": trajectory["steps"][t0],
        "epoch": epochs[t0],
        "epoch_lo": epochs[earliest],
        "epoch_hi": np.nan if latest is None else epochs[latest],
    }


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "trajectories+": "the trajectory of each seed (.npz), in the order of the config",
            "explainers+": "the explainers of the first seed in the order of the config, then of the second (.npz)",
        },
        outputs={"nulls": "the table (.csv)"},
    )
