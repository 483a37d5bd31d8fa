"""The distribution of N19 section 5: one coordinate holds the signal, which noise flips, and another only noise.

y is uniform in {-1, +1}; x = eta y e_1 + e_k with k uniform in 2..d, and eta = -1 with probability p, else +1. The
simulation of Theorem 1 draws from it too.
"""

from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from workflow_scripts.config.base import Count, Seed
from workflow_scripts.config.errors import Wrong
from workflow_scripts.data import parts
from workflow_scripts.data.source import Source


class Theorem1(Source):
    """x = eta y e_1 + e_k, k uniform in 2..dimension, eta = -1 with probability noise, else +1 (N19 section 5)."""

    n_classes: ClassVar[int] = 2

    kind: Literal["theorem1"]
    train: Count = Field(500, description="training examples")
    test: Count = Field(10_000, description="test examples")
    fresh: int = Field(0, ge=0, description="further draws, for distillation only")
    seed: Seed = Field(0, description="seed of every draw")
    dimension: int = Field(10_000, ge=2, description="length of x")
    noise: float = Field(0.1, ge=0, le=0.5, description="probability p that eta is -1")

    @model_validator(mode="after")
    def _fits(self):
        gib = (self.train + self.test + self.fresh) * self.dimension * 4 / 2**30
        if gib > 1:
            raise Wrong(
                "too_many", "", f"train + test + fresh inputs take {gib:.1f} GiB, more than 1: lower one, or dimension"
            )
        return self


Settings = Theorem1


def make(settings: Theorem1, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays (`parts.arrays`), drawn: x float32[N, dimension]."""
    rng = np.random.default_rng(settings.seed)
    drawn = {}
    for part, n in parts.sizes(settings).items():
        samples = draw(rng, n, settings.dimension, settings.noise)
        drawn[part] = (dense(samples, settings.dimension), samples.y > 0)
    return parts.arrays(drawn, ["-1", "+1"], {})


class Samples(NamedTuple):
    """Draws, all of them +1 or -1 but k: the index of e_k counted from 0, so in 1..d-1."""

    k: np.ndarray
    eta: np.ndarray
    y: np.ndarray


def draw(rng: np.random.Generator, shape: int | tuple[int, ...], dimension: int, noise) -> Samples:
    """Samples with k and y of this shape; noise: p, or several, [S].

    eta has the same shape, followed by [S]; for several p it comes from the same uniform numbers.
    """
    k = rng.integers(1, dimension, shape)
    y = rng.choice([-1.0, 1.0], shape)
    return Samples(k, np.where(np.less.outer(rng.random(shape), noise), -1.0, 1.0), y)


def dense(samples: Samples, dimension: int) -> np.ndarray:
    """The inputs x of n samples as float32 [n, dimension]."""
    x = np.zeros((len(samples.k), dimension), np.float32)
    x[:, 0] = samples.eta * samples.y
    x[np.arange(len(x)), samples.k] = 1
    return x
