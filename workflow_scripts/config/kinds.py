"""Kinds: of networks, data sets, explainers, figures and tables. Each is one module in the folder of its family.

A module of a family is a kind by lying there; its name is the kind's, and its `Settings` are what a config file says of
it. Code asks for what a kind does by `of(family, kind).name`, and for settings of any kind by `choice(family)`. These
two are the only places where a module is chosen at run time, and fingerprints of code follow them (provenance): a job
depends on the kinds that its own settings name, and on no other.
"""

import functools
import importlib
import pkgutil
from types import ModuleType
from typing import Annotated, Any, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticKnownError, core_schema

from workflow_scripts.config.errors import Untracked

PACKAGE = "workflow_scripts"
#: family -> the key that names a kind in its settings, and what each of its modules defines
FAMILIES = {
    "training.networks": ("kind", ("Settings", "build")),
    "data.datasets": ("kind", ("Settings", "make")),
    "explainers": ("solver", ("Settings", "fit")),
    "figures": ("kind", ("Settings", "check", "inputs", "shown", "draw", "CAPTION")),
    "tables": ("kind", ("Settings", "check", "inputs", "shown", "table", "page", "CAPTION")),
}


@functools.cache
def names(family: str) -> tuple[str, ...]:
    """The kinds of a family such as `training.networks`, sorted: its modules, but for those that begin with _."""
    folder = importlib.import_module(f"{PACKAGE}.{family}").__path__
    return tuple(sorted(m.name for m in pkgutil.iter_modules(folder) if not m.ispkg and not m.name.startswith("_")))


@functools.cache
def of(family: str, kind: str) -> ModuleType:
    """The module of a kind. Raises KeyError for one that the family has not, Untracked for one that lacks a part."""
    if kind not in names(family):
        raise KeyError(kind)
    module = importlib.import_module(f"{PACKAGE}.{family}.{kind}")
    tag, parts = FAMILIES[family]
    for part in parts:
        if not hasattr(module, part):
            raise Untracked(module.__file__, f"it has no {part}: every kind of {family} has one, define it")
    field = module.Settings.model_fields.get(tag)
    if field is None or get_args(field.annotation) != (kind,):
        raise Untracked(f'{module.__file__}: its Settings need {tag}: Literal["{kind}"], as the module is called')
    return module


def choice(family: str, tag: str = "kind") -> Any:
    """The type of a model's field that holds the settings of one of the family's kinds, which its key `tag` names."""
    return Annotated[BaseModel, _Choice(family, tag)]


class _Choice:
    """How pydantic validates such a field, without loading the modules of other kinds, and its JSON schema."""

    def __init__(self, family: str, tag: str):
        self.family, self.tag = family, tag

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validated,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda settings, info: settings.model_dump(mode=info.mode), info_arg=True
            ),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        options = {kind: of(self.family, kind).Settings.__pydantic_core_schema__ for kind in names(self.family)}
        return handler(core_schema.tagged_union_schema(options, discriminator=self.tag))

    def _validated(self, value: Any) -> BaseModel:
        if isinstance(value, BaseModel):
            return value
        if not isinstance(value, dict):
            raise PydanticKnownError("model_attributes_type")
        tag = {"discriminator": repr(self.tag)}
        if self.tag not in value:
            raise PydanticKnownError("union_tag_not_found", tag)
        kinds, kind = names(self.family), value[self.tag]
        if kind not in kinds:
            expected = {"expected_tags": ", ".join(map(repr, kinds))}
            raise PydanticKnownError("union_tag_invalid", {**tag, "tag": str(kind), **expected})
        return of(self.family, kind).Settings.model_validate(value)
