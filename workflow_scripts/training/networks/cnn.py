"""The convolutional network of N19 and S23: four convolutions and a dense layer, as its settings have it by default."""

from typing import Literal

from pydantic import Field, model_validator

from workflow_scripts.config.base import Strict
from workflow_scripts.config.errors import Unfit, Wrong
from workflow_scripts.config.training import Width


class CNN(Strict):
    """The paper's network: valid 3x3 convolutions, ReLU, 2x2 max-pooling after some, then dense layers."""

    kind: Literal["cnn"]
    channels: list[Width] = Field([32, 32, 32, 32], min_length=1, description="filters of each convolution")
    pool_after: list[Width] = Field([1, 2], description="convolutions (counted from 1) followed by max-pooling")
    dense: list[Width] = Field([2000], description="units of each dense layer before the output")

    @model_validator(mode="after")
    def _pools_exist(self):
        if absent := [k for k in self.pool_after if k > len(self.channels)]:
            raise Wrong("too_many", "", f"pool_after names convolution {absent[0]}, but there are {len(self.channels)}")
        return self


Settings = CNN


def build(settings: CNN, input_shape: tuple[int, ...], n_outputs: int):
    """The module: images [batch, channels, height, width] -> logits [batch, n_outputs].

    Max-pooling comes before ReLU: the same function for less work. What no output depends on is cropped first.
    Raises StudyError for inputs that are no images, and for images too small.
    """
    from torch import nn  # here: settings are read without PyTorch

    from workflow_scripts.training import layers  # here: settings are read without PyTorch

    channels, height, width = layers.image_shape("cnn", input_shape)
    crop = layers.Crop(_used(settings, height), _used(settings, width))
    convolutions: list[nn.Module] = []
    for index, filters in enumerate(settings.channels, start=1):
        convolutions.append(nn.Conv2d(channels, filters, 3))
        channels, height, width = filters, height - 2, width - 2
        if index in settings.pool_after:
            convolutions.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        convolutions.append(nn.ReLU())
        if min(height, width) < 1:
            raise Unfit(
                f"network cnn: nothing is left of {input_shape[1]}x{input_shape[2]} images after convolution {index}: "
                "use fewer channels or less pool_after"
            )
    head = layers.perceptron((channels, height, width), settings.dense, n_outputs)
    return nn.Sequential(crop, layers.OneDNN(*convolutions), *head)


def _used(settings: CNN, side: int) -> int:
    """How many of an image's rows reach an output: pooling drops an odd last row, and what only it depends on."""
    steps = [
        step
        for k in range(1, len(settings.channels) + 1)
        for step in ("conv", "pool")[: 1 + (k in settings.pool_after)]
    ]
    for step in steps:
        side = side - 2 if step == "conv" else side // 2
    for step in reversed(steps):
        side = side + 2 if step == "conv" else side * 2
    return side
