"""Every whole number of a config has a bound, and one beyond it ends in one line before any memory is taken."""

import copy
import tracemalloc
import typing

import pytest
import yaml
from pydantic import BaseModel

from tests.workflow import STUDIES, TINY
from workflow_scripts.config import kinds, sizes, study
from workflow_scripts.config.configfiles import merged
from workflow_scripts.config.errors import Misconfigured

CONFIG = yaml.safe_load(TINY.read_text(encoding="utf-8"))
CONFIG["datasets"]["theorem1"] = {"kind": "theorem1"}
SEEDS = {"seed", "seeds"}


def parts(of: object):
    """A type and all types within it."""
    yield of
    for inner in typing.get_args(of):
        yield from parts(inner)


def models(of: type[BaseModel]):
    """A model and those of its keys, without kinds."""
    yield of
    for field in of.model_fields.values():
        for inner in parts(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner is not BaseModel:
                yield from models(inner)


EVERY = [study.Study, *(kinds.of(family, kind).Settings for family in kinds.FAMILIES for kind in kinds.names(family))]


def test_every_whole_number_has_a_bound():
    names = {
        name
        for root in EVERY
        for model in models(root)
        for name, field in model.model_fields.items()
        if any(part is int for part in parts(field.annotation))
    }
    assert len(names) > 30 and names - SEEDS == {*sizes.MOST}


def with_value(key: str, value: object) -> dict:
    """The tiny study with a key in dots, of which * stands for any, set."""
    config = copy.deepcopy(CONFIG)
    *path, last = key.split(".")
    inner = config
    for part in path:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return config


@pytest.mark.parametrize(
    ("key", "value", "mistaken"),
    [
        ("datasets.sinusoid.train", 10**12, "datasets.sinusoid.train"),
        ("datasets.sinusoid.train", 2**31 - 1, "datasets.sinusoid.train"),
        ("datasets.sinusoid.dimension", 10**15, "datasets.sinusoid.dimension"),
        ("datasets.sinusoid.dimension", 10**8, "datasets.sinusoid"),
        ("datasets.theorem1.train", 10**7, "datasets.theorem1"),
        ("datasets.digits.fresh", 10**12, "datasets.digits"),
        ("experiments.digits.sgd.epochs", 10**15, "experiments.digits.sgd.epochs"),
        ("experiments.digits.network.channels", [8, 10**9], "experiments.digits.network.channels[1]"),
        ("experiments.digits.checkpoints.early", 10**9, "experiments.digits.checkpoints.early"),
        ("experiments.disc.sgd.steps", 10**12, "experiments.disc.sgd.steps"),
        ("nulls.draws", 10**10, "nulls.draws"),
        ("simulations.theorem1.dimension", 10**12, "simulations.theorem1.dimension"),
        ("simulations.theorem1.repetitions", 10**9, "simulations.theorem1"),
        ("explainers.linear_sgd.fit.epochs", 10**15, "explainers.linear_sgd.fit.epochs"),
        ("tasks.low_high.groups", {"0-4": [*range(5), 10**12], "5-9": [*range(5, 10)]}, "tasks.low_high.groups"),
        (
            "datasets.own",
            {"kind": "images", "path": "x", "classes": ["a", "b"], "size": [10**6, 10**6]},
            "datasets.own.size[0]",
        ),
        ("seeds", [2**40], "seeds[0]"),
    ],
)
def test_a_number_that_no_computer_could_follow_is_refused(key, value, mistaken):
    config = with_value(key, value)
    tracemalloc.start()
    with pytest.raises(Misconfigured) as refused:
        study.load(config, "study.yaml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mistaken in {mistake.key for mistake in refused.value.mistakes}
    assert peak < 50_000_000


@pytest.mark.parametrize("paths", STUDIES.values(), ids=list(STUDIES))
def test_the_studies_of_this_project_are_within_the_bounds(paths):
    config = merged(list(paths))
    assert not list(sizes._too_large("config", config, "", ""))
