"""Fit one explainer to the labels of a task, of f_inf, or of f_T0, and record what it predicts on the test set."""

import logging
import warnings

import numpy as np

from workflow_scripts import files, information, phases, stage, tasks
from workflow_scripts.config.base import JobConfig
from workflow_scripts.config.data import Task
from workflow_scripts.config.explainers import Explainer, Logistic
from workflow_scripts.config.training import Checkpoints, Device
from workflow_scripts.errors import StudyError

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
    if settings.fit.solver == "logistic":
        fitted = fit_logistic(fit_inputs, labels, {part: data.inputs[part] for part in PREDICTED}, settings.fit)
    else:
        fitted = _fit_by_sgd(fit_inputs, labels, data, config)
    agreement = float(np.mean(fitted.pop("fit_predictions") == labels))
    accuracy = float(np.mean(fitted["test_predictions"] == data.labels["test"]))
    log.info(
        "%s agrees with its labels on %.4f of %d inputs; test accuracy %.4f",
        config.wildcards["explainer"],
        agreement,
        len(labels),
        accuracy,
    )
    files.save_arrays(
        outputs.explainer,
        **fitted,
        labels_step=step,
        fit_agreement=agreement,
        test_accuracy=accuracy,
        n_fit=len(labels),
    )


def fit_logistic(inputs: np.ndarray, labels: np.ndarray, predicted: dict[str, np.ndarray], fit: Logistic) -> dict:
    """Logistic (softmax) regression, converged; inputs [N, ...], labels [N]; predicted: part -> inputs [M, ...].

    Returns fit_predictions, {part}_predictions (uint8), coefficients, intercepts, iterations. Labels of a single class
    give the constant function. Raises StudyError when it does not converge.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x = _features(inputs)
    if len(np.unique(labels)) == 1:
        log.info("the labels are all %d: the explainer is constant", labels[0])
        constant = np.uint8(labels[0])
        return {
            "fit_predictions": np.full(len(x), constant),
            **{f"{part}_predictions": np.full(len(given), constant) for part, given in predicted.items()},
            "coefficients": np.zeros((1, x.shape[1])),
            "intercepts": np.zeros(1),
            "iterations": 0,
        }
    model = LogisticRegression(C=fit.C, max_iter=fit.max_iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(x, labels)
        except ConvergenceWarning:
            raise StudyError(
                f"fit.max_iterations: logistic regression did not converge in {fit.max_iterations} iterations: raise "
                f"it, or lower fit.C ({fit.C}) for a stronger penalty"
            ) from None

    def says(given: np.ndarray) -> np.ndarray:
        return model.predict(_features(given)).astype(np.uint8) if len(given) else np.empty(0, np.uint8)

    log.info("logistic regression converged after %d iterations", model.n_iter_[0])
    return {
        "fit_predictions": says(inputs),
        **{f"{part}_predictions": says(given) for part, given in predicted.items()},
        "coefficients": model.coef_,
        "intercepts": model.intercept_,
        "iterations": int(model.n_iter_[0]),
    }


def _fit_by_sgd(inputs: np.ndarray, labels: np.ndarray, data: tasks.TaskData, config: Config) -> dict:
    from workflow_scripts import networks, sgd  # here: logistic regression starts faster without PyTorch

    fit = config.settings.fit
    device = sgd.prepare_device(config.device)
    task = tasks.TaskData(
        {**data.inputs, "train": inputs, "fresh": inputs[:0]},
        {**data.labels, "train": labels.astype(np.int64), "fresh": data.labels["train"][:0]},
        data.n_classes,
    )
    order = sgd.generators(fit.seed)
    network = networks.build(config.settings.network, inputs.shape[1:], data.n_classes, fit.init)
    trajectory = sgd.train(network, task, fit, Checkpoints(early=0, every=1), order, device)
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
        arrays = files.load_arrays(_given(inputs.final_labels, "--final-labels"), name, "step")
        tasks.check_predictions(inputs.final_labels, name, arrays[name], len(data.labels[part]), data.n_classes)
        return arrays[name], int(arrays["step"])
    return _labels_at_t0(config, inputs, data, part)


def _labels_at_t0(config: Config, inputs, data: tasks.TaskData, part: str) -> tuple[np.ndarray, int]:
    trajectory = files.load_arrays(
        _given(inputs.trajectory, "--trajectory"), "steps", "test_predictions", f"{part}_predictions"
    )
    reference = files.load_arrays(_given(inputs.reference, "--reference"), "test_predictions")["test_predictions"]
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


def _features(inputs: np.ndarray) -> np.ndarray:
    """Inputs as float64 [N, features]; uint8 images as [0, 1]."""
    scale = 255 if inputs.dtype == np.uint8 else 1
    return inputs.reshape(len(inputs), -1) / np.float64(scale)


def _given(path, flag: str):
    if path is None:
        raise StudyError(f"{flag} is needed for an explainer of these labels: give it")
    return path


if __name__ == "__main__":
    stage.main(
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
