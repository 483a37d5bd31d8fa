"""The claims of N19 as numbers, each with a verdict by a rule that docs/claims.md states; no threshold is tuned."""

import html
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from workflow_scripts.config import checks, paths
from workflow_scripts.config.base import Name, Strict
from workflow_scripts.config.printed import Printed
from workflow_scripts.config.shown import Experiments, check_experiments, printed, titles
from workflow_scripts.drawing.page import paper_prints, render, with_interval
from workflow_scripts.drawing.rows import read_each, stacked
from workflow_scripts.files import dataframes
from workflow_scripts.tables import ratios

CAPTION = r"""The claims of Nakkiran et al. 2019 as numbers, with 95% intervals, the null model's value, and a verdict
by a rule stated beforehand in docs/claims.md."""
#: columns that are read of phases.csv, and of the table of a simulation
_PHASES = ("explainer", "phase", "quantity", "sign", "change_mean", "below_null_mean")
_SIMULATION = ("noise", "init", "inside", "step", "quantity", "mean", "lo", "hi", "min", "max")
#: value, lo, hi: the statement's number with its 95% interval; margin: how far the null model stays behind it
COLUMNS = (
    *("claim", "explainer", "statement", "seeds", "value", "lo", "hi", "null", "margin", "margin_lo", "margin_hi"),
    *("paper", "verdict"),
)
SUPPORTED, NOT_SUPPORTED, UNDECIDED, SILENT = "supported", "not supported", "undecided", "no claim"


class Claims(Strict):
    """Claims 1 and 2, Conjecture 1 and Theorem 1 of N19, each as a number with its interval and a verdict."""

    kind: Literal["claims"]
    experiments: Experiments
    simulations: list[Name] = Field([], description="names under simulations")


Settings = Claims


def check(settings: Claims, study, key: str) -> None:
    """Raise Wrong for an experiment or a simulation that the study has not."""
    check_experiments(key, settings.experiments, study)
    checks.unique(f"{key}.simulations", settings.simulations)
    for name in settings.simulations:
        checks.named(f"{key}.simulations", "simulation", name, study.simulations)


def inputs(settings: Claims, study) -> dict[str, list[str]]:
    """The null models and the phases of each experiment, and the table of each simulation."""
    names = settings.experiments
    return {
        "nulls": paths.of_experiments(names, "nulls.csv"),
        "phases": paths.of_experiments(names, "phases.csv"),
        "simulations": [paths.simulation(name) for name in settings.simulations],
    }


def shown(settings: Claims, study) -> dict:
    """Titles, what papers print, and which experiments have nested explainers."""
    names = settings.experiments
    return {
        "titles": titles(study, names),
        "printed": printed(study, names),
        "nested": [name for name in names if study.experiments[name].nested],
    }


def table(job, inputs) -> pd.DataFrame:
    """The claims of each experiment, then the theorem by each simulation."""
    names, title_of = job.settings.experiments, job.shown["titles"]
    of_nulls = read_each(dataframes.NULLS, names, inputs["nulls"], *ratios.NULLS)
    of_phases = read_each(dataframes.PHASES, names, inputs["phases"], *_PHASES)
    for name, of, spans in zip(names, inputs["nulls"], inputs["phases"], strict=True):
        dataframes.check_same("explainer", spans, of_phases[name], of, of_nulls[name])
    made = {
        name: of_experiment(of_nulls[name], of_phases[name], name in job.shown["nested"], Printed.of(name, job.shown))
        for name in names
    }
    simulated = read_each(dataframes.SIMULATION, job.settings.simulations, inputs["simulations"], *_SIMULATION)
    theorems = [
        theorem_1(found).assign(experiment=name, title=f"Theorem 1: {name}") for name, found in simulated.items()
    ]
    return pd.concat([stacked(made, title_of), *theorems], ignore_index=True)


