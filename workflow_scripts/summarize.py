"""Summarise an experiment over its seeds: every measure at every checkpoint, and the phases of training."""

import numpy as np
import pandas as pd

from workflow_scripts import files, phases, stage, tables, uncertainty
from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.errors import StudyError

_INDEX = ("explainer", "checkpoint", "step", "epoch")


class Config(JobConfig):
    """What the stage reads; references: explainer -> the explainer whose performance defines its T0."""

    seeds: list[Seed]
    references: dict[str, str]


def run(config: Config, inputs, outputs) -> None:
    """Write the summary and the phases."""
    files.check_number("--measures", inputs.measures, len(config.seeds))
    runs = [tables.read(path, *_INDEX, *phases.QUANTITIES, "I_FY_lo", "I_LY", "mu_null") for path in inputs.measures]
    for path, table in zip(inputs.measures, runs, strict=True):
        if not table[[*_INDEX]].equals(runs[0][[*_INDEX]]):
            raise StudyError(f"{path}: its rows are not those of {inputs.measures[0]}: measure this seed again")
    if set(runs[0]["explainer"]) != set(config.references):
        raise StudyError(f"{inputs.measures[0]}: expected explainers {', '.join(config.references)}: measure again")
    tables.write(outputs.summary, summary(runs))
    tables.write(outputs.phases, phase_table(runs, config.seeds, config.references))


def summary(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows (explainer, checkpoint, step, epoch, quantity) with seeds, mean, std and the 95% t interval over seeds."""
    index = tables[0][list(_INDEX)]
    quantities = [
        name for name in tables[0].columns if name not in (*_INDEX, "n") and not name.endswith(("_lo", "_hi"))
    ]
    values = np.stack([table[quantities].to_numpy(float) for table in tables])
    found = uncertainty.over_seeds(values)
    rows = index.loc[index.index.repeat(len(quantities))].reset_index(drop=True)
    return rows.assign(
        quantity=np.tile(quantities, len(index)), **{name: column.ravel() for name, column in found.items()}
    )


def phase_table(tables: list[pd.DataFrame], seeds: list[int], references: dict[str, str]) -> pd.DataFrame:
    """Rows (explainer, phase, quantity): change over the phase with its 95% t interval over seeds, and its sign.

    from_mean and to_mean are the quantity at both ends of the phase, from_epoch and to_epoch where these lie, with the
    95% t interval of the latter: the first phase ends at T0, the middle one where overfitting starts. null is what the
    within-class null model gives at the end of the phase (closed form), below_null_* the interval of null - quantity:
    for I_FY_given_L and I_LY_given_F, above 0 means nearer to 0 than for an explainer that knows as much of Y but
    nothing of F.
    """
    rows = []
    for name, reference in references.items():
        runs = [_run_phases(table, name, reference) for table in tables]
        for phase in phases.PHASES:
            present = [run[phase] for run in runs if run[phase] is not None]
            for quantity in phases.QUANTITIES:
                rows.append({"explainer": name, "phase": phase, "quantity": quantity, **_over(present, quantity)})
    return pd.DataFrame(rows)


def _run_phases(table: pd.DataFrame, name: str, reference: str) -> dict[str, tuple[pd.Series, pd.Series] | None]:
    """The rows of one seed's table at the first and last checkpoint of each phase."""
    at_reference = table[table["explainer"] == reference]
    own = table[table["explainer"] == name]
    i_fy = at_reference["I_FY"].to_numpy()
    t0 = phases.first_crossing(i_fy, at_reference["I_LY"].to_numpy())
    bounds = phases.boundaries(i_fy, at_reference["I_FY_lo"].to_numpy(), t0)
    return {phase: None if ends is None else (own.iloc[ends[0]], own.iloc[ends[1]]) for phase, ends in bounds.items()}


def _over(ends: list[tuple[pd.Series, pd.Series]], quantity: str) -> dict:
    """One quantity over one phase of several seeds."""
    start = np.array([first[quantity] for first, _ in ends], dtype=float)
    end = np.array([last[quantity] for _, last in ends], dtype=float)
    change = uncertainty.over_seeds(end - start)
    null = np.array([_null(last, quantity) for _, last in ends], dtype=float)
    below = uncertainty.over_seeds(null - end)
    to_epoch = uncertainty.over_seeds(np.array([last["epoch"] for _, last in ends], dtype=float))
    return {
        "seeds": int(change["seeds"]),
        "from_epoch": _mean([first["epoch"] for first, _ in ends]),
        "to_epoch": float(to_epoch["mean"]),
        "to_epoch_lo": float(to_epoch["lo"]),
        "to_epoch_hi": float(to_epoch["hi"]),
        "from_mean": _mean(start),
        "to_mean": _mean(end),
        **{f"change_{key}": float(change[key]) for key in ("mean", "std", "lo", "hi")},
        "sign": phases.sign(float(change["lo"]), float(change["hi"])),
        "null": _mean(null),
        **{f"below_null_{key}": float(below[key]) for key in ("mean", "lo", "hi")},
    }


def _null(row: pd.Series, quantity: str) -> float:
    """What the quantity would be if L were its within-class null model, in bits; NaN where that says nothing."""
    mu = row["mu_null"]
    return {"mu": mu, "I_FY_given_L": row["I_FY"] - mu, "I_LY_given_F": row["I_LY"] - mu}.get(quantity, np.nan)


def _mean(values) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


if __name__ == "__main__":
    stage.main(
        run,
        Config,
        inputs={"measures+": "measures of each seed (.csv), in the order of the config"},
        outputs={"summary": "the summary (.csv)", "phases": "the phases (.csv)"},
    )
