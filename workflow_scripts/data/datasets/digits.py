"""scikit-learn's digits: 1,797 images of 8x8."""

import hashlib
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from workflow_scripts.config.base import Count, Seed
from workflow_scripts.config.errors import Wrong
from workflow_scripts.data import parts
from workflow_scripts.data.source import Source


class Digits(Source):
    """scikit-learn's bundled 8x8 images of digits, ten classes, 1,797 in all: no download."""

    n_classes: ClassVar[int] = 10

    kind: Literal["digits"]
    train: Count | None = Field(None, description="training examples; null: all that the other parts leave")
    test: int = Field(600, ge=10, le=1787, description="test examples")
    fresh: int = Field(0, ge=0, description="inputs held out of training, for distillation only")
    seed: Seed = Field(0, description="seed of the stratified split")

    @property
    def n_train(self) -> int:
        """Training examples."""
        return self.train or 1797 - self.test - self.fresh

    @model_validator(mode="after")
    def _fits(self):
        if (self.train or 1) + self.test + self.fresh > 1797:
            raise Wrong(
                "too_many", "", "train + test + fresh is more than the 1797 images there are: lower one of them"
            )
        return self


Settings = Digits


def make(settings: Digits, data_root: Path) -> dict[str, np.ndarray]:
    """The arrays of the digits (`parts.arrays`), float32[N, 1, 8, 8] in [0, 1]; the test part is stratified."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bundle = load_digits()
    images = (bundle.images[:, None] / 16).astype(np.float32)
    rest, test = train_test_split(
        np.arange(len(images)), test_size=settings.test, stratify=bundle.target, random_state=settings.seed
    )
    train, fresh = parts.training_and_fresh(rest, settings.train, settings.fresh)
    return parts.arrays(
        {
            part: (images[chosen], bundle.target[chosen])
            for part, chosen in (("train", train), ("test", test), ("fresh", fresh))
        },
        [str(name) for name in bundle.target_names],
        {"sklearn.datasets.load_digits": hashlib.sha256(bundle.data.tobytes() + bundle.target.tobytes()).hexdigest()},
    )
