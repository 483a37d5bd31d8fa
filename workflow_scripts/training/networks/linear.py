"""The linear network: N19's linear model, trained by SGD."""

from typing import Literal

from workflow_scripts.config.base import Strict


class Linear(Strict):
    """One dense layer from the inputs to the outputs."""

    kind: Literal["linear"]


Settings = Linear


def build(settings: Linear, input_shape: tuple[int, ...], n_outputs: int):
    """The module: inputs [batch, *input_shape] -> logits [batch, n_outputs]; its dense layer is called 1."""
    from workflow_scripts.training import layers  # here: settings are read without PyTorch

    return layers.perceptron(input_shape, [], n_outputs)
