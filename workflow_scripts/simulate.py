"""Theorem 1 of N19 by simulation: accuracy on the training set and on the whole distribution during SGD."""

import itertools

import numpy as np
import pandas as pd

from workflow_scripts.config.base import JobConfig
from workflow_scripts.config.simulations import Simulation
from workflow_scripts.data.datasets.theorem1 import draw
from workflow_scripts.files import dataframes
from workflow_scripts.job import command
from workflow_scripts.measures import theorem1
from workflow_scripts.measures.seeds import over_seeds


class Config(JobConfig):
    """What the stage reads."""

    settings: Simulation


def run(config: Config, inputs, outputs) -> None:
    """Write the table of one simulation."""
    dataframes.write(outputs.table, simulation(config.settings))


def simulation(settings: Simulation) -> pd.DataFrame:
    """Rows (noise, init, step, quantity): mean and std over repetitions, and the 95% t interval lo, hi of the mean.

    quantity: train_accuracy, population_accuracy (exact, of the whole distribution), and first_weight, w(1). inside: 1
    where the initial weights meet the theorem's condition, else 0.
    """
    names, inits = zip(*settings.inits.items(), strict=True)
    noise = np.repeat(settings.noise, len(inits))
    first = np.tile([init.first * settings.examples**init.first_power for init in inits], len(settings.noise))
    others = np.tile([init.others for init in inits], len(settings.noise))
    rng = np.random.default_rng(settings.seed)
    samples = draw(rng, (settings.repetitions, settings.examples), settings.dimension, noise)
    steps, found = theorem1.simulate(
        samples, settings.dimension, noise, first, others, settings.lr, settings.epochs, rng
    )
    inside = theorem1.inside(noise, first, others, settings.examples).astype(int)
    rows = []
    for (at, name), quantity in itertools.product(enumerate(names * len(settings.noise)), theorem1.QUANTITIES):
        values = found[quantity][:, :, at].T
        over = over_seeds(values)
        about = {"noise": noise[at], "init": name, "inside": inside[at], "step": steps, "quantity": quantity}
        spread = {column: over[column] for column in ("mean", "std", "lo", "hi")}
        extremes = {"min": values.min(0), "max": values.max(0)}
        rows.append(pd.DataFrame({**about, "repetitions": over["seeds"], **spread, **extremes}))
    return pd.concat(rows, ignore_index=True)


if __name__ == "__main__":
    command.main(run, Config, outputs={"table": "the table (.csv)"})
