"""Where results lie, in the results of one study."""

import functools
import json
import re
from collections.abc import Iterable
from pathlib import Path

from workflow_scripts.config.base import NAME
from workflow_scripts.config.errors import Damaged

#: stage -> the products of a job: option of its command -> file; the first one stands for all
PRODUCTS = {
    "prepare_data": {"data": "data/{dataset}.npz"},
    "train": {
        "trajectory": "{experiment}/seed{seed}/trajectory.npz",
        "weights": "{experiment}/seed{seed}/network.safetensors",
    },
    "extract_final": {
        "final_labels": "{experiment}/seed{seed}/final.npz",
        "final_weights": "{experiment}/seed{seed}/final.safetensors",
    },
    "distill": {"explainer": "{experiment}/seed{seed}/explainers/{explainer}.npz"},
    "measure": {
        "measures": "{experiment}/seed{seed}/measures.csv",
        "classes": "{experiment}/seed{seed}/classes.csv",
    },
    "null_models": {"nulls": "{experiment}/nulls.csv"},
    "summarize": {
        "summary": "{experiment}/summary.csv",
        "phases": "{experiment}/phases.csv",
        "classes": "{experiment}/classes.csv",
        "order": "{experiment}/order.csv",
    },
    "order_examples": {"examples": "{experiment}/examples.csv"},
    "decompose": {
        "modes": "{experiment}/modes.csv",
        "class_modes": "{experiment}/class_modes.csv",
        "vectors": "{experiment}/modes.npz",
    },
    "simulate": {"table": "simulations/{simulation}.csv"},
    "plot": {
        "svg": "figures/{figure}.svg",
        "pdf": "figures/{figure}.pdf",
        "png": "figures/{figure}.png",
        "points": "figures/{figure}.csv",
    },
    "tabulate": {"csv": "tables/{table}.csv", "html": "tables/{table}.html"},
}
#: those of an explainer of true labels, which all experiments of a task share
OF_TRUE_LABELS = {"explainer": "tasks/{task}/explainers/{explainer}.npz"}
#: results/{study}/study.json: whose results these are
STUDY = "study.json"
SEED = r"\d+"


def maker(path: str) -> tuple[str, dict[str, str]] | None:
    """The stage whose job makes a file of a study, and its wildcards; None: no stage makes a file of this name."""
    for stage, pattern in _patterns():
        if found := pattern.fullmatch(path):
            return stage, found.groupdict()
    return None


def products(stage: str, wildcards: dict[str, str]) -> list[str]:
    """The files that a job makes; the first one stands for all."""
    files = OF_TRUE_LABELS if "task" in wildcards else PRODUCTS[stage]
    return [file.format(**wildcards) for file in files.values()]


def options(stage: str, names: Iterable[str]) -> dict[str, str]:
    """Option of a stage's command -> the product of this name in its folder, in the order of PRODUCTS."""
    found = {}
    for option, file in PRODUCTS[stage].items():
        pattern = _pattern(file.rpartition("/")[2])
        if called := next(filter(pattern.fullmatch, names), None):
            found[option] = called
    return found


def owner(folder: Path) -> dict | None:
    """What a folder of results says of its study: `origin` (config files and --config) and `settings`; None: nothing.

    Raises Damaged.
    """
    path = folder / STUDY
    try:
        told = json.loads(path.read_bytes())
        known = {"configfiles": [*map(str, told["origin"]["configfiles"])], "config": dict(told["origin"]["config"])}
        return {"origin": known, "settings": dict(told["settings"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError):
        raise Damaged(f"{path}: it can't be read: delete it, and the next run of snakemake writes it anew") from None


@functools.cache
def _patterns() -> list[tuple[str, re.Pattern]]:
    """Those in a folder of a fixed name come first: no experiment is called so."""
    files = [(stage, file) for stage, of in PRODUCTS.items() for file in of.values()]
    files.append(("distill", OF_TRUE_LABELS["explainer"]))
    return [(stage, _pattern(file)) for stage, file in sorted(files, key=lambda pair: pair[1].startswith("{"))]


def _pattern(file: str) -> re.Pattern:
    texts = iter(re.split(r"\{(\w+)\}", file))
    found = re.escape(next(texts))
    for wildcard, text in zip(texts, texts, strict=True):
        found += f"(?P<{wildcard}>{SEED if wildcard == 'seed' else NAME}){re.escape(text)}"
    return re.compile(found)


def of_experiment(name: str, file: str) -> str:
    """A file of an experiment, such as summary.csv."""
    return f"{name}/{file}"


def of_experiments(names: list[str], file: str) -> list[str]:
    """That file of each experiment."""
    return [of_experiment(name, file) for name in names]


def of_seed(experiment: str, seed: int | str, file: str) -> str:
    """A file of one seed of an experiment, such as trajectory.npz."""
    return f"{experiment}/seed{seed}/{file}"


def of_seeds(experiment: str, seeds: list[int], file: str) -> list[str]:
    """That file of each seed."""
    return [of_seed(experiment, seed, file) for seed in seeds]


def explainer(study, experiment: str, seed: int | str, name: str) -> str:
    """What an explainer of an experiment predicts; study: config.study.Study.

    With the task if it is fitted to true labels, else with each seed; a co-trained one is a trajectory.
    """
    if name in study.experiments:
        return of_seed(name, seed, "trajectory.npz")
    if study.explainers[name].labels == "true":
        return f"tasks/{study.experiments[experiment].task}/explainers/{name}.npz"
    return of_seed(experiment, seed, f"explainers/{name}.npz")


def explainers(study, experiment: str, seed: int | str) -> list[str]:
    """Those of one seed, in the order of the config."""
    return [explainer(study, experiment, seed, name) for name in study.experiments[experiment].explainers]


def dataset(name: str) -> str:
    """The arrays of a data set."""
    return f"data/{name}.npz"


def simulation(name: str) -> str:
    """The table of a simulation."""
    return f"simulations/{name}.csv"
