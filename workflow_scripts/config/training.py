"""The choice of a network, its initialisation, and the SGD schedule."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from workflow_scripts.config import kinds
from workflow_scripts.config.base import Strict
from workflow_scripts.config.errors import Wrong

#: units of a layer, filters, or whatever else a network has one or more of
Width = Annotated[int, Field(ge=1)]
Network = kinds.choice("training.networks")
Init = Literal["xavier_uniform", "he_uniform", "pytorch"]
Device = Literal["auto", "cpu", "cuda"]
#: how float32 is multiplied on CUDA; the default is left out of what jobs are told
Precision = Annotated[Literal["fp32", "tf32"], Field(exclude_if=lambda precision: precision == "fp32")]


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
            raise Wrong("conflict", "", "how long to train is said by one of epochs and steps: give one of them")
        return self


class Pretraining(SGD):
    """Adversarial initialisation: labels drawn at random are fitted first."""


class Checkpoints(Strict):
    """When predictions and losses are recorded: at step 0, densely at first, then per epoch, and at the end."""

    early: int = Field(20, ge=0, description="log-spaced checkpoints inside the first early_epochs")
    early_epochs: int = Field(1, ge=1, description="epochs that the early checkpoints span")
    every: int = Field(1, ge=1, description="epochs between the checkpoints after that")
