"""Draw one figure and write every plotted point beside it."""

import pandas as pd

from workflow_scripts.config.analysis import Figure, Printed
from workflow_scripts.config.base import JobConfig, Seed, Strict
from workflow_scripts.config.errors import damaged
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.figures import (
    agreement,
    boundaries,
    class_order,
    dynamics,
    information_accuracy,
    initialisation,
    modes,
    per_class,
    theorem1,
)
from workflow_scripts.files import dataframes, npz
from workflow_scripts.job import command
from workflow_scripts.measures import learning_order
from workflow_scripts.measures import per_class as class_parts


class Initial(Strict):
    """The kind of an experiment's network, and its keys init and init_scale."""

    network: str
    init: str
    scale: float


class Config(JobConfig):
    """What the stage reads of the experiments shown, by name: titles, numbers of groups, what papers print.

    Of a figure of boundaries also the seed of each, and explainer -> the file under results with its predictions; of
    one of agreement the task of all; of one of initialisations the network of each and how it starts.
    """

    settings: Figure
    titles: dict[str, str]
    n_classes: dict[str, int]
    printed: dict[str, Printed]
    seeds: dict[str, Seed]
    found_in: dict[str, dict[str, str]]
    task: Task | None
    initial: dict[str, Initial]


def run(config: Config, inputs, outputs) -> None:
    """Write the figure as PDF, PNG and SVG, and its points."""
    points = Points()
    draw = {
        "information_accuracy": _information_accuracy,
        "dynamics": _dynamics,
        "classes": _classes,
        "class_panels": _class_panels,
        "class_order": _class_order,
        "boundaries": _boundaries,
        "modes": _modes,
        "initialisation": _initialisation,
        "theorem1": _theorem1,
        "agreement": _agreement,
    }[config.settings.kind]
    figure = draw(config, inputs, points)
    style.save(figure, outputs.pdf, outputs.png, outputs.svg, outputs.key)
    dataframes.write(outputs.points, pd.concat(points.tables, ignore_index=True))


def _information_accuracy(config: Config, inputs, points: Points):
    return information_accuracy.draw(points)


def _dynamics(config: Config, inputs, points: Points):
    return dynamics.draw(_panels(config, inputs), config.settings.axis, points)


def _classes(config: Config, inputs, points: Points):
    return per_class.overview(_class_rows(config, inputs), points)


def _class_panels(config: Config, inputs, points: Points):
    (row,) = _class_rows(config, inputs)
    return per_class.small_multiples(row, points)


def _class_order(config: Config, inputs, points: Points):
    names = config.settings.experiments
    npz.check_number("--orders", inputs.orders, len(names))
    orders = [dataframes.read(path, "class", "seed", "epoch", "final") for path in inputs.orders]
    return class_order.draw(dict(zip(names, orders, strict=True)), config.titles, points)


def _panels(config: Config, inputs) -> list[dynamics.Panel]:
    names = config.settings.experiments
    for flag, paths in (("--summaries", inputs.summaries), ("--phases", inputs.phases)):
        npz.check_number(flag, paths, len(names))
    return [
        dynamics.Panel(
            name,
            config.titles[name],
            config.n_classes[name],
            dataframes.read(summary, "explainer", "step", "epoch", "quantity", "mean", "std", "lo", "hi", "corrected"),
            dataframes.read(found, "explainer", "phase", "to_epoch", "to_epoch_lo", "to_epoch_hi"),
            config.printed.get(name),
        )
        for name, summary, found in zip(names, inputs.summaries, inputs.phases, strict=True)
    ]


def _class_rows(config: Config, inputs) -> list[per_class.Row]:
    panels = _panels(config, inputs)
    npz.check_number("--classes", inputs.classes, len(panels))
    columns = ("explainer", "epoch", "class", "quantity", "mean", "std", "lo", "hi")
    return [
        per_class.read(panel, dataframes.read(path, *columns), config.settings.explainer_of(panel.name))
        for panel, path in zip(panels, inputs.classes, strict=True)
    ]


def _boundaries(config: Config, inputs, points: Points):
    names = config.settings.experiments
    of_each = [(name, explainer) for name in names for explainer in config.found_in[name]]
    for flag, paths, expected in (
        ("--data", inputs.data, names),
        ("--trajectories", inputs.trajectories, names),
        ("--explainers", inputs.explainers, of_each),
    ):
        npz.check_number(flag, paths, len(expected))
    explainers = dict(zip(of_each, inputs.explainers, strict=True))
    rows = [
        boundaries.read(
            name,
            config.titles[name],
            data,
            trajectory,
            {explainer: explainers[name, explainer] for explainer in config.found_in[name]},
        )
        for name, data, trajectory in zip(names, inputs.data, inputs.trajectories, strict=True)
    ]
    return boundaries.draw(rows, config.settings.steps, points)


