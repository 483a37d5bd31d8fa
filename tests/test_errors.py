"""Every kind of bad input gives one clear line, a failure, and no output."""

import copy
import errno
import functools
import gzip
import hashlib
import http.server
import json
import pickle
import runpy
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torchvision.datasets import CIFAR10, MNIST

from tests.workflow import ROOT, snakemake
from workflow_scripts.audit import __main__ as audit_command
from workflow_scripts.config import __main__ as config_command
from workflow_scripts.config import jobs, study
from workflow_scripts.config.errors import StudyError
from workflow_scripts.data.datasets import mnist
from workflow_scripts.data.parts import PARTS
from workflow_scripts.files import dataframes, hashing, npz
from workflow_scripts.provenance import fingerprints

STUDY = """
seeds: [0, 1]
device: cpu
datasets:
  digits: {kind: digits}
  waves: {kind: sinusoid, train: 200, test: 100, fresh: 50, dimension: 5}
  disc: {kind: ball, train: 60, test: 80, grid: 5}
tasks:
  parity: {dataset: digits, groups: {even: [0, 2, 4, 6, 8], odd: [1, 3, 5, 7], nine: [9]}}
  waves: {dataset: waves}
  disc: {dataset: disc}
explainers:
  linear: {labels: true}
  final: {labels: final, inputs: fresh}
  t0: {labels: t0, reference: linear}
experiments:
  digits:
    title: Digits
    task: parity
    network: {kind: cnn, channels: [4], pool_after: [1], dense: []}
    sgd: {lr: 0.1, batch_size: 32, epochs: 1}
    explainers: [linear]
  waves:
    title: Waves
    task: waves
    network: {kind: mlp, widths: [8]}
    sgd: {lr: 0.1, batch_size: 20, epochs: 2}
    explainers: [linear, final, t0]
  disc:
    title: Disc
    task: disc
    network: {kind: mlp, widths: [8]}
    sgd: {lr: 0.1, batch_size: 20, steps: 9}
    explainers: [linear]
    seeds: [3]
nulls: {draws: 9}
figures:
  curve: {kind: information_accuracy}
  training: {kind: dynamics, experiments: [waves]}
  plane: {kind: boundaries, experiments: [disc], steps: [0, 9]}
  order: {kind: agreement, experiments: [waves]}
  starts: {kind: initialisation, experiments: [waves]}
  parts: {kind: classes, experiments: [waves]}
  class_order: {kind: class_order, experiments: [waves]}
tables:
  ratios: {kind: ratios, experiments: [waves]}
  totals: {kind: totals, experiments: [waves]}
  signs: {kind: phases, experiments: [waves]}
  claims: {kind: claims, experiments: [waves]}
  order: {kind: agreement, experiments: [waves]}
"""
ABSENT = object()


def changed(key: str, value) -> dict:
    """The study above with one key (dotted) set, or removed."""
    config = yaml.safe_load(STUDY)
    *path, last = key.split(".")
    inner = functools.reduce(lambda node, part: node[part], path, config)
    inner[last] = value
    if value is ABSENT:
        del inner[last]
    return config


