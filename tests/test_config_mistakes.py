"""Every mistake in a config gives one line: the file, the key, what was expected, what to do."""

import pytest
import yaml

from tests.refusals import ABSENT, assert_holds, assert_mistake, assert_refused, laid_over, refused
from tests.workflow import snakemake
from workflow_scripts.config import __main__ as config_command
from workflow_scripts.config import study
from workflow_scripts.config.errors import Damaged, Misconfigured, Missing, Misused

STUDY = """
study: tiny
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


def changed(key: str, value) -> dict:
    """The study above with one key (dotted) set, or removed."""
    return laid_over(yaml.safe_load(STUDY), {key: value})


EXPERIMENT = yaml.safe_load(STUDY)["experiments"]["digits"]
WAVES = yaml.safe_load(STUDY)["experiments"]["waves"]
PETS = {"kind": "images", "path": "pets", "classes": ["cat", "dog"]}
SGD_FIT = {"solver": "sgd", "lr": 0.1, "epochs": 1}
LINEAR, TREE = {"solver": "logistic"}, {"solver": "tree", "max_depth": 3}
NEIGHBOURS = {"solver": "nearest_neighbours", "neighbours": 3}
TRAINED = {"labels": "final", "network": {"kind": "cnn"}}
TEN = {"kind": "classes", "experiments": ["waves"]}
SGD = {"lr": 0.2, "epochs": 2, "batch_size": 20}
TWIN = {**WAVES, "sgd": SGD, "explainers": ["waves"]}
#: kind of mistake -> key that is set, its value, values that the line shows, and which key it names, if it is another
#: one: ^ stands for the key above, and what follows for one below
BAD_STUDIES = {
    "unknown_key": [
        ("sedes", [0], "'sedes' 'seeds'", "^"),
        ("colour", "red", "'colour' data_root datasets", "^"),
        ("experiments.digits.sgd.epoch", 3, "'epoch' 'epochs'", "^"),
        ("experiments.digits.network.widths", [3], "'widths' channels", "^"),
    ],
    "missing": [
        ("seeds", ABSENT, ""),
        ("experiments.waves.sgd.lr", ABSENT, ""),
        ("experiments.waves.printed", {"t0": 3}, "", ".source"),
        ("explainers.final.fit", {"solver": "tree"}, "", ".max_depth"),
        ("tasks.parity.groups.odd", [1, 3, 5], "7 'digits' leave_out", "^"),
    ],
    "union_tag_not_found": [("experiments.waves.network.kind", ABSENT, "kind", "^")],
    "union_tag_invalid": [
        ("experiments.waves.network.kind", "mpl", "'mpl' 'mlp'", "^"),
        ("figures.training.kind", "dynamic", "'dynamic' 'dynamics'", "^"),
        ("explainers.final.fit", {"solver": "forest"}, "'forest' logistic nearest_neighbours"),
    ],
    "list_type": [("seeds", 3, "3")],
    "model_type": [("experiments.waves.sgd", None, "nothing")],
    "int_type": [("experiments.waves.sgd.epochs", 1.5, "1.5"), ("nulls.draws", "9", "'9' 9")],
    "float_type": [("experiments.waves.sgd.lr", "1e-3", "'1e-3' 0.001")],
    "string_type": [
        ("experiments.waves.title", 3, "quotes 3"),
        ("datasets.pets", {**PETS, "classes": [0, "1"]}, "quotes 0", ".classes[0]"),
    ],
    "literal_error": [
        ("device", "gpu", "'auto' 'cpu' 'cuda' 'gpu'"),
        ("explainers.linear.labels", False, "'true' 'final' 't0' False"),
        ("datasets.pets", {**PETS, "mode": "grey"}, "'L' 'RGB' 'grey'", ".mode"),
        ("figures.training.axis", "step", "'epochs' 'steps' 'step'"),
        ("explainers.final.fit", {**LINEAR, "degree": 3}, "1 2 3", ".degree"),
    ],
    "greater_than_equal": [
        ("experiments.waves.sgd.epochs", 0, "1 0"),
        ("seeds", [-1], "0 -1", "[0]"),
        ("datasets.digits.test", 9, "10 9"),
        ("figures.plane.steps", [-1], "0 -1", "[0]"),
        ("explainers.final.fit", {**LINEAR, "components": 0}, "1 0", ".components"),
    ],
    "string_pattern_mismatch": [
        ("experiments.my digits", EXPERIMENT, "digits'"),
        ("figures.a/b", {"kind": "information_accuracy"}, "'a/b'"),
        ("explainers.2nd", {"labels": "final"}, "'2nd'"),
    ],
    "too_short": [
        ("seeds", [], ""),
        ("experiments.waves.seeds", [], ""),
        ("figures.training.experiments", [], ""),
        ("figures.plane.steps", [], ""),
        ("tasks.parity.groups.odd", [], ""),
        ("tasks.parity.groups", {"all": [*range(10)]}, "two"),
    ],
    "bad_value": [
        ("datasets.pets", {**PETS, "classes": ["cat"]}, "2 256 1", ".classes"),
        ("datasets.pets", {**PETS, "size": [32]}, "[height, width] [32]", ".size"),
        ("datasets.pets", {**PETS, "sha256": "12"}, "64 '12'", ".sha256"),
    ],
    "too_many": [
        ("experiments.waves.sgd.batch_size", 201, "201 200"),
        ("experiments.digits.sgd.batch_size", 1198, "1198 1197"),
        ("experiments.waves.pretraining", {"lr": 0.1, "steps": 9, "batch_size": 201}, "201 200", ".batch_size"),
        ("experiments.digits.network.pool_after", [2], "pool_after 2 1", "^"),
        ("experiments.digits.network", {"kind": "preact_resnet", "convolutions": 18}, "18 17", ".convolutions"),
        ("datasets.digits.train", 1200, "train test fresh 1797", "^"),
        ("datasets.big", {"kind": "mnist", "fresh": 60000}, "train fresh 60000"),
        ("datasets.big", {"kind": "cifar10", "train": 50000, "fresh": 1}, "train fresh 50000"),
        ("datasets.big", {"kind": "theorem1", "dimension": 1_000_000}, "39.1 GiB 1 dimension"),
        ("explainers.final.fit", {**SGD_FIT, "batch_size": 51}, "51 50", ".batch_size"),
        ("explainers.final.fit", {**NEIGHBOURS, "neighbours": 51}, "51 50", ".neighbours"),
        ("explainers.final.fit", {**TREE, "min_leaf": 51}, "51 50", ".min_leaf"),
        ("explainers.final.fit", {**LINEAR, "components": 51}, "51 50", ".components"),
        ("explainers.final.fit", {**LINEAR, "components": 62, "degree": 2}, "2015 62 2000 components", ".degree"),
    ],
    "repeated": [
        ("seeds", [0, 1, 0], "0"),
        ("experiments.waves.seeds", [2, 2], "2"),
        ("tasks.parity.groups.nine", [8, 9], "8 'even' 'nine'", "^^"),
        ("tasks.parity.leave_out", [9], "9 'nine' 'leave_out'", "^"),
        ("datasets.pets", {**PETS, "classes": ["cat"] * 2}, "'cat'", ".classes"),
        ("experiments.waves.explainers", ["linear"] * 2, "'linear'"),
        ("figures.training.experiments", ["waves"] * 2, "'waves'"),
        ("tables.claims.simulations", ["a"] * 2, "'a'"),
        ("experiments.linear", EXPERIMENT, "experiment", "^^explainers.linear"),
    ],
    "unknown_name": [
        ("tasks.parity.groups.nine", [9, 10], "10 'digits' 0 9", "^"),
        ("tasks.waves.dataset", "wave", "'wave' 'waves'"),
        ("experiments.waves.task", "wavs", "'wavs' 'waves'"),
        ("experiments.waves.explainers", ["liner"], "'liner' 'linear'"),
        ("experiments.waves.printed", {"source": "nowhere", "ratios": {"liner": 0.8}}, "'liner' 'linear'"),
        ("experiments.waves.printed", {"source": "nowhere", "null_ratios": {"liner": 0.8}}, "'liner' 'linear'"),
        ("explainers.t0.reference", "lines", "'lines' 'linear'"),
        ("explainers.spare", {"labels": "t0", "reference": "x"}, "'x' linear", ".reference"),
        ("figures.training.experiments", ["wave"], "'wave' 'waves'"),
        ("figures.theorem", {"kind": "theorem1", "simulation": "theorem"}, "'theorem'", ".simulation"),
        ("figures.ten", {**TEN, "explainers": {"digits": "linear"}}, "'digits' waves", ".explainers"),
        ("figures.ten", {**TEN, "explainers": {"waves": "lines"}}, "waves 'lines' 'linear'"),
        (
            "figures.ten",
            {"kind": "class_panels", "experiment": "waves", "explainer": "lines"},
            "waves 'lines' 'linear'",
        ),
        ("tables.signs.experiments", ["mnist"], "'mnist' digits"),
        ("tables.claims.simulations", ["theorem1"], "'theorem1'"),
    ],
    "conflict": [
        ("tasks.waves.leave_out", [1], "leave_out groups", "^"),
        ("experiments.waves.sgd.steps", 7, "epochs steps", "^"),
        ("experiments.waves.sgd.epochs", ABSENT, "epochs steps", "^"),
        ("experiments.waves.pretraining", {"lr": 0.1}, "epochs steps"),
        ("experiments.digits.network", {"kind": "vit", "hidden": 30}, "30 4", ".hidden"),
        ("experiments.digits.nested", True, ""),
        ("explainers.t0.reference", ABSENT, "t0 reference", "^"),
        ("explainers.linear.reference", "t0", "t0 reference", "^"),
        ("explainers.t0.reference", "final", "'final'"),
        ("explainers.linear", {**TRAINED, "fit": LINEAR}, "fit.solver logistic cnn sgd"),
        ("explainers.linear", {**TRAINED, "fit": TREE}, "fit.solver tree cnn sgd"),
        ("explainers.linear", {**TRAINED, "fit": NEIGHBOURS}, "fit.solver nearest_neighbours cnn sgd"),
        ("figures.plane.experiments", ["waves"], "'waves' sinusoid ball"),
        ("figures.plane.seed", 0, "'disc' 0"),
        ("experiments.waves.explainers", ["t0"], "'t0' 'linear'"),
        ("experiments.digits.explainers", ["final"], "'final' datasets.digits fresh"),
        # co-trained explainers
        ("experiments.waves.explainers", ["waves"], "'waves'"),
        ("experiments.waves.explainers", ["digits"], "'digits' parity"),
        ("experiments.twin", {**TWIN, "sgd": {**SGD, "epochs": 3}}, "'waves' sgd.epochs 2", ".explainers"),
        ("experiments.twin", {**TWIN, "sgd": {**SGD, "batch_size": 10}}, "'waves' sgd.batch_size 20", ".explainers"),
        (
            "experiments.twin",
            {**TWIN, "sgd": {"lr": 0.2, "steps": 2, "batch_size": 20}},
            "'waves' sgd.epochs 2",
            ".explainers",
        ),
        ("experiments.twin", {**TWIN, "checkpoints": {"early": 3}}, "'waves' checkpoints", ".explainers"),
        ("experiments.twin", {**TWIN, "seeds": [0, 8]}, "'waves' 8", ".explainers"),
        # names that stand for something else
        *[(f"experiments.{name}", EXPERIMENT, f"'{name}'") for name in study.RESERVED],
    ],
}


@pytest.mark.parametrize(("kind", "row"), [(kind, row) for kind, rows in BAD_STUDIES.items() for row in rows])
def test_a_mistake_in_the_config_gives_one_line(kind, row):
    key, value, holds, named = (*row, "")[:4]
    with pytest.raises(Misconfigured) as raised:
        study.load(changed(key, value), "study.yaml")
    while named.startswith("^"):
        key, named = key.rpartition(".")[0], named[1:]
    assert_mistake(raised.value, key + named, kind, holds)


@pytest.mark.parametrize(
    ("changes", "kind", "holds"),
    [
        ({"task": "disc", "explainers": ["linear"]}, "conflict", "task 'other' 'disc' 'waves'"),
        ({"explainers": ["final"]}, "conflict", "explainer 'other' 'final' 'waves' 'linear'"),
        ({"network": {"kind": "mlp", "widths": [9]}}, "conflict", "'other' network mlp"),
        ({"title": "again"}, "repeated", "'waves' 'other'"),
        ({"init_scale": 1.0}, "repeated", "'waves' 'other'"),
        ({"init": "he_uniform"}, None, ""),
        ({"init_scale": 0.1}, None, ""),
        ({"network": {"kind": "linear"}}, None, ""),
    ],
)
def test_a_figure_of_initialisations_compares_what_differs_in_them_alone(changes, kind, holds):
    config = yaml.safe_load(STUDY)
    config["experiments"]["other"] = {**config["experiments"]["waves"], **changes}
    config["figures"]["starts"]["experiments"].append("other")
    if kind is None:
        study.load(config, "study.yaml")
        return
    with pytest.raises(Misconfigured) as raised:
        study.load(config, "study.yaml")
    assert_mistake(raised.value, "figures.starts.experiments", kind, holds)


def test_the_study_that_these_mistakes_are_made_in_is_sound():
    loaded = study.load(yaml.safe_load(STUDY))
    assert loaded.explainers["linear"].labels == "true"  # which YAML reads as a boolean


def test_snakemake_shows_a_mistake_in_the_config_as_one_line(tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(changed("sedes", [0])))
    done = snakemake(tmp_path, configfiles=["study.yaml"])
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert done.returncode == 1 and len(lines) == 1
    assert lines[0].startswith("error: study.yaml: ")
    assert_holds(lines[0], "'sedes' 'seeds'")
    assert not (tmp_path / "results/tiny").exists()


def test_snakemake_stops_at_a_config_file_that_is_missing(tmp_path):
    """Snakemake reads the files of --configfile before any of ours: the words are its own."""
    done = snakemake(tmp_path, configfiles=["study.yaml"])
    assert done.returncode == 1 and "No such file or directory: 'study.yaml'" in done.stderr
    assert not (tmp_path / "results/tiny").exists()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (None, Missing),
        (b"seeds: [0\nb: {", Damaged),
        (b"", Damaged),
        (b"- 1\n", Damaged),
        (b"\x85\x00\xff", Damaged),
    ],
    ids=["missing", "not YAML", "empty", "a list", "binary"],
)
def test_a_config_file_that_is_none_is_named(content, kind, tmp_path):
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_bytes(content)
    error, line = refused(config_command.main, "train", "experiment=waves", "seed=0", "--configfile", path)
    assert_refused(error, kind, path)
    assert line == f"error: {error}"


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["trian", "experiment=waves", "seed=0"], "'trian' 'train'"),
        (["train", "experiment=wave", "seed=0"], "train 'wave'"),
        (["train", "waves"], "train name=value"),
        (["train", "experiment=waves"], "train name=value"),
    ],
)
def test_the_config_command_says_which_argument_is_wrong(arguments, holds, tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    error, line = refused(config_command.main, *arguments, "--configfile", tmp_path / "study.yaml")
    assert type(error) is Misused or "name=value" in holds
    assert line.startswith("error: ") and "\n" not in line
    assert_holds(line, holds)
