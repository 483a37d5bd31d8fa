"""Every input that a job can't use, and all that a command can't do, gives one clear line, a failure, and no output."""

import ast
import copy
import errno
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tests.refusals import assert_nothing_in, assert_refused, call, flag, laid_over, refused
from tests.test_config_mistakes import LINEAR, NEIGHBOURS, STUDY, changed
from tests.workflow import ROOT
from workflow_scripts.audit import __main__ as audit_command
from workflow_scripts.config import configfiles, jobs, study
from workflow_scripts.config.errors import (
    Changed,
    Damaged,
    DamagedResult,
    Foreign,
    Misconfigured,
    Missing,
    Misused,
    StudyError,
    Unfit,
    Wrong,
)
from workflow_scripts.data.datasets import sinusoid
from workflow_scripts.data.datasets.sinusoid import Sinusoid
from workflow_scripts.explainers import logistic
from workflow_scripts.files import dataframes, npz
from workflow_scripts.provenance import fingerprints


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


def plotted(figure: str, **inputs: list[str]) -> tuple:
    outputs = {name: f"{figure}.{name}" for name in ("pdf", "png", "svg")} | {"points": f"{figure}.csv"}
    return "plot", {"figure": figure}, inputs, outputs


def tabulated(table: str, **inputs: list[str]) -> tuple:
    return "tabulate", {"table": table}, inputs, {name: f"{table}_table.{name}" for name in ("csv", "html")}


WAVES_OF = {"data": "waves.npz"}
RUN = {"trajectory": "t{}.npz", "weights": "w{}.safetensors"}
RUNS = {"trajectories": ["t0.npz", "t1.npz"]}
ALL_EXPLAINERS = {"explainers": [f"{name}{seed}.npz" for seed in (0, 1) for name in ("linear", "final", "t0")]}
#: of each seed: job -> stage, wildcards, inputs, outputs
OF_A_SEED = {
    "train": ("train", {}, WAVES_OF, RUN),
    "extract_final": (
        "extract_final", {}, WAVES_OF | RUN, {"final_weights": "f{}.safetensors", "final_labels": "f{}.npz"},
    ),
    "linear": ("distill", {"explainer": "linear"}, WAVES_OF, {"explainer": "linear{}.npz"}),
    "final": (
        "distill", {"explainer": "final"}, WAVES_OF | {"final_labels": "f{}.npz"}, {"explainer": "final{}.npz"},
    ),
    "t0": (
        "distill",
        {"explainer": "t0"},
        WAVES_OF | {"trajectory": "t{}.npz", "reference": "linear{}.npz"},
        {"explainer": "t0{}.npz"},
    ),
    "measure": (
        "measure",
        {},
        WAVES_OF | {"trajectory": "t{}.npz", "explainers": ["linear{}.npz", "final{}.npz", "t0{}.npz"]},
        {"measures": "m{}.csv", "classes": "k{}.csv"},
    ),
}  # fmt: skip
#: job -> stage, wildcards, inputs, outputs
JOBS = {
    f"{job} {seed}": (stage, {"seed": str(seed), **wildcards}, inputs, outputs)
    for seed in (0, 1)
    for job, (stage, wildcards, inputs, outputs) in OF_A_SEED.items()
} | {
    "null_models": ("null_models", {}, WAVES_OF | RUNS | ALL_EXPLAINERS, {"nulls": "nulls.csv"}),
    "summarize": (
        "summarize",
        {},
        WAVES_OF | {"measures": ["m0.csv", "m1.csv"], "class_measures": ["k0.csv", "k1.csv"]} | RUNS | ALL_EXPLAINERS,
        {"summary": "s.csv", "phases": "p.csv", "classes": "k.csv", "order": "l.csv"},
    ),
    "order_examples": ("order_examples", {}, WAVES_OF | RUNS, {"examples": "e.csv"}),
    "plot": plotted("training", summaries=["s.csv"], phases=["p.csv"]),
    "starts": plotted("starts", summaries=["s.csv"], phases=["p.csv"]),
    "parts": plotted("parts", summaries=["s.csv"], phases=["p.csv"], classes=["k.csv"]),
    "class_order": plotted("class_order", orders=["l.csv"]),
    "agreement": plotted("order", data=["waves.npz"], examples=["e.csv"]),
    "totals": tabulated("totals", summaries=["s.csv"]),
    "ratios": tabulated("ratios", nulls=["nulls.csv"]),
    "signs": tabulated("signs", phases=["p.csv"]),
    "claims": tabulated("claims", nulls=["nulls.csv"], phases=["p.csv"], simulations=[]),
    "agreement, table": tabulated("order", examples=["e.csv"]),
    "train disc": (
        "train",
        {"experiment": "disc", "seed": "3"},
        {"data": "disc.npz"},
        {"trajectory": "disc_t.npz", "weights": "disc_w.safetensors"},
    ),
    "linear disc": (
        "distill", {"task": "disc", "explainer": "linear"}, {"data": "disc.npz"}, {"explainer": "disc_linear.npz"},
    ),
    "boundaries": plotted(
        "plane", data=["disc.npz"], trajectories=["disc_t.npz"], explainers=["disc_linear.npz"]
    ),
}  # fmt: skip


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


