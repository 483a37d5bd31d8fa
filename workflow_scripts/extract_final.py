"""Extract f_inf: the network at the end of training, and its labels on every input that a distillation uses."""

import logging

import numpy as np

from workflow_scripts.config.base import JobConfig
from workflow_scripts.config.errors import Foreign
from workflow_scripts.config.tasks import Task
from workflow_scripts.config.training import Network
from workflow_scripts.data import tasks
from workflow_scripts.files import npz
from workflow_scripts.job import command
from workflow_scripts.training import initialisation, trajectories, weights

log = logging.getLogger("workflow_scripts")


class Config(JobConfig):
    """What the stage reads."""

    task: Task
    network: Network


def run(config: Config, inputs, outputs) -> None:
    """Write f_inf's weights, and its labels on every input: what the trained network said at its last checkpoint."""
    data = tasks.load(inputs.data, config.task)
    tensors, metadata = weights.load(inputs.weights)
    if trajectories.load_weights_digest(inputs.trajectory) != metadata["sha256"]:
        raise Foreign(inputs.weights, f"these weights don't end {inputs.trajectory}: train this seed again")
    network = initialisation.build(config.network, data.inputs["train"].shape[1:], data.n_classes)
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise Foreign(inputs.weights, "these weights are not of the configured network: train again") from None
    trajectory = trajectories.load(inputs.trajectory, data.labels, data.n_classes, *tasks.PARTS)
    trajectories.check_task(inputs.trajectory, trajectory, data)
    labels = {part: predictions[-1] for part, predictions in trajectory.predictions.items()}
    errors = int(np.count_nonzero(labels["train"] != data.labels["train"]))
    n = len(data.labels["train"])
    log.info(
        "f_inf at step %d %s the training set: %d of %d examples wrong",
        trajectory.steps[-1],
        "does not interpolate" if errors else "interpolates",
        errors,
        n,
    )
    weights.save(
        outputs.final_weights,
        tensors,
        **config.wildcards,
        network=config.network.model_dump_json(),
        step=str(trajectory.steps[-1]),
    )
    npz.save(
        outputs.final_labels,
        **{f"{part}_labels": values for part, values in labels.items()},
        step=trajectory.steps[-1],
        train_errors=errors,
        interpolates=errors == 0,
    )


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "trajectory": "the seed's trajectory (.npz)",
            "weights": "the seed's weights at the last step (.safetensors)",
        },
        outputs={"final_weights": "f_inf (.safetensors)", "final_labels": "f_inf's labels (.npz)"},
    )
