"""Train one network with one seed and record its predictions at every checkpoint."""

from workflow_scripts import files, networks, sgd, stage, tasks, weights
from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.data import Task
from workflow_scripts.config.training import SGD, Checkpoints, Device, Init, Network


class Config(JobConfig):
    """What the stage reads."""

    seed: Seed
    task: Task
    network: Network
    init: Init
    sgd: SGD
    checkpoints: Checkpoints
    device: Device


def run(config: Config, inputs, outputs) -> None:
    """Write the trajectory and the weights at the last step."""
    device = sgd.prepare_device(config.device)
    data = tasks.load(inputs.data, config.task)
    order = sgd.generators(config.seed)
    network = networks.build(config.network, data.inputs["train"].shape[1:], data.n_classes, config.init)
    trajectory = sgd.train(network, data, config.sgd, config.checkpoints, order, device)
    digest = weights.save(outputs.weights, network.state_dict())
    files.save_arrays(
        outputs.trajectory,
        steps=trajectory.steps,
        epochs=trajectory.epochs,
        **{f"{part}_predictions": values for part, values in trajectory.predictions.items()},
        **{f"{part}_loss": trajectory.losses[part] for part in ("train", "test")},
        weights_sha256=digest,
    )


if __name__ == "__main__":
    stage.main(
        run,
        Config,
        inputs={"data": "the data set's arrays (.npz)"},
        outputs={
            "trajectory": "predictions and losses at every checkpoint (.npz)",
            "weights": "weights at the last step (.safetensors)",
        },
    )
