"""How large a whole number of a config may be: what no computer could follow is refused before any memory is taken.

They stand here and not beside each setting, as a bound that is raised or lowered changes no result of any job.
"""

from collections.abc import Iterator

from pydantic import BaseModel

from workflow_scripts.config.errors import Misconfigured, Mistake

_COUNT, _LENGTH, _WIDTH, _DEPTH = 100_000_000, 1_000_000_000, 1_000_000, 10_000
#: key -> the largest number that it takes, wherever it stands; seeds have a bound of their own
MOST = {
    **dict.fromkeys(("train", "test", "fresh", "examples", "repetitions", "batch_size", "dimension", "grid"), _COUNT),
    **dict.fromkeys(("groups", "leave_out", "neighbours", "components", "min_leaf", "draws"), _COUNT),
    **dict.fromkeys(("epochs", "early_epochs", "every", "early"), _WIDTH),
    **dict.fromkeys(("steps", "max_iterations"), _LENGTH),
    **dict.fromkeys(("widths", "channels", "dense", "width", "hidden", "mlp"), _WIDTH),
    **dict.fromkeys(("size", "patch", "heads", "layers", "blocks", "convolutions", "pool_after", "max_depth"), _DEPTH),
}
#: numbers in all examples of a data set that is drawn: 40 GB
MOST_DRAWN = 10_000_000_000


def check(config: dict, datasets: dict[str, BaseModel], source: str) -> None:
    """Raise Misconfigured, with a line for each number of a config that is too large; datasets: its, typed."""
    if mistakes := [*_too_large(source, config, "", ""), *_too_large_together(source, datasets)]:
        raise Misconfigured(mistakes)


def _too_large(source: str, value: object, key: str, name: str) -> Iterator[Mistake]:
    """name: the last key on the way to the value."""
    if isinstance(value, dict):
        for below, part in value.items():
            within = "groups" if name == "groups" else str(below)
            yield from _too_large(source, part, f"{key}.{below}".lstrip("."), within)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _too_large(source, part, f"{key}[{number}]", name)
    elif isinstance(value, int) and value > MOST.get(name, value):
        yield Mistake(
            source, key, "too_large", f"{source}: {key}: expected {MOST[name]} at most: give a smaller number"
        )


def _too_large_together(source: str, datasets: dict[str, BaseModel]) -> Iterator[Mistake]:
    """Data sets that would be drawn with more numbers than memory holds."""
    for name, of in datasets.items():
        if hasattr(of, "dimension") and (of.train + of.test + of.fresh) * of.dimension > MOST_DRAWN:
            key = f"datasets.{name}"
            words = f"examples x dimension are more than {MOST_DRAWN} numbers: lower one"
            yield Mistake(source, key, "too_large", f"{source}: {key}: {words}")