def fails(
    job: str, made: Path, tmp_path: Path, kind, where, holds: str = "", cfg: dict | None = None, **inputs
) -> None:
    """The job, with these keys of its config set and these inputs, is refused and leaves nothing."""
    stage, its_cfg, its_inputs, outputs = arguments_of(job, made, tmp_path / "out")
    given = on_the_command_line(stage, its_inputs | inputs)
    error = call(stage, laid_over(its_cfg, cfg or {}), **given, **outputs)
    assert_refused(error, kind, where, holds)
    assert_nothing_in(tmp_path / "out")


def instead_of_the_last(job: str, argument: str, made: Path, other: Path) -> tuple[dict, Path]:
    """The argument of a job with another file in place of the (last) one it is given, and the one it is given."""
    given = arguments_of(job, made, made)[2][argument]
    if isinstance(given, list):
        return {argument: [*given[:-1], other]}, given[-1]
    return {argument: other}, given


def altered(original: Path, path: Path, **changes) -> Path:
    """A copy of an array file in which these arrays are others: arrays, or what makes them from what is there."""
    with np.load(original) as archive:
        arrays = {name: change(archive[name]) if callable(change) else change for name, change in changes.items()}
        np.savez(path, **{**archive, **arrays})
    return path


def fewer(values: np.ndarray) -> np.ndarray:
    return values[..., 1:]


# Files that are damaged


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
    altered(path, path, **{array: np.array([{}], dtype=object)})


def a_plain_array(path: Path, array: str) -> None:
    with path.open("wb") as file:
        np.save(file, np.arange(3))


def missing(path: Path, array: str) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [truncated, emptied, flipped, lacking, pickled, a_plain_array, missing])
@pytest.mark.parametrize(
    ("job", "argument", "array"),
    [
        ("train 0", "data", "train_inputs"), ("linear 0", "data", "test_labels"),
        ("final 0", "final_labels", "fresh_labels"), ("t0 0", "trajectory", "test_predictions"),
        ("t0 0", "reference", "test_predictions"), ("extract_final 0", "trajectory", "weights_sha256"),
        ("measure 0", "data", "train_labels"), ("measure 0", "trajectory", "train_predictions"),
        ("measure 0", "explainers", "test_predictions"), ("null_models", "trajectories", "epochs"),
        ("order_examples", "trajectories", "epochs"), ("order_examples", "data", "test_labels"),
        ("agreement", "data", "test_inputs"), ("boundaries", "data", "grid_inputs"),
        ("boundaries", "trajectories", "grid_predictions"), ("boundaries", "explainers", "grid_predictions"),
    ],
)  # fmt: skip
def test_a_damaged_array_file_is_named(job, argument, array, damage, made, tmp_path):
    bad = tmp_path / "bad.npz"
    inputs, sound = instead_of_the_last(job, argument, made, bad)
    bad.write_bytes(sound.read_bytes())
    damage(bad, array)
    holds = f"'{array}'" if damage is lacking else ""
    fails(job, made, tmp_path, Missing if damage is missing else Damaged, bad, holds, **inputs)


