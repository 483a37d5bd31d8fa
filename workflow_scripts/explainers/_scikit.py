"""What the solvers by scikit-learn share: features, fitting with one thread, predictions, and checks of sizes."""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from workflow_scripts.config.errors import Unfit


def fitted(model, x: np.ndarray, labels: np.ndarray):
    """The model, fitted to features [N, features] and labels [N] with one thread.

    The stage set that limit too, but before scikit-learn brought a BLAS and OpenMP of its own.
    """
    with threadpool_limits(1):
        return model.fit(x, labels)


def predictions(model, parts: dict[str, np.ndarray], features: Callable) -> dict[str, np.ndarray]:
    """`{part}_predictions`, uint8[M], what the model says of the inputs of each part; features: inputs -> features."""

    def of(given: np.ndarray) -> np.ndarray:
        return model.predict(features(given)) if len(given) else np.empty(0)

    with threadpool_limits(1):
        return {f"{part}_predictions": of(given).astype(np.uint8) for part, given in parts.items()}


def zero_to_one(inputs: np.ndarray) -> np.ndarray:
    """Inputs as float64[N, features]; uint8 images as [0, 1]."""
    scale = 255 if inputs.dtype == np.uint8 else 1
    return inputs.reshape(len(inputs), -1) / np.float64(scale)


def as_they_are(inputs: np.ndarray) -> np.ndarray:
    """Inputs as float32[N, features]; of uint8 images, whole numbers, whose distances have no rounding errors."""
    return inputs.reshape(len(inputs), -1).astype(np.float32)


def check_at_most_examples(key: str, value: int, n: int) -> None:
    """Raise StudyError when the value of a key of the settings is more than the n examples fitted to."""
    if value > n:
        raise Unfit(f"fit.{key}: {value} is more than the {n} inputs that it is fitted on: lower it")
