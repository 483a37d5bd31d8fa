"""Logistic (softmax) regression of the inputs, of their principal components, or of products, by scikit-learn."""

import logging
import warnings
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from workflow_scripts.config.errors import Unfit, Wrong
from workflow_scripts.explainers import _scikit
from workflow_scripts.explainers._solver import Problem, Solver

log = logging.getLogger("workflow_scripts")

#: features and their products that a quadratic explainer may have: 60,000 inputs of so many take 1 GB
MAX_TERMS = 2_000


class Logistic(Solver):
    """Logistic (softmax) regression by scikit-learn's lbfgs, converged or an error; the network stays linear."""

    at_most_examples: ClassVar[tuple[str, ...]] = ("components",)

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
        """Raise Wrong when a model of so many features has too many terms."""
        terms = features * (features + 3) // 2
        if self.degree == 2 and terms > MAX_TERMS:
            raise Wrong(
                "too_many",
                "degree",
                f"2 makes {terms} terms of {features} features, more than {MAX_TERMS}: set components to a lower "
                "number",
            )


Settings = Logistic


def fit(settings: Logistic, problem: Problem) -> dict[str, Any]:
    """Fit until converged: fit_predictions uint8[N], {part}_predictions uint8[M], coefficients, intercepts, iterations.

    On components also their mean, components and explained_variance; of degree 2 also the term_means and term_scales
    that the terms (features, then products, as PolynomialFeatures orders them) were standardised with. Labels of a
    single class give the constant function. Raises StudyError when it does not converge, or when so few inputs or
    features have fewer components, or more terms.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    parts, labels = {"fit": problem.inputs, **problem.predicted}, problem.labels
    x = _scikit.zero_to_one(problem.inputs)
    transformers = _transformers(settings, *x.shape)
    if len(np.unique(labels)) == 1:
        return _constant(labels[0], parts, x.shape[1])
    model = make_pipeline(*transformers, LogisticRegression(C=settings.C, max_iter=settings.max_iterations))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            _scikit.fitted(model, x, labels)
        except ConvergenceWarning:
            raise Unfit(
                f"fit.max_iterations: logistic regression did not converge in {settings.max_iterations} iterations: "
                f"raise it, or lower fit.C ({settings.C}) for a stronger penalty"
            ) from None
    regression = model[-1]
    log.info("logistic regression converged after %d iterations", regression.n_iter_[0])
    found = {
        **_scikit.predictions(model, parts, _scikit.zero_to_one),
        "coefficients": regression.coef_,
        "intercepts": regression.intercept_,
        "iterations": int(regression.n_iter_[0]),
    }
    if settings.components:
        pca = model["pca"]
        log.info("%d components hold %.4f of the variance", settings.components, pca.explained_variance_ratio_.sum())
        found |= {"mean": pca.mean_, "components": pca.components_, "explained_variance": pca.explained_variance_}
    if settings.degree == 2:
        scaler = model["standardscaler"]
        found |= {"term_means": scaler.mean_, "term_scales": scaler.scale_}
    return found


def _constant(label: int, parts: dict[str, np.ndarray], features: int) -> dict[str, Any]:
    """What is fitted to labels that are all the same."""
    log.info("the labels are all %d: the explainer is constant", label)
    return {
        **{f"{part}_predictions": np.full(len(given), np.uint8(label)) for part, given in parts.items()},
        "coefficients": np.zeros((1, features)),
        "intercepts": np.zeros(1),
        "iterations": 0,
    }


def _transformers(settings: Logistic, n: int, features: int) -> list:
    """What comes before the regression on n inputs; none for a linear model of the inputs."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    transformers = []
    if settings.components:
        most = min(n - 1, features)
        if settings.components > most:
            raise Unfit(
                f"fit.components: {settings.components} is more than the {most} that {n} inputs of {features} features "
                "have: lower it"
            )
        solver = "covariance_eigh" if n >= features else "full"
        transformers.append(PCA(settings.components, svd_solver=solver))
    if settings.degree == 2:
        try:
            settings.check_terms(settings.components or features)
        except Wrong as error:
            raise Unfit(f"fit.{error}") from None
        transformers += [PolynomialFeatures(2, include_bias=False), StandardScaler(copy=False)]
    return transformers
