"""Training by SGD with the data resident on the device: the loop, from the initial weights to the trajectory."""

import logging
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from workflow_scripts.config.errors import Unfit
from workflow_scripts.config.training import SGD, Checkpoints
from workflow_scripts.data import tasks
from workflow_scripts.training import batches, resume, stepping
from workflow_scripts.training.checkpoints import Recorder, checkpoint_steps, steps_per_epoch
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.trajectories import Trajectory

log = logging.getLogger("workflow_scripts")


def train(
    network: nn.Module,
    data: tasks.TaskData,
    sgd: SGD,
    checkpoints: Checkpoints,
    order: torch.Generator,
    device: torch.device,
    keep_weights: bool = False,
    state: Path | None = None,
) -> Trajectory:
    """Train on data's training part by SGD and record predictions and losses on every part at each checkpoint.

    The network is changed in place. Given a file for the state, training goes on from what it holds and leaves the same
    bytes as if it had never been cut off; the state is saved every few minutes, on SIGTERM and Ctrl-C, and at the end.
    order: generator of the order of the examples; keep_weights: record the weights of each checkpoint too.
    Raises StudyError when a batch is larger than the training set, or too small for batch normalisation, when what is
    to be augmented is no image, or when the loss is no longer finite.
    """
    check(network, data, sgd)
    network.to(device)
    parts = {part: batches.Resident(data.inputs[part], data.labels[part], device) for part in tasks.PARTS}
    per_epoch = steps_per_epoch(len(parts["train"]), sgd)
    steps = checkpoint_steps(len(parts["train"]), sgd, checkpoints)
    last = int(steps[-1])
    recorder = Recorder(network, parts, keep_weights)
    optimizer = optimizer_of(network, sgd)
    log.info("%d steps in %.6g epochs on %s; %d checkpoints", last, last / per_epoch, device, len(steps))

    run = resume.Run(state, network, optimizer, order, per_epoch, steps, recorder)
    step = stepping.stepper(network, optimizer, parts["train"])
    with run.resumed():
        progress = Progress(steps, run.step, per_epoch)
        stream = batches.shuffled(parts["train"], sgd, order, skip=run.step_of_epoch)
        for next_checkpoint in steps[len(recorder) :]:
            while run.step < next_checkpoint:
                progress.report(run.step)
                step(next(stream))
                run.count_step()
            started = time.monotonic()
            with run.signals.at_once():
                checkpoint = recorder.evaluated()
            recorder.add(checkpoint)
            _check_finite(checkpoint["train_loss"], run.step, sgd)
            progress.evaluated(checkpoint, time.monotonic() - started)
        progress.report(last, last=True)

    return _trajectory(recorder, steps, per_epoch, tasks.test_digest(data))


def optimizer_of(network: nn.Module, sgd: SGD) -> torch.optim.SGD:
    """SGD on all parameters of the network: w <- w - lr v, where v <- momentum v + gradient + weight_decay w."""
    return torch.optim.SGD(
        network.parameters(), lr=sgd.lr, momentum=sgd.momentum, weight_decay=sgd.weight_decay, fused=True
    )


def check(network: nn.Module, data: tasks.TaskData, sgd: SGD) -> None:
    """Raise StudyError where the network can't be trained on these data in this way."""
    n, shape = len(data.labels["train"]), data.inputs["train"].shape[1:]
    if sgd.batch_size > n:
        raise Unfit(f"batch_size: {sgd.batch_size} is more than the {n} training examples: lower it")
    if sgd.augmentation and len(shape) != 3:
        raise Unfit(
            f"augmentation: {sgd.augmentation} is for images [channels, height, width], got inputs {list(shape)}: "
            "remove it"
        )
    normalised = any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    if normalised and 1 in (sgd.batch_size, n % sgd.batch_size):
        raise Unfit(
            f"batch_size: with {sgd.batch_size}, a batch of the {n} training examples has only one, and batch "
            "normalisation needs two: change it"
        )


def _check_finite(train_loss: np.float32, at: int, sgd: SGD) -> None:
    if not np.isfinite(train_loss):
        raise Unfit(f"lr: the training loss is {train_loss} at step {at}: lower lr ({sgd.lr})")


def _trajectory(recorder: Recorder, steps: np.ndarray, per_epoch: int, test_sha256: str) -> Trajectory:
    """What was recorded at these steps."""
    arrays = recorder.stacked()
    return Trajectory(
        steps,
        steps / per_epoch,
        {part: arrays[f"{part}_predictions"] for part in tasks.PARTS},
        {part: arrays[f"{part}_loss"] for part in tasks.PARTS},
        {name.removeprefix("weights."): values for name, values in arrays.items() if name.startswith("weights.")},
        test_sha256,
    )
