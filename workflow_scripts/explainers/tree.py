"""A decision tree by scikit-learn."""

import logging
from typing import Any, ClassVar, Literal

from pydantic import Field

from workflow_scripts.explainers import _scikit
from workflow_scripts.explainers._solver import Problem, Solver

log = logging.getLogger("workflow_scripts")


class Tree(Solver):
    """A decision tree by scikit-learn (CART, Gini impurity); takes no network."""

    at_most_examples: ClassVar[tuple[str, ...]] = ("min_leaf",)

    solver: Literal["tree"]
    max_depth: int = Field(ge=1, le=1000, description="splits from the root to a leaf at most")
    min_leaf: int = Field(1, ge=1, description="examples fitted on in a leaf, at least")


Settings = Tree


def fit(settings: Tree, problem: Problem) -> dict[str, Any]:
    """Fit a tree (CART): fit_predictions uint8[N], {part}_predictions uint8[M], depth, leaves.

    Raises StudyError when a leaf needs more examples than there are.
    """
    from sklearn.tree import DecisionTreeClassifier

    _scikit.check_at_most_examples("min_leaf", settings.min_leaf, len(problem.inputs))
    model = DecisionTreeClassifier(max_depth=settings.max_depth, min_samples_leaf=settings.min_leaf, random_state=0)
    _scikit.fitted(model, _scikit.as_they_are(problem.inputs), problem.labels)
    log.info("a tree of depth %d with %d leaves", model.get_depth(), model.get_n_leaves())
    return {
        **_scikit.predictions(model, {"fit": problem.inputs, **problem.predicted}, _scikit.as_they_are),
        "depth": int(model.get_depth()),
        "leaves": int(model.get_n_leaves()),
    }
