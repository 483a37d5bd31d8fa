"""Normal inputs, labelled by a line with a wave on it (N19 section 3, task iv)."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from workflow_scripts.config.base import Count, Seed
from workflow_scripts.data import parts, room
from workflow_scripts.data.source import Source


class Sinusoid(Source):
    """x ~ N(0, I), y = sign(<w, x> + sin(frequency <w', x>)), w orthogonal to w' (N19 section 3, task iv)."""

    n_classes: ClassVar[int] = 2

    kind: Literal["sinusoid"]
    train: Count = Field(100_000, description="training examples")
    test: Count = Field(10_000, description="test examples")
    fresh: int = Field(0, ge=0, description="further draws, for distillation only")
    seed: Seed = Field(0, description="seed of w, w' and every draw")
    dimension: int = Field(100, ge=2, description="length of x")
    linear_norm: float = Field(1.0, gt=0, description="norm of w")
    sine_norm: float = Field(1.0, gt=0, description="norm of w'")
    frequency: float = Field(1.0, gt=0, description="factor on <w', x> inside the sine")


Settings = Sinusoid


def make(settings: Sinusoid, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays (`parts.arrays`), drawn: x float32[N, dimension]. Raises Unfit where they don't fit in memory."""
    room.check(
        12 * (sum(parts.sizes(settings).values()) + 4) * settings.dimension,  # in single and double precision; w and w'
        "train + test + fresh",
        "so many examples, of so many numbers,",
        "lower one of them, or dimension",
    )
    rng = np.random.default_rng(settings.seed)
    w, w_prime = np.linalg.qr(rng.standard_normal((settings.dimension, 2)))[0].T
    drawn = {}
    for part, n in parts.sizes(settings).items():
        x = rng.standard_normal((n, settings.dimension), dtype=np.float32)
        wave = np.sin(settings.frequency * settings.sine_norm * (x @ w_prime))
        drawn[part] = (x, (settings.linear_norm * (x @ w) + wave > 0).astype(np.int64))
    return parts.arrays(drawn, ["-1", "+1"], {})
