"""Singular modes of an experiment's data, how a linear network learns them, and the order of classes they predict."""

import logging

import numpy as np
import pandas as pd

from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.errors import Foreign, Unfit
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import per_class, singular_modes
from workflow_scripts.measures.seeds import over_seeds
from workflow_scripts.training import trajectories

log = logging.getLogger("workflow_scripts")

QUANTITIES = ("observed", "decoupled", "linear_theory")
#: what a linear network calls its weights
WEIGHT, BIAS = "1.weight", "1.bias"


class Config(JobConfig):
    """What the stage reads; lr: the step size, which makes steps into the time of the theory."""

    seeds: list[Seed]
    task: Task
    lr: float


def run(config: Config, inputs, outputs) -> None:
    """Write the modes, their strengths during training, and what they predict of each class."""
    npz.check_number("--trajectories", inputs.trajectories, len(config.seeds))
    data = tasks.load(inputs.data, config.task)
    if data.n_classes < 3:
        raise Unfit(inputs.data, f"the task has {data.n_classes} classes, and modes need 3: choose another task")
    x = data.inputs["train"]
    shapes = {WEIGHT: (data.n_classes, x[0].size), BIAS: (data.n_classes,)}
    runs = [trajectories.load_weights(path, shapes) for path in inputs.trajectories]
    for path, run_of_seed in zip(inputs.trajectories, runs, strict=True):
        trajectories.check_task(path, run_of_seed, data)
        if not np.array_equal(run_of_seed.steps, runs[0].steps):
            raise Foreign(path, f"its checkpoints are not those of {inputs.trajectories[0]}: train this seed again")
    moments = singular_modes.moments(x, data.labels["train"], data.n_classes)
    found = singular_modes.decompose(moments)
    log.info("%d modes of strength %s", len(found.s), ", ".join(f"{s:.3g}" for s in found.s))
    dataframes.write(outputs.modes, learned(found, moments, runs, config.lr))
    per_epoch = runs[0].steps[-1] / runs[0].epochs[-1]
    names = per_class.class_names(inputs.data, config.task)
    dataframes.write(outputs.class_modes, predicted(found, moments, names, config.lr * per_epoch))
    v = found.v.reshape(-1, *x.shape[1:])
    npz.save(outputs.vectors, s=found.s, u=found.u, v=v, **{"lambda": found.rates})


def learned(
    found: singular_modes.Modes, moments: singular_modes.Moments, runs: list[trajectories.Trajectory], lr: float
) -> pd.DataFrame:
    """Rows (mode, quantity, checkpoint): the mode's strength b(t), its mean over seeds, std, and 95% t interval lo, hi.

    runs: each seed's trajectory, with weights [T, C, d] and bias [T, C]. Both theories start from its weights.
    """
    theory = singular_modes.LinearTheory(moments, found)
    time = lr * runs[0].steps
    seeds = []
    for run_of_seed in runs:
        weight, bias = run_of_seed.weights[WEIGHT], run_of_seed.weights[BIAS]
        observed = singular_modes.strengths(weight, found)
        decoupled = singular_modes.decoupled(observed[0], found, time)
        seeds.append([observed, decoupled, theory.strengths(weight[0], bias[0], time)])
    over = over_seeds(np.array(seeds))
    at = {"checkpoint": range(len(time)), "step": runs[0].steps, "epoch": runs[0].epochs}
    rows = [
        pd.DataFrame(
            {"mode": mode + 1, "quantity": quantity, **at}
            | {name: values[index, :, mode] for name, values in over.items()}
        )
        for mode in range(len(found.s))
        for index, quantity in enumerate(QUANTITIES)
    ]
    return pd.concat(rows, ignore_index=True)


def predicted(
    found: singular_modes.Modes, moments: singular_modes.Moments, names: list[str], time_per_epoch: float
) -> pd.DataFrame:
    """A row per class: when it is half learned, and its rank (1: first); see singular_modes.learning_times.

    strength: its logit in the end, at the mean of its inputs; dominant_mode: the one that adds most to it.
    """
    times, parts = singular_modes.learning_times(found, moments.frequency)
    return pd.DataFrame(
        {
            "class": names,
            "strength": parts.sum(1),
            "dominant_mode": 1 + parts.argmax(1),
            "predicted_epoch": times / time_per_epoch,
            "predicted_rank": pd.Series(times).rank(),
        }
    )


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "trajectories+": "the linear network's trajectory of each seed, in the order of the seeds (.npz)",
        },
        outputs={
            "modes": "strength of each mode at every checkpoint (.csv)",
            "class_modes": "learning time of each class that the modes predict (.csv)",
            "vectors": "the modes: s, u, v, lambda (.npz)",
        },
    )
