"""The multilayer perceptron (choice: N19 and S23 have none)."""

from typing import Literal

from pydantic import Field

from workflow_scripts.config.base import Strict
from workflow_scripts.config.training import Width


class MLP(Strict):
    """Dense layers with ReLU between them."""

    kind: Literal["mlp"]
    widths: list[Width] = Field(min_length=1, description="units of each hidden layer")


Settings = MLP


def build(settings: MLP, input_shape: tuple[int, ...], n_outputs: int):
    """The module: inputs [batch, *input_shape] -> logits [batch, n_outputs]."""
    from workflow_scripts.training import layers  # here: settings are read without PyTorch

    return layers.perceptron(input_shape, settings.widths, n_outputs)
