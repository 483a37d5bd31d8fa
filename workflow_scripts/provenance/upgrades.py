"""Sidecars of earlier schemas in today's terms, so that the results of an earlier release stay usable.

Schema 2 (until commit a7cca9c) hashed modules, not definitions. Where these hashes are those of the release, its code
is known, and `equal.json` says which of today's it equals. Its settings held a few keys that nothing read.
"""

import ast
import hashlib
import itertools
from itertools import pairwise
from pathlib import Path

from workflow_scripts.config.jobs import PER_SEED
from workflow_scripts.files import hashing
from workflow_scripts.provenance import equal, fingerprints
from workflow_scripts.provenance.sidecars import ModulesCode, Sidecar

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


def cfg(record: Sidecar) -> dict:
    """What its job read of the study."""
    if not isinstance(record.code, ModulesCode):
        return record.cfg
    kept = {key: value for key, value in record.cfg.items() if key not in _DROPPED.get(record.stage, ())}
    if record.stage in _SHOWN:
        shown = {key: kept[key] for key in _SHOWN[record.stage][kept["settings"]["kind"]] if key in kept}
        if "found_in" in shown:
            shown["explainers"] = {name: list(found) for name, found in shown.pop("found_in").items()}
        kept = {"wildcards": kept["wildcards"], "settings": kept["settings"], "shown": shown}
    return {**kept, "inputs": _without_seeds(_inputs(record), kept.get("seeds", []))}


def _inputs(record: Sidecar) -> dict[str, list[str]]:
    """Option of its command -> the files that it read by it, relative to the results folder."""
    found, option = {}, ""
    for argument in _given(record):
        if argument.startswith("--"):
            option = argument[2:].replace("-", "_")
        elif argument in record.inputs:
            found.setdefault(option, []).append(str(Path(*Path(argument).parts[1:])))
    return found


def _without_seeds(inputs: dict[str, list[str]], seeds: list[int]) -> dict[str, list[str]]:
    """Of a job of several seeds: the files of the first one, with {seed} for its number."""
    if not seeds:
        return inputs
    return {
        option: [path.replace(f"/seed{seeds[0]}/", "/seed{seed}/") for path in files[: len(files) // len(seeds)]]
        if option in PER_SEED
        else files
        for option, files in inputs.items()
    }


def argv(record: Sidecar) -> list[str]:
    """The arguments of its command, from the first option on."""
    given = _given(record)
    if not isinstance(record.code, ModulesCode) or record.stage not in _SHOWN:
        return given
    read = _inputs(record)
    files = [f"results/{path}" for name in sorted(read) for path in read[name]]
    written = [word for pair in pairwise(given) if pair[1] in record.outputs for word in pair]
    return ["--inputs", *files, *written]


def _given(record: Sidecar) -> list[str]:
    return list(itertools.dropwhile(lambda argument: not argument.startswith("--"), record.argv))


def digest(record: Sidecar) -> str:
    """The digest that stands for its code: of one that was shown to be equal, the latest."""
    return equal.standing(record.stage, own_digest(record))


def own_digest(record: Sidecar) -> str:
    """The digest of its code itself; of schema 2, of its modules and the kinds that its settings name."""
    if isinstance(record.code, ModulesCode):
        return hashing.of([record.code.modules, sorted(fingerprints.kinds(cfg(record)))])[:16]
    return record.code.digest


def libraries(record: Sidecar) -> dict[str, str]:
    """Distribution -> version, of the libraries that count."""
    if not isinstance(record.code, ModulesCode):
        return record.code.libraries
    now = fingerprints.of_job(record.stage, cfg(record))["libraries"]
    return {name: record.distributions[name] for name in now if name in record.distributions}


def fingerprint(record: Sidecar) -> str:
    """What Snakemake tracked, were the job planned today with the code that it had."""
    return fingerprints.of(digest(record), libraries(record))


def other_code(record: Sidecar, root: Path) -> list[str]:
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
