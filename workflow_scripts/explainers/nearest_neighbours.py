"""The majority of the nearest neighbours, by scikit-learn."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from workflow_scripts.explainers import _scikit
from workflow_scripts.explainers._solver import Problem, Solver


class NearestNeighbours(Solver):
    """The majority of the nearest neighbours by scikit-learn, all distances computed; takes no network."""

    at_most_examples: ClassVar[tuple[str, ...]] = ("neighbours",)

    solver: Literal["nearest_neighbours"]
    neighbours: int = Field(ge=1, description="how many vote")


Settings = NearestNeighbours


def fit(settings: NearestNeighbours, problem: Problem) -> dict[str, Any]:
    """Ask the nearest inputs by Euclidean distance: {part}_predictions, uint8[M].

    Of equally distant inputs the first in the data count; of groups with as many votes the lowest wins. What it would
    say of the inputs fitted to is not computed. Raises StudyError when more neighbours vote than there are inputs.
    """
    from sklearn.neighbors import KNeighborsClassifier

    _scikit.check_at_most_examples("neighbours", settings.neighbours, len(problem.inputs))
    model = KNeighborsClassifier(settings.neighbours, algorithm="brute")
    _scikit.fitted(model, _scikit.as_they_are(problem.inputs), problem.labels)
    return _scikit.predictions(model, problem.predicted, _scikit.as_they_are)