EXPERIMENT = yaml.safe_load(STUDY)["experiments"]["digits"]
WAVES = yaml.safe_load(STUDY)["experiments"]["waves"]
PETS = {"kind": "images", "path": "pets", "classes": ["cat", "dog"]}
SGD_FIT = {"solver": "sgd", "lr": 0.1, "epochs": 1}
LINEAR, TREE = {"solver": "logistic"}, {"solver": "tree", "max_depth": 3}
NEIGHBOURS = {"solver": "nearest_neighbours", "neighbours": 3}
BAD_STUDIES = [
    ("sedes", [0], "unknown key 'sedes': did you mean 'seeds'?"),
    ("colour", "red", "unknown key 'colour': expected one of data_root, datasets, "),
    ("experiments.digits.sgd.epoch", 3, "experiments.digits.sgd: unknown key 'epoch': did you mean 'epochs'?"),
    ("experiments.digits.network.widths", [3], "experiments.digits.network: unknown key 'widths': expected one of"),
    ("seeds", ABSENT, "seeds: this key is missing: add it"),
    ("experiments.waves.sgd.lr", ABSENT, "experiments.waves.sgd.lr: this key is missing: add it"),
    ("experiments.waves.network.kind", ABSENT, "experiments.waves.network: the key kind is missing: add it"),
    ("seeds", 3, "seeds: expected a list such as [a, b], got 3"),
    ("experiments.waves.sgd", None, "experiments.waves.sgd: expected keys with values below it, got nothing"),
    ("experiments.waves.sgd.epochs", 1.5, "experiments.waves.sgd.epochs: expected a whole number, got 1.5"),
    ("experiments.waves.sgd.epochs", 0, "experiments.waves.sgd.epochs: expected greater than or equal to 1, got 0"),
    ("experiments.waves.title", 3, "experiments.waves.title: expected text (put it in quotes), got 3"),
    ("experiments.waves.sgd.lr", "1e-3", "waves.sgd.lr: expected a number, got the text '1e-3': write 0.001"),
    ("nulls.draws", "9", "nulls.draws: expected a number, got the text '9': write 9 in a config file"),
    ("experiments.waves.network.kind", "mpl", "waves.network: kind 'mpl' is not known: did you mean 'mlp'?"),
    ("device", "gpu", "device: expected 'auto', 'cpu' or 'cuda', got 'gpu'"),
    ("explainers.linear.labels", False, "explainers.linear.labels: expected 'true', 'final' or 't0', got False"),
    # the label map
    ("tasks.parity.groups.nine", [8, 9], "tasks.parity: class 8 is in 'even' and in 'nine': keep one of them"),
    ("tasks.parity.leave_out", [9], "tasks.parity: class 9 is in 'nine' and in 'leave_out': keep one of them"),
    ("tasks.parity.groups.nine", [9, 10], "class 10 is not in 'digits', whose classes are 0 to 9: remove it"),
    ("tasks.parity.groups.odd", [1, 3, 5], "class 7 of 'digits' is in no group: add it to one, or list it in"),
    ("tasks.parity.groups.odd", [], "tasks.parity: groups.odd: the group is empty: give it a class, or remove it"),
    ("tasks.parity.groups", {"all": list(range(10))}, "tasks.parity: groups: a task needs two groups or more"),
    ("tasks.waves.leave_out", [1], "tasks.waves: leave_out goes with groups"),
    # seeds
    ("seeds", [], "seeds: nothing is listed: give one or more"),
    ("seeds", [0, 1, 0], "seeds: 0 is listed twice: keep one"),
    ("experiments.waves.seeds", [], "experiments.waves.seeds: no seeds: list one or more, or remove the key"),
    ("experiments.waves.seeds", [2, 2], "experiments.waves.seeds: 2 is listed twice: keep one"),
    ("seeds", [-1], "seeds[0]: expected greater than or equal to 0, got -1"),
    # sizes
    ("experiments.waves.sgd.batch_size", 201, "experiments.waves.sgd.batch_size: 201 is more than the 200 training"),
    ("experiments.digits.sgd.batch_size", 1198, "experiments.digits.sgd.batch_size: 1198 is more than the 1197"),
    ("explainers.final.fit", {**SGD_FIT, "batch_size": 51}, "explainers.final.fit.batch_size: 51 is more than the 50 "),
    ("datasets.digits.train", 1200, "datasets.digits: train + test + fresh is more than the 1797 images there are"),
    ("datasets.digits.test", 9, "datasets.digits.test: expected greater than or equal to 10, got 9"),
    ("datasets.big", {"kind": "mnist", "fresh": 60000}, "datasets.big: train + fresh is more than the 60000 training"),
    ("datasets.big", {"kind": "cifar10", "train": 50000, "fresh": 1}, "train + fresh is more than the 50000 training"),
    ("datasets.pets", {**PETS, "classes": ["cat"]}, "datasets.pets: classes: expected 2 to 256 names of class folders"),
    ("datasets.pets", {**PETS, "classes": ["cat"] * 2}, "datasets.pets: classes: 'cat' is listed twice: keep one"),
    ("datasets.pets", {**PETS, "classes": [0, "1"]}, "pets.classes[0]: expected text (put it in quotes), got 0"),
    ("datasets.pets", {**PETS, "size": [32]}, "datasets.pets: size: expected [height, width], got [32]"),
    ("datasets.pets", {**PETS, "sha256": "12"}, "datasets.pets: sha256: expected 64 digits 0-9 and a-f, got '12'"),
    ("datasets.pets", {**PETS, "mode": "grey"}, "datasets.pets.mode: expected 'L' or 'RGB', got 'grey'"),
    (
        "datasets.big",
        {"kind": "theorem1", "dimension": 1_000_000},
        "datasets.big: train + test + fresh inputs take 39.1 GiB, more than 1: lower one, or dimension",
    ),
    (
        "experiments.digits.network",
        {"kind": "preact_resnet", "convolutions": 18},
        "experiments.digits.network: convolutions: 18 is more than the 17 there are: lower it",
    ),
    ("experiments.waves.sgd.steps", 7, "experiments.waves.sgd: how long to train is said by one of epochs and steps"),
    ("experiments.waves.sgd.epochs", ABSENT, "experiments.waves.sgd: how long to train is said by one of epochs and"),
    ("experiments.waves.pretraining", {"lr": 0.1, "steps": 9, "batch_size": 201}, "pretraining.batch_size: 201 is"),
    ("experiments.waves.pretraining", {"lr": 0.1}, "waves.pretraining: how long to train is said by one of epochs"),
    (
        "experiments.digits.network",
        {"kind": "vit", "hidden": 30},
        "experiments.digits.network: hidden: 30 can't be divided among 4 heads: make it a multiple",
    ),
    ("experiments.digits.network.pool_after", [2], "pool_after names convolution 2, but there are 1"),
    # names that name nothing
    ("tasks.waves.dataset", "wave", "tasks.waves.dataset: there is no dataset 'wave': did you mean 'waves'?"),
    ("experiments.waves.task", "wavs", "experiments.waves.task: there is no task 'wavs': did you mean 'waves'?"),
    ("experiments.waves.explainers", ["liner"], "no explainer or experiment 'liner': did you mean 'linear'?"),
    ("experiments.waves.explainers", ["linear"] * 2, "waves.explainers: 'linear' is listed twice: keep one"),
    ("figures.training.experiments", ["wave"], "figures.training.experiments: there is no experiment 'wave': did you"),
    ("tables.signs.experiments", ["mnist"], "tables.signs.experiments: there is no experiment 'mnist': expected"),
    ("figures.training.experiments", ["waves", "waves"], "figures.training.experiments: 'waves' is listed twice: keep"),
    ("figures.training.experiments", [], "figures.training.experiments: nothing is listed: give one or more"),
    (
        "figures.theorem",
        {"kind": "theorem1", "simulation": "theorem"},
        "figures.theorem.simulation: there is no simulation 'theorem': expected one of (none are defined)",
    ),
    ("figures.training.kind", "dynamic", "figures.training: kind 'dynamic' is not known: did you mean 'dynamics'?"),
    # figures and tables
    ("figures.plane.experiments", ["waves"], "plane.experiments: 'waves' is on data of kind sinusoid: expected ball"),
    ("figures.plane.seed", 0, "figures.plane.seed: 'disc' is not trained with seed 0: name one it has"),
    ("figures.plane.steps", [], "figures.plane.steps: nothing is listed: give one or more"),
    ("figures.plane.steps", [-1], "figures.plane.steps[0]: expected greater than or equal to 0, got -1"),
    ("figures.training.axis", "step", "figures.training.axis: expected 'epochs' or 'steps', got 'step'"),
    ("experiments.digits.nested", True, "digits.nested: one explainer has none before it: list several, or remove the"),
    *[
        (
            "experiments.waves.printed",
            {"source": "nowhere", ratios: {"liner": 0.8}},
            "experiments.waves.printed: there is no explainer of this experiment 'liner': did you mean 'linear'?",
        )
        for ratios in ("ratios", "null_ratios")
    ],
    ("experiments.waves.printed", {"t0": 3}, "experiments.waves.printed.source: this key is missing: add it"),
    ("tables.claims.simulations", ["theorem1"], "claims.simulations: there is no simulation 'theorem1': expected"),
    ("tables.claims.simulations", ["a", "a"], "tables.claims.simulations: 'a' is listed twice: keep one"),
    # explainers
    ("explainers.t0.reference", ABSENT, "explainers.t0: labels t0 and the key reference go together"),
    ("explainers.linear.reference", "t0", "explainers.linear: labels t0 and the key reference go together"),
    ("explainers.t0.reference", "final", "explainers.t0.reference: 'final' is not fitted to true labels: name"),
    ("explainers.t0.reference", "lines", "t0.reference: there is no explainer 'lines': did you mean 'linear'?"),
    ("explainers.spare", {"labels": "t0", "reference": "x"}, "explainers.spare.reference: there is no explainer 'x'"),
    ("experiments.waves.explainers", ["t0"], "experiments.waves.explainers: 't0' needs 'linear': add it"),
    ("experiments.digits.explainers", ["final"], "is fitted on fresh inputs, but datasets.digits keeps none: set its"),
    *[
        (
            "explainers.linear",
            {"labels": "final", "network": {"kind": "cnn"}, "fit": fit},
            f"explainers.linear: fit.solver {fit['solver']} fits no cnn: use sgd, which fits every network; with",
        )
        for fit in ({"solver": "logistic"}, TREE, NEIGHBOURS)
    ],
    ("explainers.final.fit", {**NEIGHBOURS, "neighbours": 51}, "explainers.final.fit.neighbours: 51 is more than the"),
    ("explainers.final.fit", {**TREE, "min_leaf": 51}, "explainers.final.fit.min_leaf: 51 is more than the 50 "),
    ("explainers.final.fit", {**LINEAR, "components": 51}, "explainers.final.fit.components: 51 is more than the 50"),
    ("explainers.final.fit", {**LINEAR, "components": 0}, "final.fit.components: expected greater than or equal to 1"),
    ("explainers.final.fit", {**LINEAR, "degree": 3}, "explainers.final.fit.degree: expected 1 or 2, got 3"),
    (
        "explainers.final.fit",
        {**LINEAR, "components": 62, "degree": 2},
        "explainers.final.fit: degree: 2 makes 2015 terms of 62 features, more than 2000: set components to a lower",
    ),
    ("explainers.final.fit", {"solver": "tree"}, "explainers.final.fit.max_depth: this key is missing: add it"),
    ("explainers.final.fit", {"solver": "forest"}, "solver 'forest' is not known: expected one of logistic, nearest_"),
    # co-trained explainers
    ("experiments.waves.explainers", ["waves"], "waves.explainers: an experiment can't explain itself: remove 'waves'"),
    ("experiments.waves.explainers", ["digits"], "'digits' is trained on another task, parity: an explainer's test"),
    *[
        (
            "experiments.twin",
            {**WAVES, "explainers": ["waves"], **changes},
            f"experiments.twin.explainers: 'waves' {words}",
        )
        for changes, words in [
            ({"sgd": {"lr": 0.2, "epochs": 3, "batch_size": 20}}, "has another sgd.epochs, 2: a co-trained explainer"),
            ({"sgd": {"lr": 0.2, "epochs": 2, "batch_size": 10}}, "has another sgd.batch_size, 20: a co-trained"),
            ({"sgd": {"lr": 0.2, "steps": 2, "batch_size": 20}}, "has another sgd.epochs, 2: a co-trained explainer"),
            ({"checkpoints": {"early": 3}}, "has other checkpoints: give both the same"),
            ({"seeds": [0, 8]}, "is not trained with seed 8: add it to its seeds"),
        ]
    ],
    ("experiments.linear", EXPERIMENT, "explainers.linear: an experiment has this name too: rename one of them"),
    # figures of classes
    (
        "figures.ten",
        {"kind": "classes", "experiments": ["waves"], "explainers": {"digits": "linear"}},
        "figures.ten.explainers: there is no experiment of this figure 'digits': expected one of waves",
    ),
    (
        "figures.ten",
        {"kind": "classes", "experiments": ["waves"], "explainers": {"waves": "lines"}},
        "figures.ten: there is no explainer of waves 'lines': ",
    ),
    (
        "figures.ten",
        {"kind": "class_panels", "experiment": "waves", "explainer": "lines"},
        "figures.ten: there is no explainer of waves 'lines': ",
    ),
    # names that cannot be
    *[(f"experiments.{name}", EXPERIMENT, f"can't be called '{name}', results/{name} is") for name in study.RESERVED],
    ("experiments.my digits", EXPERIMENT, "experiments.my digits: 'my digits' can't be a name: use letters, digits"),
    ("figures.a/b", {"kind": "information_accuracy"}, "figures.a/b: 'a/b' can't be a name"),
    ("explainers.2nd", {"labels": "final"}, "explainers.2nd: '2nd' can't be a name"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "message"), BAD_STUDIES)
