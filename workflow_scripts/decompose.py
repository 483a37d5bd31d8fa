"""Singular modes of an experiment's data, how a linear network learns them, and the order of classes they predict."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.data import Task
from workflow_scripts.config.errors import StudyError
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import per_class, singular_modes
from workflow_scripts.measures.seeds import over_seeds

log = logging.getLogger("workflow_scripts")

QUANTITIES = ("observed", "decoupled", "linear_theory")


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
        raise StudyError(f"{inputs.data}: the task has {data.n_classes} classes, and modes need 3: choose another task")
    x = data.inputs["train"]
    runs = [_read(path, (data.n_classes, x[0].size)) for path in inputs.trajectories]
    for path, each in zip(inputs.trajectories, runs, strict=True):
        if not np.array_equal(each["steps"], runs[0]["steps"]):
            raise StudyError(
                f"{path}: its checkpoints are not those of {inputs.trajectories[0]}: train this seed again"
            )
    moments = singular_modes.moments(x, data.labels["train"], data.n_classes)
    found = singular_modes.decompose(moments)
    log.info("%d modes of strength %s", len(found.s), ", ".join(f"{s:.3g}" for s in found.s))
    dataframes.write(outputs.modes, learned(found, moments, runs, config.lr))
    per_epoch = runs[0]["steps"][-1] / runs[0]["epochs"][-1]
    names = per_class.class_names(inputs.data, config.task)
    dataframes.write(outputs.class_modes, predicted(found, moments, names, config.lr * per_epoch))
    v = found.v.reshape(-1, *x.shape[1:])
    npz.save(outputs.vectors, s=found.s, u=found.u, v=v, **{"lambda": found.rates})


def learned(
    found: singular_modes.Modes, moments: singular_modes.Moments, runs: list[dict[str, np.ndarray]], lr: float
) -> pd.DataFrame:
    """Rows (mode, quantity, checkpoint): the mode's strength b(t), its mean over seeds, std, and 95% t interval lo, hi.

    runs: of each seed steps [T], epochs [T], weights [T, C, d], bias [T, C]. Both theories start from its weights.
    """
    theory = singular_modes.LinearTheory(moments, found)
    time = lr * runs[0]["steps"]
    seeds = []
    for each in runs:
        observed = singular_modes.strengths(each["weights"], found)
        decoupled = singular_modes.decoupled(observed[0], found, time)
        seeds.append([observed, decoupled, theory.strengths(each["weights"][0], each["bias"][0], time)])
    over = over_seeds(np.array(seeds))
    at = {"checkpoint": range(len(time)), "step": runs[0]["steps"], "epoch": runs[0]["epochs"]}
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


def _read(path: Path, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Steps, epochs, weights [T, *shape] and bias of a linear network. Raises StudyError for those of another shape."""
    names = ("steps", "epochs", "weights.1.weight", "weights.1.bias")
    steps, epochs, weights, bias = npz.load(path, *names).values()
    if weights.shape != (len(steps), *shape) or bias.shape != weights.shape[:2]:
        raise StudyError(
            f"{path}: its weights are {list(weights.shape)}, expected {[len(steps), *shape]}: made from other data, or "
            "for another task: delete it and run its stage again"
        )
    return {"steps": steps, "epochs": epochs, "weights": weights, "bias": bias}


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
