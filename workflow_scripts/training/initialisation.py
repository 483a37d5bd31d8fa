"""Networks as training starts with them: built and initialised. Two groups give one logit, C > 2 groups C logits."""

import torch
from torch import Tensor, nn

from workflow_scripts.config import kinds
from workflow_scripts.config.base import Strict


def build(
    network: Strict, input_shape: tuple[int, ...], n_classes: int, init: str = "pytorch", scale: float = 1.0
) -> nn.Module:
    """The module for inputs [batch, *input_shape], initialised from torch's global generator.

    network: settings of one of the kinds in training.networks; init, scale: as `initialise` takes them.
    Raises StudyError when a network for images gets other inputs, or images that don't fit it.
    """
    n_outputs = 1 if n_classes == 2 else n_classes
    module = kinds.of("training.networks", network.kind).build(network, input_shape, n_outputs)
    initialise(module, init, scale)
    return module


def initialise(module: nn.Module, init: str, scale: float) -> None:
    """Draw the weights of dense, convolutional and attention layers, and set their biases to 0; then scale both.

    init: `xavier_uniform` (N19; Glorot & Bengio 2010), up to ±√(6/(inputs + outputs)); `he_uniform` (He et al. 2015),
    up to ±√(6/inputs); `pytorch` (S23): weights and biases stay as the layers were made. scale: a factor of both.
    """
    draw = {"xavier_uniform": nn.init.xavier_uniform_, "he_uniform": _he_uniform, "pytorch": None}[init]
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            weight, bias = layer.weight, layer.bias
        elif isinstance(layer, nn.MultiheadAttention):
            weight, bias = layer.in_proj_weight, layer.in_proj_bias
        else:
            continue
        if draw is not None:
            draw(weight)
            if bias is not None:
                nn.init.zeros_(bias)
        if scale != 1:
            with torch.no_grad():
                weight.mul_(scale)
                if bias is not None:
                    bias.mul_(scale)


def _he_uniform(weight: Tensor) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu")
