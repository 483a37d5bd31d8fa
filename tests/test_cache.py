"""The cache between workflows: it spares training, and never serves anything but what the same job made."""

import asyncio
import json
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import snakemake.api  # first, as when Snakemake runs; its modules import each other
import yaml
from snakemake.exceptions import CacheMissException
from snakemake.iocontainers import Namedlist

from tests.workflow import RESULTS, counted, products, sealed, snakemake
from workflow_scripts.audit import __main__ as audit
from workflow_scripts.config.errors import StudyError
from workflow_scripts.engine import cache
from workflow_scripts.files import hashing
from workflow_scripts.provenance import sidecars

EXPERIMENT = {
    "title": "Waves",
    "task": "waves",
    "network": {"kind": "mlp", "widths": [8]},
    "sgd": {"lr": 0.1, "batch_size": 50, "epochs": 2},
    "explainers": ["sharp", "smooth", "flat"],
}
STUDY = {
    "study": "tiny",
    "seeds": [0, 1],
    "device": "cpu",
    "datasets": {"waves": {"kind": "sinusoid", "train": 200, "test": 100, "dimension": 4}},
    "tasks": {"waves": {"dataset": "waves"}},
    "explainers": {
        name: {"labels": "true", "fit": {"solver": "logistic", "C": c}}
        for name, c in {"sharp": 10.0, "smooth": 1.0, "flat": 0.1}.items()
    },
    "experiments": {"waves": EXPERIMENT},
}
SEEDS = [f"results/tiny/waves/seed{seed}/trajectory.npz" for seed in (0, 1)]
EXPLAINERS = [f"results/tiny/tasks/waves/explainers/{name}.npz" for name in EXPERIMENT["explainers"]]


def run(folder: Path, *arguments: str, lr: float = 0.1) -> str:
    """What Snakemake says of a run of the study in a folder."""
    folder.mkdir(exist_ok=True)
    experiment = {**EXPERIMENT, "sgd": {**EXPERIMENT["sgd"], "lr": lr}}
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, "experiments": {"waves": experiment}}))
    done = snakemake(folder, *arguments, configfiles=(folder / "study.yaml",))
    assert done.returncode == 0, done.stderr
    return done.stderr


def entry(shelf: Path, product: Path) -> Path:
    """Where a product lies in the cache."""
    return next(path for path in shelf.iterdir() if path.read_bytes() == product.read_bytes())


def beside(path: Path) -> Path:
    """The sidecar of a product, or of the entry that a cached one belongs to."""
    own = path.with_name(path.name + sidecars.SUFFIX)
    return own if own.exists() else path.with_name(f"{path.name.split('_')[0]}_provenance.json")


def bytes_of(shelf: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in shelf.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A cache that SNAKEMAKE_OUTPUT_CACHE names."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def first(tmp_path_factory, shelf):
    """A folder whose run filled the cache."""
    folder = tmp_path_factory.mktemp("first")
    run(folder, *SEEDS, *EXPLAINERS, "--cache")
    return folder


@pytest.fixture
def copied(tmp_path, first, shelf):
    """The folder and its cache again, to damage them."""
    shutil.copytree(first / "results", tmp_path / "results")
    return tmp_path, shutil.copytree(shelf, tmp_path / "cache")


def test_results_are_copies_that_can_be_edited_without_harm_to_the_cache(copied):
    folder, shelf = copied
    before = bytes_of(shelf)
    assert len(before) == 3 * 2 + 2 * 3, "products and a sidecar of two networks and three explainers"
    for path in (folder / "results/tiny").rglob("*"):
        assert not path.is_symlink()
        if path.is_file():
            with path.open("ab") as product:
                product.write(b"edited")
    assert bytes_of(shelf) == before


def test_going_back_to_old_settings_restores_their_training(first, shelf, tmp_path):
    folder, cached = shutil.copytree(first, tmp_path / "folder"), bytes_of(shelf)
    product = folder / SEEDS[0]
    then, record = product.read_bytes(), sidecars.read(beside(product))
    run(folder, SEEDS[0], lr=0.2)
    assert product.read_bytes() != then
    assert bytes_of(shelf) == cached, "without --cache nothing is written there"
    said = run(folder, SEEDS[0], "--cache")
    assert f"restored from the cache: {SEEDS[0]}" in said
    assert product.read_bytes() == then
    assert sidecars.read(beside(product)) == record, "it says who computed it, and when"
    log = (folder / "results/tiny/waves/seed0/logs/train.log").read_text()
    assert log == f"restored from the cache: {entry(shelf, product)}\n", "nothing was trained"
    assert bytes_of(shelf) == cached


OTHERS = {"tiny": "second", "waves": "ripples", "smooth": "soft", "early": "soon"}


def renamed(value):
    """A config, or a path, with other names of the study, its experiments, data sets, tasks and explainers."""
    if isinstance(value, dict):
        return {OTHERS.get(key, key): renamed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner) for inner in value]
    return re.sub(r"\w+", lambda word: OTHERS.get(word[0], word[0]), value) if isinstance(value, str) else value