def test_a_mistake_in_the_config_gives_one_line(key, value, message):
    with pytest.raises(StudyError) as error:
        study.load(changed(key, value), "study.yaml")
    assert message in str(error.value)
    assert str(error.value).startswith("study.yaml: ") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "disc", "explainers": ["linear"]}, "the task of 'other' is 'disc', that of 'waves' 'waves': show "),
        ({"explainers": ["final"]}, "the first explainer of 'other' is 'final', that of 'waves' 'linear': show"),
        ({"network": {"kind": "mlp", "widths": [9]}}, "'other' has another network of kind mlp: show one of a kind"),
        ({"title": "again"}, "'waves' and 'other' have the same network and initialisation: keep one"),
        ({"init_scale": 1.0}, "'waves' and 'other' have the same network and initialisation: keep one"),
        ({"init": "he_uniform"}, None),
        ({"init_scale": 0.1}, None),
        ({"network": {"kind": "linear"}}, None),
    ],
)
def test_a_figure_of_initialisations_compares_what_differs_in_them_alone(changes, message):
    config = yaml.safe_load(STUDY)
    config["experiments"]["other"] = {**config["experiments"]["waves"], **changes}
    config["figures"]["starts"]["experiments"].append("other")
    if message is None:
        study.load(config, "study.yaml")
        return
    with pytest.raises(StudyError) as error:
        study.load(config, "study.yaml")
    assert str(error.value).startswith(f"study.yaml: figures.starts.experiments: {message}")
    assert "\n" not in str(error.value)


def test_the_study_that_these_mistakes_are_made_in_is_sound():
    loaded = study.load(yaml.safe_load(STUDY))
    assert loaded.explainers["linear"].labels == "true"  # which YAML reads as a boolean


CASES_FOR_SNAKEMAKE = [
    ("seeds: [0]", "sedes: [0]", "study.yaml: unknown key 'sedes': did you mean 'seeds'?"),
    (
        "lr: 0.1",
        "lr: 1e-3",
        "study.yaml: experiments.waves.sgd.lr: expected a number, got the text '1e-3': write 0.001",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), CASES_FOR_SNAKEMAKE)
def test_snakemake_shows_a_mistake_in_the_config_as_one_line(tmp_path, old, new, message):
    config = yaml.safe_load(STUDY)
    config["experiments"].pop("digits")
    text = yaml.safe_dump(config | {"seeds": [0]}, default_flow_style=None, sort_keys=False)
    assert old in text
    (tmp_path / "study.yaml").write_text(text.replace(old, new, 1))
    done = snakemake(tmp_path, configfiles=["study.yaml"])
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert done.returncode == 1
    assert len(lines) == 1 and lines[0].startswith(f"error: {message}")
    assert not (tmp_path / "results").exists()


BAD_FILES = {
    "missing": None,
    "not YAML": b"seeds: [0\nb: {",
    "empty": b"",
    "a list": b"- 1\n",
    "binary": b"\x85\x00\xff",
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_config_file_that_is_none_is_named(kind, tmp_path, monkeypatch):
    path = tmp_path / "study.yaml"
    if kind != "missing":
        path.write_bytes(BAD_FILES[kind])
    monkeypatch.setattr(sys, "argv", ["config", "train", "experiment=waves", "seed=0", "--configfile", str(path)])
    with pytest.raises(SystemExit) as stop:
        config_command.main()
    expected = "give the path of a config file" if kind == "missing" else "expected YAML such as config.yaml"
    assert_one_line(stop.value.code, str(path), expected)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("missing", "No such file or directory: 'study.yaml'"), ("not YAML", "Config file is not valid JSON or YAML")],
)
def test_snakemake_stops_at_a_config_file_that_is_none(kind, message, tmp_path):
    """Snakemake reads the files of --configfile before any of ours: the words are its own."""
    if kind != "missing":
        (tmp_path / "study.yaml").write_bytes(BAD_FILES[kind])
    done = snakemake(tmp_path, configfiles=["study.yaml"])
    assert done.returncode == 1 and message in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian", "experiment=waves", "seed=0"], "there is no stage 'trian': did you mean 'train'?"),
        (["train", "experiment=wave", "seed=0"], "train: nothing in the config is called 'wave'"),
        (["train", "waves"], "train: which job? give name=value pairs"),
        (["train", "experiment=waves"], "train: which job? give name=value pairs"),
    ],
)
def test_the_config_command_says_which_argument_is_wrong(arguments, message, tmp_path, monkeypatch):
    (tmp_path / "study.yaml").write_text(STUDY)
    monkeypatch.setattr(sys, "argv", ["config", *arguments, "--configfile", str(tmp_path / "study.yaml")])
    with pytest.raises(SystemExit) as stop:
        config_command.main()
    assert_one_line(stop.value.code, message)


# Stages


def call(stage: str, cfg, **arguments) -> str | None:
    """Run a stage as a command, in this process; what it exits with: None, or the line that it prints."""
    argv = [stage, "--cfg", cfg if isinstance(cfg, str) else json.dumps(cfg)]
    for name, value in arguments.items():
        argv += [f"--{name}".replace("_", "-"), *map(str, value if isinstance(value, list) else [value])]
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", argv)
        patch.setattr(fingerprints, "check_loaded", lambda stage, cfg: None)  # this process has loaded every stage
        try:
            runpy.run_path(str(ROOT / "workflow_scripts" / f"{stage}.py"), run_name="__main__")
        except SystemExit as stop:
            return stop.code
        finally:
            signal.signal(signal.SIGTERM, on_sigterm)


