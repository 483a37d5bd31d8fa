"""The jobs of a study, and what each reads: its settings, which are all of the study that it sees, and its files.

The rules and the audit ask here alone. A job's settings name its files too, by the options of its command.
"""

import functools
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from workflow_scripts.config import kinds, paths
from workflow_scripts.config.base import NAME, Strict, unknown_name
from workflow_scripts.config.errors import Misused
from workflow_scripts.config.study import Study

#: options that take the same files for every seed, where a job reads several seeds
SHARED = ("data",)
SEED = "{seed}"


class Stage(NamedTuple):
    """What there is to say of the jobs of a stage.

    settings, files: of the study and a job's wildcards, all that it reads; products: option of its command -> file in
    the study's results, of which the first one stands for all; writes_names: whether its wildcards stand in its
    products, so that they count.
    """

    settings: Callable[..., dict]
    files: Callable[..., dict[str, list[str]]]
    products: dict[str, str]
    writes_names: bool = False


def settings(study: Study, stage: str, **wildcards: str) -> dict:
    """All that one job reads of the study, its wildcards and the names of its files included, as plain data.

    Files of several seeds stand there once, with {seed} for each of the job's seeds. Raises StudyError.
    """
    found = _of(stage, "settings", study, wildcards)
    return {"wildcards": wildcards, **found, "inputs": _of(stage, "files", study, wildcards)}


def inputs(study: Study, stage: str, **wildcards: str) -> dict[str, list[str]]:
    """The files that one job reads: option of its command -> paths, relative to the results.

    Of several seeds those of the first one, in order, then those of the second; seeds ascend. Raises StudyError.
    """
    found = _of(stage, "files", study, wildcards)
    if "experiment" not in wildcards or "seed" in wildcards:
        return found
    return _of_every_seed(found, sorted(study.seeds_of(wildcards["experiment"])))


def files(cfg: dict) -> dict[str, list[str]]:
    """The same from a job's settings."""
    return _of_every_seed(cfg["inputs"], cfg["seeds"]) if "seeds" in cfg else cfg["inputs"]


def of_study(study: Study) -> dict[str, tuple[str, dict[str, str]]]:
    """Every job that makes something that the whole study asks for, or that is behind it.

    The product that stands for it -> its stage and wildcards, what is asked for first.
    """
    found, made, waiting = {}, set(), targets(study)
    for path in waiting:
        if path not in made:
            stage, wildcards = maker(path)
            first, *others = products(stage, wildcards)
            found[first] = stage, wildcards
            made |= {first, *others}
            waiting += (file for of in inputs(study, stage, **wildcards).values() for file in of)
    return found


def targets(study: Study) -> list[str]:
    """What the whole study asks for."""
    return [
        *(path for name in study.experiments for path in paths.of_seeds(name, study.seeds_of(name), "final.npz")),
        *(paths.of_experiment(name, file) for name in study.experiments for file in ("summary.csv", "nulls.csv")),
        *map(paths.simulation, study.simulations),
        *(f"figures/{name}.svg" for name in study.figures),
        *(f"tables/{name}.csv" for name in study.tables),
    ]


def maker(path: str) -> tuple[str, dict[str, str]] | None:
    """The stage whose job makes a file of a study, and its wildcards; None: no stage makes a file of this name."""
    for stage, pattern in _patterns():
        if found := pattern.fullmatch(path):
            return stage, found.groupdict()
    return None


def products(stage: str, wildcards: dict[str, str]) -> list[str]:
    """The files that a job makes; the first one stands for all."""
    files = paths.OF_TRUE_LABELS if "task" in wildcards else OF_STAGE[stage].products
    return [file.format(**wildcards) for file in files.values()]


def options(stage: str, names: Iterable[str]) -> dict[str, str]:
    """Option of a stage's command -> the product of this name in its folder, the first one first."""
    found = {}
    for option, file in OF_STAGE[stage].products.items():
        pattern = _pattern(file.rpartition("/")[2])
        if called := next(filter(pattern.fullmatch, names), None):
            found[option] = called
    return found


def unnamed(task: dict) -> dict:
    """A task as plain data, for stages to which it is all one what its data set and its groups are called."""
    groups = task["groups"] and {f"group{i}": sorted(of) for i, of in enumerate(task["groups"].values())}
    return {"dataset": "dataset", "groups": groups, "leave_out": sorted(task["leave_out"])}


def _of_every_seed(found: dict[str, list[str]], seeds: list[int]) -> dict[str, list[str]]:
    return {option: files if option in SHARED else _each(files, seeds) for option, files in found.items()}


def _each(files: list[str], seeds: list[int]) -> list[str]:
    return [file.replace(SEED, str(seed)) for seed in seeds for file in files]


def _of(stage: str, what: str, study: Study, wildcards: dict[str, str]) -> dict:
    if stage not in OF_STAGE:
        raise Misused(unknown_name("stage", stage, OF_STAGE))
    try:
        return getattr(OF_STAGE[stage], what)(study, **wildcards)
    except KeyError as error:
        raise Misused(stage, f"nothing in the config is called {error.args[0]!r}: name what it has") from None


