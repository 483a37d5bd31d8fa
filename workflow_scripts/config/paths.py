"""Where results lie, in the results of one study."""

from pathlib import Path

from workflow_scripts.config.errors import Damaged
from workflow_scripts.files import opening

#: those of an explainer of true labels, which all experiments of a task share
OF_TRUE_LABELS = {"explainer": "tasks/{task}/explainers/{explainer}.npz"}
#: results/{study}/study.json: whose results these are
STUDY = "study.json"
SEED = r"\d+"


def owner(folder: Path) -> dict | None:
    """What a folder of results says of its study: `origin` (config files and --config) and `settings`; None: nothing.

    Raises Damaged.
    """
    path = folder / STUDY
    try:
        told = opening.data(path)
        known = {"configfiles": [*map(str, told["origin"]["configfiles"])], "config": dict(told["origin"]["config"])}
        return {"origin": known, "settings": dict(told["settings"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError):
        raise Damaged(path, "it can't be read: delete it, and the next run of snakemake writes it anew") from None


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