def of_experiment(of_nulls: pd.DataFrame, of_phases: pd.DataFrame, nested: bool, paper: Printed | None) -> pd.DataFrame:
    """Claims 1 and 2 of every explainer of an experiment, and Conjecture 1 if they are nested: rows of COLUMNS.

    of_nulls, of_phases: its nulls.csv and phases.csv; paper: what the paper prints for it.
    """
    from workflow_scripts.measures import nulls

    rows = []
    for row in ratios.at_t0(of_nulls, paper).to_dict("records"):
        if row["variant"] == nulls.WITHIN_CLASS:
            rows += [_claim_1(row), _claim_2(of_phases, row["explainer"])]
    if nested:
        verdicts = [row["verdict"] for row in rows]
        for simple, complex_ in pairwise(dict.fromkeys(of_nulls["explainer"])):
            rows.append(_conjecture_1(of_nulls, simple, complex_, verdicts))
    return pd.DataFrame(rows, columns=COLUMNS)


def theorem_1(found: pd.DataFrame) -> pd.DataFrame:
    """Theorem 1 from the table of a simulation: rows of COLUMNS, one for each noise level and initialisation.

    At the last step both accuracies are nearer to what the theorem says, 1 - p and 1, than to chance, by the intervals
    of their means over repetitions; outside its condition the theorem says nothing.
    """
    last = found[found["step"] == found["step"].max()]
    rows = []
    for (noise, init), group in last.groupby(["noise", "init"], sort=False):
        train, population = (
            group[group["quantity"] == quantity].iloc[0] for quantity in ("train_accuracy", "population_accuracy")
        )
        margin = {name: population[key] - (1.5 - noise) / 2 for name, key in zip(_MARGIN, _ENDS, strict=True)}
        verdicts = [
            _by_interval(margin["margin_lo"], margin["margin_hi"]),
            _by_interval(train["lo"] - 0.75, train["hi"] - 0.75),
        ]
        rows.append(
            {
                "claim": "Theorem 1",
                "explainer": f"p = {noise:g}, {init}",
                "statement": f"population accuracy at the end (train accuracy {train['mean']:.4g})",
                "seeds": int(population["repetitions"]),
                "value": population["mean"],
                "lo": population["lo"],
                "hi": population["hi"],
                "null": 0.5,
                **margin,
                "paper": 1 - noise if population["inside"] else np.nan,
                "verdict": _worst(verdicts) if population["inside"] else SILENT,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def page(rows: pd.DataFrame, title: str) -> str:
    """The claims as a page."""
    head = ["task", "claim", "explainer", "statement", "seeds", "ours", "null", "margin over the null", "verdict"]
    body = [
        [
            html.escape(row["title"]),
            row["claim"],
            html.escape(row["explainer"]),
            html.escape(row["statement"]),
            str(row["seeds"]),
            with_interval(row, "value", "lo", "hi") + paper_prints(row["paper"]),
            "" if pd.isna(row["null"]) else f"{row['null']:.3g}",
            "" if pd.isna(row["margin"]) else with_interval(row, "margin", "margin_lo", "margin_hi", "+"),
            f"<span class={_CLASSES.get(row['verdict'], 'undecided')}>{row['verdict']}</span>",
        ]
        for _, row in rows.iterrows()
    ]
    caption = (
        "The claims of Nakkiran et al. 2019 as numbers, with 95% intervals for new seeds and a new test set (Theorem "
        "1: for new training sets), wherever T<sub>0</sub> may lie given the noise of the test set. Claim 1 is "
        "supported where the ratio exceeds that of the within-class null model, Claim 2 where what the network has "
        "lost of L at the end, I(L; Y | F), is less than for the null and μ does not fall after T<sub>0</sub>, each by "
        "the interval. Conjecture 1: both for all explainers, and T<sub>i</sub> in the order of their complexity. "
        "Theorem 1: at the last step the population accuracy is nearer to 1 − p, and the train accuracy nearer to 1, "
        "than to chance (the margin is counted from halfway). docs/claims.md states the rules."
    )
    return render(title, caption, head, body)


_CLASSES = {SUPPORTED: "yes", NOT_SUPPORTED: "no"}


def _claim_1(row: dict) -> dict:
    """The share that L accounts for at T0 exceeds that of the within-class null; row: of ratios.at_t0."""
    return {
        "claim": "Claim 1",
        "explainer": row["explainer"],
        "statement": "μ(F_T0; L) / I(F_T0; Y)",
        "seeds": row["seeds"],
        **{name: row[f"ratio_corrected_{key}"] for name, key in (("value", "mean"), ("lo", "lo"), ("hi", "hi"))},
        "null": row["null_ratio_closed_form_mean"],
        **{name: row[f"excess_{key}"] for name, key in zip(_MARGIN, _ENDS, strict=True)},
        "paper": row["paper_ratio"],
        "verdict": _by_interval(row["excess_lo"], row["excess_hi"]),
    }


def _claim_2(of_phases: pd.DataFrame, explainer: str) -> dict:
    """Of L no more is lost by the end than by the null, and mu does not fall after T0."""
    after = of_phases[(of_phases["explainer"] == explainer) & (of_phases["phase"] == "after_t0")].set_index("quantity")
    mu, lost = after.loc["mu"], after.loc["I_LY_given_F"]
    kept = _by_interval(lost["below_null_lo"], lost["below_null_hi"])
    return {
        "claim": "Claim 2",
        "explainer": explainer,
        "statement": "change of μ(F; L) from T0 to the end (bits); margin: I(L; Y | F) below the null's at the end",
        "seeds": int(mu["seeds"]),
        "value": mu["change_mean"],
        "lo": mu["change_lo"],
        "hi": mu["change_hi"],
        "null": np.nan,
        **{name: lost[f"below_null_{key}"] for name, key in zip(_MARGIN, _ENDS, strict=True)},
        "paper": np.nan,
        "verdict": NOT_SUPPORTED if mu["change_hi"] < 0 else UNDECIDED if np.isnan(mu["change_hi"]) else kept,
    }


def _conjecture_1(of_nulls: pd.DataFrame, simple: str, complex_: str, verdicts: list[str]) -> dict:
    """The network reaches the more complex explainer later, and both claims hold for every explainer."""
    from workflow_scripts.measures import nulls
    from workflow_scripts.measures.seeds import over_seeds

    of_each = of_nulls[of_nulls["variant"] == nulls.WITHIN_CLASS]
    early, late = (of_each[of_each["explainer"] == name].set_index("seed") for name in (simple, complex_))
    later = over_seeds((late["epoch"] - early["epoch"]).to_numpy(float))
    lo = _end((late["epoch_lo"] - early["epoch_hi"]).to_numpy(float), "lo")
    hi = _end((late["epoch_hi"] - early["epoch_lo"]).to_numpy(float), "hi")
    return {
        "claim": "Conjecture 1",
        "explainer": f"{simple}, {complex_}",
        "statement": "epochs by which the second is reached later than the first",
        "seeds": int(later["seeds"]),
        "value": float(later["mean"]),
        "lo": lo,
        "hi": hi,
        "null": np.nan,
        **dict.fromkeys(_MARGIN, np.nan),
        "paper": np.nan,
        "verdict": _worst([*verdicts, _by_interval(lo, hi)]),
    }


_MARGIN = ("margin", "margin_lo", "margin_hi")
_ENDS = ("mean", "lo", "hi")


def _end(values: np.ndarray, end: str) -> float:
    """The end of the interval over seeds, of one seed its own value; NaN where a seed lacks it."""
    from workflow_scripts.measures.seeds import over_seeds

    if not np.isfinite(values).all() or not len(values):
        return float("nan")
    return float(over_seeds(values)[end]) if len(values) > 1 else float(values[0])


def _by_interval(lo: float, hi: float) -> str:
    """Whether something lies above 0."""
    return SUPPORTED if lo > 0 else NOT_SUPPORTED if hi < 0 else UNDECIDED


def _worst(verdicts: list[str]) -> str:
    return next((verdict for verdict in (NOT_SUPPORTED, UNDECIDED) if verdict in verdicts), SUPPORTED)
