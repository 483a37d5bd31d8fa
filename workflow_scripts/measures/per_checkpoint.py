"""The rows of measures.csv: every quantity of one seed and one explainer, checkpoint by checkpoint."""

import numpy as np
import pandas as pd

from workflow_scripts.measures import information, intervals, nulls
from workflow_scripts.measures.comparison import Comparison

SUFFIXES = ("", "_corrected", "_lo", "_hi")
_QUANTITIES = ("I_FY", "I_FY_train", "I_LY", "I_FL", "I_FY_given_L", "I_LY_given_F", "I_FL_given_Y", "mu")
COLUMNS = (
    *("explainer", "checkpoint", "step", "epoch", "n", "accuracy", "train_accuracy"),
    *(name + suffix for name in _QUANTITIES for suffix in SUFFIXES),
    *(f"{name}_p" for name in information.CONDITIONAL),
    *("lead", "lead_lo", "lead_hi", "explainer_accuracy", "mu_null"),
)
#: further columns of nested explainers: mu of F and the explainer together with all before it (N19 footnote 8)
JOINT_COLUMNS = tuple(f"mu_joint{suffix}" for suffix in SUFFIXES)


def table(
    explainer: str, trajectory: dict[str, np.ndarray], compared: Comparison, y_train: np.ndarray, n_classes: int
) -> pd.DataFrame:
    """Every quantity of one explainer, a row per checkpoint.

    Args:
        explainer: its name.
        trajectory: steps, epochs, [T], test_predictions, [T, N], train_predictions, [T, N_train].
        compared: the network against the explainer.
        y_train: true labels of the training set, [N_train].
        n_classes: C.

    Returns:
        T rows of COLUMNS, in bits. mu_null is the closed-form mu of the within-class null model.
    """
    counts = compared.counts
    train = intervals.pair_intervals(information.pair_counts(trajectory["train_predictions"], y_train, n_classes))
    columns = {
        "explainer": explainer,
        "checkpoint": np.arange(len(counts)),
        "step": trajectory["steps"],
        "epoch": trajectory["epochs"],
        **intervals.with_intervals(counts),
        **intervals.lead(compared.at_end().counts),
        "train_accuracy": train["accuracy"],
        **{f"I_FY_train{suffix}": train[f"I_FY{suffix}"] for suffix in SUFFIXES},
        "explainer_accuracy": np.trace(counts.sum(-3), axis1=-2, axis2=-1) / counts.sum((-3, -2, -1)),
        "mu_null": nulls.closed_form(counts),
    }
    return pd.DataFrame(columns)[list(COLUMNS)]


def joint_columns(together: Comparison) -> dict[str, np.ndarray]:
    """JOINT_COLUMNS of the network and several explainers together: bits, [T] each."""
    found = intervals.performance_correlation(together.counts)
    return {column: found[f"mu{suffix}"] for column, suffix in zip(JOINT_COLUMNS, SUFFIXES, strict=True)}
