"""Simulations of Theorem 1."""

from typing import Annotated

from pydantic import Field, model_validator

from workflow_scripts.config.base import Seed, Strict
from workflow_scripts.config.errors import Wrong

Noise = Annotated[float, Field(ge=0, le=0.5)]
Label = Annotated[str, Field(pattern=r"^[A-Za-z].*$")]

#: numbers in one array of a simulation, of which it holds several: 160 MB
_MOST = 20_000_000


class InitialWeights(Strict):
    """Initial weights w0: w0(1) = first * n^first_power for n examples, and |w0(i)| = others for i > 1."""

    first: float = Field(0.0, description="w0(1), or the factor on n^first_power")
    first_power: float = Field(0.0, description="power of the number of examples in w0(1)")
    others: float = Field(0.0, ge=0, description="|w0(i)| for every i > 1; signs are random")


class Simulation(Strict):
    """N19 Theorem 1: SGD of a linear model on x = eta y e_1 + e_k, for every noise level and initial weights."""

    dimension: int = Field(1_000_000, ge=2, description="length of x; the theorem has examples = o(sqrt(dimension))")
    examples: int = Field(500, ge=1, description="training examples n")
    noise: list[Noise] = Field(min_length=1, description="values of p, the probability that eta is -1")
    inits: dict[Label, InitialWeights] = Field(min_length=1, description="initial weights, by what figures call them")
    lr: float = Field(0.1, gt=0, lt=0.5, description="step size; a step leaves 1 - 4 lr of an example's error")
    epochs: int = Field(100, ge=1, description="passes over the training examples")
    repetitions: int = Field(100, ge=1, description="training sets, each drawn anew")
    seed: Seed = Field(0, description="seed of every draw")

    @model_validator(mode="after")
    def _noise_and_size(self):
        if len(set(self.noise)) < len(self.noise):
            raise Wrong("repeated", "noise", "a value is listed twice: keep one")
        if self.repetitions * self.examples * len(self.noise) * len(self.inits) > _MOST:
            raise Wrong(
                "too_many",
                "",
                f"repetitions x examples x noise x inits is more than the {_MOST} weights that are kept: lower one",
            )
        return self
