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
    """N19 Figs 4, 5 and 8: I(F_t;Y), I(F_t;Y_S) and mu(F_t;L) during training, a panel per experiment."""

    kind: Literal["dynamics"]
    experiments: Experiments
    axis: Literal["epochs", "steps"] = Field("epochs", description="what runs to the right")


class Classes(Strict):
    """S23 Figs 2, 4, 6, 7 and 8: a row per experiment: all classes together, I(F_t;Y=y) of each, and mu of each."""

    kind: Literal["classes"]
    experiments: Experiments
    explainers: dict[Name, Name] = Field(
        {}, description="experiment -> which of its explainers is shown; of the others the first"
    )

    def explainer_of(self, experiment: str) -> str | None:
        """The explainer shown; None: the first."""
        return self.explainers.get(experiment)


class ClassPanels(Strict):
    """S23 Figs 3 and 5: I(F_t;Y=y), mu and I(L;Y=y) of one experiment, a panel per class."""

    kind: Literal["class_panels"]
    experiment: Name = Field(description="a name under experiments")
    explainer: Name | None = Field(None, description="one of its explainers; null: the first")

    @property
    def experiments(self) -> list[str]:
        """The experiment shown, as a list."""
        return [self.experiment]

    def explainer_of(self, experiment: str) -> str | None:
        """The explainer shown; None: the first."""
        return self.explainer


class ClassOrder(Strict):
    """When each class is learned: the epoch at which I(F_t;Y=y) is half of what it is at the end (S23 section 4)."""

    kind: Literal["class_order"]
    experiments: Experiments


class Boundaries(Strict):
    """N19 Figs 1 (right) and 6: decision boundaries in the plane at chosen steps; data of kind ball."""

    kind: Literal["boundaries"]
    experiments: Experiments
    steps: list[Annotated[int, Field(ge=0)]] = Field(
        min_length=1, description="SGD steps to show: the checkpoint nearest to each"
    )
    seed: Seed | None = Field(None, description="the seed shown; null: the first of each experiment")


class Initialisation(Strict):
    """S23, future work: the warm-up, T0 and mu of networks from several initialisations, a panel per network."""

    kind: Literal["initialisation"]
    experiments: Experiments


class Printed(Strict):
    """What a paper prints for an experiment, or its figure shows: set beside our results, used for nothing else."""

    source: str = Field(description="where it stands, such as N19 Fig 4 i")
    t0: float | None = Field(None, ge=0, description="epoch at which the network reaches the first explainer")
    I_LY: float | None = Field(None, description="I(L;Y) of the first explainer, bits")
    I_FY: float | None = Field(None, description="I(F;Y) at the end of training, bits")
    mu: float | None = Field(None, description="mu(F;L) at the end of training, of the first explainer, bits")
    ratios: dict[Name, float] = Field({}, description="explainer -> mu(F_T0;L) / I(F_T0;Y)")
    null_ratios: dict[Name, float] = Field({}, description="explainer -> the same ratio of its null model")


class Theorem1Dynamics(Strict):
    """N19 Theorem 1: accuracy on the training set and on the distribution during SGD, a column per noise level."""

    kind: Literal["theorem1"]
    simulation: Name = Field(description="a name under simulations")


class Agreement(Strict):
    """When test examples are learned, and whether seeds and networks agree on the order; experiments of one task."""

    kind: Literal["agreement"]
    experiments: Experiments


class Modes(Strict):
    """How a linear network learns the singular modes of its data, and the order of classes that they predict."""

    kind: Literal["modes"]
    experiment: Name = Field(description="one with the linear network, three or more classes, and vanilla SGD")
    orders: list[Name] = Field(
        min_length=1, description="experiments of the same task, whose order of classes is compared with the predicted"
    )

    @property
    def experiments(self) -> list[str]:
        """All experiments that the figure shows."""
        return list(dict.fromkeys([self.experiment, *self.orders]))


class Ratios(Strict):
    """N19 Table 2: mu(F_T0;L)/I(F_T0;Y) beside the same ratio of every null model."""

    kind: Literal["ratios"]
    experiments: Experiments


class Phases(Strict):
    """N19 Table 1: how each quantity changes in each phase, beside what the paper says."""

    kind: Literal["phases"]
    experiments: Experiments


class ClassOrderTable(Strict):
    """When each class is learned, its place in the order, and how much the orders of experiments agree."""

    kind: Literal["class_order"]
    experiments: Experiments


class Totals(Strict):
    """What is known at the end of training: each quantity as it is, corrected for bias, and as a paper prints it."""

    kind: Literal["totals"]
    experiments: Experiments


class Claims(Strict):
    """Claims 1 and 2, Conjecture 1 and Theorem 1 of N19, each as a number with its interval and a verdict."""

    kind: Literal["claims"]
    experiments: Experiments
    simulations: list[Name] = Field([], description="names under simulations")


Figure = Annotated[
    InformationAccuracy
    | Dynamics
    | Classes
    | ClassPanels
    | ClassOrder
    | Boundaries
    | Modes
    | Initialisation
    | Theorem1Dynamics
    | Agreement,
    Field(discriminator="kind"),
]
Table = Annotated[Ratios | Phases | Totals | ClassOrderTable | Claims | Agreement, Field(discriminator="kind")]