def assert_one_line(said: str | None, *words: str) -> None:
    """A text given to sys.exit is printed to stderr, and the exit code is 1."""
    assert isinstance(said, str), said
    assert said.startswith("error: ") and "\n" not in said and len(said) < 500, said
    for word in words:
        assert word in said


def assert_nothing_in(folder: Path) -> None:
    assert not [path for path in folder.rglob("*") if not path.is_dir()]
    assert not list(folder.rglob(".*")), "a scratch folder is left"


def cfg_of(stage: str, **wildcards) -> dict:
    return copy.deepcopy(jobs.settings(study.load(yaml.safe_load(STUDY)), stage, **wildcards))


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with every file of the experiment `waves`, seeds 0 and 1."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("waves", "digits", "disc"):
        assert call("prepare_data", cfg_of("prepare_data", dataset=name), data=folder / f"{name}.npz") is None
    for job in JOBS:
        stage, cfg, inputs, outputs = arguments_of(job, folder, folder)
        assert call(stage, cfg, **on_the_command_line(stage, inputs), **outputs) is None
    return folder


#: job -> stage, wildcards, inputs, outputs
JOBS = {
    f"{job} {seed}": (stage, {"seed": str(seed), **wildcards}, inputs, outputs)
    for seed in (0, 1)
    for job, (stage, wildcards, inputs, outputs) in {
        "train": ("train", {}, {"data": "waves.npz"}, {"trajectory": "t{}.npz", "weights": "w{}.safetensors"}),
        "extract_final": (
            "extract_final",
            {},
            {"data": "waves.npz", "trajectory": "t{}.npz", "weights": "w{}.safetensors"},
            {"final_weights": "f{}.safetensors", "final_labels": "f{}.npz"},
        ),
        "linear": ("distill", {"explainer": "linear"}, {"data": "waves.npz"}, {"explainer": "linear{}.npz"}),
        "final": (
            "distill",
            {"explainer": "final"},
            {"data": "waves.npz", "final_labels": "f{}.npz"},
            {"explainer": "final{}.npz"},
        ),
        "t0": (
            "distill",
            {"explainer": "t0"},
            {"data": "waves.npz", "trajectory": "t{}.npz", "reference": "linear{}.npz"},
            {"explainer": "t0{}.npz"},
        ),
        "measure": (
            "measure",
            {},
            {"data": "waves.npz", "trajectory": "t{}.npz", "explainers": ["linear{}.npz", "final{}.npz", "t0{}.npz"]},
            {"measures": "m{}.csv", "classes": "k{}.csv"},
        ),
    }.items()
} | {
    "null_models": (
        "null_models",
        {},
        {
            "data": "waves.npz",
            "trajectories": ["t0.npz", "t1.npz"],
            "explainers": [f"{name}{seed}.npz" for seed in (0, 1) for name in ("linear", "final", "t0")],
        },
        {"nulls": "nulls.csv"},
    ),
    "summarize": (
        "summarize",
        {},
        {
            "data": "waves.npz",
            "measures": ["m0.csv", "m1.csv"],
            "class_measures": ["k0.csv", "k1.csv"],
            "trajectories": ["t0.npz", "t1.npz"],
            "explainers": [f"{name}{seed}.npz" for seed in (0, 1) for name in ("linear", "final", "t0")],
        },
        {"summary": "s.csv", "phases": "p.csv", "classes": "k.csv", "order": "l.csv"},
    ),
    "plot": (
        "plot",
        {"figure": "training"},
        {"summaries": ["s.csv"], "phases": ["p.csv"]},
        {name: f"figure.{name}" for name in ("pdf", "png", "svg")} | {"points": "points.csv"},
    ),
    "starts": (
        "plot",
        {"figure": "starts"},
        {"summaries": ["s.csv"], "phases": ["p.csv"]},
        {name: f"starts.{name}" for name in ("pdf", "png", "svg")} | {"points": "starts.csv"},
    ),
    "parts": (
        "plot",
        {"figure": "parts"},
        {"summaries": ["s.csv"], "phases": ["p.csv"], "classes": ["k.csv"]},
        {name: f"parts.{name}" for name in ("pdf", "png", "svg")} | {"points": "parts.csv"},
    ),
    "class_order": (
        "plot",
        {"figure": "class_order"},
        {"orders": ["l.csv"]},
        {name: f"class_order.{name}" for name in ("pdf", "png", "svg")} | {"points": "class_order.csv"},
    ),
    "totals": ("tabulate", {"table": "totals"}, {"summaries": ["s.csv"]}, {"csv": "u.csv", "html": "u.html"}),
    "ratios": ("tabulate", {"table": "ratios"}, {"nulls": ["nulls.csv"]}, {"csv": "r.csv", "html": "r.html"}),
    "signs": ("tabulate", {"table": "signs"}, {"phases": ["p.csv"]}, {"csv": "g.csv", "html": "g.html"}),
    "claims": (
        "tabulate",
        {"table": "claims"},
        {"nulls": ["nulls.csv"], "phases": ["p.csv"], "simulations": []},
        {"csv": "c.csv", "html": "c.html"},
    ),
    "order_examples": (
        "order_examples",
        {},
        {"data": "waves.npz", "trajectories": ["t0.npz", "t1.npz"]},
        {"examples": "e.csv"},
    ),
    "agreement": (
        "plot",
        {"figure": "order"},
        {"data": ["waves.npz"], "examples": ["e.csv"]},
        {name: f"order.{name}" for name in ("pdf", "png", "svg")} | {"points": "order.csv"},
    ),
    "agreement, table": (
        "tabulate",
        {"table": "order"},
        {"examples": ["e.csv"]},
        {"csv": "o.csv", "html": "o.html"},
    ),
    "train disc": (
        "train",
        {"experiment": "disc", "seed": "3"},
        {"data": "disc.npz"},
        {"trajectory": "disc_t.npz", "weights": "disc_w.safetensors"},
    ),
    "linear disc": (
        "distill",
        {"task": "disc", "explainer": "linear"},
        {"data": "disc.npz"},
        {"explainer": "disc_linear.npz"},
    ),
    "boundaries": (
        "plot",
        {"figure": "plane"},
        {"data": ["disc.npz"], "trajectories": ["disc_t.npz"], "explainers": ["disc_linear.npz"]},
        {name: f"plane.{name}" for name in ("pdf", "png", "svg")} | {"points": "plane.csv"},
    ),
}


def arguments_of(job: str, folder: Path, out: Path) -> tuple[str, dict, dict, dict]:
    """Stage, config, inputs in one folder and outputs in another."""
    stage, wildcards, inputs, outputs = JOBS[job]
    seed = wildcards.get("seed", "")
    if stage in ("plot", "tabulate") or "task" in wildcards:
        owner = {}
    elif wildcards.get("explainer") == "linear":
        owner, wildcards = {"task": "waves"}, {"explainer": "linear"}
    else:
        owner = {"experiment": "waves"}

    def under(base, name):
        return [base / each.format(seed) for each in name] if isinstance(name, list) else base / name.format(seed)

    return (
        stage,
        cfg_of(stage, **owner | wildcards),
        {key: under(folder, name) for key, name in inputs.items()},
        {key: under(out, name) for key, name in outputs.items()},
    )


def on_the_command_line(stage: str, inputs: dict) -> dict:
    """The inputs of a job as its stage takes them: figures and tables take one list."""
    if stage not in ("plot", "tabulate"):
        return inputs
    return {"inputs": [path for name in sorted(inputs) for path in inputs[name]]}


