"""Explainers: simple functions fitted to the labels of a task or of a trained network."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from workflow_scripts.config.base import Name, Seed, Strict
from workflow_scripts.config.training import SGD, Init, Linear, Network


class Logistic(Strict):
    """Logistic (softmax) regression by scikit-learn's lbfgs, converged or an error; for the linear network only."""

    solver: Literal["logistic"]
    C: float = Field(1.0, gt=0, description="inverse strength of the L2 penalty on the summed loss")
    max_iterations: int = Field(10_000, ge=1, description="iterations before it counts as not converged")


class SGDFit(SGD):
    """The same SGD as the networks, from a seed of its own."""

    solver: Literal["sgd"]
    init: Init = Field("xavier_uniform", description="initialisation")
    seed: Seed = Field(0, description="seed of the initialisation and of the order of the examples")


class Explainer(Strict):
    """A simple function, the labels that it is fitted to, and the inputs that it sees."""

    labels: Literal["true", "final", "t0"] = Field(
        description="true labels (fitted once per task), f_inf's, or f_T0's (N19 section 3, task iii)"
    )
    inputs: Literal["train", "fresh"] = Field("train", description="the training inputs, or inputs never trained on")
    network: Network = Field(Linear(kind="linear"), description="the family of functions")
    fit: Annotated[Logistic | SGDFit, Field(discriminator="solver")] = Field(
        Logistic(solver="logistic"), description="how it is fitted"
    )
    reference: Name | None = Field(
        None, description="labels: t0 only: the true-label explainer whose performance defines T0"
    )

    @field_validator("labels", mode="before", json_schema_input_type=Literal["true", "final", "t0", True])
    @classmethod
    def _yaml_true(cls, value: Any) -> Any:
        return "true" if value is True else value

    @model_validator(mode="after")
    def _belongs_together(self):
        if self.fit.solver == "logistic" and self.network.kind != "linear":
            raise ValueError(f"fit.solver logistic fits the linear network only: use sgd for {self.network.kind}")
        if (self.labels == "t0") != (self.reference is not None):
            raise ValueError("labels t0 and the key reference go together: T0 is where f reaches the reference")
        return self
