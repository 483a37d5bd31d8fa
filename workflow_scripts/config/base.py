"""The base of all configuration models, and validation errors in plain words."""

import difflib
import json
import math
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from workflow_scripts.config.errors import Misconfigured, Mistake, Misused, Wrong

Count = Annotated[int, Field(ge=1)]
NAME = "[A-Za-z][A-Za-z0-9_-]*"
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
StudyName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
# digits as text are taken too: that is what --config seeds='[0,1]' gives
_DIGITS = BeforeValidator(lambda value: int(value) if isinstance(value, str) and value.isdecimal() else value)
Seed = Annotated[int, Field(ge=0, lt=2**32), _DIGITS]


class Strict(BaseModel):
    """Frozen, exactly typed, and closed: a key that it does not know is an error that names the nearest one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "unknown_key",
                        "{text}",
                        {"text": f"unknown key {_cut(repr(key))}: {_nearest(key, cls.model_fields)}"},
                    )
        return data


class JobConfig(Strict):
    """What every job reads: which one of its stage's jobs it is, and its files by option, relative to the results."""

    wildcards: dict[str, str]
    inputs: dict[str, list[str]] = {}


def parse(model: type[BaseModel], data: Any, source: str) -> BaseModel:
    """Validate data against a model. Raises Misconfigured: a line per mistake with source, key, expected, remedy."""
    if unfit := list(_unfit(source, data)):
        raise Misconfigured(unfit)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Misconfigured([_mistake(source, item, data) for item in error.errors()]) from None


def parse_json(model: type[BaseModel], text: str) -> BaseModel:
    """Validate JSON, given as text or as the path of a JSON file, against a model. Raises Misused, Misconfigured."""
    source = "--cfg"
    if not text.lstrip().startswith("{"):
        source = text
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            shown = source if len(source) <= 200 else f"{source[:100]}..."
            raise Misused(f"--cfg {shown}", f"{reason}: give JSON or the path of a JSON file") from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise Misused(
            source, f"not JSON ({error}): print the right one with python -m workflow_scripts.config"
        ) from None
    return parse(model, data, source)


def _unfit(source: str, data: Any) -> Iterator[Mistake]:
    """The values and keys, at any depth, that no setting can have: not to be shown, or larger than any computer's."""
    left = [("", data)]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += [(_shown(f"{key}.{name}".lstrip(".")), of) for name, of in value.items()]
            left += [(key, name) for name in value]
            for name in value:
                if isinstance(name, str) and not unicodedata.is_normalized("NFC", name):
                    yield _unusable(
                        source, key, f"the name {_shown(name)} is in decomposed Unicode: type it anew (NFC)"
                    )
        elif isinstance(value, list):
            left += [(f"{key}[{i}]", of) for i, of in enumerate(value)]
        elif isinstance(value, str) and not all(map(_is_text, value)):
            words = f"{_shown(value)} holds control characters, or marks that turn its direction: remove them"
            yield _unusable(source, key, words)
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield _unusable(source, key, "the number is beyond 64 bits: give a smaller one")


def _unusable(source: str, key: str, words: str) -> Mistake:
    return Mistake(source, key, "bad_value", ": ".join(filter(None, (source, key, words))))


def _is_text(sign: str) -> bool:
    """Whether a character can be drawn and printed without an effect on what stands beside it."""
    turns = unicodedata.bidirectional(sign) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return not turns and unicodedata.category(sign) not in ("Cc", "Cs", "Zl", "Zp")


def _shown(value: object) -> str:
    """A value in a message: text in ASCII with escapes where need be, and no more than a line of it."""
    try:
        text = value if isinstance(value, str) and value.isprintable() else ascii(value)
    except ValueError:  # a number of thousands of digits
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= 120 else f"{text[:100]}..."


def unknown_name(kind: str, name: str, known) -> str:
    """The text for a name that nothing in the config carries."""
    return f"there is no {kind} {name!r}: {_nearest(name, known)}"


def _nearest(word: object, known) -> str:
    known = sorted(map(str, known))
    near = difflib.get_close_matches(str(word)[:100], known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known) or '(none are defined)'}"


def _mistake(source: str, item: dict, data: Any) -> Mistake:
    """What pydantic tells of a mistake."""
    key, kind, below = _location(item, data), item["type"], ""
    if isinstance(error := item.get("ctx", {}).get("error"), Wrong):
        kind, below = error.kind, error.key
    line = ": ".join(filter(None, (source, key, _sentence(item))))
    return Mistake(source, ".".join(filter(None, (key, below))), kind, line)


def _location(item: dict, data: Any) -> str:
    """The dotted key of an error, without the tags that pydantic inserts for unions."""
    keys = []
    for part in item["loc"]:
        if (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int)):
            keys.append(f"[{part}]" if isinstance(data, list) else f".{part}")
            data = data[part] if not isinstance(data, list) or part < len(data) else None
        elif item["type"] == "missing" and part == item["loc"][-1]:
            keys.append(f".{part}")
    return "".join(keys).lstrip(".")


def _sentence(item: dict) -> str:
    kind, value, context = item["type"], item.get("input"), item.get("ctx", {})
    if kind == "missing":
        return "this key is missing: add it"
    if kind == "unknown_key":
        return context["text"]
    if kind == "value_error":
        return str(context["error"])
    if kind in ("float_type", "int_type") and isinstance(value, str):
        number = _as_number(value)
        hint = f": write {number} in a config file (no quotes, and a point before e)" if number else ""
        return f"expected a number, got the text {_cut(repr(value))}{hint}"
    if kind == "too_short":
        return "nothing is listed: give one or more"
    if kind == "union_tag_not_found":
        return f"the key {_tag(context)} is missing: add it"
    if kind == "union_tag_invalid":
        known = context["expected_tags"].replace("'", "").split(", ")
        return f"{_tag(context)} {context['tag']!r} is not known: {_nearest(context['tag'], known)}"
    if kind == "string_pattern_mismatch":
        return f"{_cut(repr(value))} can't be a name: use letters, digits, _ and -, a letter first"
    expected = _EXPECTED.get(kind) or item["msg"].removeprefix("Input should be ")
    return f"expected {expected}, got {'nothing' if value is None else _cut(repr(value))}"


def _cut(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _tag(context: dict) -> str:
    return context["discriminator"].strip("'")


_EXPECTED = {
    "dict_type": "keys with values below it",
    "model_type": "keys with values below it",
    "model_attributes_type": "keys with values below it",
    "list_type": "a list such as [a, b]",
    "string_type": "text (put it in quotes)",
    "int_type": "a whole number",
    "float_type": "a number",
}


def _as_number(text: str) -> str | None:
    """A number given as text, spelled so that YAML reads a number."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    spelled = repr(int(number) if number == int(number) and abs(number) < 1e16 else number)
    return spelled if "." in spelled else spelled.replace("e", ".0e")
