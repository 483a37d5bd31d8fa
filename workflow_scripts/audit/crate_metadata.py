"""The ro-crate-metadata.json of a crate: its files, jobs and workflow in the terms of Provenance Run Crate 0.5.

All of it follows from the sidecars and the bytes of the files, so that the same results give the same metadata. What is
not known is left out.
"""

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import yaml
from rocrate.model import ContextEntity, File
from rocrate.rocrate import ROCrate

from workflow_scripts.audit.records import Copy
from workflow_scripts.audit.verdict import Job, stage_rank
from workflow_scripts.data import parts
from workflow_scripts.files import hashing
from workflow_scripts.provenance import fingerprints
from workflow_scripts.provenance.sidecars import Sidecar

WORKFLOW = "Snakefile"
CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
FORMATS = {
    ".cff": "application/yaml",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".npz": "application/zip",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}
VALUE_TYPES = {bool: "Boolean", int: "Integer", float: "Float", str: "Text"}


class Ref(str):
    """The @id of another entity."""


class Graph:
    """Entities by @id; None and repeated values of a property are dropped."""

    def __init__(self):
        self._types: dict[str, str | list[str]] = {}
        self._properties: dict[str, dict[str, Sidecar]] = defaultdict(lambda: defaultdict(dict))

    def add(self, id: str, type: str | list[str], **properties: Any) -> Ref:
        """Add an entity unless it is there; properties: values, or lists of them."""
        self._types.setdefault(id, type)
        return self.join(id, **properties)

    def join(self, id: str, **properties: Any) -> Ref:
        """Add to the properties of an entity."""
        for name, value in properties.items():
            self._properties[id][name] |= dict.fromkeys(value if isinstance(value, list) else [value])
        return Ref(id)

    def write(self, folder: Path, snakemake: str | None) -> None:
        """Write ro-crate-metadata.json; snakemake: its version."""
        crate = ROCrate(version="1.1")
        crate.metadata.extra_contexts.append(CONTEXT)
        crate.add_workflow(
            dest_path=WORKFLOW,
            properties={"@type": self._types[WORKFLOW]},
            main=True,
            lang="snakemake",
            lang_version=snakemake,
        )
        for id, type in self._types.items():
            entity = crate.get(id) if id in crate else crate.add(_entity(crate, id, type))
            for name, values in self._properties[id].items():
                known = [{"@id": str(each)} if isinstance(each, Ref) else each for each in values if each is not None]
                if known:
                    entity[name] = known if len(known) > 1 else known[0]
        crate.metadata.write(folder)