def _prepare_data(study: Study, dataset: str) -> dict:
    source = study.datasets[dataset]
    return {"source": _plain(source), "listing": source.listing}


def unlisted(study: Study, dataset: str) -> dict:
    """What making a data set reads of the study, where the user's own files are absent and can't be listed."""
    return {"source": _plain(study.datasets[dataset])}


def _simulate(study: Study, simulation: str) -> dict:
    return {"settings": _plain(study.simulations[simulation])}


def _train(study: Study, experiment: str, seed: str) -> dict:
    e = study.experiments[experiment]
    return {
        "seed": int(seed),
        "task": unnamed(_plain(study.tasks[e.task])),
        "network": _plain(e.network),
        "init": e.init,
        "init_scale": e.init_scale,
        "pretraining": e.pretraining and _plain(e.pretraining),
        "sgd": _plain(e.sgd),
        "checkpoints": _plain(e.checkpoints),
        **_device(study),
    }


def _extract_final(study: Study, experiment: str, seed: str) -> dict:
    e = study.experiments[experiment]
    return {
        "task": unnamed(_plain(study.tasks[e.task])),
        "network": _plain(e.network),
    }


def _distill(study: Study, explainer: str, task: str = "", experiment: str = "", seed: str = "") -> dict:
    """Of a task for true labels, else of one seed of an experiment."""
    x = study.explainers[explainer]
    task = study.experiments[experiment].task if experiment else task
    return {
        "settings": _plain(x) | {"reference": x.reference and "reference"},
        "task": unnamed(_plain(study.tasks[task])),
        **(_device(study) if x.fit.trains_network else {"device": "cpu"}),
    }


def _measure(study: Study, experiment: str, seed: str) -> dict:
    e = study.experiments[experiment]
    return {
        "task": _plain(study.tasks[e.task]) | {"dataset": "dataset"},
        "explainers": e.explainers,
        "nested": e.nested,
    }


def _null_models(study: Study, experiment: str) -> dict:
    e = study.experiments[experiment]
    return {
        "seeds": sorted(study.seeds_of(experiment)),
        "task": unnamed(_plain(study.tasks[e.task])),
        "explainers": e.explainers,
        "references": _references(study, experiment),
        "nulls": _plain(study.nulls),
    }


def _summarize(study: Study, experiment: str) -> dict:
    e = study.experiments[experiment]
    return {
        "seeds": sorted(study.seeds_of(experiment)),
        "task": unnamed(_plain(study.tasks[e.task])),
        "explainers": e.explainers,
        "references": _references(study, experiment),
        "nested": e.nested,
    }


def _order_examples(study: Study, experiment: str) -> dict:
    return {
        "seeds": sorted(study.seeds_of(experiment)),
        "task": _plain(study.tasks[study.experiments[experiment].task]) | {"dataset": "dataset"},
    }


def _decompose(study: Study, experiment: str) -> dict:
    e = study.experiments[experiment]
    if why := study.without_modes(experiment):
        raise Misused(f"decompose: {experiment!r} {why}")
    return {
        "seeds": sorted(study.seeds_of(experiment)),
        "task": _plain(study.tasks[e.task]) | {"dataset": "dataset"},
        "lr": e.sgd.lr,
    }


def _plot(study: Study, figure: str) -> dict:
    settings = study.figures[figure]
    return {
        "settings": _plain(settings),
        "shown": kinds.of("figures", settings.kind).shown(settings, study),
    }


def _tabulate(study: Study, table: str) -> dict:
    settings = study.tables[table]
    return {
        "settings": _plain(settings),
        "shown": kinds.of("tables", settings.kind).shown(settings, study),
    }


def _no_files(study: Study, **wildcards: str) -> dict[str, list[str]]:
    return {}


def _train_files(study: Study, experiment: str, seed: str) -> dict[str, list[str]]:
    return {"data": _data(study, experiment)}


def _extract_final_files(study: Study, experiment: str, seed: str) -> dict[str, list[str]]:
    return {
        "data": _data(study, experiment),
        "trajectory": [paths.of_seed(experiment, seed, "trajectory.npz")],
        "weights": [paths.of_seed(experiment, seed, "network.safetensors")],
    }


def _distill_files(study: Study, explainer: str, task: str = "", experiment: str = "", seed: str = "") -> dict:
    x = study.explainers[explainer]
    if not experiment:
        return {"data": [paths.dataset(study.tasks[task].dataset)]}
    if x.labels == "final":
        return {"data": _data(study, experiment), "final_labels": [paths.of_seed(experiment, seed, "final.npz")]}
    return {
        "data": _data(study, experiment),
        "trajectory": [paths.of_seed(experiment, seed, "trajectory.npz")],
        "reference": [paths.explainer(study, experiment, seed, x.reference)],
    }


def _measure_files(study: Study, experiment: str, seed: str) -> dict[str, list[str]]:
    return {
        "data": _data(study, experiment),
        "trajectory": [paths.of_seed(experiment, seed, "trajectory.npz")],
        "explainers": paths.explainers(study, experiment, seed),
    }


