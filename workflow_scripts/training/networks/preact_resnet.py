"""The pre-activation ResNet of N19 section 4, and CNN_k, what it begins with."""

from typing import Literal

from pydantic import Field, model_validator

from workflow_scripts.config.base import Strict
from workflow_scripts.config.errors import Wrong
from workflow_scripts.config.training import Width


class PreactResNet(Strict):
    """Pre-activation ResNet for small images (He et al. 2016, Identity mappings); by default the one with 18 layers.

    A 3x3 stem, then stages of blocks of two 3x3 convolutions; each later stage halves the image and doubles the width.
    """

    kind: Literal["preact_resnet"]
    width: Width = Field(64, description="filters of the stem and of the first stage")
    blocks: list[Width] = Field([2, 2, 2, 2], min_length=1, description="blocks of each stage")
    convolutions: Width | None = Field(
        None,
        description="CNN_k of N19 section 4: only the first k convolutions, those of shortcuts not counted; null: all",
    )

    @model_validator(mode="after")
    def _convolutions_exist(self):
        there = 1 + 2 * sum(self.blocks)
        if (self.convolutions or 0) > there:
            raise Wrong("too_many", "convolutions", f"{self.convolutions} is more than the {there} there are: lower it")
        return self


Settings = PreactResNet


def build(settings: PreactResNet, input_shape: tuple[int, ...], n_outputs: int):
    """The module: images [batch, channels, height, width] -> logits [batch, n_outputs].

    Raises StudyError for inputs that are no images.
    """
    from workflow_scripts.training import layers, resnet  # here: settings are read without PyTorch

    channels = layers.image_shape("preact_resnet", input_shape)[0]
    return resnet.ResNetModule(channels, settings.width, _block_shapes(settings), settings.convolutions, n_outputs)


def _block_shapes(settings: PreactResNet) -> list[tuple[int, int, int]]:
    """Input channels, output channels and stride of each block."""
    shapes, inputs = [], settings.width
    for stage, blocks in enumerate(settings.blocks):
        outputs = settings.width * 2**stage
        for block in range(blocks):
            shapes.append((inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    return shapes