class Description:
    """What there is to say of a crate.

    folder: where its files lie now; copies: the files by their place in the crate; jobs: by that of their sidecars;
    place: a file of the results -> its place.
    """

    def __init__(self, folder: Path, copies: dict[str, Copy], jobs: dict[str, Job], place: Callable[[str], str]):
        self._folder, self._copies, self._place = folder, copies, place
        self._jobs = dict(sorted(jobs.items(), key=lambda job: (stage_rank(job[1].stage), job[0])))
        self._records = [job.record for job in self._jobs.values()]
        self._last = max(self._records, key=lambda record: record.ended)
        self._citation = yaml.safe_load((folder / "CITATION.cff").read_text())
        self._graph = Graph()

    def write(self, named: list[str], studies: list[Sidecar], configs: list[str], summary: str) -> None:
        """Write ro-crate-metadata.json.

        named, configs: the places of the results that were asked for, and of the config files; studies: what Snakemake
        was given to make them; summary: what the crate holds, in words.
        """
        stages = dict.fromkeys(job.stage for job in self._jobs.values())
        types = {_module(stage): ["File", "SoftwareSourceCode"] for stage in stages}
        types[WORKFLOW] = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
        for place, copy in self._copies.items():
            self._graph.add(
                quote(place),
                types.get(place, "File"),
                name=place,
                contentSize=str(copy.size),
                sha256=copy.sha256,
                encodingFormat=FORMATS.get(Path(place).suffix, "text/plain"),
            )
        self._workflow(list(stages))
        actions = {place: self._job(place, record) for place, record in self._jobs.items()}
        self._run(actions, named, studies, configs)
        self._root(list(actions.values()), summary)
        self._graph.write(self._folder, self._last.snakemake)

    def _workflow(self, stages: list[str]) -> None:
        """The workflow, its steps, and the module that each of them runs."""
        url = self._citation.get("repository-code") or self._citation.get("url")
        for position, stage in enumerate(stages):
            module = self._folder / _module(stage)
            text = ast.get_docstring(ast.parse(module.read_bytes())) if module.is_file() else None
            tool = self._graph.add(_module(stage), "SoftwareSourceCode", name=_module(stage), description=text, url=url)
            step = self._graph.add(f"#step/{stage}", "HowToStep", name=stage, position=str(position), workExample=tool)
            self._graph.join(WORKFLOW, hasPart=tool, step=step)
        self._graph.join(
            WORKFLOW,
            description=self._citation["title"],
            version=sorted(filter(None, {_commit(record) for record in self._records})),
            url=url,
            conformsTo=Ref("https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"),
        )

    def _job(self, place: str, job: Job) -> Ref:
        """The action of one job; fills in the parameters of its tool."""
        stage, record = job.stage, job.record
        tool = self._graph.join(_module(stage), version=record.code.fingerprint)
        for library, version in record.code.libraries.items():
            package = f"pkg:pypi/{library}@{version}"
            self._graph.add(package, "SoftwareApplication", name=library, softwareVersion=version)
            self._graph.join(tool, softwareRequirements=Ref(package))
        inputs = self._files(stage, job.read, "input")
        results = self._files(stage, job.wrote, "output")
        asked = {key: value for key, value in record.cfg.items() if key != "inputs"}
        settings = [self._value(stage, tool, key, value) for key, value in _flat(asked)]
        action = self._graph.add(
            f"#job/{quote(place)}",
            "CreateAction",
            name=job.name,
            description=_circumstances(record),
            instrument=tool,
            agent=self._user(record),
            startTime=record.started,
            endTime=record.ended,
            object=[*inputs, *self._sources(job), *settings],
            result=results,
            resourceUsage=self._memory(record),
        )
        self._graph.join(quote(place), about=action)
        return action

    def _files(self, stage: str, files: list[tuple[str, str, str]], end: str) -> list[Ref]:
        """Those inputs or outputs (option, name, SHA-256) that lie in the crate with the bytes that were used."""
        found = []
        for option, name, digest in files:
            place = self._place(name)
            if place in self._copies and self._copies[place].sha256 == digest:
                found.append(Ref(quote(place)))
                id = f"#{stage}/--{option.replace('_', '-')}"
                parameter = self._graph.add(id, "FormalParameter", name=option, additionalType="File")
                self._graph.join(_module(stage), **{end: parameter})
                self._graph.join(found[-1], exampleOfWork=parameter)
        return found

    def _value(self, of: str, reader: str, key: str, value: Any) -> Ref:
        """The value of a setting: one entity for all the jobs that share it."""
        id = f"#{of}/{quote(key)}"
        parameter = self._graph.add(id, "FormalParameter", name=key)
        self._graph.join(parameter, additionalType=VALUE_TYPES[type(value)])
        self._graph.join(reader, input=parameter)
        id = f"{id}/{hashing.of(value)[:12]}"
        return self._graph.add(id, "PropertyValue", name=key, value=value, exampleOfWork=parameter)

    def _sources(self, job: Job) -> list[Ref]:
        """What a data set was made from: files and arrays that are not in the crate, by their hashes."""
        made = [self._place(name) for _, name, _ in job.wrote] if job.stage == "prepare_data" else []
        data = [place for place in made if place in self._copies]
        return [
            self._graph.add(f"#source/{sha256}", "CreativeWork", name=name, sha256=sha256)
            for place in data
            for name, sha256 in parts.sources(self._folder / place)
        ]

    def _memory(self, record: Sidecar) -> Ref:
        mib = record.peak_memory_mib
        return self._graph.add(
            f"#memory/{mib}",
            "PropertyValue",
            name="peak memory",
            propertyID="https://man7.org/linux/man-pages/man2/getrusage.2.html",
            unitCode="https://qudt.org/vocab/unit/MebiBYTE",
            value=mib,
        )

    def _user(self, record: Sidecar) -> Ref | None:
        user = record.user
        return self._graph.add(f"#user/{quote(user)}", "Person", name=user) if user else None

    def _run(self, actions: dict[str, Ref], named: list[str], studies: list[Sidecar], configs: list[str]) -> None:
        """The run of the workflow: all its jobs, whether or not it took several calls of Snakemake."""
        given = self._graph.add("#workflow/--configfile", "FormalParameter", name="configfile", additionalType="File")
        made = self._graph.add("#workflow/results", "FormalParameter", name="results", additionalType="File")
        self._graph.join(WORKFLOW, input=given, output=made)
        changes = [pair for study in studies for pair in _flat(study["config"])]
        when = {
            "startTime": min(record.started for record in self._records),
            "endTime": self._last.ended,
            "agent": [self._user(record) for record in self._records],
        }
        run = self._graph.add(
            "#run",
            "CreateAction",
            name="run of the workflow",
            description=f"{len(actions)} jobs",
            instrument=Ref(WORKFLOW),
            object=[
                *(self._graph.join(quote(place), exampleOfWork=given) for place in configs),
                *(self._value("workflow", WORKFLOW, key, value) for key, value in changes),
            ],
            result=[self._graph.join(quote(place), exampleOfWork=made) for place in named],
            **when,
        )
        engine = self._graph.add(
            "https://snakemake.github.io",
            "SoftwareApplication",
            name="Snakemake",
            url="https://snakemake.github.io",
            softwareVersion=self._last.snakemake,
        )
        steps = defaultdict(list)
        for place, action in actions.items():
            steps[self._jobs[place].stage].append(action)
        controls = [
            self._graph.add(f"#run/{stage}", "ControlAction", name=stage, instrument=Ref(f"#step/{stage}"), object=of)
            for stage, of in steps.items()
        ]
        self._graph.add(
            "#engine", "OrganizeAction", name="run of Snakemake", instrument=engine, object=controls, result=run, **when
        )

    def _root(self, actions: list[Ref], summary: str) -> None:
        profiles = [
            self._graph.add(id, "CreativeWork", name=name, version=id.rpartition("/")[2])
            for id, name in PROFILES.items()
        ]
        name, words = self._citation["license"], (self._folder / "LICENSE").read_text().splitlines()[0]
        license = self._graph.add(f"https://spdx.org/licenses/{name}", "CreativeWork", name=name, description=words)
        self._graph.join("README.md", about=Ref("./"))
        self._graph.add(
            "./",
            "Dataset",
            name=f"Results of: {self._citation['title']}",
            description=summary,
            datePublished=self._last.ended,
            license=license,
            author=[self._author(author) for author in self._citation["authors"]],
            conformsTo=profiles,
            mentions=[Ref("#run"), *actions],
        )

    def _author(self, author: dict) -> Ref:
        """An author as CITATION.cff tells it: a person, or a group that has but a name."""
        name = author.get("name") or f"{author.get('given-names', '')} {author['family-names']}".strip()
        type = "Organization" if "name" in author else "Person"
        return self._graph.add(author.get("orcid") or f"#author/{quote(name)}", type, name=name)


def _entity(crate: ROCrate, id: str, type: str | list[str]) -> ContextEntity | File:
    made = {"@type": type}
    return File(crate, dest_path=unquote(id), properties=made) if "File" in type else ContextEntity(crate, id, made)


def _module(stage: str) -> str:
    return f"{fingerprints.PACKAGE}/{stage}.py"


def _flat(settings: dict, before: str = "") -> Iterator[tuple[str, Any]]:
    """Keys such as sgd.lr and their values, lists as JSON; those without a value are left out."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        elif value is not None:
            yield f"{before}{key}", hashing.canonical_json(value) if isinstance(value, list) else value


def _commit(record: Sidecar) -> str | None:
    return record.commit and f"{record.commit[:12]}{'-dirty' if record.dirty else ''}"


def _circumstances(record: Sidecar) -> str:
    hardware, commit = record.gpu or record.cpu, _commit(record)
    host = record.host and f"host {record.host}"
    words = [f"key {record.key}", host, hardware, record.os, f"Python {record.python}", commit and f"commit {commit}"]
    return ", ".join(filter(None, words))
