"""Sidecars of earlier schemas in today's terms, so that the results of an earlier release stay usable.

Schema 2 (until commit a7cca9c) hashed modules, not definitions. Where these hashes are those of the release, its code
is known, and `equal.json` says which of today's it equals. Its settings held a few keys that nothing read. Schema 3
(until commit 0b51816) called files by their paths from the working directory, and did not say in which order they were
read; the command that it tells does.
"""

import ast
import hashlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from workflow_scripts.config.jobs import SHARED, unnamed
from workflow_scripts.files import hashing
from workflow_scripts.provenance import equal, fingerprints

if TYPE_CHECKING:
    from workflow_scripts.provenance.sidecars import Sidecar

#: stage -> keys of its settings that schema 2 had besides
_DROPPED = {
    "distill": ("reference_in",),
    "measure": ("found_in",),
    "null_models": ("found_in",),
    "summarize": ("found_in",),
}
#: stage -> kind -> those of its settings that are under `shown` now
_SHOWN = {
    "plot": {
        "information_accuracy": (),
        "dynamics": ("titles", "n_classes", "printed"),
        "classes": ("titles", "n_classes", "printed"),
        "class_panels": ("titles", "n_classes", "printed"),
        "class_order": ("titles",),
        "boundaries": ("titles", "found_in"),
        "modes": ("titles",),
        "initialisation": ("initial",),
        "theorem1": (),
        "agreement": ("titles", "task"),
    },
    "tabulate": {
        "ratios": ("titles", "printed"),
        "phases": ("titles",),
        "totals": ("titles", "printed"),
        "class_order": ("titles",),
        "claims": ("titles", "printed", "nested"),
        "agreement": ("titles",),
    },
}


class ModulesCode(BaseModel, strict=True, frozen=True):
    """Of schema 2: module -> hash of its syntax tree, distribution -> version, and the fingerprint of both."""

    fingerprint: str
    modules: dict[str, str]
    distributions: dict[str, str]

    @property
    def libraries(self) -> dict[str, str]:
        """What later schemas call it."""
        return self.distributions


def _of_schema_2(written: dict) -> dict:
    """As schema 3 tells it: settings without the keys that nothing read, and with the files that the job reads."""
    stage = written["stage"]
    cfg = {key: value for key, value in written["cfg"].items() if key not in _DROPPED.get(stage, ())}
    if stage in _SHOWN:
        shown = {key: cfg[key] for key in _SHOWN[stage][cfg["settings"]["kind"]] if key in cfg}
        if "found_in" in shown:
            shown["explainers"] = {name: list(found) for name, found in shown.pop("found_in").items()}
        cfg = {"wildcards": cfg["wildcards"], "settings": cfg["settings"], "shown": shown}
    inputs = {option: [_relative(path) for path in paths] for option, paths in _read(written).items()}
    return _of_schema_3({**written, "cfg": {**cfg, "inputs": _without_seeds(inputs, cfg.get("seeds", []))}})


def _of_schema_3(written: dict) -> dict:
    """As schema 4 tells it: files as they are called in the study's results, in order; the device that was used.

    What a data set, a group or an explainer is called is told to those stages alone that write it down.
    """
    read = _read(written)
    inputs = [(_relative(path), written["inputs"][path]) for option in sorted(read) for path in read[option]]
    if {path for of in read.values() for path in of} != {*written["inputs"]}:
        raise ValueError("the command doesn't name all that was read")
    cfg = dict(written["cfg"])
    if "device" in cfg:
        cfg["device"] = "cuda" if written["gpu"] else "cpu"
    if "task" in cfg:
        named = written["stage"] in ("measure", "decompose", "order_examples")
        cfg["task"] = {**cfg["task"], "dataset": "dataset"} if named else unnamed(cfg["task"])
    if written["stage"] == "distill":
        cfg["settings"] = cfg["settings"] | {"reference": cfg["settings"]["reference"] and "reference"}
    outputs = {Path(path).name: digest for path, digest in written["outputs"].items()}
    return {**written, "cfg": cfg, "inputs": inputs, "outputs": outputs, "bits": {}}


def _of_schema_4(written: dict) -> dict:
    return written


#: schema -> what a sidecar tells, in today's terms
READERS = {2: _of_schema_2, 3: _of_schema_3, 4: _of_schema_4}


def _read(written: dict) -> dict[str, list[str]]:
    """Option of a job's command -> the files that it read by it."""
    found, option = {}, ""
    for argument in itertools.dropwhile(lambda argument: not argument.startswith("--"), written["argv"]):
        if argument.startswith("--"):
            option = argument[2:].replace("-", "_")
        elif argument in written["inputs"]:
            found.setdefault(option, []).append(argument)
    return found


def _relative(path: str) -> str:
    """A file in the folder of the results, `results/` until schema 3, as it is called there."""
    return path.removeprefix("results/")


def _without_seeds(inputs: dict[str, list[str]], seeds: list[int]) -> dict[str, list[str]]:
    """Of a job of several seeds: the files of the first one, with {seed} for its number."""
    if not seeds:
        return inputs
    return {
        option: [path.replace(f"/seed{seeds[0]}/", "/seed{seed}/") for path in files[: len(files) // len(seeds)]]
        if option not in SHARED
        else files
        for option, files in inputs.items()
    }


def digest(record: "Sidecar") -> str:
    """The digest that stands for its code: of one that was shown to be equal, the latest."""
    return equal.standing(record.stage, own_digest(record), device(record))


def device(record: "Sidecar") -> str:
    """The device that its networks ran on; `cpu` where it has none."""
    return record.cfg.get("device", "cpu")


def own_digest(record: "Sidecar") -> str:
    """The digest of its code itself; of schema 2, of its modules and the kinds that its settings name."""
    if isinstance(record.code, ModulesCode):
        return hashing.of([record.code.modules, sorted(fingerprints.kinds(record.cfg))])[:16]
    return record.code.digest


def libraries(record: "Sidecar") -> dict[str, str]:
    """Distribution -> version, of the libraries that count."""
    if not isinstance(record.code, ModulesCode):
        return record.code.libraries
    now = fingerprints.of_job(record.stage, record.cfg)["libraries"]
    return {name: record.distributions[name] for name in now if name in record.distributions}


def fingerprint(record: "Sidecar") -> str:
    """What Snakemake tracked, were the job planned today with the code that it had."""
    return fingerprints.of(digest(record), libraries(record))


def other_code(record: "Sidecar", root: Path) -> list[str]:
    """The definitions (schema 2: modules) of its code that differ in a copy of this repository. Raises StudyError."""
    if isinstance(record.code, ModulesCode):
        changed = [name for name, was in record.code.modules.items() if _module(root, name) != was]
        return [f"{name.replace('.', '/')}.py" for name in changed]
    there = fingerprints.of_job(record.stage, record.cfg, root)
    if there["digest"] == record.code.digest:
        return []
    was, now = (
        {f"{module}.{name}": of for module, names in code.items() for name, of in names.items()}
        for code in (record.code.definitions, there["definitions"])
    )
    return [name for name, of in was.items() if now.get(name) != of] or [f"{record.stage}'s code"]


def _module(root: Path, name: str) -> str | None:
    """Schema 2's hash of a module: of its syntax tree without docstrings; None where it can't be read."""
    path = root.joinpath(*name.split("."))
    try:
        tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
