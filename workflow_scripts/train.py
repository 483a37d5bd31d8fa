"""Train one network with one seed and record its predictions at every checkpoint."""

import logging
from pathlib import Path

import numpy as np
import torch

from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.errors import Unfit
from workflow_scripts.config.tasks import Task
from workflow_scripts.config.training import SGD, Checkpoints, Device, Init, Network, Precision, Pretraining
from workflow_scripts.data import tasks
from workflow_scripts.job import command
from workflow_scripts.training import devices, initialisation, randomness, sgd, trajectories, weights

log = logging.getLogger("workflow_scripts")


class Config(JobConfig):
    """What the stage reads."""

    seed: Seed
    task: Task
    network: Network
    init: Init
    init_scale: float = 1.0
    pretraining: Pretraining | None = None
    sgd: SGD
    checkpoints: Checkpoints
    device: Device
    precision: Precision = "fp32"


def run(config: Config, inputs, outputs) -> None:
    """Write the trajectory and the weights at the last step; steps count from the end of any pretraining.

    The trajectory of a linear network has its weights at every checkpoint too.
    """
    device = devices.prepare(config.device, config.precision)
    data = tasks.load(inputs.data, config.task)
    order = randomness.generators(config.seed)
    shape = data.inputs["train"].shape[1:]
    network = initialisation.build(config.network, shape, data.n_classes, config.init, config.init_scale)
    pretraining_accuracy = float("nan")
    if config.pretraining is not None:
        pretraining_accuracy = pretrain(
            network, data, config.pretraining, config.seed, device, outputs.state / "pretraining.npz"
        )
    linear = config.network.kind == "linear"
    state = outputs.state / "training.npz"
    trajectory = sgd.train(network, data, config.sgd, config.checkpoints, order, device, linear, state)
    weights_sha256 = weights.save(outputs.weights, network.state_dict())
    trajectories.save(outputs.trajectory, trajectory, weights_sha256, pretraining_accuracy)


def pretrain(
    network: torch.nn.Module,
    data: tasks.TaskData,
    pretraining: Pretraining,
    seed: int,
    device: torch.device,
    state: Path,
) -> float:
    """Fit random labels of the training inputs, the network in place; returns the share of them that it has learned.

    An adversarial initialisation (N19 Fig 8). Raises Unfit as sgd.train does.
    """
    generator = randomness.pretraining_generator(seed)
    random = randomness.random_labels(data, generator)
    log.info("pretraining on random labels")
    try:
        reached = sgd.train(
            network, random, pretraining, Checkpoints(early=0), generator, device, state=state
        ).predictions
    except Unfit as error:
        raise Unfit(f"pretraining.{error}") from None
    fitted = int(np.count_nonzero(reached["train"][-1] == random.labels["train"]))
    n = len(random.labels["train"])
    log.info(
        "pretraining fitted %d of %d random labels; test accuracy %.4f",
        fitted,
        n,
        np.mean(reached["test"][-1] == data.labels["test"]),
    )
    return fitted / n


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={"data": "the data set's arrays (.npz)"},
        outputs={
            "trajectory": "predictions and losses at every checkpoint (.npz)",
            "weights": "weights at the last step (.safetensors)",
        },
    )
