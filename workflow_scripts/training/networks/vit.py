"""The vision transformer of S23, appendix B."""

from typing import Literal

from pydantic import Field, model_validator

from workflow_scripts.config.base import Strict
from workflow_scripts.config.errors import Unfit, Wrong
from workflow_scripts.config.training import Width


class ViT(Strict):
    """torchvision's vision transformer for square images; by default with the sizes of S23, appendix B."""

    kind: Literal["vit"]
    patch: Width = Field(4, description="side of a patch in pixels; the images' side is a multiple of it")
    layers: Width = Field(4, description="encoder blocks")
    heads: Width = Field(4, description="attention heads of each block")
    hidden: Width = Field(64, description="width of a token; a multiple of heads")
    mlp: Width = Field(128, description="units of each block's hidden dense layer")

    @model_validator(mode="after")
    def _heads_divide(self):
        if self.hidden % self.heads:
            raise Wrong(
                "conflict", "hidden", f"{self.hidden} can't be divided among {self.heads} heads: make it a multiple"
            )
        return self


Settings = ViT


def build(settings: ViT, input_shape: tuple[int, ...], n_outputs: int):
    """The module: images [batch, channels, side, side] -> logits [batch, n_outputs].

    torchvision's, its first layer replaced where images don't have three channels (S23 appendix B). Raises StudyError
    for inputs that are no images, and for images that are not square or can't be cut into patches.
    """
    from torch import nn  # here: settings are read without PyTorch
    from torchvision.models import VisionTransformer  # here: importing it takes a second

    from workflow_scripts.training import layers  # here: settings are read without PyTorch

    channels, height, width = layers.image_shape("vit", input_shape)
    if height != width or height % settings.patch:
        raise Unfit(
            f"network vit: expected square images whose side is a multiple of patch ({settings.patch}), got "
            f"{height}x{width}: change patch"
        )
    module = VisionTransformer(
        image_size=height,
        patch_size=settings.patch,
        num_layers=settings.layers,
        num_heads=settings.heads,
        hidden_dim=settings.hidden,
        mlp_dim=settings.mlp,
        num_classes=n_outputs,
    )
    if channels != 3:
        module.conv_proj = nn.Conv2d(channels, settings.hidden, settings.patch, settings.patch)
    return module
