"""Fit one explainer to the labels of a task, of f_inf, or of f_T0, and record what it predicts on the test set."""

import logging

import numpy as np

from workflow_scripts.config import kinds
from workflow_scripts.config.base import JobConfig
from workflow_scripts.config.errors import Misused
from workflow_scripts.config.explainers import Explainer
from workflow_scripts.config.tasks import Task
from workflow_scripts.config.training import Device, Precision
from workflow_scripts.data import tasks
from workflow_scripts.explainers._solver import Problem
from workflow_scripts.files import npz
from workflow_scripts.job import command
from workflow_scripts.measures import information, phases, rounding
from workflow_scripts.training import trajectories

log = logging.getLogger("workflow_scripts")


class Config(JobConfig):
    """What the stage reads."""

    settings: Explainer
    task: Task
    device: Device
    precision: Precision = "fp32"


def run(config: Config, inputs, outputs) -> None:
    """Write the explainer's predictions on the test set and the grid, its parameters, and how well it was fitted."""
    data = tasks.load(inputs.data, config.task)
    settings = config.settings
    labels, step = _labels(config, inputs, data)
    seen = _as_seen(data, data.inputs[settings.inputs], labels)
    problem = Problem(seen, settings.network, config.device, config.precision, outputs.state / "training.npz")
    fitted = kinds.of("explainers", settings.fit.solver).fit(settings.fit, problem)
    _check(f"explainers.{settings.fit.solver}.fit", fitted, problem)
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


def _check(where: str, fitted: dict, problem: Problem) -> None:
    """Raise Unfit unless a solver, called so, returned groups of the inputs that it was asked to predict."""
    sizes = {part: len(inputs) for part, inputs in problem.predicted.items()}
    if "fit_predictions" in fitted:
        sizes["fit"] = len(problem.labels)
    most = problem.data.n_classes - 1
    npz.check(where, fitted, {f"{part}_predictions": npz.Form("u", (n,), most=most) for part, n in sizes.items()})


def _as_seen(data: tasks.TaskData, inputs: np.ndarray, labels: np.ndarray) -> tasks.TaskData:
    """The task as the explainer sees it: these inputs and labels are its training part, and nothing is fresh."""
    return tasks.TaskData(
        {**data.inputs, "train": inputs, "fresh": inputs[:0]},
        {**data.labels, "train": labels.astype(np.int64), "fresh": data.labels["train"][:0]},
        data.n_classes,
    )


def _labels(config: Config, inputs, data: tasks.TaskData) -> tuple[np.ndarray, int]:
    """The labels to fit, [N], and the SGD step of the network that gave them (-1: true labels)."""
    part = config.settings.inputs
    if config.settings.labels == "true":
        return data.labels[part], -1
    if config.settings.labels == "final":
        path, name = _given(inputs.final_labels, "--final-labels"), f"{part}_labels"
        forms = {name: npz.Form("iu", (len(data.labels[part]),)), "step": npz.Form("iu", (), 0)}
        arrays = npz.load(path, *forms, forms=forms)
        tasks.check_groups(path, name, arrays[name], data.n_classes)
        return arrays[name], int(arrays["step"])
    return _labels_at_t0(config, inputs, data, part)


def _labels_at_t0(config: Config, inputs, data: tasks.TaskData, part: str) -> tuple[np.ndarray, int]:
    path = _given(inputs.trajectory, "--trajectory")
    trajectory = trajectories.load(path, data.labels, data.n_classes, "test", part)
    trajectories.check_task(path, trajectory, data)
    y, n_classes = data.labels["test"], data.n_classes
    reference = tasks.load_predictions(_given(inputs.reference, "--reference"), {"test": y}, n_classes)["test"]
    found = information.measures(information.joint_counts(trajectory.predictions["test"], reference, y, n_classes))
    t0 = phases.first_crossing(found["I_FY"] - found["I_LY"])
    if t0 is None:
        t0 = rounding.first_of_largest(found["I_FY"])
        log.warning(
            "the network never reaches %s (%.4f bits): taking its best checkpoint (%.4f bits) instead of T0",
            config.settings.reference,
            found["I_LY"][0],
            found["I_FY"][t0],
        )
    return trajectory.predictions[part][t0], int(trajectory.steps[t0])


def _given(path, flag: str):
    if path is None:
        raise Misused(flag, "it is not given, but an explainer of these labels needs it: give the path of the file")
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
