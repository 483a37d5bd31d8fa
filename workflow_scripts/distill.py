"""Fit one explainer to the labels of a task, of f_inf, or of f_T0, and record what it predicts on the test set."""

import logging
from pathlib import Path

import numpy as np

from workflow_scripts.config.base import JobConfig
from workflow_scripts.config.data import Task
from workflow_scripts.config.errors import StudyError
from workflow_scripts.config.explainers import Explainer
from workflow_scripts.config.training import Checkpoints, Device
from workflow_scripts.data import tasks
from workflow_scripts.files import npz
from workflow_scripts.job import command
from workflow_scripts.measures import information, phases

log = logging.getLogger("workflow_scripts")

#: the parts of the data on which an explainer's predictions are kept
PREDICTED = ("test", "grid")


class Config(JobConfig):
    """What the stage reads; reference_in: for labels t0, the file under results that has the reference."""

    settings: Explainer
    task: Task
    device: Device
    reference_in: str | None = None


def run(config: Config, inputs, outputs) -> None:
    """Write the explainer's predictions on the test set and the grid, its parameters, and how well it was fitted."""
    data = tasks.load(inputs.data, config.task)
    settings = config.settings
    labels, step = _labels(config, inputs, data)
    fit_inputs = data.inputs[settings.inputs]
    if settings.fit.solver == "sgd":
        fitted = _fit_by_sgd(fit_inputs, labels, data, config, outputs.state / "training.npz")
    else:
        from workflow_scripts.explainers import shallow  # here: a network starts without scikit-learn

        fitted = shallow.fit(fit_inputs, labels, {part: data.inputs[part] for part in PREDICTED}, settings.fit)
    fit_predictions = fitted.pop("fit_predictions", None)
    agreement = np.nan if fit_predictions is None else float(np.mean(fit_predictions == labels))
    accuracy = float(np.mean(fitted["test_predictions"] == data.labels["test"]))
    log.info(
        "%s was fitted to %d inputs; agreement with their labels %.4f; test accuracy %.4f",
        config.wildcards["explainer"],
        len(labels),
        agreement,
        accuracy,
    )
    npz.save(
        outputs.explainer,
        **fitted,
        labels_step=step,
        fit_agreement=agreement,
        test_accuracy=accuracy,
        n_fit=len(labels),
    )


def _fit_by_sgd(inputs: np.ndarray, labels: np.ndarray, data: tasks.TaskData, config: Config, state: Path) -> dict:
    from workflow_scripts.training import (
        devices,  # here: logistic regression starts faster without PyTorch
        initialisation,  # here: logistic regression starts faster without PyTorch
        randomness,  # here: logistic regression starts faster without PyTorch
        sgd,  # here: logistic regression starts faster without PyTorch
    )

    fit = config.settings.fit
    device = devices.prepare(config.device)
    task = tasks.TaskData(
        {**data.inputs, "train": inputs, "fresh": inputs[:0]},
        {**data.labels, "train": labels.astype(np.int64), "fresh": data.labels["train"][:0]},
        data.n_classes,
    )
    order = randomness.generators(fit.seed)
    network = initialisation.build(config.settings.network, inputs.shape[1:], data.n_classes, fit.init)
    trajectory = sgd.train(network, task, fit, Checkpoints(early=0, every=1), order, device, state=state)
    return {
        "fit_predictions": trajectory.predictions["train"][-1],
        **{f"{part}_predictions": trajectory.predictions[part][-1] for part in PREDICTED},
        **{f"weights.{name}": tensor.cpu().numpy() for name, tensor in network.state_dict().items()},
        "iterations": int(trajectory.steps[-1]),
    }


def _labels(config: Config, inputs, data: tasks.TaskData) -> tuple[np.ndarray, int]:
    """The labels to fit, [N], and the SGD step of the network that gave them (-1: true labels)."""
    part = config.settings.inputs
    if config.settings.labels == "true":
        return data.labels[part], -1
    if config.settings.labels == "final":
        name = f"{part}_labels"
        arrays = npz.load(_given(inputs.final_labels, "--final-labels"), name, "step")
        tasks.check_predictions(inputs.final_labels, name, arrays[name], len(data.labels[part]), data.n_classes)
        return arrays[name], int(arrays["step"])
    return _labels_at_t0(config, inputs, data, part)


def _labels_at_t0(config: Config, inputs, data: tasks.TaskData, part: str) -> tuple[np.ndarray, int]:
    trajectory = npz.load(_given(inputs.trajectory, "--trajectory"), "steps", "test_predictions", f"{part}_predictions")
    reference = npz.load(_given(inputs.reference, "--reference"), "test_predictions")["test_predictions"]
    for path, of, values in (
        (inputs.trajectory, "test", trajectory["test_predictions"]),
        (inputs.trajectory, part, trajectory[f"{part}_predictions"]),
        (inputs.reference, "test", reference),
    ):
        shape = (len(data.labels[of]), data.n_classes, len(trajectory["steps"]))
        tasks.check_predictions(path, f"{of}_predictions", values, *shape)
    counts = information.joint_counts(trajectory["test_predictions"], reference, data.labels["test"], data.n_classes)
    found = information.measures(counts)
    t0 = phases.first_crossing(found["I_FY"] - found["I_LY"])
    if t0 is None:
        t0 = int(np.argmax(found["I_FY"]))
        log.warning(
            "the network never reaches %s (%.4f bits): taking its best checkpoint (%.4f bits) instead of T0",
            config.settings.reference,
            found["I_LY"][0],
            found["I_FY"][t0],
        )
    return trajectory[f"{part}_predictions"][t0], int(trajectory["steps"][t0])


def _given(path, flag: str):
    if path is None:
        raise StudyError(f"{flag} is needed for an explainer of these labels: give it")
    return path


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "final_labels?": "labels: final: f_inf's labels (.npz)",
            "trajectory?": "labels: t0: the seed's trajectory (.npz)",
            "reference?": "labels: t0: the fitted explainer that defines T0 (.npz)",
        },
        outputs={"explainer": "the fitted explainer and its predictions (.npz)"},
    )
