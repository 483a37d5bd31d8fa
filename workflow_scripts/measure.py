"""Information quantities of one seed's trajectory against each of its explainers, checkpoint by checkpoint."""

import numpy as np
import pandas as pd

from workflow_scripts.config.base import JobConfig
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import information, intervals, nulls, per_class, predictions

SUFFIXES = ("", "_corrected", "_lo", "_hi")
_ORDER = ("I_FY", "I_FY_train", "I_LY", "I_FL", "I_FY_given_L", "I_LY_given_F", "I_FL_given_Y", "mu")
COLUMNS = (
    *("explainer", "checkpoint", "step", "epoch", "n", "accuracy", "train_accuracy"),
    *(name + suffix for name in _ORDER for suffix in SUFFIXES),
    *(f"{name}_p" for name in information.CONDITIONAL),
    *("lead", "lead_lo", "lead_hi", "explainer_accuracy", "mu_null"),
)
#: further columns of nested explainers: mu of F and the explainer together with all before it (N19 footnote 8)
JOINT_COLUMNS = tuple(f"mu_joint{suffix}" for suffix in SUFFIXES)


class Config(JobConfig):
    """What the stage reads; found_in: explainer -> the file under results that has its predictions."""

    task: Task
    explainers: list[str]
    found_in: dict[str, str]
    nested: bool


def run(config: Config, inputs, outputs) -> None:
    """Write a row per explainer and checkpoint, and one for each of their classes."""
    labels, n_classes = tasks.load_labels(inputs.data, config.task)
    names = per_class.names(inputs.data, config.task)
    npz.check_number("--explainers", inputs.explainers, len(config.explainers))
    trajectory = predictions.of_network(inputs.trajectory, labels, n_classes, "train")
    measured, of_classes, before = [], [], []
    for name, path in zip(config.explainers, inputs.explainers, strict=True):
        said = predictions.of_explainer(path, inputs.trajectory, trajectory, labels["test"], n_classes)
        counts = information.joint_counts(trajectory["test_predictions"], said, labels["test"], n_classes)
        table = measure(trajectory, said, counts, labels, name)
        if config.nested:
            before.append(said)
            table = table.assign(**joint_measure(trajectory["test_predictions"], before, labels["test"], n_classes))
        measured.append(table)
        of_classes.append(per_class.measure(counts, table[list(per_class.INDEX)], names))
    dataframes.write(outputs.measures, pd.concat(measured, ignore_index=True))
    dataframes.write(outputs.classes, pd.concat(of_classes, ignore_index=True))


def measure(
    trajectory: dict[str, np.ndarray], said: np.ndarray, counts: np.ndarray, labels: dict[str, np.ndarray], name: str
) -> pd.DataFrame:
    """The rows of measures.csv for one explainer, in bits.

    trajectory: steps, epochs [T], test_predictions [T, N], train_predictions [T, N_train]; said: what the explainer
    says of the test set, [N] or [T, N]; counts: their joint counts [T, f, l, y]; labels: part -> [N]. mu_null is the
    closed-form mu of the within-class null model.
    """
    n_classes = counts.shape[-1]
    train = intervals.pair_intervals(
        information.pair_counts(trajectory["train_predictions"], labels["train"], n_classes)
    )
    columns = {
        "explainer": name,
        "checkpoint": np.arange(len(counts)),
        "step": trajectory["steps"],
        "epoch": trajectory["epochs"],
        **intervals.with_intervals(counts),
        **predictions.lead(trajectory, said, labels["test"], n_classes),
        "train_accuracy": train["accuracy"],
        **{f"I_FY_train{suffix}": train[f"I_FY{suffix}"] for suffix in SUFFIXES},
        "explainer_accuracy": np.trace(counts.sum(-3), axis1=-2, axis2=-1) / counts.sum((-3, -2, -1)),
        "mu_null": nulls.closed_form(counts),
    }
    return pd.DataFrame(columns)[list(COLUMNS)]


def joint_measure(f: np.ndarray, explainers: list[np.ndarray], y: np.ndarray, n_classes: int) -> dict[str, np.ndarray]:
    """JOINT_COLUMNS, [T] each, in bits; f: [T, N]; explainers: [N] or [T, N] each; y: [N]."""
    counts, _ = information.joint_counts_given_several(f, explainers, y, n_classes)
    found = intervals.performance_correlation(counts)
    return {column: found[f"mu{suffix}"] for column, suffix in zip(JOINT_COLUMNS, SUFFIXES, strict=True)}


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "trajectory": "the seed's trajectory (.npz)",
            "explainers+": "explainers, fitted or trajectories (.npz), in the order of the config",
        },
        outputs={"measures": "the table (.csv)", "classes": "the part of each class (.csv)"},
    )
