"""What figures and tables say and read of the experiments that they show. study: config.study.Study."""

from typing import Annotated

from pydantic import Field

from workflow_scripts.config import checks
from workflow_scripts.config.base import Name

Experiments = Annotated[list[Name], Field(min_length=1, description="names under experiments, in the order shown")]


def check_experiments(key: str, names: list[str], study) -> None:
    """Raise Wrong unless each is an experiment, listed once; key: of the figure or table, in dots."""
    checks.unique(f"{key}.experiments", names)
    for name in names:
        checks.named(f"{key}.experiments", "experiment", name, study.experiments)


def check_explainers(key: str, settings, study) -> None:
    """Raise Wrong unless each explainer that the settings name (explainer_of) is one of its experiment's."""
    for name in settings.experiments:
        if (explainer := settings.explainer_of(name)) is not None:
            known = dict.fromkeys(study.experiments[name].explainers)
            checks.named(key, f"explainer of {name}", explainer, known)


def titles(study, names: list[str]) -> dict[str, str]:
    """Experiment -> its title."""
    return {name: study.experiments[name].title for name in names}


def n_classes(study, names: list[str]) -> dict[str, int]:
    """Experiment -> how many classes its network tells apart."""
    return {name: study.n_classes_of(name) for name in names}


def printed(study, names: list[str]) -> dict[str, dict]:
    """Experiment -> what a paper prints for it, of those for which one does."""
    found = {name: study.experiments[name].printed for name in names}
    return {name: values.model_dump(mode="json") for name, values in found.items() if values}
