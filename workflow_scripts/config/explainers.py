"""Explainers: simple functions fitted to the labels of a task or of a trained network."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from workflow_scripts.config import kinds
from workflow_scripts.config.base import Name, Strict
from workflow_scripts.config.errors import Wrong
from workflow_scripts.config.training import Network


class Explainer(Strict):
    """A simple function, the labels that it is fitted to, and the inputs that it sees."""

    labels: Literal["true", "final", "t0"] = Field(
        description="true labels (fitted once per task), f_inf's, or f_T0's (N19 section 3, task iii)"
    )
    inputs: Literal["train", "fresh"] = Field("train", description="the training inputs, or inputs never trained on")
    network: Network = Field({"kind": "linear"}, validate_default=True, description="the family of functions")
    fit: kinds.choice("explainers", "solver") = Field(
        {"solver": "logistic"}, validate_default=True, description="how it is fitted"
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
        if not self.fit.trains_network and self.network.kind != "linear":
            raise Wrong(
                "conflict",
                "",
                f"fit.solver {self.fit.solver} fits no {self.network.kind}: use sgd, which fits every network; with "
                "logistic (a linear model), tree or nearest_neighbours leave the key network out",
            )
        if (self.labels == "t0") != (self.reference is not None):
            raise Wrong(
                "conflict", "", "labels t0 and the key reference go together: T0 is where f reaches the reference"
            )
        return self
