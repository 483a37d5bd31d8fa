"""Null models."""

from pydantic import Field

from workflow_scripts.config.base import Seed, Strict


class Nulls(Strict):
    """How the null models are sampled."""

    draws: int = Field(999, ge=1, description="random classifiers per null model; the smallest p-value is 1/(draws+1)")
    seed: Seed = Field(0, description="seed of the draws")
