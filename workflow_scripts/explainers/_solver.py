"""What distillation asks of a solver, and what it hands to it."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from workflow_scripts.config.base import Strict
from workflow_scripts.config.training import Device, Network, Precision
from workflow_scripts.data.tasks import TaskData

#: the parts of the data on which an explainer's predictions are kept
PREDICTED = ("test", "grid")


class Solver(Strict):
    """The settings of a solver; its key solver names it."""

    #: whether it trains any network, on a GPU if there is one; others fit functions of their own
    trains_network: ClassVar[bool] = False
    #: its keys that can't be more than the number of examples fitted to
    at_most_examples: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Problem:
    """What an explainer is fitted to.

    data: its training part is what is fitted to, its fresh part is empty. network, device, precision, state: for a
    solver that trains a network: the network's settings, where it runs and how precisely, and the file that lets it go
    on where it was cut off.
    """

    data: TaskData
    network: Network
    device: Device
    precision: Precision
    state: Path

    @property
    def inputs(self) -> np.ndarray:
        """The inputs fitted to, [N, ...]."""
        return self.data.inputs["train"]

    @property
    def labels(self) -> np.ndarray:
        """The labels fitted to: group indices, int64[N]."""
        return self.data.labels["train"]

    @property
    def predicted(self) -> dict[str, np.ndarray]:
        """Part -> the inputs [M, ...] that the explainer is to predict."""
        return {part: self.data.inputs[part] for part in PREDICTED}
