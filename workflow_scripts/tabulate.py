"""Make one table of the paper: numbers as CSV, and a page to read."""

import pandas as pd

from workflow_scripts.config.analysis import Printed, Table
from workflow_scripts.config.base import JobConfig
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import learning_order
from workflow_scripts.tables import agreement, claims, class_order, phases, ratios, totals

_NULLS = ("seed", "explainer", "variant", "epoch", "ratio", "ratio_corrected", "p_value")
_PHASES = ("explainer", "phase", "quantity", "sign", "change_mean", "below_null_mean")
_SUMMARY = ("explainer", "epoch", "quantity", "seeds", "mean", "corrected", "lo", "hi")
_ORDER = ("class", "seed", "epoch", "final")
_SIMULATIONS = ("noise", "init", "inside", "step", "quantity", "mean", "lo", "hi", "min", "max")


class Config(JobConfig):
    """What the stage reads of the experiments shown, by name: titles, what papers print, and which are nested."""

    settings: Table
    titles: dict[str, str]
    printed: dict[str, Printed]
    nested: list[str]


def run(config: Config, inputs, outputs) -> None:
    """Write the table as CSV and as a page."""
    make, page = {
        "ratios": (_ratios, ratios.page),
        "phases": (_signs, phases.page),
        "totals": (_totals, totals.page),
        "class_order": (_class_order, class_order.page),
        "claims": (_claims, claims.page),
        "agreement": (_agreement, agreement.page),
    }[config.settings.kind]
    table = pd.concat(make(config, inputs), ignore_index=True)
    first = ["experiment", "title"]
    table = table[first + [column for column in table.columns if column not in first]]
    dataframes.write(outputs.csv, table)
    outputs.html.write_text(page(table, config.wildcards["table"]))


def _ratios(config: Config, inputs) -> list[pd.DataFrame]:
    return [
        _of(config, name, ratios.table(found, config.printed.get(name)))
        for name, found in _read(config.settings.experiments, "--nulls", inputs.nulls, _NULLS)
    ]


def _signs(config: Config, inputs) -> list[pd.DataFrame]:
    return [
        _of(config, name, phases.table(found))
        for name, found in _read(config.settings.experiments, "--phases", inputs.phases, _PHASES)
    ]


def _totals(config: Config, inputs) -> list[pd.DataFrame]:
    return [
        _of(config, name, totals.table(found, config.printed.get(name)))
        for name, found in _read(config.settings.experiments, "--summaries", inputs.summaries, _SUMMARY)
    ]


def _class_order(config: Config, inputs) -> list[pd.DataFrame]:
    found = dict(_read(config.settings.experiments, "--orders", inputs.orders, _ORDER))
    return [_of(config, name, table) for name, table in class_order.tables(found).items()]


def _claims(config: Config, inputs) -> list[pd.DataFrame]:
    names = config.settings.experiments
    of_nulls, of_phases = (
        dict(_read(names, flag, paths, columns))
        for flag, paths, columns in (("--nulls", inputs.nulls, _NULLS), ("--phases", inputs.phases, _PHASES))
    )
    found = [
        _of(
            config,
            name,
            claims.table(of_nulls[name], of_phases[name], name in config.nested, config.printed.get(name)),
        )
        for name in names
    ]
    simulated = _read(config.settings.simulations, "--simulations", inputs.simulations, _SIMULATIONS)
    return found + [
        claims.theorem_1(table).assign(experiment=name, title=f"Theorem 1: {name}") for name, table in simulated
    ]


def _agreement(config: Config, inputs) -> list[pd.DataFrame]:
    names = config.settings.experiments
    npz.check_number("--examples", inputs.examples, len(names))
    classes, epochs = learning_order.read_epochs(inputs.examples)
    return [agreement.table(dict(zip(names, epochs, strict=True)), config.titles, classes)]


def _read(names: list[str], flag: str, paths: list, columns: tuple[str, ...]) -> list[tuple[str, pd.DataFrame]]:
    npz.check_number(flag, paths, len(names))
    return [(name, dataframes.read(path, *columns)) for name, path in zip(names, paths, strict=True)]


def _of(config: Config, name: str, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(experiment=name, title=config.titles[name])


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "nulls*": "kinds ratios and claims: nulls.csv of each experiment shown",
            "phases*": "kinds phases and claims: phases.csv of each experiment shown",
            "summaries*": "kind totals: summary.csv of each experiment shown",
            "orders*": "kind class_order: order.csv of each experiment shown",
            "simulations*": "kind claims: the table of each simulation shown (.csv)",
            "examples*": "kind agreement: learning_order.csv of each experiment shown",
        },
        outputs={"csv": "the table (.csv)", "html": "the table as a page (.html)"},
    )