@pytest.mark.slow
def test_another_study_with_other_names_gets_what_the_same_jobs_made(shelf, tmp_path, monkeypatch, capsys):
    explainers = {
        "smooth": STUDY["explainers"]["smooth"],
        "early": {"labels": "t0", "reference": "smooth"},
        "late": {"labels": "final"},
    }
    config = STUDY | {"seeds": [0], "explainers": explainers}
    config |= {"experiments": {"waves": EXPERIMENT | {"explainers": list(explainers)}}}
    of_seed = ["trajectory.npz", "final.npz", "explainers/early.npz", "explainers/late.npz"]
    targets = [EXPLAINERS[1], *(f"results/tiny/waves/seed0/{name}" for name in of_seed)]

    def ran(config, targets, *arguments):
        Path("study.yaml").write_text(yaml.safe_dump(config))
        done = snakemake(tmp_path, *targets, *arguments, configfiles=("study.yaml",))
        assert done.returncode == 0, done.stderr
        return done.stderr

    monkeypatch.chdir(tmp_path)
    ran(config, targets, "--cache")
    second = renamed(config)
    second["datasets"]["ripples"]["kind"] = "sinusoid"
    said = ran(second, renamed(targets), "--cache")
    assert said.count("restored from the cache: ") == 4, "extraction writes the experiment's name into its weights"
    for one, other in zip(targets, renamed(targets), strict=True):
        assert Path(one) != Path(other) and Path(one).read_bytes() == Path(other).read_bytes()

    monkeypatch.setattr(sys, "argv", ["audit", *renamed(targets)])
    with pytest.raises(SystemExit):
        audit.main()
    assert capsys.readouterr().out.splitlines()[0] == "CURRENT"
    assert counted(ran(second, renamed(targets), "--dry-run")) == {}
    shutil.rmtree(".snakemake")
    assert counted(ran(second, renamed(targets), "--dry-run")) == {}


def test_bad_entries_are_told_and_made_again(first, copied, monkeypatch, capsys):
    shelf = copied[1]
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(shelf))
    seed0, seed1, sharp, smooth, flat = (entry(shelf, first / name) for name in SEEDS + EXPLAINERS)
    sharp.write_bytes(sharp.read_bytes()[:-1] + b"?")
    beside(smooth).unlink()
    flat.unlink()
    flat.mkdir()
    for kind in ("trajectory.npz", "weights.safetensors", "provenance.json"):
        key0, key1 = (path.name.split("_")[0] for path in (seed0, seed1))
        shutil.copyfile(shelf / f"{key1}_{kind}", shelf / f"{key0}_{kind}")

    folder = shelf.parent / "wiped"
    said = run(folder, *SEEDS, *EXPLAINERS, "--cache").splitlines()
    assert products(folder) == products(first)
    again = [line.split(": ", 2)[2] for line in said if line.startswith("cache: ") and "is computed again" in line]
    assert sorted(again) == sorted(
        [
            "sharp.npz is not what was stored: it is not used, distill_true_labels is computed again",
            f"{beside(smooth)} can't be read: No such file or directory: it is not used, "
            "distill_true_labels is computed again",
            f"{flat} can't be read: Is a directory: it is not used, distill_true_labels is computed again",
            "it belongs to another job: it is not used, train is computed again",
        ]
    )
    assert len([line for line in said if "distill_true_labels is done, but it was not stored" in line]) == 1
    assert [line for line in said if "restored" in line and SEEDS[1] in line], "the sound entry is used"

    flat.rmdir()
    shutil.rmtree(folder)
    said = run(folder, *SEEDS, *EXPLAINERS[:2], "--cache")
    assert "not used" not in said and said.count("restored from the cache") == 4
    made = products(folder)
    assert made == {name: content for name, content in products(first).items() if "flat" not in name}
    assert made["waves/seed0/trajectory.npz"] != made["waves/seed1/trajectory.npz"]

    monkeypatch.setattr(sys, "argv", ["audit", *(str(folder / RESULTS / name) for name in made)])
    with pytest.raises(SystemExit) as end:
        audit.main()
    assert capsys.readouterr().out.splitlines()[0] == "CURRENT" and end.value.code == 0


def edited(sidecar: Path, sealed: bool, **changes) -> None:
    record = json.loads(sidecar.read_text()) | changes
    sidecars.write(sidecar, sidecars.seal(record) if sealed else record)


def sealed_to(sidecar: Path, **changes) -> None:
    """Other values, with the key and the seal that they would have."""
    sidecars.write(sidecar, sealed(json.loads(sidecar.read_text()) | changes))


