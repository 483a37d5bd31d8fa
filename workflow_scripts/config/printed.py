"""What papers print."""

from pydantic import Field

from workflow_scripts.config.base import Name, Strict


class Printed(Strict):
    """What a paper prints for an experiment, or its figure shows: set beside our results, used for nothing else."""

    source: str = Field(description="where it stands, such as N19 Fig 4 i")
    t0: float | None = Field(None, ge=0, description="epoch at which the network reaches the first explainer")
    I_LY: float | None = Field(None, description="I(L;Y) of the first explainer, bits")
    I_FY: float | None = Field(None, description="I(F;Y) at the end of training, bits")
    mu: float | None = Field(None, description="mu(F;L) at the end of training, of the first explainer, bits")
    ratios: dict[Name, float] = Field({}, description="explainer -> mu(F_T0;L) / I(F_T0;Y)")
    null_ratios: dict[Name, float] = Field({}, description="explainer -> the same ratio of its null model")

    @classmethod
    def of(cls, name: str, shown: dict) -> "Printed | None":
        """What is printed for an experiment, by what a job's settings show; None: nothing."""
        found = shown["printed"].get(name)
        return None if found is None else cls(**found)