def _modes(config: Config, inputs, points: Points):
    shown = config.settings
    for flag in ("modes", "class_modes", "vectors"):
        npz.check_number(f"--{flag.replace('_', '-')}", getattr(inputs, flag), 1)
    npz.check_number("--orders", inputs.orders, len(shown.orders))
    predicted = dataframes.read(inputs.class_modes[0], "class", "predicted_epoch")
    linear = modes.Linear(
        shown.experiment,
        config.titles[shown.experiment],
        dataframes.read(inputs.modes[0], "mode", "quantity", "checkpoint", "step", "epoch", "mean", "std", "lo", "hi"),
        predicted.assign(**{"class": predicted["class"].astype(str)}),
        npz.load(inputs.vectors[0], "s", "u", "v"),
    )
    orders = [
        modes.Order(name, config.titles[name], modes.read_order(path, linear.predicted))
        for name, path in zip(shown.orders, inputs.orders, strict=True)
    ]
    return modes.draw(linear, orders, points)


def _initialisation(config: Config, inputs, points: Points):
    names = config.settings.experiments
    for flag, paths in (("--summaries", inputs.summaries), ("--phases", inputs.phases)):
        npz.check_number(flag, paths, len(names))
    runs = [
        initialisation.Run(
            name,
            **config.initial[name].model_dump(),
            summary=dataframes.read(summary, *initialisation.SUMMARY),
            phases=dataframes.read(found, *initialisation.PHASES),
        )
        for name, summary, found in zip(names, inputs.summaries, inputs.phases, strict=True)
    ]
    for one, path in zip(runs, inputs.phases, strict=True):
        if one.span("warm_up").empty:
            raise damaged(path, "it has no phase 'warm_up'")
    return initialisation.draw(runs, points)


def _theorem1(config: Config, inputs, points: Points):
    npz.check_number("--simulations", inputs.simulations, 1)
    return theorem1.draw(dataframes.read(inputs.simulations[0], *theorem1.COLUMNS), points)


def _agreement(config: Config, inputs, points: Points):
    names = config.settings.experiments
    npz.check_number("--examples", inputs.examples, len(names))
    npz.check_number("--data", inputs.data, 1)
    class_of, epochs = learning_order.read_epochs(inputs.examples)
    data = tasks.load(inputs.data[0], config.task)
    labels, pixels = data.labels["test"], data.inputs["test"]
    if len(pixels) != len(class_of):
        raise damaged(inputs.examples[0], f"{len(class_of)} examples, expected {len(pixels)}")
    names_of = class_parts.class_names(inputs.data[0], config.task)
    images = agreement.Images(pixels, [names_of[label] for label in labels]) if pixels.ndim == 4 else None
    return agreement.draw(dict(zip(names, epochs, strict=True)), config.titles, class_of, images, points)


if __name__ == "__main__":
    command.main(
        run,
        Config,
        inputs={
            "summaries*": "of most kinds: summary of each experiment shown (.csv)",
            "phases*": "of the same kinds: phases of each experiment shown (.csv)",
            "classes*": "kinds classes, class_panels: summary of the classes of each experiment shown (.csv)",
            "data*": "kind boundaries: the arrays of each experiment's data set; kind agreement: those of all (.npz)",
            "trajectories*": "kind boundaries: the trajectory of each experiment's seed (.npz)",
            "explainers*": "kind boundaries: the explainers of the first experiment, then of the second (.npz)",
            "modes*": "kind modes: strength of each mode of the linear experiment (.csv)",
            "class_modes*": "kind modes: learning times that its modes predict (.csv)",
            "vectors*": "kind modes: its modes (.npz)",
            "orders*": "kinds class_order, modes: when each experiment compared learned each class (.csv)",
            "simulations*": "kind theorem1: the table of the simulation shown (.csv)",
            "examples*": "kind agreement: learning_order.csv of each experiment shown",
        },
        outputs={name: f"the figure (.{name})" for name in ("pdf", "png", "svg")}
        | {"points": "every plotted point (.csv)"},
    )
