"""Null models, figures and tables."""

from typing import Annotated, Literal

from pydantic import Field

from workflow_scripts.config.base import Name, Seed, Strict


class Nulls(Strict):
    """How the null models are sampled."""

    draws: int = Field(999, ge=1, description="random classifiers per null model; the smallest p-value is 1/(draws+1)")
    seed: Seed = Field(0, description="seed of the draws")


Experiments = Annotated[list[Name], Field(min_length=1, description="names under experiments, in the order shown")]


class InformationAccuracy(Strict):
    """N19 Fig 3: I(F;Y) against accuracy for unbiased binary F and Y, in closed form."""

    kind: Literal["information_accuracy"]


class Dynamics(Strict):
    """N19 Fig 4: I(F_t;Y), I(F_t;Y_S) and mu(F_t;L) during training, a panel per experiment."""

    kind: Literal["dynamics"]
    experiments: Experiments


class Ratios(Strict):
    """N19 Table 2: mu(F_T0;L)/I(F_T0;Y) beside the same ratio of every null model."""

    kind: Literal["ratios"]
    experiments: Experiments


class Phases(Strict):
    """N19 Table 1: how each quantity changes in each phase, beside what the paper says."""

    kind: Literal["phases"]
    experiments: Experiments


Figure = Annotated[InformationAccuracy | Dynamics, Field(discriminator="kind")]
Table = Annotated[Ratios | Phases, Field(discriminator="kind")]