def test_no_flipped_byte_of_an_array_file_passes_for_data(tmp_path):
    arrays = {"x": np.arange(40, dtype=np.uint8) % 3, "names": np.array(["a", "b"])}
    path = tmp_path / "a.npz"
    npz.save(path, **arrays)
    sound, refusals = path.read_bytes(), 0
    for position in range(len(sound)):
        damaged = bytearray(sound)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            found = npz.load(path, *arrays)
        except Damaged:
            refusals += 1
        else:  # a date or an attribute
            assert all(np.array_equal(found[name], arrays[name]) for name in arrays), position
    assert refusals > len(sound) / 3


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: content[:-1] + bytes([content[-1] ^ 1]), lambda _: b"{}"]
)
def test_damaged_weights_are_refused(damage, made, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(damage((made / "w0.safetensors").read_bytes()))
    fails("extract_final 0", made, tmp_path, Damaged, bad, weights=bad)


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
        ("summarize", "measures"), ("summarize", "class_measures"), ("parts", "classes"), ("class_order", "orders"),
        ("totals", "summaries"), ("plot", "summaries"), ("plot", "phases"), ("starts", "summaries"),
        ("starts", "phases"), ("ratios", "nulls"), ("signs", "phases"), ("claims", "nulls"), ("claims", "phases"),
        ("agreement", "examples"),
    ],
)  # fmt: skip
def test_a_damaged_table_is_named(job, argument, damage, made, tmp_path):
    bad = tmp_path / "bad.csv"
    inputs, sound = instead_of_the_last(job, argument, made, bad)
    bad.write_bytes(sound.read_bytes())
    CSV_DAMAGES[damage](bad)
    fails(job, made, tmp_path, Missing if damage == "missing" else Damaged, bad, **inputs)


def test_phases_made_before_there_was_a_warm_up_are_made_again(made, tmp_path):
    old = tmp_path / "old.csv"
    pd.read_csv(made / "p.csv").query("phase != 'warm_up'").to_csv(old, index=False)
    fails("starts", made, tmp_path, Damaged, old, "'warm_up'", phases=[old])


def test_a_sound_table_is_read_back_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"explainer": "null", "x": rng.standard_normal(9999) * 10.0 ** rng.integers(-99, 99, 9999)})
    table.loc[5, "x"] = np.nan
    dataframes.write(tmp_path / "t.csv", table)
    pd.testing.assert_frame_equal(dataframes.read(tmp_path / "t.csv", "x"), table, check_exact=True)


# Files that don't belong together


