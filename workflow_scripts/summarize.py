"""Summarise an experiment over its seeds: every measure at every checkpoint, and the phases of training."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow_scripts.config.base import JobConfig, Seed
from workflow_scripts.config.errors import StudyError
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import information, intervals, nulls, per_class, phases, predictions
from workflow_scripts.measures.seeds import SharedExamples, over_seeds

_INDEX = per_class.INDEX
_CLASS_INDEX = (*_INDEX, "class")
#: quantity -> what it would be if L were its within-class null model, in bits
_NULL = {
    "mu": lambda at: at["mu_null"],
    "I_FY_given_L": lambda at: at["I_FY"] - at["mu_null"],
    "I_LY_given_F": lambda at: at["I_LY"] - at["mu_null"],
}
#: columns of measures.csv that are not a quantity of their own
_ABOUT = ("_corrected", "_lo", "_hi", "_p")


class Influences(NamedTuple):
    """The cell of each test example, int64[T, N], and quantity -> its influence by cell, [T, cells]."""

    cells: np.ndarray
    by_cell: dict[str, np.ndarray]


class Config(JobConfig):
    """What the stage reads.

    found_in: explainer -> the file under results that has its predictions; references: explainer -> the explainer whose
    performance defines its T0.
    """

    seeds: list[Seed]
    task: Task
    explainers: list[str]
    found_in: dict[str, str]
    references: dict[str, str]
    nested: bool


def run(config: Config, inputs, outputs) -> None:
    """Write the summary, the phases, the summary of each class, and when each seed learned it."""
    npz.check_number("--trajectories", inputs.trajectories, len(config.seeds))
    npz.check_number("--explainers", inputs.explainers, len(config.seeds) * len(config.explainers))
    needed = (*phases.QUANTITIES, "I_FY_lo", "I_FY_hi", "mu_null", "lead", "lead_lo", "lead_hi")
    runs = _read(config, "--measures", inputs.measures, _INDEX, needed)
    class_runs = _read(
        config, "--class-measures", inputs.class_measures, _CLASS_INDEX, ("I_FY_lo", *per_class.QUANTITIES)
    )
    summaries, phase_tables, class_summaries = [], [], []
    for index, name in enumerate(config.explainers):
        own = [_of(table, name) for table in runs]
        ends = [phases.candidates(_of(table, config.references[name])) for table in runs]
        seeds = range(len(config.seeds))
        shared, shared_changes = _shared((_examples(config, inputs, seed, index) for seed in seeds), ends)
        summaries.append(summary(own, shared))
        phase_tables.append(phase_table(name, own, ends, shared_changes))
        common = per_class.shared_variances([_cells(config, inputs, seed, index) for seed in seeds])
        class_summaries.append(class_summary([_of(table, name) for table in class_runs], common))
    first = [_of(table, config.explainers[0]) for table in class_runs]
    dataframes.write(outputs.summary, pd.concat(summaries, ignore_index=True))
    dataframes.write(outputs.phases, pd.concat(phase_tables, ignore_index=True))
    dataframes.write(outputs.classes, pd.concat(class_summaries, ignore_index=True))
    dataframes.write(outputs.order, per_class.learned(first, config.seeds))


def summary(runs: list[pd.DataFrame], shared: dict[str, np.ndarray]) -> pd.DataFrame:
    """Rows (explainer, checkpoint, step, epoch, quantity) of one explainer.

    runs: its rows of measures.csv, a table per seed; shared: quantity -> the variance, [T], that all seeds have in
    common through the test set. Columns: seeds, mean and std of the plug-in value over seeds (the papers' band),
    corrected (the mean of the corrected values) and its 95% interval lo, hi, for new seeds and a new test set; of
    quantities of the training set, for new seeds. A single seed has the interval of its own measures.
    """
    quantities = [name for name in runs[0] if name not in (*_INDEX, "n") and not name.endswith(_ABOUT)]
    return _over_seeds(runs, _INDEX, quantities, shared)


def class_summary(runs: list[pd.DataFrame], shared: dict[str, np.ndarray]) -> pd.DataFrame:
    """Rows (explainer, checkpoint, step, epoch, class, quantity) of one explainer, as in `summary`.

    runs: its rows of per_class.csv, a table per seed; shared: quantity -> variance in common, [T, classes].
    """
    flat = {name: variance.reshape(-1) for name, variance in shared.items()}
    return _over_seeds(runs, _CLASS_INDEX, per_class.QUANTITIES, flat)


def _over_seeds(
    runs: list[pd.DataFrame], index: tuple[str, ...], quantities: Iterable[str], shared: dict[str, np.ndarray]
) -> pd.DataFrame:
    columns = runs[0].columns
    rows = []
    for name in quantities:
        plain = over_seeds(np.stack([table[name].to_numpy(float) for table in runs]))
        best = f"{name}_corrected" if f"{name}_corrected" in columns else name
        found = over_seeds(np.stack([table[best].to_numpy(float) for table in runs]), shared.get(name, 0.0))
        lo, hi = found["lo"], found["hi"]
        if len(runs) == 1 and f"{name}_lo" in columns:
            lo, hi = (runs[0][f"{name}{end}"].to_numpy(float) for end in ("_lo", "_hi"))
        values = {"seeds": plain["seeds"], "mean": plain["mean"], "std": plain["std"]}
        rows.append(runs[0][[*index]].assign(quantity=name, **values, corrected=found["mean"], lo=lo, hi=hi))
    return pd.concat(rows).sort_values("checkpoint", kind="stable")


def phase_table(
    name: str, runs: list[pd.DataFrame], ends: list[dict], shared: dict[tuple[str, str], dict[str, float]]
) -> pd.DataFrame:
    """Rows (explainer, phase, quantity) of one explainer: the change over the phase and its sign.

    runs: its rows of measures.csv, a table per seed; ends: phases.candidates of each seed; shared: (candidate, phase)
    -> quantity -> variance that the estimates of all seeds have in common.

    from_epoch, to_epoch: the ends of the phase; to_epoch_lo and to_epoch_hi reach from the earliest to the latest T0
    that the test set allows, and to other seeds. from_mean, to_mean: the quantity at both ends; to_corrected, to_lo,
    to_hi: its corrected value at the end with its interval, to_p the largest of the seeds' p-values that it is 0.
    change_lo, change_hi: the 95% interval for new seeds and a new test set, whichever of these T0 is the right one.
    null: what the within-class null model gives at the end of the phase (closed form); below_null_*: the interval of
    null - quantity; for I_FY_given_L and I_LY_given_F, above 0 means nearer to 0 than for an explainer that knows as
    much of Y but nothing of F.
    """
    rows = []
    for phase in phases.SPANS:
        at = {
            candidate: [
                (table.iloc[of[candidate][phase][0]], table.iloc[of[candidate][phase][1]])
                for table, of in zip(runs, ends, strict=True)
                if of[candidate][phase] is not None
            ]
            for candidate in phases.CANDIDATES
        }
        epochs = {c: over_seeds(np.array([last["epoch"] for _, last in at[c]], float)) for c in at}
        for quantity in phases.QUANTITIES:
            found = {c: _change(at[c], quantity, shared.get((c, phase), {})) for c in phases.CANDIDATES}
            lo, hi = _hull([(each["change"]["lo"], each["change"]["hi"]) for each in found.values()])
            below_lo, below_hi = _hull([(each["below"]["lo"], each["below"]["hi"]) for each in found.values()])
            best = found["t0"]
            rows.append(
                {
                    "explainer": name,
                    "phase": phase,
                    "quantity": quantity,
                    "seeds": int(best["change"]["seeds"]),
                    "from_epoch": _mean([first["epoch"] for first, _ in at["t0"]]),
                    "to_epoch": float(epochs["t0"]["mean"]),
                    "to_epoch_lo": _hull([(each["lo"], each["hi"]) for each in epochs.values()])[0],
                    "to_epoch_hi": _hull([(each["lo"], each["hi"]) for each in epochs.values()])[1],
                    "from_mean": best["from"],
                    "to_mean": best["to"],
                    "to_corrected": float(best["end"]["mean"]),
                    "to_lo": float(best["end"]["lo"]),
                    "to_hi": float(best["end"]["hi"]),
                    "to_p": best["p"],
                    "change_mean": float(best["change"]["mean"]),
                    "change_std": float(best["change"]["std"]),
                    "change_lo": lo,
                    "change_hi": hi,
                    "sign": phases.sign(lo, hi),
                    "null": best["null"],
                    "below_null_mean": float(best["below"]["mean"]),
                    "below_null_lo": below_lo,
                    "below_null_hi": below_hi,
                }
            )
    return pd.DataFrame(rows)


def _read(
    config: Config, flag: str, paths: list, index: tuple[str, ...], columns: tuple[str, ...]
) -> list[pd.DataFrame]:
    """One table per seed, all with the same rows, of all the explainers. Raises StudyError."""
    npz.check_number(flag, paths, len(config.seeds))
    runs = [dataframes.read(path, *index, *columns) for path in paths]
    for path, table in zip(paths, runs, strict=True):
        if not table[[*index]].equals(runs[0][[*index]]):
            raise StudyError(f"{path}: its rows are not those of {paths[0]}: measure this seed again")
    if set(runs[0]["explainer"]) != set(config.references):
        raise StudyError(f"{paths[0]}: expected explainers {', '.join(config.references)}: measure again")
    return runs


def _predictions(config: Config, inputs, seed: int, explainers: slice) -> tuple:
    """What one seed's network and these explainers say of the test set, its labels, and the number of classes."""
    labels, n_classes = tasks.load_labels(inputs.data, config.task)
    path = inputs.trajectories[seed]
    trajectory = predictions.of_network(path, labels, n_classes)
    own = inputs.explainers[seed * len(config.explainers) :][: len(config.explainers)]
    said = [predictions.of_explainer(other, path, trajectory, labels["test"], n_classes) for other in own[explainers]]
    return trajectory["test_predictions"], said, labels["test"], n_classes


def _cells(config: Config, inputs, seed: int, explainer: int) -> tuple[np.ndarray, np.ndarray]:
    """Joint counts of one seed and an explainer, [T, f, l, y], and the cell of each test example, [T, N]."""
    f, (said,), y, n_classes = _predictions(config, inputs, seed, slice(explainer, explainer + 1))
    counts = information.joint_counts(f, said, y, n_classes)
    return counts, _cell(f, said, y, counts).astype(np.int32)


def _examples(config: Config, inputs, seed: int, explainer: int) -> list[Influences]:
    """The influences on one seed's measures of an explainer, and on its mu_joint; both given by their numbers."""
    f, said, y, n_classes = _predictions(config, inputs, seed, slice(0 if config.nested else explainer, explainer + 1))
    counts = information.joint_counts(f, said[-1], y, n_classes)
    psi = intervals.influence(counts)
    psi["mu_null"] = nulls.closed_form_influence(counts)
    found = [_influences(psi, _cell(f, said[-1], y, counts))]
    if config.nested:
        counts, several = information.joint_counts_given_several(f, said, y, n_classes)
        found.append(_influences({"mu_joint": intervals.influence(counts)["mu"]}, _cell(f, several, y, counts)))
    return found


def _cell(f: np.ndarray, l: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The cell of joint counts [T, f, l, y] of each test example, int64[T, N]; f: [T, N]; l: [N] or [T, N]."""
    _, _, n_l, n_y = counts.shape
    return (f.astype(np.int64) * n_l + l) * n_y + y


def _influences(psi: dict[str, np.ndarray], cells: np.ndarray) -> Influences:
    """psi: quantity -> influence of an example of each cell, [T, f, l, y]; cells: [T, N]."""
    return Influences(cells, {name: np.reshape(values, (len(values), -1)) for name, values in psi.items()})


def _shared(examples: Iterable[list[Influences]], ends: list[dict]) -> tuple[dict[str, np.ndarray], dict]:
    """The variance that all seeds have in common: by quantity, [T], and of the change over each phase."""
    shared = SharedExamples()
    for found, of_seed in zip(examples, ends, strict=True):
        for cells, psi in found:
            for name, values in psi.items():
                shared.add(name, np.take_along_axis(values, cells, axis=1))
        for candidate, of_phase in of_seed.items():
            for phase, bounds in of_phase.items():
                if bounds is not None:
                    _add_changes(shared, (candidate, phase), *found[0], *bounds)
    by_quantity, by_phase = {}, {}
    for key, variance in shared.variances().items():
        if isinstance(key, str):
            by_quantity[key] = variance
        else:
            by_phase.setdefault(key[:2], {})[key[2]] = float(variance)
    return by_quantity, by_phase


def _add_changes(
    shared: SharedExamples, at: tuple[str, str], cells: np.ndarray, psi: dict, first: int, last: int
) -> None:
    """Add the influences on changes between two checkpoints, on values at the last one, and on null - value there."""
    start, end = ({name: values[t][cells[t]] for name, values in psi.items()} for t in (first, last))
    for name in phases.QUANTITIES:
        if name in end:
            shared.add((*at, name), end[name] - start[name])
            shared.add((*at, f"end {name}"), end[name])
        if name in _NULL:
            shared.add((*at, f"null {name}"), _NULL[name](end) - end[name])


def _change(ends: list[tuple[pd.Series, pd.Series]], quantity: str, shared: dict[str, float]) -> dict:
    """One quantity over one phase of several seeds."""
    start = np.array([first[quantity] for first, _ in ends], dtype=float)
    end = np.array([last[quantity] for _, last in ends], dtype=float)
    best = f"{quantity}_corrected"
    first_best = np.array([first.get(best, first[quantity]) for first, _ in ends], dtype=float)
    last_best = np.array([last.get(best, last[quantity]) for _, last in ends], dtype=float)
    null = np.array([_NULL[quantity](last) if quantity in _NULL else np.nan for _, last in ends], dtype=float)
    return {
        "change": over_seeds(last_best - first_best, shared.get(quantity, 0.0)),
        "end": over_seeds(last_best, shared.get(f"end {quantity}", 0.0)),
        "p": max((float(last[f"{quantity}_p"]) for _, last in ends if f"{quantity}_p" in last), default=np.nan),
        "below": over_seeds(null - last_best, shared.get(f"null {quantity}", 0.0)),
        "from": _mean(start),
        "to": _mean(end),
        "null": _mean(null),
    }


def _of(table: pd.DataFrame, explainer: str) -> pd.DataFrame:
    return table[table["explainer"] == explainer].reset_index(drop=True)


def _hull(intervals: list[tuple[float, float]]) -> tuple[float, float]:
    """The smallest interval that contains all; NaN if one of them is unknown."""
    return float(np.min([lo for lo, _ in intervals])), float(np.max([hi for _, hi in intervals]))


def _mean(values) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "data": "the data set's arrays (.npz)",
            "measures+": "measures of each seed (.csv), in the order of the config",
            "class_measures+": "the parts of the classes of each seed (.csv), in the order of the config",
            "trajectories+": "the trajectory of each seed (.npz), in the order of the config",
            "explainers+": "the explainers of the first seed in the order of the config, then of the second (.npz)",
        },
        outputs={
            "summary": "the summary (.csv)",
            "phases": "the phases (.csv)",
            "classes": "the summary of each class (.csv)",
            "order": "when each seed learned each class (.csv)",
        },
    )
