"""Networks, their initialisation, and the SGD schedule."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from workflow_scripts.config.base import Strict

Width = Annotated[int, Field(ge=1)]


class Linear(Strict):
    """One dense layer from the inputs to the outputs."""

    kind: Literal["linear"]


class MLP(Strict):
    """Dense layers with ReLU between them."""

    kind: Literal["mlp"]
    widths: list[Width] = Field(min_length=1, description="units of each hidden layer")


class CNN(Strict):
    """The paper's network: valid 3x3 convolutions, ReLU, 2x2 max-pooling after some, then dense layers."""

    kind: Literal["cnn"]
    channels: list[Width] = Field([32, 32, 32, 32], min_length=1, description="filters of each convolution")
    pool_after: list[Width] = Field([1, 2], description="convolutions (counted from 1) followed by max-pooling")
    dense: list[Width] = Field([2000], description="units of each dense layer before the output")

    @model_validator(mode="after")
    def _pools_exist(self):
        if absent := [k for k in self.pool_after if k > len(self.channels)]:
            raise ValueError(f"pool_after names convolution {absent[0]}, but there are {len(self.channels)}")
        return self


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
            raise ValueError(f"convolutions: {self.convolutions} is more than the {there} there are: lower it")
        return self


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
            raise ValueError(f"hidden: {self.hidden} can't be divided among {self.heads} heads: make it a multiple")
        return self


Network = Annotated[Linear | MLP | CNN | PreactResNet | ViT, Field(discriminator="kind")]
Init = Literal["xavier_uniform", "he_uniform", "pytorch"]
Device = Literal["auto", "cpu", "cuda"]


class SGD(Strict):
    """Stochastic gradient descent; vanilla unless momentum or weight_decay is given."""

    lr: float = Field(gt=0, description="step size")
    batch_size: int = Field(64, ge=1, description="examples per step; the last batch of an epoch may be smaller")
    epochs: int | None = Field(None, ge=1, description="passes over the training set; this or steps")
    steps: int | None = Field(None, ge=1, description="steps in all, the last epoch may be cut short; this or epochs")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum")
    weight_decay: float = Field(0.0, ge=0, description="weight decay (L2)")
    augmentation: Literal["crop_flip"] | None = Field(
        None, description="crop_flip: training images padded by 4 pixels, cropped and flipped at random; null: none"
    )

    @model_validator(mode="after")
    def _has_one_length(self):
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("how long to train is said by one of epochs and steps: give one of them")
        return self


class Pretraining(SGD):
    """Adversarial initialisation: labels drawn at random are fitted first."""


class Checkpoints(Strict):
    """When predictions and losses are recorded: at step 0, densely at first, then per epoch, and at the end."""

    early: int = Field(20, ge=0, description="log-spaced checkpoints inside the first early_epochs")
    early_epochs: int = Field(1, ge=1, description="epochs that the early checkpoints span")
    every: int = Field(1, ge=1, description="epochs between the checkpoints after that")