@pytest.mark.parametrize(
    ("job", "argument", "array"),
    [
        ("measure 0", "trajectory", "test_predictions"), ("measure 0", "trajectory", "train_predictions"),
        ("measure 0", "explainers", "test_predictions"), ("null_models", "trajectories", "test_predictions"),
        ("null_models", "explainers", "test_predictions"), ("order_examples", "trajectories", "test_predictions"),
        ("t0 0", "trajectory", "train_predictions"), ("t0 0", "reference", "test_predictions"),
        ("final 0", "final_labels", "fresh_labels"), ("boundaries", "trajectories", "grid_predictions"),
        ("boundaries", "trajectories", "test_predictions"), ("boundaries", "explainers", "grid_predictions"),
        ("boundaries", "explainers", "test_predictions"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("change", [fewer, lambda values: values + 1], ids=["size", "groups"])
def test_predictions_on_other_data_or_of_another_task_are_refused(job, argument, array, change, made, tmp_path):
    inputs, sound = instead_of_the_last(job, argument, made, tmp_path / "other.npz")
    altered(sound, tmp_path / "other.npz", **{array: change})
    fails(job, made, tmp_path, Foreign, tmp_path / "other.npz", array, **inputs)


def test_measures_of_other_checkpoints_are_refused(made, tmp_path):
    other = tmp_path / "m1.csv"
    table = pd.read_csv(made / "m1.csv")
    table.assign(step=table["step"] + 1).to_csv(other, index=False)
    fails("summarize", made, tmp_path, Foreign, other, f"{made / 't1.npz'}", measures=[made / "m0.csv", other])


def test_boundaries_of_data_that_are_no_plane_are_refused(made, tmp_path):
    waves = made / "waves.npz"
    fails("boundaries", made, tmp_path, Damaged, waves, "'train_flipped'", data=[waves])
    solid = altered(made / "disc.npz", tmp_path / "solid.npz", grid_inputs=np.zeros((25, 3), np.float32))
    fails("boundaries", made, tmp_path, Unfit, solid, "ball", data=[solid])


def test_data_with_a_group_that_no_example_is_in_are_refused(made, tmp_path):
    only_zero = altered(made / "waves.npz", tmp_path / "zero.npz", train_labels=np.zeros_like)
    fails("train 0", made, tmp_path, Unfit, only_zero, "train 1", data=only_zero)


WAVES = "data.datasets.sinusoid.make"
#: what the makers of a data set return in place of what is right: array -> what makes it of that
RETURNED = {
    "labels of no class": {"train_labels": lambda y: y + 1},
    "labels below 0": {"test_labels": lambda y: y - 1},
    "labels as floats": {"train_labels": lambda y: y / 1},
    "a label less": {"train_labels": lambda y: y[1:]},
    "inputs in double precision": {"train_inputs": lambda x: x.astype(float)},
    "inputs that are no numbers": {"test_inputs": lambda x: x * np.float32(np.nan)},
    "inputs of another shape": {"fresh_inputs": lambda x: x[:, 1:]},
    "no test part": {"test_inputs": lambda x: x[:0], "test_labels": lambda y: y[:0]},
    "a class more": {"class_names": lambda names: np.append(names, "0")},
    "names as bytes": {"class_names": lambda names: names.astype(bytes)},
    "nothing of a part": {"grid_inputs": None},
}


@pytest.mark.parametrize("case", RETURNED)
def test_what_a_kind_of_data_set_returns_is_checked(case, tmp_path, monkeypatch):
    arrays = sinusoid.make(Sinusoid(kind="sinusoid", train=20, test=20, fresh=5, dimension=5), None)
    for name, change in RETURNED[case].items():
        arrays[name] = change and change(arrays[name])
    arrays = {name: values for name, values in arrays.items() if values is not None}
    monkeypatch.setattr(sinusoid, "make", lambda settings, data_root: arrays)
    error = call("prepare_data", cfg_of("prepare_data", dataset="waves"), data=tmp_path / "out" / "d.npz")
    assert_refused(error, Unfit, WAVES, next(iter(RETURNED[case])).partition("_")[0] if case == "no test part" else "")
    assert_nothing_in(tmp_path / "out")


@pytest.mark.parametrize(
    "change",
    [
        {"test_predictions": lambda said: said + 2}, {"test_predictions": lambda said: said[1:]},
        {"test_predictions": lambda said: said / 1}, {"test_predictions": lambda said: said.astype(np.int64)},
        {"fit_predictions": lambda said: said[:, None]}, {"grid_predictions": lambda said: np.zeros(3, np.uint8)},
        {"test_predictions": None},
    ],
)  # fmt: skip
def test_what_a_kind_of_explainer_returns_is_checked(change, made, tmp_path, monkeypatch):
    fit = logistic.fit

    def other(settings, problem):
        fitted = fit(settings, problem)
        changed = {name: of and of(fitted[name]) for name, of in change.items()}
        return {name: values for name, values in (fitted | changed).items() if values is not None}

    monkeypatch.setattr(logistic, "fit", other)
    fails("linear 0", made, tmp_path, Unfit, "explainers.logistic.fit")


@pytest.mark.parametrize(
    ("job", "argument", "changes"),
    [
        ("final 0", "final_labels", {"step": lambda step: step / 2}),
        ("final 0", "final_labels", {"step": lambda step: np.array([step])}),
        ("extract_final 0", "trajectory", {name: lambda x: x[:0] for name in ("steps", "epochs")}),
        ("measure 0", "data", {"class_names": lambda names: np.arange(len(names))}),
        ("boundaries", "data", {"train_flipped": lambda flipped: flipped.astype(int)}),
        ("boundaries", "data", {"train_inputs": lambda x: x * np.float32(np.nan)}),
        ("boundaries", "data", {"train_labels": lambda y: y - 1}),
        ("boundaries", "trajectories", {"epochs": lambda epochs: epochs[::-1]}),
        ("train 0", "data", {"train_inputs": lambda x: x.astype(float)}),
    ],
)
def test_an_array_of_another_form_is_refused(job, argument, changes, made, tmp_path):
    inputs, sound = instead_of_the_last(job, argument, made, tmp_path / "other.npz")
    altered(sound, tmp_path / "other.npz", **changes)
    fails(job, made, tmp_path, (Damaged, Foreign), tmp_path / "other.npz", **inputs)


@pytest.mark.parametrize(
    ("job", "argument", "column", "value"),
    [
        ("plot", "phases", "explainer", "linear"), ("parts", "classes", "explainer", "linear"),
        ("claims", "phases", "explainer", "linear"), ("starts", "phases", "explainer", "linear"),
    ],
)  # fmt: skip
def test_tables_of_other_explainers_than_the_table_beside_them_are_refused(
    job, argument, column, value, made, tmp_path
):
    inputs, sound = instead_of_the_last(job, argument, made, tmp_path / "other.csv")
    table = pd.read_csv(sound, dtype={"class": str})
    table.assign(**{column: table[column].replace(value, f"{value}2")}).to_csv(tmp_path / "other.csv", index=False)
    fails(job, made, tmp_path, Foreign, tmp_path / "other.csv", **inputs)


@pytest.mark.parametrize("job", ["extract_final 0", "t0 0"])
def test_a_trajectory_of_other_data_of_the_same_size_is_refused(job, made, tmp_path):
    other = altered(made / "waves.npz", tmp_path / "other.npz", test_inputs=lambda x: x[::-1])
    fails(job, made, tmp_path, Foreign, made / "t0.npz", "task", data=other)


def test_measures_in_another_order_are_refused(made, tmp_path):
    for name, argument in (("m1.csv", "measures"), ("k1.csv", "class_measures")):
        table = pd.read_csv(made / name, dtype={"class": str})
        for order in (table.index[::-1], table.sort_values("explainer", kind="stable").index):
            table.loc[order].to_csv(tmp_path / name, index=False)
            first = made / name.replace("1", "0")
            given = {argument: [first, tmp_path / name]}
            fails("summarize", made, tmp_path, (Damaged, Foreign), tmp_path / name, **given)


DIGITS = yaml.safe_load(STUDY)["tasks"]["parity"]
TWO_DIGITS = {"dataset": "digits", "groups": {"0": [0], "1": [1]}, "leave_out": [*range(2, 10)]}
CNN = {"kind": "cnn", "channels": [4], "pool_after": [1]}
FIT = "settings.fit"
SUFFIXES = {".npz", ".safetensors"}
#: job, keys of its config that are set, files given for others; kind, the file or place that is named, values shown
REFUSED = {
    "weights of other training": (
        "extract_final 0", {}, {"weights": "w1.safetensors"}, Foreign, "w1.safetensors", "",
    ),
    "weights of another network": (
        "extract_final 0", {"network.widths": [9]}, {}, Foreign, "w0.safetensors", "network",
    ),
    "a loss that is no number": (
        "train 0", {"sgd.lr": 1e10, "network.widths": [8, 8, 8]}, {}, Unfit, "lr", "nan lr 10000000000.0",
    ),
    "a batch larger than what a label map leaves": (
        "train 0", {"task": TWO_DIGITS, "sgd.batch_size": 1000}, {"data": "digits.npz"}, Unfit, "batch_size", "1000",
    ),
    "a label map of other data": ("train 0", {"task": DIGITS}, {}, Unfit, "task groups", "2 'digits' 0 1"),
    "a CNN on vectors": ("train 0", {"network": CNN}, {}, Unfit, "network cnn", "[5] mlp"),
    "a CNN that is too deep": (
        "train 0", {"task": DIGITS, "network": CNN | {"channels": [4] * 4}}, {"data": "digits.npz"},
        Unfit, "network cnn", "8x8 3 channels pool_after",
    ),
    "a fit that doesn't converge": (
        "linear 0", {f"{FIT}.max_iterations": 1}, {}, Unfit, "fit.max_iterations", "1 fit.C",
    ),
    "more components than features": (
        "linear 0", {FIT: {**LINEAR, "components": 6}}, {}, Unfit, "fit.components", "6 5 200",
    ),
    "more neighbours than inputs": (
        "linear 0", {FIT: {**NEIGHBOURS, "neighbours": 201}}, {}, Unfit, "fit.neighbours", "201 200",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_job_that_cannot_be_done_is_refused(case, made, tmp_path):
    job, changes, inputs, kind, where, holds = REFUSED[case]
    given = {name: made / file for name, file in inputs.items()}
    fails(job, made, tmp_path, kind, made / where if Path(where).suffix in SUFFIXES else where, holds, changes, **given)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none_is_refused(made, tmp_path):
    fails("train 0", made, tmp_path, Unfit, "device", "cuda auto cpu", {"device": "cuda"})


@pytest.mark.parametrize(
    ("job", "argument"), [("final 0", "final_labels"), ("t0 0", "trajectory"), ("t0 0", "reference")]
)
def test_an_explainer_without_the_labels_it_is_fitted_to_is_refused(job, argument, made, tmp_path):
    stage, cfg, inputs, outputs = arguments_of(job, made, tmp_path / "out")
    del inputs[argument]
    error = call(stage, cfg, **inputs, **outputs)
    assert type(error) is Misused and error.where == flag(argument)
    assert_nothing_in(tmp_path / "out")


@pytest.mark.parametrize(
    ("job", "argument"),
    [
        ("measure 0", "explainers"), ("null_models", "trajectories"), ("null_models", "explainers"),
        ("summarize", "measures"), ("summarize", "class_measures"), ("parts", "classes"), ("class_order", "orders"),
        ("totals", "summaries"), ("order_examples", "trajectories"), ("plot", "summaries"), ("starts", "phases"),
        ("ratios", "nulls"), ("claims", "phases"), ("agreement", "data"), ("agreement", "examples"),
        ("agreement, table", "examples"), ("boundaries", "data"), ("boundaries", "trajectories"),
        ("boundaries", "explainers"),
    ],
)  # fmt: skip
def test_a_file_too_many_or_too_few_is_counted(job, argument, made, tmp_path):
    stage, _, inputs, _ = arguments_of(job, made, tmp_path)
    given = inputs[argument]
    (name,) = on_the_command_line(stage, {argument: given})
    n = sum(map(len, inputs.values())) if name == "inputs" else len(given)
    fails(job, made, tmp_path, Misused, flag(name), f"{n} {n + 1}", **{argument: [*given, given[0]]})
    if name == "inputs":
        fails(job, made, tmp_path, Misused, flag(name), f"{n} {n - 1}", **{argument: given[1:]})


# The command line and the disk

SINUSOID = {"wildcards": {"dataset": "waves"}, "source": {"kind": "sinusoid", "train": 20, "test": 20}}


@pytest.mark.parametrize(
    ("cfg", "kind", "where", "holds"),
    [
        ("{bad", Misused, "--cfg", "workflow_scripts.config"),
        ("nowhere.json", Misused, "--cfg nowhere.json", "No such file JSON"),
        ("", Misused, "--cfg ", "JSON"),
        ("x" * 5000, Misused, f"--cfg {'x' * 100}...", "JSON"),
        (b"\x85\xff", Misused, "--cfg {path}", "JSON"),
        ({**SINUSOID, "sorce": 1}, Misconfigured, "--cfg", "'sorce' 'source'"),
        ({"wildcards": {"dataset": "waves"}}, Misconfigured, "--cfg", "source"),
    ],
)
def test_settings_that_are_none_are_refused(cfg, kind, where, holds, tmp_path):
    path = tmp_path / "cfg.json"
    if isinstance(cfg, bytes):
        path.write_bytes(cfg)
        cfg = str(path)
    error = call("prepare_data", cfg, data=tmp_path / "out" / "d.npz")
    assert_refused(error, kind, where.format(path=path), holds)
    assert not (tmp_path / "out").exists()


def test_a_job_planned_with_other_code_is_refused(tmp_path):
    error = call("prepare_data", SINUSOID, data=tmp_path / "out" / "d.npz", code="0123456789abcdef")
    assert_refused(error, Changed, "prepare_data", "code snakemake")
    assert not (tmp_path / "out").exists()


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").write_text("kept")
    error = call("prepare_data", SINUSOID, data=tmp_path / "file" / "d.npz")
    assert isinstance(error, OSError) and error.line.startswith(f"error: {tmp_path / 'file'}: ")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_where_an_output_goes_is_named_before_any_work(tmp_path):
    (tmp_path / "d.npz").mkdir()
    error = call("prepare_data", SINUSOID, data=tmp_path / "d.npz")
    assert_refused(error, Misused, tmp_path / "d.npz", "prepare_data")
    assert_nothing_in(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        (tmp_path / "probe").touch()
    except PermissionError:
        error = call("prepare_data", SINUSOID, data=tmp_path / "d.npz")
        assert isinstance(error, PermissionError) and error.line.startswith(f"error: {tmp_path}")
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
    error = call(stage, cfg, **on_the_command_line(stage, inputs), **outputs)
    words = f"no space left where {stage} writes: free some, then run the same command again"  # quoted in docs/slurm.md
    assert error.line == f"error: {words}"
    assert {path.read_bytes() for path in outputs.values()} == {b"earlier"}
    left = [path for path in (tmp_path / "out").iterdir() if not path.name.startswith(f"resume-{stage}-")]
    assert sorted(left) == sorted(outputs.values())


def test_an_audit_of_a_folder_without_results_says_what_to_name(tmp_path, capsys):
    error, code = refused(audit_command.main, tmp_path)
    assert_refused(error, Missing, tmp_path)
    assert code == audit_command.MISTAKE and capsys.readouterr().err == f"error: {error}\n"


# The messages themselves


def test_the_messages_that_docs_quote_and_that_users_look_up_stay_as_they_are(tmp_path):
    """Five here, and that of a full disk above."""
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"")
    errors = [
        call("prepare_data", SINUSOID, data=tmp_path / "d.npz", code="0123456789abcdef"),
        raised_by(study.load, changed("sedes", [0]), "study.yaml"),
        raised_by(study.load, changed("nulls.draws", "9"), "study.yaml"),
        raised_by(npz.load, tmp_path / "a.npz", "x"),
        raised_by(dataframes.read, bad),
    ]
    assert [*map(str, errors)] == [
        "prepare_data: the code (or a library's version) has changed since this job was planned: "
        "run snakemake again so that it is planned with the code as it is now",
        "study.yaml: unknown key 'sedes': did you mean 'seeds'?",
        "study.yaml: nulls.draws: expected a number, got the text '9': "
        "write 9 in a config file (no quotes, and a point before e)",
        f"{tmp_path / 'a.npz'}: no such file: run the stage that makes it first",
        f"{bad}: damaged or not of the expected kind (its last line is cut off): delete it and run its stage again",
    ]


def raised_by(function, *arguments) -> StudyError:
    with pytest.raises(StudyError) as raised:
        function(*arguments)
    return raised.value


SOURCES = sorted((ROOT / "workflow_scripts").rglob("*.py"))
CLASSES = {kind.__name__ for kind in [*StudyError.__subclasses__(), DamagedResult, Wrong]}
#: what a value of this name holds
HANDED_ON = {"error": "{}: {}: {}", "why": "{}: {}"}


def constructed(tree: ast.AST) -> list[ast.Call]:
    """The calls that make an error, by the name of its class."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") in CLASSES]


def message(error: ast.Call) -> str:
    """A message as it is written, with {} for its values."""
    return ": ".join(map(template, error.args))


def template(text: ast.expr) -> str:
    if isinstance(text, ast.JoinedStr):
        return "".join(map(template, text.values))
    if isinstance(text, ast.FormattedValue):
        return HANDED_ON.get(ast.unparse(text.value), "{}")
    return str(text.value) if isinstance(text, ast.Constant) else "{}"


def test_every_message_is_one_line_that_says_where_why_and_what_to_do():
    errors = [error for path in SOURCES for error in constructed(ast.parse(path.read_bytes()))]
    errors = [error for error in errors if error.func.id not in ("Wrong", "DamagedResult", "Misconfigured")]
    texts = [message(error) for error in errors if len(error.args) > 1 or isinstance(error.args[0], ast.JoinedStr)]
    assert len(texts) > 80
    for text in texts:
        parts = text.split(": ")
        assert "\n" not in text and all(part.strip() for part in parts) and not text.endswith("."), text
        assert len(parts) >= 3, text


@pytest.mark.parametrize("folder", ["a: b", "a: b: c", ": ", "it is there: delete it"])
def test_a_path_with_a_colon_is_named_whole(folder, tmp_path):
    path = tmp_path / folder / "f.npz"
    path.parent.mkdir()
    assert raised_by(npz.load, path, "x").where == str(path)
    assert raised_by(configfiles.check, path).where == str(path)
    path.write_bytes(b"[")
    assert raised_by(npz.load, path, "x").where == str(path)
    assert raised_by(configfiles.check, path).where == str(path)
    assert raised_by(study.load, changed("sedes", [0]), str(path)).where == str(path)


def test_every_error_has_a_class_of_its_own():
    for path in SOURCES:
        called = [node.func for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]
        assert "StudyError" not in map(ast.unparse, called), path


def test_no_message_counts_in_the_code_of_a_job(tmp_path):
    """All can be put in other words, and nothing runs again."""
    copied = shutil.copytree(ROOT / "workflow_scripts", tmp_path / "workflow_scripts")
    reworded = 0
    for path in copied.rglob("*.py"):
        tree = ast.parse(path.read_bytes())
        for text in (node for error in constructed(tree) for node in ast.walk(error) if is_text(node)):
            text.value += " or so"
            reworded += 1
        path.write_text(ast.unparse(tree))
    assert reworded > 150
    before, after = fingerprints.sources(), fingerprints.sources(tmp_path)
    kinds = frozenset(path.stem for path in SOURCES)
    for stage in jobs.STAGES:
        assert after.code(stage, kinds)["digest"] == before.code(stage, kinds)["digest"], stage


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