def fails(job: str, made: Path, tmp_path: Path, *words: str, cfg: dict | None = None, **inputs) -> None:
    """The job fails with one line that has the words, and leaves nothing."""
    stage, its_cfg, its_inputs, outputs = arguments_of(job, made, tmp_path / "out")
    given = on_the_command_line(stage, its_inputs | inputs)
    assert_one_line(call(stage, its_cfg if cfg is None else cfg, **given, **outputs), *words)
    assert_nothing_in(tmp_path / "out")


def truncated(path: Path, array: str) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def emptied(path: Path, array: str) -> None:
    path.write_bytes(b"")


def flipped(path: Path, array: str) -> None:
    """One byte in the middle of an array that the stage reads."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{array}.npy")
    content = bytearray(path.read_bytes())
    content[entry.header_offset + 30 + len(entry.filename) + 20 + entry.compress_size // 2] ^= 0xFF
    path.write_bytes(content)


def lacking(path: Path, array: str) -> None:
    with np.load(path) as archive:
        np.savez(path, **{name: archive[name] for name in archive.files if name != array})


def pickled(path: Path, array: str) -> None:
    with np.load(path) as archive:
        np.savez(path, **{**archive, array: np.array([{}], dtype=object)})


def a_plain_array(path: Path, array: str) -> None:
    with path.open("wb") as file:
        np.save(file, np.arange(3))


def missing(path: Path, array: str) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [truncated, emptied, flipped, lacking, pickled, a_plain_array, missing])
@pytest.mark.parametrize(
    ("job", "argument", "array"),
    [
        ("train 0", "data", "train_inputs"),
        ("linear 0", "data", "test_labels"),
        ("final 0", "final_labels", "fresh_labels"),
        ("t0 0", "trajectory", "test_predictions"),
        ("t0 0", "reference", "test_predictions"),
        ("extract_final 0", "trajectory", "weights_sha256"),
        ("measure 0", "data", "train_labels"),
        ("measure 0", "trajectory", "train_predictions"),
        ("measure 0", "explainers", "test_predictions"),
        ("null_models", "trajectories", "epochs"),
        ("order_examples", "trajectories", "epochs"),
        ("order_examples", "data", "test_labels"),
        ("agreement", "data", "test_inputs"),
        ("boundaries", "data", "grid_inputs"),
        ("boundaries", "trajectories", "grid_predictions"),
        ("boundaries", "explainers", "grid_predictions"),
    ],
)
def test_a_damaged_array_file_is_named_with_what_to_do(job, argument, array, damage, made, tmp_path):
    given = arguments_of(job, made, tmp_path)[2][argument]
    paths = given if isinstance(given, list) else [given]
    bad = tmp_path / "bad.npz"
    bad.write_bytes(paths[-1].read_bytes())
    damage(bad, array)
    remedy = "run the stage that makes it" if damage in (missing, lacking) else "delete it and run its stage again"
    fails(job, made, tmp_path, str(bad), remedy, **{argument: [*paths[:-1], bad] if given is paths else bad})


def test_no_flipped_byte_of_an_array_file_passes_for_data(tmp_path):
    arrays = {"x": np.arange(40, dtype=np.uint8) % 3, "names": np.array(["a", "b"])}
    path = tmp_path / "a.npz"
    npz.save(path, **arrays)
    sound, refused = path.read_bytes(), 0
    for position in range(len(sound)):
        damaged = bytearray(sound)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            found = npz.load(path, *arrays)
        except StudyError:
            refused += 1
        else:  # a date or an attribute
            assert all(np.array_equal(found[name], arrays[name]) for name in arrays), position
    assert refused > len(sound) / 3


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: content[:-1] + bytes([content[-1] ^ 1]), lambda _: b"{}"]
)
def test_damaged_weights_are_refused(damage, made, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(damage((made / "w0.safetensors").read_bytes()))
    fails("extract_final 0", made, tmp_path, str(bad), "damaged", "delete it and run its stage again", weights=bad)


def test_weights_that_other_training_left_are_refused(made, tmp_path):
    other = made / "w1.safetensors"
    fails(
        "extract_final 0", made, tmp_path, f"{other}: these weights don't end", "train this seed again", weights=other
    )


def test_weights_of_another_network_are_refused(made, tmp_path):
    cfg = cfg_of("extract_final", experiment="waves", seed="0") | {"network": {"kind": "mlp", "widths": [9]}}
    fails("extract_final 0", made, tmp_path, "w0.safetensors", "not of the configured network: train again", cfg=cfg)


@pytest.mark.parametrize(
    ("job", "argument", "array"),
    [
        ("measure 0", "trajectory", "test_predictions"),
        ("measure 0", "trajectory", "train_predictions"),
        ("measure 0", "explainers", "test_predictions"),
        ("null_models", "trajectories", "test_predictions"),
        ("null_models", "explainers", "test_predictions"),
        ("order_examples", "trajectories", "test_predictions"),
        ("t0 0", "trajectory", "train_predictions"),
        ("t0 0", "reference", "test_predictions"),
        ("final 0", "final_labels", "fresh_labels"),
    ],
)
@pytest.mark.parametrize("change", [lambda values: values[..., 1:], lambda values: values + 1], ids=["size", "groups"])
def test_predictions_on_other_data_or_of_another_task_are_refused(job, argument, array, change, made, tmp_path):
    given = arguments_of(job, made, tmp_path)[2][argument]
    paths = given if isinstance(given, list) else [given]
    other = tmp_path / "other.npz"
    with np.load(paths[-1]) as archive:
        np.savez(other, **{**archive, array: change(archive[array])})
    words = (f"{other}: {array} is", "from other data, or for another task", "delete it and run its stage again")
    fails(job, made, tmp_path, *words, **{argument: [*paths[:-1], other] if given is paths else other})


@pytest.mark.parametrize(
    ("job", "argument"),
    [
        ("measure 0", "explainers"),
        ("null_models", "trajectories"),
        ("null_models", "explainers"),
        ("summarize", "measures"),
        ("summarize", "class_measures"),
        ("parts", "classes"),
        ("class_order", "orders"),
        ("totals", "summaries"),
        ("order_examples", "trajectories"),
        ("plot", "summaries"),
        ("starts", "phases"),
        ("ratios", "nulls"),
        ("claims", "phases"),
        ("agreement", "data"),
        ("agreement", "examples"),
        ("agreement, table", "examples"),
        ("boundaries", "data"),
        ("boundaries", "trajectories"),
        ("boundaries", "explainers"),
    ],
)
def test_a_file_too_many_is_counted(job, argument, made, tmp_path):
    stage, _, inputs, _ = arguments_of(job, made, tmp_path)
    given = inputs[argument]
    for flag, paths in on_the_command_line(stage, {argument: given}).items():
        n = sum(map(len, inputs.values())) if flag == "inputs" else len(paths)
        words = (f"--{flag.replace('_', '-')}: the config lists {n}, but {n + 1} files were given", "give one for each")
    fails(job, made, tmp_path, *words, **{argument: [*given, given[0]]})


def test_files_that_are_left_out_are_counted(made, tmp_path):
    for job, argument in (
        ("plot", "summaries"),
        ("boundaries", "trajectories"),
        ("ratios", "nulls"),
        ("claims", "phases"),
        ("agreement", "examples"),
        ("agreement, table", "examples"),
    ):
        stage, cfg, inputs, outputs = arguments_of(job, made, tmp_path / "out")
        n = sum(map(len, inputs.values()))
        given = on_the_command_line(stage, {name: paths for name, paths in inputs.items() if name != argument})
        said = call(stage, cfg, **given, **outputs)
        assert_one_line(said, f"--inputs: the config lists {n}, but {n - 1} files were given")
        assert_nothing_in(tmp_path / "out")


CSV_DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "binary": lambda path: path.write_bytes(b"\x85\xff\n"),
    "without a column": lambda path: pd.read_csv(path).iloc[:, 1:].to_csv(path, index=False),
    "words for numbers": lambda path: pd.read_csv(path).assign(explainer="x", seeds="many").to_csv(path, index=False),
}


@pytest.mark.parametrize("damage", CSV_DAMAGES)
@pytest.mark.parametrize(
    ("job", "argument"),
    [
        ("summarize", "measures"),
        ("summarize", "class_measures"),
        ("parts", "classes"),
        ("class_order", "orders"),
        ("totals", "summaries"),
        ("plot", "summaries"),
        ("plot", "phases"),
        ("starts", "summaries"),
        ("starts", "phases"),
        ("ratios", "nulls"),
        ("signs", "phases"),
        ("claims", "nulls"),
        ("claims", "phases"),
        ("agreement", "examples"),
    ],
)
def test_a_damaged_table_is_named_with_what_to_do(job, argument, damage, made, tmp_path):
    given = arguments_of(job, made, tmp_path)[2][argument]
    bad = tmp_path / "bad.csv"
    bad.write_bytes(given[-1].read_bytes())
    CSV_DAMAGES[damage](bad)
    remedy = "run the stage that makes it first" if damage == "missing" else "delete it and run its stage again"
    fails(job, made, tmp_path, str(bad), remedy, **{argument: [*given[:-1], bad]})


def test_phases_made_before_there_was_a_warm_up_are_made_again(made, tmp_path):
    old = tmp_path / "old.csv"
    pd.read_csv(made / "p.csv").query("phase != 'warm_up'").to_csv(old, index=False)
    fails("starts", made, tmp_path, f"{old}: ", "it has no phase 'warm_up'", "run its stage again", phases=[old])


def test_a_sound_table_is_read_back_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"explainer": "null", "x": rng.standard_normal(9999) * 10.0 ** rng.integers(-99, 99, 9999)})
    table.loc[5, "x"] = np.nan
    dataframes.write(tmp_path / "t.csv", table)
    pd.testing.assert_frame_equal(dataframes.read(tmp_path / "t.csv", "x"), table, check_exact=True)


def test_measures_of_other_checkpoints_are_refused(made, tmp_path):
    other = tmp_path / "m1.csv"
    table = pd.read_csv(made / "m1.csv")
    table.assign(step=table["step"] + 1).to_csv(other, index=False)
    words = (f"{other}: its rows are not those of", "measure this seed again")
    fails("summarize", made, tmp_path, *words, measures=[made / "m0.csv", other])


def test_a_loss_that_is_no_number_names_the_learning_rate(made, tmp_path):
    cfg = cfg_of("train", experiment="waves", seed="0")
    cfg["sgd"]["lr"] = 1e10
    cfg["network"]["widths"] = [8, 8, 8]
    fails("train 0", made, tmp_path, "lr: the training loss is nan at step", "lower lr (10000000000.0)", cfg=cfg)


def other_arrays(original: Path, path: Path, **changes) -> Path:
    """A copy of an array file with other arrays of these names."""
    with np.load(original) as archive:
        np.savez(path, **{**archive, **changes})
    return path


def test_boundaries_of_data_that_are_no_plane_are_refused(made, tmp_path):
    words = (f"{made / 'waves.npz'}: ", "train_flipped")
    fails("boundaries", made, tmp_path, *words, data=[made / "waves.npz"])
    solid = other_arrays(made / "disc.npz", tmp_path / "solid.npz", grid_inputs=np.zeros((25, 3), np.float32))
    words = (f"{solid}: no grid of points in the plane", "show experiments on data of kind ball")
    fails("boundaries", made, tmp_path, *words, data=[solid])


@pytest.mark.parametrize(("argument", "name"), [("trajectories", "disc_t.npz"), ("explainers", "disc_linear.npz")])
@pytest.mark.parametrize("array", ["grid_predictions", "test_predictions"])
def test_boundaries_from_other_data_are_refused(argument, name, array, made, tmp_path):
    with np.load(made / name) as archive:
        fewer = archive[array][..., 1:]
    other = other_arrays(made / name, tmp_path / name, **{array: fewer})
    words = (f"{other}: {array} is", "made from other data", "delete it and run its stage again")
    fails("boundaries", made, tmp_path, *words, **{argument: [other]})


def test_data_with_a_group_that_no_example_is_in_are_refused(made, tmp_path):
    only_zero = tmp_path / "zero.npz"
    with np.load(made / "waves.npz") as archive:
        np.savez(only_zero, **{**archive, "train_labels": np.zeros_like(archive["train_labels"])})
    words = (f"{only_zero}: the train part has no example of group 1", "take more train examples")
    fails("train 0", made, tmp_path, *words, data=only_zero)


def test_a_batch_larger_than_what_a_label_map_leaves_is_refused(made, tmp_path):
    cfg = cfg_of("train", experiment="digits", seed="0")
    cfg["task"] = {"dataset": "digits", "groups": {"0": [0], "1": [1]}, "leave_out": list(range(2, 10))}
    cfg["sgd"]["batch_size"] = 1000
    words = ("batch_size: 1000 is more than the", "training examples: lower it")
    fails("train 0", made, tmp_path, *words, cfg=cfg, data=made / "digits.npz")


def test_a_label_map_of_other_data_is_refused(made, tmp_path):
    cfg = cfg_of("train", experiment="digits", seed="0")
    words = ("task groups: class 2 is not in 'digits', whose classes are 0 to 1", "remove it")
    fails("train 0", made, tmp_path, *words, cfg=cfg)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none_is_refused(made, tmp_path):
    cfg = cfg_of("train", experiment="waves", seed="0") | {"device": "cuda"}
    fails("train 0", made, tmp_path, "device: cuda was asked for", "use auto or cpu", cfg=cfg)


@pytest.mark.parametrize(
    ("data", "channels", "words"),
    [
        ("waves.npz", [4], ("expected images", "got inputs [5]", "use mlp")),
        ("digits.npz", [4, 4, 4, 4], ("nothing is left of 8x8 images after convolution 3", "use fewer channels")),
    ],
)
def test_a_cnn_that_does_not_fit_its_inputs_is_refused(data, channels, words, made, tmp_path):
    cfg = cfg_of("train", experiment="waves", seed="0")
    cfg["task"] = cfg_of("train", experiment=data.removesuffix(".npz"), seed="0")["task"]
    cfg["network"] = {"kind": "cnn", "channels": channels, "pool_after": [1]}
    fails("train 0", made, tmp_path, "network cnn", *words, cfg=cfg, data=made / data)


def test_logistic_regression_that_does_not_converge_is_refused(made, tmp_path):
    cfg = cfg_of("distill", explainer="linear", task="waves")
    cfg["settings"]["fit"]["max_iterations"] = 1
    words = ("fit.max_iterations: logistic regression did not converge in 1 iterations", "raise it", "lower fit.C")
    fails("linear 0", made, tmp_path, *words, cfg=cfg)


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (
            {**LINEAR, "components": 6},
            "fit.components: 6 is more than the 5 that 200 inputs of 5 features have",
        ),
        (
            {**NEIGHBOURS, "neighbours": 201},
            "fit.neighbours: 201 is more than the 200 inputs that it is fitted on",
        ),
    ],
)
def test_an_explainer_that_the_data_are_too_few_for_is_refused(fit, words, made, tmp_path):
    cfg = cfg_of("distill", explainer="linear", task="waves")
    cfg["settings"]["fit"] = fit
    fails("linear 0", made, tmp_path, words, cfg=cfg)


@pytest.mark.parametrize(
    ("job", "argument"), [("final 0", "final_labels"), ("t0 0", "trajectory"), ("t0 0", "reference")]
)
def test_an_explainer_without_the_labels_it_is_fitted_to_is_refused(job, argument, made, tmp_path):
    stage, cfg, inputs, outputs = arguments_of(job, made, tmp_path / "out")
    del inputs[argument]
    assert_one_line(call(stage, cfg, **inputs, **outputs), f"--{argument}".replace("_", "-"), "give it")
    assert_nothing_in(tmp_path / "out")


# The command line and the disk

SINUSOID = {"wildcards": {"dataset": "waves"}, "source": {"kind": "sinusoid", "train": 20, "test": 20}}


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        ("{bad", ("--cfg: not JSON", "python -m workflow_scripts.config")),
        ("nowhere.json", ("--cfg nowhere.json: No such file or directory", "give JSON or the path of a JSON file")),
        ("", ("--cfg", "give JSON or the path of a JSON file")),
        ("x" * 5000, ("File name too long", "give JSON or the path of a JSON file")),
        ({**SINUSOID, "sorce": 1}, ("--cfg: unknown key 'sorce': did you mean 'source'?",)),
        ({"wildcards": {"dataset": "waves"}}, ("--cfg: source: this key is missing: add it",)),
    ],
)
def test_settings_that_are_none_are_refused(cfg, words, tmp_path):
    assert_one_line(call("prepare_data", cfg, data=tmp_path / "out" / "d.npz"), *words)
    assert not (tmp_path / "out").exists()


def test_settings_from_a_file_that_is_not_text_are_refused(tmp_path):
    (tmp_path / "cfg.json").write_bytes(b"\x85\xff")
    assert_one_line(call("prepare_data", str(tmp_path / "cfg.json"), data=tmp_path / "d.npz"), "cfg.json: not text")


def test_a_job_planned_with_other_code_is_refused(tmp_path):
    said = call("prepare_data", SINUSOID, data=tmp_path / "out" / "d.npz", code="0123456789abcdef")
    assert_one_line(said, "prepare_data: the code", "has changed since this job was planned", "run snakemake again")
    assert not (tmp_path / "out").exists()


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").write_text("kept")
    said = call("prepare_data", SINUSOID, data=tmp_path / "file" / "d.npz")
    assert_one_line(said, str(tmp_path / "file"), "give another path")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_where_an_output_goes_is_named_before_any_work(tmp_path):
    (tmp_path / "d.npz").mkdir()
    said = call("prepare_data", SINUSOID, data=tmp_path / "d.npz")
    assert_one_line(said, f"{tmp_path / 'd.npz'}: a folder lies where", "remove it, or give another path")
    assert_nothing_in(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        (tmp_path / "probe").touch()
    except PermissionError:
        said = call("prepare_data", SINUSOID, data=tmp_path / "d.npz")
        assert_one_line(said, str(tmp_path), "Permission denied", "mend its permissions, or give another path")
    else:
        pytest.skip("this user can write everywhere")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("job", "owner", "function"),
    [
        ("train 0", np, "savez_compressed"),
        ("train 0", Path, "write_bytes"),
        ("measure 0", pd.DataFrame, "to_csv"),
        ("ratios", Path, "write_text"),
    ],
)
def test_a_full_disk_is_said_and_earlier_results_stay(job, owner, function, made, tmp_path, monkeypatch):
    stage, cfg, inputs, outputs = arguments_of(job, made, tmp_path / "out")
    (tmp_path / "out").mkdir()
    for path in outputs.values():
        path.write_bytes(b"earlier")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(owner, function, full)
    assert_one_line(
        call(stage, cfg, **on_the_command_line(stage, inputs), **outputs),
        "no space left",
        "free some, then run the same command again",
    )
    assert {path.read_bytes() for path in outputs.values()} == {b"earlier"}
    left = [path for path in (tmp_path / "out").iterdir() if not path.name.startswith(f"resume-{stage}-")]
    assert sorted(left) == sorted(outputs.values())


def test_a_stage_that_is_stopped_leaves_its_state_alone(made, tmp_path):
    stage, cfg, inputs, outputs = arguments_of("train 0", made, tmp_path / "out")
    cfg["sgd"]["epochs"] = 50_000
    command = [sys.executable, "-m", f"workflow_scripts.{stage}", "--cfg", json.dumps(cfg)]
    for name, path in (inputs | outputs).items():
        command += [f"--{name}".replace("_", "-"), path]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stderr if " steps in " in line)
        working = sorted(path.name[:8] for path in (tmp_path / "out").iterdir())
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
    assert line and working == [".t0.npz-", ".t0.npz."], "scratch and lock"
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM: no result was written" in said and "Traceback" not in said
    (state,) = (tmp_path / "out").iterdir()
    assert state.name.startswith("resume-train-")


# MNIST

SOURCE = {"wildcards": {"dataset": "mnist"}, "source": {"kind": "mnist", "train": 50, "test": 20, "fresh": 5}}


def idx(values: np.ndarray) -> bytes:
    """Bytes of an IDX file of uint8."""
    return bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape) + values.tobytes()


@pytest.fixture
def small_mnist(monkeypatch) -> dict[str, bytes]:
    """Files like MNIST's with a few random images, and the program told that these are MNIST."""
    rng = np.random.default_rng(0)
    content = {}
    for part, n in (("train", 60), ("t10k", 20)):
        content[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (n, 28, 28), np.uint8))
        content[f"{part}-labels-idx1-ubyte"] = idx(np.arange(n, dtype=np.uint8) % 10)
    hashes = {name: hashlib.sha256(content[name]).hexdigest() for name in mnist.FILES}
    monkeypatch.setattr(mnist, "FILES", hashes)
    return content