def forged(sidecar: Path, **settings) -> None:
    """Other settings, with the key and the seal that they would have."""
    cfg = json.loads(sidecar.read_text())["cfg"] | settings
    sealed_to(sidecar, cfg=cfg, wildcards=cfg["wildcards"])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda product, sidecar: product.write_bytes(b""), "smooth.npz is not what was stored"),
        (lambda product, sidecar: product.write_bytes(product.read_bytes()[:99]), "smooth.npz is not what was stored"),
        (lambda product, sidecar: product.unlink(), "smooth.npz can't be read: No such file or directory"),
        (lambda product, sidecar: sidecar.write_text("{}"), "its sidecar can't be read"),
        (lambda product, sidecar: sidecar.write_bytes(b"\xff"), "its sidecar can't be read"),
        (lambda product, sidecar: edited(sidecar, False, user="somebody"), "its sidecar was edited"),
        (
            lambda product, sidecar: edited(sidecar, True, key="0" * 16),
            "its sidecar has a key that is not that of its job",
        ),
        (lambda product, sidecar: edited(sidecar, True, bits={"cpu": "other"}), "has a key that is not that of"),
        (lambda product, sidecar: forged(sidecar, device="cuda"), "it belongs to another job"),
        (lambda product, sidecar: forged(sidecar, settings={"labels": "true"}), "it belongs to another job"),
        (lambda product, sidecar: sealed_to(sidecar, inputs=[]), "it was made from other inputs"),
        (lambda product, sidecar: sealed_to(sidecar, inputs=[["data/waves.npz", "0" * 64]]), "from other inputs"),
        (lambda product, sidecar: sealed_to(sidecar, user="somebody", host="elsewhere"), None),
        (lambda product, sidecar: forged(sidecar, wildcards={"task": "others", "explainer": "smooth"}), None),
        (lambda product, sidecar: forged(sidecar, inputs={"data": ["data/others.npz"]}), None),
        (lambda product, sidecar: None, None),
    ],
)
def test_an_entry_is_checked_before_it_is_used(copied, monkeypatch, damage, words):
    folder, shelf = copied
    made = folder / EXPLAINERS[1]
    record = sidecars.read(beside(made))
    read = Namedlist(fromdict={"data": [f"results/tiny/{record.inputs[0].path}"]})
    stored = shelf / made.name, shelf / beside(made).name
    shutil.copy(made, stored[0])
    shutil.copy(beside(made), stored[1])
    damage(*stored)
    restored = folder / "restored" / made.name
    pairs = list(zip([restored, restored.parent / stored[1].name], stored, strict=True))
    job = SimpleNamespace(
        input=read,
        log=[],
        params=SimpleNamespace(cfg=hashing.canonical_json(record.cfg), code=record.code.fingerprint),
    )

    class OneEntry(cache.CheckedCache):
        async def get_outputfiles_and_cachefiles(self, job):
            return pairs

    monkeypatch.chdir(folder)
    said = []
    monkeypatch.setattr(cache.logger, "warning", said.append)
    if words is None:
        asyncio.run(OneEntry().fetch(job))
        assert restored.read_bytes() == made.read_bytes() and not said
    else:
        with pytest.raises(CacheMissException):
            asyncio.run(OneEntry().fetch(job))
        assert len(said) == 1 and words in said[0] and "\n" not in said[0]
        assert list(restored.parent.iterdir()) == [], "nothing of it is left where results belong"


def test_two_workflows_at_once_share_a_cache(tmp_path, monkeypatch):
    shelf = tmp_path / "cache"
    shelf.mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(shelf))
    folders = [tmp_path / "one", tmp_path / "two"]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda folder: run(folder, SEEDS[0], "--cache"), folders))
    one, two = map(products, folders)
    assert one == two and len(one) == 3
    assert len(bytes_of(shelf)) == len(list(shelf.iterdir())) == 3
    kept = entry(shelf, folders[0] / SEEDS[0])
    record = sidecars.read(beside(kept))
    assert record.is_sealed
    assert hashing.sha256(kept) in record.outputs.values()
    assert np.load(kept)["steps"][-1] == 8


@pytest.mark.parametrize("name", [None, "", "nowhere"])
def test_a_cache_folder_that_is_not_there_gives_one_clear_line(tmp_path, monkeypatch, name):
    monkeypatch.delenv("SNAKEMAKE_OUTPUT_CACHE", raising=False)
    if name is not None:
        monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", name)
    workflow = SimpleNamespace(workflow_settings=SimpleNamespace(cache=[]))
    with pytest.raises(StudyError, match=rf"SNAKEMAKE_OUTPUT_CACHE={name or ''}: no such folder: make it"):
        cache.install(workflow)
    cache.install(SimpleNamespace(workflow_settings=SimpleNamespace(cache=None)))


def test_snakemake_tells_that_the_cache_folder_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path / "nowhere"))
    done = snakemake(tmp_path, "trained", "--cache", configfiles=())
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"error: --cache: SNAKEMAKE_OUTPUT_CACHE={tmp_path / 'nowhere'}: no such folder" in done.stderr
    assert not (tmp_path / "results/tiny").exists()
