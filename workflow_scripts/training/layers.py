"""Layers that networks are built of."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from workflow_scripts.config.errors import Unfit


def image_shape(kind: str, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width of a network's inputs. Raises StudyError for inputs that are no images."""
    if len(input_shape) != 3:
        raise Unfit(
            f"network {kind}: expected images [channels, height, width], got inputs {list(input_shape)}: use mlp"
        )
    return input_shape


def perceptron(input_shape: tuple[int, ...], widths: list[int], n_outputs: int) -> nn.Sequential:
    """Dense layers of these widths with ReLU between them: [batch, *input_shape] -> [batch, n_outputs]."""
    dense: list[nn.Module] = []
    for inputs, outputs in pairwise([math.prod(input_shape), *widths, n_outputs]):
        dense += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(nn.Flatten(), *dense[:-1])


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
        """What the layers make of images [batch, channels, height, width]."""
        if images.device.type != "cpu" or images.dtype != torch.float32 or not torch.backends.mkldnn.is_available():
            return super().forward(images)
        return super().forward(images.contiguous().to_mkldnn()).to_dense()
