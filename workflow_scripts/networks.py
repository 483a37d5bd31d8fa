"""The networks f and their initialisation. Two groups give one logit, C > 2 groups give C logits."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from workflow_scripts.config.training import CNN, MLP, Linear
from workflow_scripts.errors import StudyError


def build(
    network: Linear | MLP | CNN, input_shape: tuple[int, ...], n_classes: int, init: str = "pytorch"
) -> nn.Module:
    """The module for inputs [batch, *input_shape], initialised from torch's global generator.

    init: `xavier_uniform` (weights of Glorot & Bengio 2010, zero biases) or `pytorch` (its layers' default).
    Raises StudyError when a CNN gets inputs that are not images, or too small for its layers.
    """
    outputs = 1 if n_classes == 2 else n_classes
    if network.kind == "cnn":
        module = _cnn(network, input_shape, outputs)
    else:
        widths = [] if network.kind == "linear" else network.widths
        module = nn.Sequential(nn.Flatten(), *_dense([_size(input_shape), *widths, outputs]))
    if init == "xavier_uniform":
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
    return module


def predictions(logits: Tensor) -> Tensor:
    """Predicted group of each example, uint8[N], from logits [N, 1] or [N, C]."""
    labels = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1)
    return labels.to(torch.uint8)


def loss(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Binary cross-entropy for one logit, cross-entropy for more, in nats; labels: int64[N]."""
    if logits.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], labels.to(logits.dtype), reduction=reduction
        )
    return nn.functional.cross_entropy(logits, labels, reduction=reduction)


def _cnn(network: CNN, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    if len(input_shape) != 3:
        raise StudyError(
            f"network cnn: expected images [channels, height, width], got inputs {list(input_shape)}: use mlp"
        )
    channels, *size = input_shape
    crop = Crop(*(_used(network, side) for side in size))
    layers: list[nn.Module] = []
    for index, filters in enumerate(network.channels, start=1):
        layers.append(nn.Conv2d(channels, filters, 3))
        size = [side - 2 for side in size]
        if index in network.pool_after:
            layers.append(nn.MaxPool2d(2))  # before ReLU: the same function for less work
            size = [side // 2 for side in size]
        layers.append(nn.ReLU())
        channels = filters
        if min(size) < 1:
            raise StudyError(
                f"network cnn: nothing is left of {input_shape[1]}x{input_shape[2]} images after convolution {index}: "
                "use fewer channels or less pool_after"
            )
    return nn.Sequential(
        crop, OneDNN(*layers), nn.Flatten(), *_dense([channels * _size(size), *network.dense, outputs])
    )


class Crop(nn.Module):
    """The first rows and columns of images [batch, channels, height, width]."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, images: Tensor) -> Tensor:
        """Images [batch, channels, self.height, self.width]."""
        return images[:, :, : self.height, : self.width]


class OneDNN(nn.Sequential):
    """Layers that a CPU runs in oneDNN's own memory layout: the same function, and pooling costs far less."""

    def forward(self, images: Tensor) -> Tensor:
        """What the layers make of the images."""
        if images.device.type != "cpu" or images.dtype != torch.float32 or not torch.backends.mkldnn.is_available():
            return super().forward(images)
        return super().forward(images.contiguous().to_mkldnn()).to_dense()


def _used(network: CNN, side: int) -> int:
    """How many of an image's rows reach an output: pooling drops an odd last row, and what only it depends on."""
    steps = [
        step for k in range(1, len(network.channels) + 1) for step in ("conv", "pool")[: 1 + (k in network.pool_after)]
    ]
    for step in steps:
        side = side - 2 if step == "conv" else side // 2
    for step in reversed(steps):
        side = side + 2 if step == "conv" else side * 2
    return side


def _dense(widths: list[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return layers[:-1]


def _size(shape) -> int:
    return int(torch.Size(shape).numel())
