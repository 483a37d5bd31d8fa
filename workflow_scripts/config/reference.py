"""Write docs/config.schema.json and docs/configuration.md, the configuration's JSON schema and reference page.

python -m workflow_scripts.config.reference
"""

import json
from pathlib import Path

from pydantic.json_schema import GenerateJsonSchema

from workflow_scripts.config import calls, endings
from workflow_scripts.config.study import Study

DOCS = Path(__file__).resolve().parents[2] / "docs"

INTRO = """<!-- Written by python -m workflow_scripts.config.reference: edit the models in workflow_scripts/config. -->
# Configuration

One YAML file says everything that a study computes. [config.yaml](../config.yaml) is the default one, commented, and
[experiments/](../experiments) holds more. Another study, or a change of one, from the command line:

| | |
| --- | --- |
| another study | `snakemake --cores 2 --configfile my-study.yaml` |
| the default study with changes | `snakemake --cores 2 --configfile config.yaml my.yaml` |
| a single key | `snakemake --cores 2 --config seeds='[0,1]'` |

Later files win, key by key: what `my.yaml` does not mention stays as it is, and a list is replaced as a whole. A file
given with `--configfile` stands for itself: name `config.yaml` before it to change the default study. `--config`
hands over numbers inside brackets as text, which only seeds may be: put other numbers into a file. Only results that a
change affects are computed again (`snakemake -n` says which).

A mistake in the file stops everything before it starts, with a line that names the file, the key and what to do:
an unknown key, a missing one, a name that nothing carries, classes that are in two groups or in none, a number that
no computer could follow (more than 100 million examples, a million epochs). A config file is a file: what a pipe
hands over (`--configfile <(...)`) can't be read twice, and is refused. What
Snakemake can't read at all (absent, not UTF-8, circular, without keys) ends in its own words, often a traceback, with
exit code 1: it reads config files before anything of this project is asked.

Titles, and names of groups, classes and initial weights, may be any text on one line, and figures draw them as they
are: `$` begins no formula. Signs that their font, DejaVu Sans, lacks, such as Chinese ones and many emoji, and scripts
that run from right to left are drawn as their number in Unicode, and the figure's log says so; tables have them all.

Write numbers as YAML does: `1e-3` is text to YAML, `0.001` and `1.0e-3` are numbers. Text that looks like something
else needs quotes: a group called `"0"`. Names (of data sets, tasks, explainers, experiments, figures, tables) are made
of letters, digits, `_` and `-`, a letter first.

Editors with a YAML language server complete and check keys by [config.schema.json](config.schema.json) if the file
starts with `# yaml-language-server: $schema=` and the path of the schema. N19 is Nakkiran et al. 2019.
"""


class _Schema(GenerateJsonSchema):
    """The schema without titles, and with no key outside the pattern where names are keys."""

    def field_title_should_be_set(self, schema) -> bool:
        return False

    def dict_schema(self, schema) -> dict:
        made = super().dict_schema(schema)
        return made | {"additionalProperties": False} if "patternProperties" in made else made


def schema() -> dict:
    """The JSON schema of a config file."""
    made = Study.model_json_schema(schema_generator=_Schema)
    return {"$schema": _Schema.schema_dialect, **made}


def page() -> str:
    """The reference page, in Markdown: a section per model, in reading order."""
    whole = schema()
    names = dict.fromkeys(["Study", *_references(whole, whole)])
    models = {name: whole if name == "Study" else whole["$defs"][name] for name in names}
    return INTRO + "".join(_section(name, model, models) for name, model in models.items())


def _references(node, whole: dict) -> list[str]:
    """Names of the models below a node, each before those that it refers to."""
    if isinstance(node, list):
        return [name for item in node for name in _references(item, whole)]
    if not isinstance(node, dict):
        return []
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return [name, *_references(whole["$defs"][name], whole)]
    return [name for key, item in node.items() if key not in ("$defs", "default") for name in _references(item, whole)]


def _section(name: str, model: dict, models: dict[str, dict]) -> str:
    rows = [("key", "type", "default", "meaning"), ("---",) * 4]
    for key, value in sorted(model["properties"].items(), key=lambda item: "const" not in item[1]):
        default = (
            "required" if key in model.get("required", []) else f"`{json.dumps(value['default'])}`".replace('"', "")
        )
        meaning = "chooses this section" if "const" in value else value["description"]
        rows.append((f"`{key}`", _type(value), default, meaning.replace("<", "&lt;")))
    users = [
        f"`{key}` of {_link(other)}"
        for other, its in models.items()
        for key, value in its["properties"].items()
        if name in _references(value, {"$defs": dict.fromkeys(models)})
    ]
    table = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    about = [f"## {name}", model["description"].replace("<", "&lt;")]
    about += [f"Used as {' or '.join(users)}."] if users else []
    return "\n" + "\n\n".join([*about, "\n".join(table)]) + "\n"


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _type(value: dict | bool) -> str:
    """The type in plain words, with links to the sections of models."""
    if value is True:
        return "any value"
    if "$ref" in value:
        return _link(value["$ref"].rpartition("/")[2])
    if options := value.get("oneOf") or value.get("anyOf"):
        return " or ".join(_type(option) for option in options)
    if "const" in value or "enum" in value:
        options = value.get("enum", [value.get("const")])
        return " or ".join(f"`{option}`" for option in options if option is not True)
    if value["type"] == "array":
        several = _type(value["items"]).replace("number", "numbers").replace("name", "names")
        return f"list of {several}{', one or more' if value.get('minItems') else ''}"
    if value["type"] == "object":
        inner = value.get("additionalProperties") or next(iter(value["patternProperties"].values()))
        return f"by name: {_type(inner)}{', one or more' if value.get('minProperties') else ''}"
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "null": "`null`",
    }
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    word = "name" if "pattern" in value else words[value["type"]]
    bounds = ", ".join(f"{sign} {value[key]}" for key, sign in signs.items() if key in value)
    return f"{word} {bounds}".strip().replace(str(2**32), "2³²")


def main() -> None:
    """Write both files."""
    with endings.clear("reference"):
        calls.Parser(prog="python -m workflow_scripts.config.reference", description=__doc__).parse_args()
        DOCS.mkdir(exist_ok=True)
        (DOCS / "config.schema.json").write_text(
            json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        (DOCS / "configuration.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