def _null_models_files(study: Study, experiment: str) -> dict[str, list[str]]:
    return {**_all_trajectories(study, experiment), "explainers": paths.explainers(study, experiment, SEED)}


def _summarize_files(study: Study, experiment: str) -> dict[str, list[str]]:
    return {
        **_null_models_files(study, experiment),
        "measures": [paths.of_seed(experiment, SEED, "measures.csv")],
        "class_measures": [paths.of_seed(experiment, SEED, "classes.csv")],
    }


def _all_trajectories(study: Study, experiment: str) -> dict[str, list[str]]:
    return {"data": _data(study, experiment), "trajectories": [paths.of_seed(experiment, SEED, "trajectory.npz")]}


def _plot_files(study: Study, figure: str) -> dict[str, list[str]]:
    shown = study.figures[figure]
    return kinds.of("figures", shown.kind).inputs(shown, study)


def _tabulate_files(study: Study, table: str) -> dict[str, list[str]]:
    shown = study.tables[table]
    return kinds.of("tables", shown.kind).inputs(shown, study)


def _data(study: Study, experiment: str) -> list[str]:
    return [paths.dataset(study.dataset_of(experiment))]


def _references(study: Study, experiment: str) -> dict[str, str]:
    """Each explainer of an experiment -> the explainer whose performance defines its T0 (itself unless labels: t0)."""
    return {
        name: getattr(study.explainers.get(name), "reference", None) or name
        for name in study.experiments[experiment].explainers
    }


def _device(study: Study) -> dict:
    """Where networks run, and how precisely, where that isn't as by default."""
    return study.model_dump(include={"device"} if study.device == "cpu" else {"device", "precision"})


def _plain(model: Strict) -> dict:
    return model.model_dump(mode="json")


@functools.cache
def _patterns() -> list[tuple[str, re.Pattern]]:
    """Those in a folder of a fixed name come first: no experiment is called so."""
    files = [(stage, file) for stage, of in OF_STAGE.items() for file in of.products.values()]
    files.append(("distill", paths.OF_TRUE_LABELS["explainer"]))
    return [(stage, _pattern(file)) for stage, file in sorted(files, key=lambda pair: pair[1].startswith("{"))]


def _pattern(file: str) -> re.Pattern:
    texts = iter(re.split(r"\{(\w+)\}", file))
    found = re.escape(next(texts))
    for wildcard, text in zip(texts, texts, strict=True):
        found += f"(?P<{wildcard}>{paths.SEED if wildcard == 'seed' else NAME}){re.escape(text)}"
    return re.compile(found)


OF_STAGE = {
    "prepare_data": Stage(_prepare_data, _no_files, {"data": "data/{dataset}.npz"}),
    "train": Stage(
        _train,
        _train_files,
        {
            "trajectory": "{experiment}/seed{seed}/trajectory.npz",
            "weights": "{experiment}/seed{seed}/network.safetensors",
        },
    ),
    "extract_final": Stage(
        _extract_final,
        _extract_final_files,
        {
            "final_labels": "{experiment}/seed{seed}/final.npz",
            "final_weights": "{experiment}/seed{seed}/final.safetensors",
        },
        writes_names=True,
    ),
    "distill": Stage(_distill, _distill_files, {"explainer": "{experiment}/seed{seed}/explainers/{explainer}.npz"}),
    "measure": Stage(
        _measure,
        _measure_files,
        {
            "measures": "{experiment}/seed{seed}/measures.csv",
            "classes": "{experiment}/seed{seed}/classes.csv",
        },
    ),
    "null_models": Stage(_null_models, _null_models_files, {"nulls": "{experiment}/nulls.csv"}),
    "summarize": Stage(
        _summarize,
        _summarize_files,
        {
            "summary": "{experiment}/summary.csv",
            "phases": "{experiment}/phases.csv",
            "classes": "{experiment}/classes.csv",
            "order": "{experiment}/order.csv",
        },
    ),
    "order_examples": Stage(_order_examples, _all_trajectories, {"examples": "{experiment}/examples.csv"}),
    "decompose": Stage(
        _decompose,
        _all_trajectories,
        {
            "modes": "{experiment}/modes.csv",
            "class_modes": "{experiment}/class_modes.csv",
            "vectors": "{experiment}/modes.npz",
        },
    ),
    "simulate": Stage(_simulate, _no_files, {"table": "simulations/{simulation}.csv"}),
    "plot": Stage(
        _plot,
        _plot_files,
        {
            "svg": "figures/{figure}.svg",
            "pdf": "figures/{figure}.pdf",
            "png": "figures/{figure}.png",
            "points": "figures/{figure}.csv",
        },
        writes_names=True,
    ),
    "tabulate": Stage(
        _tabulate, _tabulate_files, {"csv": "tables/{table}.csv", "html": "tables/{table}.html"}, writes_names=True
    ),
}
STAGES = tuple(OF_STAGE)
