"""Points of the unit disc, labelled by a curve, and a grid on which boundaries are looked at (N19 Fig 1)."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from workflow_scripts.config.base import Count, Seed
from workflow_scripts.data import parts, room
from workflow_scripts.data.source import Source


class Ball(Source):
    """Uniform in the unit disc, labelled by a sinusoidal curve, with label noise (N19 Fig 1)."""

    n_classes: ClassVar[int] = 2

    kind: Literal["ball"]
    train: Count = Field(500, description="training examples")
    test: Count = Field(10_000, description="test examples, with as much label noise")
    fresh: int = Field(0, ge=0, description="further draws, for distillation only")
    seed: Seed = Field(0, description="seed of every draw")
    amplitude: float = Field(0.4, ge=0, description="a in: y = +1 above the curve x2 = a sin(frequency x1); 0: a line")
    frequency: float = Field(4.0, gt=0, description="radians per unit of x1")
    noise: float = Field(0.1, ge=0, le=0.5, description="probability that a label is flipped")
    grid: int = Field(200, ge=2, le=1000, description="points per side of the grid on which boundaries are recorded")


Settings = Ball


def make(settings: Ball, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays (`parts.arrays`), drawn, and `{part}_flipped`, bool[N]: the examples whose label is flipped.

    Inputs are float32[N, 2]. The grid covers [-1, 1]^2 row by row from below; its labels have no noise. Raises Unfit
    where they don't fit in memory.
    """
    room.check(
        64 * sum(parts.sizes(settings).values()),  # while they are drawn, in double precision
        "train + test + fresh",
        "so many points",
        "lower one of them",
    )
    rng = np.random.default_rng(settings.seed)
    drawn, flipped = {}, {}
    for part, n in parts.sizes(settings).items():
        angle = rng.uniform(0, 2 * np.pi, n)
        x = (np.sqrt(rng.uniform(0, 1, n)) * [np.cos(angle), np.sin(angle)]).T.astype(np.float32)
        flipped[f"{part}_flipped"] = rng.uniform(0, 1, n) < settings.noise
        drawn[part] = x, _above(x, settings) ^ flipped[f"{part}_flipped"]
    axis = np.linspace(-1, 1, settings.grid, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return parts.arrays({**drawn, "grid": (grid, _above(grid, settings))}, ["-1", "+1"], {}) | flipped


def _above(x: np.ndarray, settings: Ball) -> np.ndarray:
    """Which points lie above the curve x2 = amplitude sin(frequency x1): 0 or 1, int64[N]."""
    return (x[:, 1] > settings.amplitude * np.sin(settings.frequency * x[:, 0])).astype(np.int64)
