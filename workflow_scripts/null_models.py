"""Compare every explainer of an experiment with its null models at T0, seed by seed."""

import logging

import numpy as np
import pandas as pd

from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.data import Task
from workflow_scripts.config.nulls import Nulls
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import information, intervals, nulls, phases, predictions
from workflow_scripts.measures.seeds import SharedExamples

log = logging.getLogger("workflow_scripts")

_WHERE = ("seed", "explainer", "checkpoint", "step", "epoch", "epoch_lo", "epoch_hi")
#: columns whose seeds' estimates have the variance in column {name}_shared in common, through the test set
_SHARED = ("I_LY", "I_FY", "ratio", "excess")


class Config(JobConfig):
    """What the stage reads.

    found_in: explainer -> the file under results that has its predictions; references: explainer -> the explainer whose
    performance defines its T0.
    """

    seeds: list[Seed]
    task: Task
    explainers: list[str]
    found_in: dict[str, str]
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
        counts, explained, leads = {}, {}, {}
        for name, explainer_path in zip(config.explainers, paths, strict=True):
            said = predictions.of_explainer(explainer_path, path, trajectory, labels["test"], n_classes)
            explained[name] = np.broadcast_to(said, trajectory["test_predictions"].shape)
            counts[name] = information.joint_counts(trajectory["test_predictions"], said, labels["test"], n_classes)
            leads[name] = predictions.lead(trajectory, said, labels["test"], n_classes)
        for number, name in enumerate(config.explainers):
            reference = config.references[name]
            t0 = phases.first_crossing(leads[reference]["lead"])
            owner = {"seed": seed, "explainer": name}
            if t0 is None:
                log.warning("seed %d never reaches %s: no T0, no comparison", seed, reference)
                rows += [{**owner, "variant": variant} for variant in nulls.VARIANTS]
                continue
            where = {"checkpoint": t0, "step": trajectory["steps"][t0], "epoch": trajectory["epochs"][t0]}
            where |= _interval(leads[reference], trajectory["epochs"], t0)
            example = trajectory["test_predictions"][t0], explained[name][t0], labels["test"]
            for quantity, psi in _influences(counts[name][t0]).items():
                shared.add((name, quantity), psi[example])
            rng = np.random.default_rng([config.nulls.seed, seed, number])
            rows += [{**owner, **where, **row} for row in nulls.compare(counts[name][t0], config.nulls.draws, rng)]
    table = pd.DataFrame(rows, columns=[*_WHERE, *nulls.COMPARISON])
    variances = shared.variances()
    for quantity in _SHARED:
        table[f"{quantity}_shared"] = [float(variances.get((name, quantity), np.nan)) for name in table["explainer"]]
    dataframes.write(outputs.nulls, table)


def _interval(lead: dict[str, np.ndarray], epochs: np.ndarray, t0: int) -> dict[str, float]:
    """The epochs between which T0 lies, given the noise of the test set; no upper one if a lead never is certain."""
    earliest, latest = phases.crossing_interval(lead["lead_lo"], lead["lead_hi"], t0)
    return {"epoch_lo": epochs[earliest], "epoch_hi": np.nan if latest is None else epochs[latest]}


def _influences(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Influence of an example of each cell on the quantities of _SHARED: [f, l, y]."""
    psi = intervals.influence(counts)
    return {
        "I_LY": psi["I_LY"],
        "I_FY": psi["I_FY"],
        "ratio": intervals.ratio_influence(counts),
        "excess": nulls.excess_influence(counts),
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
