"""Explainers: simple functions fitted to the labels of a task or of a trained network."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from workflow_scripts.config.base import Name, Seed, Strict
from workflow_scripts.config.training import SGD, Init, Network

#: features and their products that a quadratic explainer may have: 60,000 inputs of so many take 1 GB
MAX_TERMS = 2_000


class Logistic(Strict):
    """Logistic (softmax) regression by scikit-learn's lbfgs, converged or an error; the network stays linear."""

    solver: Literal["logistic"]
    C: float = Field(1.0, gt=0, description="inverse strength of the L2 penalty on the summed loss")
    components: int | None = Field(
        None,
        ge=1,
        description="principal components of the inputs fitted on that it sees; null: the inputs as they are",
    )
    degree: Literal[1, 2] = Field(
        1, description=f"2: also squares and products of two features, standardised; up to {MAX_TERMS} terms in all"
    )
    max_iterations: int = Field(10_000, ge=1, description="iterations before it counts as not converged")

    @model_validator(mode="after")
    def _has_few_terms(self):
        if self.components:
            self.check_terms(self.components)
        return self

    def check_terms(self, features: int) -> None:
        """Raise ValueError when a model of so many features has too many terms."""
        terms = features * (features + 3) // 2
        if self.degree == 2 and terms > MAX_TERMS:
            raise ValueError(
                f"degree: 2 makes {terms} terms of {features} features, more than {MAX_TERMS}: "
                "set components to a lower number"
            )


class Tree(Strict):
    """A decision tree by scikit-learn (CART, Gini impurity); takes no network."""

    solver: Literal["tree"]
    max_depth: int = Field(ge=1, le=1000, description="splits from the root to a leaf at most")
    min_leaf: int = Field(1, ge=1, description="examples fitted on in a leaf, at least")


class NearestNeighbours(Strict):
    """The majority of the nearest neighbours by scikit-learn, all distances computed; takes no network."""

    solver: Literal["nearest_neighbours"]
    neighbours: int = Field(ge=1, description="how many vote")


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
    network: Network = Field({"kind": "linear"}, validate_default=True, description="the family of functions")
    fit: Annotated[Logistic | NearestNeighbours | SGDFit | Tree, Field(discriminator="solver")] = Field(
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
        if self.fit.solver != "sgd" and self.network.kind != "linear":
            raise ValueError(
                f"fit.solver {self.fit.solver} fits no {self.network.kind}: use sgd, which fits every network; with "
                "logistic (a linear model), tree or nearest_neighbours leave the key network out"
            )
        if (self.labels == "t0") != (self.reference is not None):
            raise ValueError("labels t0 and the key reference go together: T0 is where f reaches the reference")
        return self
