"""The configuration: what each stage gets of it, how mistakes are put, and the files generated from its models."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import Field

from tests import pets
from tests.refusals import assert_mistake, refusal
from tests.workflow import JPEG, OVERLAY, ROOT, STUDIES, TINY
from workflow_scripts.config import jobs, reference, study
from workflow_scripts.config.base import Strict, parse, parse_json
from workflow_scripts.config.configfiles import merged
from workflow_scripts.config.errors import Misconfigured, Misused
from workflow_scripts.files import hashing, listed

EACH_STUDY = pytest.mark.parametrize("paths", STUDIES.values(), ids=STUDIES)


def every_job(of: study.Study) -> list[tuple[str, dict]]:
    """Stage and wildcards of every kind of job of a study."""
    seeds = [(name, seed) for name in of.experiments for seed in of.seeds_of(name)]
    per_seed = [{"experiment": name, "seed": str(seed)} for name, seed in seeds]
    found = [("prepare_data", {"dataset": name}) for name in of.datasets]
    found += [("simulate", {"simulation": name}) for name in of.simulations]
    found += [(stage, job) for stage in ("train", "extract_final", "measure") for job in per_seed]
    for job in per_seed:
        experiment = of.experiments[job["experiment"]]
        for name in set(experiment.explainers) - set(of.experiments):  # the others are co-trained
            owner = {"task": experiment.task} if of.explainers[name].labels == "true" else job
            found.append(("distill", {"explainer": name, **owner}))
    stages = ("null_models", "summarize", "order_examples")
    found += [(stage, {"experiment": name}) for stage in stages for name in of.experiments]
    found += [("decompose", {"experiment": name}) for name in of.with_modes()]
    found += [("plot", {"figure": name}) for name in of.figures]
    return found + [("tabulate", {"table": name}) for name in of.tables]


@EACH_STUDY
def test_every_shipped_study_loads(paths):
    loaded = study.load(merged(paths))
    assert loaded.experiments and loaded.figures and loaded.tables


@EACH_STUDY
def test_every_stage_takes_the_config_that_its_rule_gives_it(paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pets.put(tmp_path / "pets", ("cat", "dog", "rabbit"))
    loaded = study.load(merged(paths))
    for stage, wildcards in every_job(loaded):
        given = jobs.settings(loaded, stage, **wildcards)
        config = importlib.import_module(f"workflow_scripts.{stage}").Config
        read = parse_json(config, hashing.canonical_json(given))
        assert read.model_dump(mode="json") == given, f"{stage}: its sidecar would not tell what it was given"


def test_the_jobs_above_cover_every_stage_that_a_rule_runs():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    stages = set(re.findall(r"-m workflow_scripts\.(\w+)", rules))
    config = yaml.safe_load(TINY.read_text())
    config["experiments"]["ten_linear"] = {
        **config["experiments"]["ten_digits"],
        "network": {"kind": "linear"},
        "sgd": {"lr": 0.1, "epochs": 1},
    }
    loaded = study.load(config)
    assert stages == {stage for stage, _ in every_job(loaded)}


def test_lists_that_name_input_files_keep_their_order_through_sorted_json():
    loaded = study.load(yaml.safe_load(TINY.read_text()))
    listed = loaded.experiments["digits"].explainers
    assert listed != sorted(listed)
    for stage, wildcards in (("null_models", {}), ("measure", {"seed": "0"})):
        given = jobs.settings(loaded, stage, experiment="digits", **wildcards)
        assert json.loads(hashing.canonical_json(given))["explainers"] == listed


def test_the_files_of_a_figure_are_told_apart_as_they_were_listed():
    config = yaml.safe_load(TINY.read_text())
    config["experiments"]["disc"]["explainers"] = ["linear_sgd", "linear"]
    given = jobs.settings(study.load(config), "plot", figure="fig1")
    read = json.loads(hashing.canonical_json(given))
    found = listed.by_name([*map(Path, listed.in_order(given["inputs"]))], read["inputs"])
    assert found == {name: [*map(Path, paths)] for name, paths in given["inputs"].items()}
    assert (
        [path.stem for path in found["explainers"]] == read["shown"]["explainers"]["disc"] == ["linear_sgd", "linear"]
    )
    with refusal(Misused, "--inputs", "4 3"):
        listed.by_name([Path("x")] * 3, read["inputs"])


@EACH_STUDY
def test_planning_loads_no_library_that_only_draws_or_measures(paths):
    code = "import sys; from workflow_scripts.config import configfiles, jobs, study\n"
    code += "of = study.load(configfiles.merged(sys.argv[1:]))\n"
    code += "[jobs.settings(of, 'plot', figure=name) for name in of.figures]\n"
    code += "[jobs.settings(of, 'tabulate', table=name) for name in of.tables]\n"
    code += "print(*{'matplotlib', 'scipy', 'sklearn', 'torch'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code, *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_an_experiments_own_seeds_replace_the_studys():
    loaded = study.load(yaml.safe_load(TINY.read_text()))
    assert (loaded.seeds_of("digits"), loaded.seeds_of("ten_digits")) == ([0, 1], [3])


class Inner(Strict):
    """A model for these tests."""

    size: int = Field(ge=1)


class Outer(Strict):
    """A model for these tests."""

    rate: float = 1.0
    inner: dict[str, Inner] = {}
    counts: list[int] = Field([1], min_length=1)


@pytest.mark.parametrize("text", ["1e-3", "1E5", "1e-7", "2.5e-7", "1e300", "12.5", "-1e-9", "7"])
def test_the_number_proposed_for_a_text_is_a_number_to_yaml(text):
    with pytest.raises(Misconfigured) as raised:
        parse(Outer, {"rate": text}, "a.yaml")
    proposed = yaml.safe_load(re.search(r"write (\S+) in a config file", str(raised.value))[1])
    assert isinstance(proposed, int | float) and proposed == float(text)


@pytest.mark.parametrize("text", ["fast", "nan", "inf", ""])
def test_no_number_is_proposed_for_a_text_that_is_none(text):
    with pytest.raises(Misconfigured) as raised:
        parse(Outer, {"rate": text}, "a.yaml")
    assert raised.value.mistakes[0].kind == "float_type" and str(raised.value).endswith(repr(text))


@pytest.mark.parametrize(
    ("data", "key", "kind", "holds"),
    [
        ({"inner": {"a": {"size": 0}}}, "inner.a.size", "greater_than_equal", "1 0"),
        ({"inner": {"a": {}}}, "inner.a.size", "missing", ""),
        ({"inner": {"a": None}}, "inner.a", "model_type", "nothing"),
        ({"inner": {"a": {"sise": 1}}}, "inner.a", "unknown_key", "'sise' 'size'"),
        ({"inner": {"a": {"colour": 1}}}, "inner.a", "unknown_key", "'colour' size"),
        ({"counts": [1, 1.5]}, "counts[1]", "int_type", "1.5"),
        ({"counts": 3}, "counts", "list_type", "[a, b] 3"),
        ({"counts": []}, "counts", "too_short", ""),
        ({"rate": True}, "rate", "float_type", "True"),
        ({"rate": float("inf")}, "rate", "finite_number", "inf"),
        (None, "", "model_type", "nothing"),
    ],
)
def test_a_mistake_has_a_file_a_key_a_kind_and_one_line(data, key, kind, holds):
    with pytest.raises(Misconfigured) as raised:
        parse(Outer, data, "study.yaml")
    assert_mistake(raised.value, key, kind, holds)


def test_every_mistake_gets_a_line_of_its_own():
    with pytest.raises(Misconfigured) as raised:
        parse(Outer, {"rate": "x", "counts": [], "inner": {"a": {"size": 0}}}, "a.yaml")
    lines, mistakes = f"error: {raised.value}".splitlines(), raised.value.mistakes
    assert [mistake.key for mistake in mistakes] == ["rate", "inner.a.size", "counts"]
    assert lines == [f"error: {mistake.line}" for mistake in mistakes]
    assert all(mistake.line.startswith(f"a.yaml: {mistake.key}: ") for mistake in mistakes)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("config.schema.json", lambda: json.dumps(reference.schema(), indent=2, ensure_ascii=False) + "\n"),
        ("configuration.md", reference.page),
    ],
)
def test_the_generated_docs_are_what_the_models_give(name, made):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made(), (
        f"docs/{name} is out of date: python -m workflow_scripts.config.reference"
    )


@EACH_STUDY
def test_the_json_schema_accepts_every_shipped_study(paths):
    schema = reference.schema()
    jsonschema.validators.validator_for(schema).check_schema(schema)
    jsonschema.validate(merged(paths), schema)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.update(sedes=[0]),
        lambda config: config["experiments"].update({"my experiment": config["experiments"]["digits"]}),
        lambda config: config["experiments"]["digits"]["sgd"].update(lr="1e-3"),
        lambda config: config["experiments"]["digits"]["network"].update(chanels=[1]),
        lambda config: config["datasets"].update(other={"kind": "others"}),
    ],
)
def test_the_json_schema_refuses(change):
    config = yaml.safe_load(TINY.read_text())
    change(config)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, reference.schema())


def test_the_json_schema_is_closed_wherever_keys_are_known():
    def objects(node):
        if isinstance(node, dict):
            yield from [node] if node.get("type") == "object" else []
        for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
            yield from objects(item)

    schema = reference.schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    known = [node for node in objects(schema) if "properties" in node or "patternProperties" in node]
    assert len(known) > 15
    assert all(node["additionalProperties"] is False for node in known)


@pytest.mark.parametrize("name", ["nakkiran2019", "schouten2023"])
@pytest.mark.parametrize("others", [(), (OVERLAY,)], ids=["whole", "tiny"])
def test_cifar10_as_jpeg_replaces_the_original_and_nothing_else(name, others):
    original = study.load(study.overlaid(merged([*STUDIES[name], *others]))).model_dump()
    as_jpeg = study.load(study.overlaid(merged([*STUDIES[name], JPEG, *others]))).model_dump()
    assert (original["datasets"]["cifar10"]["kind"], as_jpeg["datasets"]["cifar10"]["kind"]) == ("cifar10", "images")
    assert len(as_jpeg["datasets"]["cifar10"]["classes"]) == 10
    for each in (original, as_jpeg):
        del each["datasets"]["cifar10"]
    assert as_jpeg == original


@pytest.mark.parametrize("device", ["auto", "cuda", "cpu"])
@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_jobs_that_train_networks_are_told_of_a_precision_that_is_not_the_default(device, precision):
    config = merged([TINY]) | {"device": device, "precision": precision}
    given = {stage: jobs.settings(study.load(config), stage, **w) for _, (stage, w) in of_each_stage(config).items()}
    told = {stage for stage, cfg in given.items() if "precision" in cfg}
    assert told == ({"train"} if (device, precision) in (("auto", "tf32"), ("cuda", "tf32")) else set())
    assert all(cfg["precision"] == "tf32" for cfg in given.values() if "precision" in cfg)


def of_each_stage(config):
    return {stage: (stage, w) for stage, w in jobs.of_study(study.load(config)).values()}


def test_the_reference_page_shows_every_key_and_its_links_lead_somewhere():
    page = reference.page()
    headings = {heading.lower() for heading in re.findall(r"^## (\w+)$", page, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) == headings
    schema = reference.schema()
    for name, model in {"Study": schema, **schema["$defs"]}.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)` \|", section, re.M)) == set(model["properties"]), name


def test_a_bar_in_a_meaning_does_not_open_a_cell_of_the_table():
    model = {"description": "M.", "properties": {"p": {"type": "number", "default": 1, "description": "P(a|b)"}}}
    assert r"| `p` | number | `1` | P(a\|b) |" in reference._section("M", model, {"M": model})
