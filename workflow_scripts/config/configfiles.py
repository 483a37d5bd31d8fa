"""Config files as Snakemake reads them: later ones win, key by key, and --config values last."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from workflow_scripts.config.errors import Damaged, Misconfigured, Missing, Mistake, Misused

#: values, each counted as often as aliases repeat it
MOST_VALUES = 200_000
#: levels, a key or a list each
DEEPEST = 50
_SCALARS = {
    "tag:yaml.org,2002:timestamp": "YAML reads it as a date: put it in quotes",
    "tag:yaml.org,2002:binary": "YAML reads it as bytes: write it as text in quotes",
}


def merged(paths: list[str | Path], changes: dict | None = None) -> dict:
    """The config of these files and changes. Raises StudyError for a file that is missing or not YAML."""
    from snakemake.common.configfile import load_configfile
    from snakemake.exceptions import WorkflowError
    from snakemake.utils import update_config

    config: dict = {}
    for path in paths:
        check(path)
        try:
            update_config(config, load_configfile(os.fspath(path)))
        except OSError as error:
            raise Missing(path, f"{error.strerror}: give the path of a config file") from None
        except (WorkflowError, ValueError) as error:
            raise _damaged(path, error) from None
    update_config(config, changes or {})
    return config


def check(path: str | Path) -> None:
    """Read a config file strictly: Snakemake drops the first of two equal keys, and reads 010 as 8, in silence.

    Raises Missing, Misused (a pipe), Damaged (not UTF-8, not YAML, circular, too deep, too large), or Misconfigured
    with the line of each key that stands twice and of each value that YAML reads as what nobody means.
    """
    if Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
        raise Misused(path, "it is a pipe or a device, and is read twice: write it into a file, and give that")
    try:
        text = Path(path).read_bytes().decode("utf-8")
        root = yaml.compose(text, yaml.SafeLoader)
    except OSError as error:
        raise Missing(path, f"{error.strerror}: give the path of a config file") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _damaged(path, error) from None
    except RecursionError:
        raise _damaged(path, "its keys or lists are nested too deeply") from None
    _count(path, root)
    if mistakes := list(_mistakes(str(path), root, "", set())):
        raise Misconfigured(mistakes)


def refuse_repeated(argv: list[str]) -> None:
    """Raise Misused for a command line with an option twice of which Snakemake would follow the last alone."""
    for names in (("--configfile", "--configfiles"), ("--config",)):
        given = [word for word in argv if _long(word) in names]
        if len(given) > 1:
            raise Misused(names[0], f"it is given {len(given)} times, and only the last would count: give all in one")


def _long(word: str) -> str:
    """An option without its value, -C by its long name: it may stand after letters that take no value, as in -nC."""
    return "--config" if re.match("-[Ffknpt]*C", word) else word.partition("=")[0]


def _damaged(path: str | Path, why: object) -> Damaged:
    reason = " ".join(str(why).split())
    return Damaged(path, f"not a config file ({reason}): expected YAML such as config.yaml")


def _below(node: yaml.Node | None) -> list[yaml.Node]:
    """The nodes right below one."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _count(path: str | Path, root: yaml.Node | None) -> None:
    """Raise Damaged for a file that holds itself, is too deep, or becomes too large by aliases."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node | None, above: tuple[int, ...]) -> int:
        if id(node) in above:
            raise _damaged(path, f"the alias in line {node.start_mark.line + 1} holds itself")
        if len(above) > DEEPEST:
            raise _damaged(path, f"it is nested more than {DEEPEST} levels deep")
        if id(node) not in sizes:
            sizes[id(node)] = 1 + sum(size(part, (*above, id(node))) for part in _below(node))
        return sizes[id(node)]

    if (found := size(root, ())) > MOST_VALUES:
        raise _damaged(path, f"it has {found} values, more than {MOST_VALUES}")


def _mistakes(source: str, node: yaml.Node | None, key: str, seen: set[int]) -> Iterator[Mistake]:
    """What YAML would read in silence as something else, each node once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        if words := _misread(node):
            yield _mistake(source, key, node, "bad_value", f"{node.value}: {words}")
    elif isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], int] = {}
        for name, value in node.value:
            below = f"{key}.{name.value}".lstrip(".") if isinstance(name, yaml.ScalarNode) else key
            same = (name.tag, name.value) if isinstance(name, yaml.ScalarNode) else None
            if same in first:
                words = f"the key stands in line {first[same]} too: remove one of them"
                yield _mistake(source, below, name, "repeated", words)
            elif same:
                first[same] = _line(name)
            yield from _mistakes(source, name, below, seen)
            yield from _mistakes(source, value, below, seen)
    else:
        for i, part in enumerate(node.value):
            yield from _mistakes(source, part, f"{key}[{i}]", seen)


def _misread(node: yaml.ScalarNode) -> str:
    """Why a value isn't what it seems to be; empty: it is."""
    if node.tag == "tag:yaml.org,2002:int" and re.fullmatch(r"[-+]?0[0-9_]+", node.value):
        return "YAML reads a number that begins with 0 in base 8: write it without the 0, or text in quotes"
    if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and ":" in node.value:
        return "YAML reads it as a number in base 60: put it in quotes"
    return _SCALARS.get(node.tag, "")


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _mistake(source: str, key: str, node: yaml.Node, kind: str, words: str) -> Mistake:
    return Mistake(source, key, kind, f"{source}: {key}: line {_line(node)}: {words}")