@pytest.fixture
def served(tmp_path):
    """A folder that a server on this machine serves, and its address."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mirror(served, small_mnist, monkeypatch) -> Path:
    """A mirror of these files on this machine: the folder that it serves."""
    folder, address = served
    resources = []
    for name, content in small_mnist.items():
        packed = gzip.compress(content, mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(MNIST, "mirrors", [address])
    monkeypatch.setattr(MNIST, "resources", resources)
    return folder


def prepare_mnist(root: Path, out: Path) -> str | None:
    return call("prepare_data", SOURCE, data_root=root, data=out / "mnist.npz")


def put(content: dict[str, bytes], root: Path) -> Path:
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def test_mnist_is_read_from_data_root(tmp_path, small_mnist):
    put(small_mnist, tmp_path / "root")
    assert prepare_mnist(tmp_path / "root", tmp_path) is None
    with np.load(tmp_path / "mnist.npz") as made:
        shapes = [made[f"{part}_inputs"].shape for part in PARTS]
        assert shapes == [(50, 1, 28, 28), (20, 1, 28, 28), (5, 1, 28, 28), (0, 1, 28, 28)]
        assert made["train_inputs"].dtype == np.uint8
        assert dict(line.split() for line in made["source_hashes"].tolist()) == mnist.FILES


def test_mnist_is_downloaded_where_it_is_absent(tmp_path, small_mnist, mirror):
    assert prepare_mnist(tmp_path / "root", tmp_path / "downloaded") is None
    put(small_mnist, tmp_path / "other")
    assert prepare_mnist(tmp_path / "other", tmp_path / "read") is None
    assert (tmp_path / "downloaded" / "mnist.npz").read_bytes() == (tmp_path / "read" / "mnist.npz").read_bytes()


def test_a_damaged_download_is_refused_and_the_next_run_recovers(tmp_path, mirror):
    packed = mirror / "train-images-idx3-ubyte.gz"
    sound = packed.read_bytes()
    packed.write_bytes(sound[:-100])
    said = prepare_mnist(tmp_path / "root", tmp_path / "out")
    assert_one_line(
        said, str(tmp_path / "root" / "MNIST" / "raw"), "can't be downloaded", "run once where the internet"
    )
    assert_nothing_in(tmp_path / "out")
    packed.write_bytes(sound)
    assert prepare_mnist(tmp_path / "root", tmp_path / "out") is None


def test_mnist_absent_and_out_of_reach_names_both_remedies(tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{unused.getsockname()[1]}/"])
        said = prepare_mnist(tmp_path / "root", tmp_path / "out")
    words = ("MNIST is not there and can't be downloaded", "train-images-idx3-ubyte", "set data_root", "internet")
    assert_one_line(said, str(tmp_path / "root" / "MNIST" / "raw"), *words)
    assert_nothing_in(tmp_path / "out")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda _: b""]
)
@pytest.mark.parametrize("name", mnist.FILES)
def test_a_damaged_mnist_file_is_named(name, damage, tmp_path, small_mnist):
    folder = put(small_mnist | {name: damage(small_mnist[name])}, tmp_path / "root")
    said = prepare_mnist(tmp_path / "root", tmp_path / "out")
    assert_one_line(said, f"{folder / name}: damaged or not MNIST", "delete it; the next run downloads it again")
    assert_nothing_in(tmp_path / "out")


def test_the_real_mnist_is_accepted_and_an_altered_label_is_noticed(shared_data, tmp_path):
    real = shared_data / "MNIST" / "raw"
    assert prepare_mnist(shared_data, tmp_path) is None
    folder = put({}, tmp_path / "root")
    altered = "t10k-labels-idx1-ubyte"
    for name in mnist.FILES:
        if name != altered:
            (folder / name).symlink_to(real / name)
    content = bytearray((real / altered).read_bytes())
    content[-1] ^= 1
    (folder / altered).write_bytes(content)
    said = prepare_mnist(tmp_path / "root", tmp_path / "out")
    assert_one_line(said, f"{folder / altered}: damaged or not MNIST", "delete it")
    assert_nothing_in(tmp_path / "out")


# CIFAR-10

CIFAR = SOURCE | {"source": SOURCE["source"] | {"kind": "cifar10"}}


@pytest.fixture
def small_cifar(tmp_path, monkeypatch) -> Path:
    """Files like CIFAR-10's with a few images below root, and torchvision told that these are CIFAR-10.

    The first pixel of an image has its label in red, and 100 more in green.
    """
    folder = tmp_path / "root" / CIFAR10.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def written(name: str, content: dict) -> str:
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(n: int) -> dict:
        images, labels = rng.integers(0, 256, (n, 3, 32, 32), np.uint8), np.arange(n) % 10
        images[:, 0, 0, 0], images[:, 1, 0, 0] = labels, labels + 100
        return {"data": images.reshape(n, -1), "labels": labels.tolist()}

    for attribute, n in (("train_list", 12), ("test_list", 20)):
        digests = [[name, written(name, batch(n))] for name, _ in getattr(CIFAR10, attribute)]
        monkeypatch.setattr(CIFAR10, attribute, digests)
    names = [*"abcdefghij"]
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": written("batches.meta", {"label_names": names})})
    return folder


@pytest.fixture
def cifar_archive(served, small_cifar, monkeypatch) -> Path:
    """The archive that torchvision downloads, on a mirror on this machine."""
    folder, address = served
    archive = folder / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(small_cifar, CIFAR10.base_folder)
    monkeypatch.setattr(CIFAR10, "url", address + CIFAR10.filename)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    return archive


def prepare_cifar(root: Path, out: Path) -> str | None:
    return call("prepare_data", CIFAR, data_root=root, data=out / "cifar.npz")


def test_cifar_is_read_from_data_root(tmp_path, small_cifar):
    assert prepare_cifar(tmp_path / "root", tmp_path) is None
    with np.load(tmp_path / "cifar.npz") as made:
        for part, n in (("train", 50), ("test", 20), ("fresh", 5)):
            images, labels = made[f"{part}_inputs"], made[f"{part}_labels"]
            assert images.shape == (n, 3, 32, 32) and images.dtype == np.uint8
            np.testing.assert_array_equal(images[:, :2, 0, 0], np.stack([labels, labels + 100], 1))
        together = np.concatenate([made["train_inputs"], made["fresh_inputs"]])
        assert len({image.tobytes() for image in together}) == 55
        assert made["class_names"].tolist() == [*"abcdefghij"]
        hashes = dict(line.split() for line in made["source_hashes"].tolist())
    assert len(hashes) == 7 and hashes["test_batch"] == hashing.sha256(small_cifar / "test_batch")


def test_cifar_is_downloaded_where_it_is_absent(tmp_path, cifar_archive):
    assert prepare_cifar(tmp_path / "elsewhere", tmp_path / "downloaded") is None
    assert prepare_cifar(tmp_path / "root", tmp_path / "read") is None
    assert (tmp_path / "downloaded" / "cifar.npz").read_bytes() == (tmp_path / "read" / "cifar.npz").read_bytes()


def test_a_damaged_download_of_cifar_is_refused_and_the_next_run_recovers(tmp_path, cifar_archive):
    sound = cifar_archive.read_bytes()
    cifar_archive.write_bytes(sound[:-100])
    said = prepare_cifar(tmp_path / "elsewhere", tmp_path / "out")
    assert_one_line(said, "CIFAR-10 is not there and can't be downloaded", "run once where the internet")
    assert_nothing_in(tmp_path / "out")
    cifar_archive.write_bytes(sound)
    assert prepare_cifar(tmp_path / "elsewhere", tmp_path / "out") is None


def test_cifar_absent_and_out_of_reach_names_both_remedies(tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{unused.getsockname()[1]}/{CIFAR10.filename}")
        said = prepare_cifar(tmp_path / "root", tmp_path / "out")
    words = ("CIFAR-10 is not there and can't be downloaded", "data_batch_1", "under cifar-10-batches-py", "internet")
    assert_one_line(said, str(tmp_path / "root" / "cifar-10-batches-py"), *words)
    assert_nothing_in(tmp_path / "out")


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_5", "test_batch", "batches.meta"])
def test_a_damaged_file_of_cifar_is_named_and_not_unpickled(name, tmp_path, small_cifar):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    (small_cifar / name).write_bytes(pickle.dumps(Trap()))
    said = prepare_cifar(tmp_path / "root", tmp_path / "out")
    assert_one_line(
        said, f"{small_cifar / name}: damaged or not CIFAR-10", "delete it; the next run downloads it again"
    )
    assert_nothing_in(tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


def test_an_audit_of_a_folder_without_results_says_what_to_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["audit", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        audit_command.main()
    assert stopped.value.code == audit_command.MISTAKE
    assert_one_line(capsys.readouterr().err.rstrip(), f"{tmp_path}: no results lie there", "name a figure")
