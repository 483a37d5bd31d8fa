"""Explainers by scikit-learn: logistic regression of inputs, principal components or products; trees; neighbours."""

import logging
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from workflow_scripts.config.errors import StudyError
from workflow_scripts.config.explainers import Logistic, NearestNeighbours, Tree

log = logging.getLogger("workflow_scripts")


def fit(
    inputs: np.ndarray,
    labels: np.ndarray,
    predicted: dict[str, np.ndarray],
    settings: Logistic | Tree | NearestNeighbours,
) -> dict:
    """Fit what the settings say; inputs [N, ...], labels [N]; predicted: part -> inputs [M, ...].

    Returns {part}_predictions (uint8[M]), fit_predictions (uint8[N], not of nearest neighbours), and what was fitted,
    where that is small. Labels of a single class give the constant function. Raises StudyError when it does not
    converge, or can't be fitted to so few inputs or features.
    """
    family = {"logistic": fit_logistic, "tree": fit_tree, "nearest_neighbours": fit_nearest_neighbours}
    with threadpool_limits(1):  # the stage set its limit before scikit-learn brought a BLAS and OpenMP of its own
        return family[settings.solver](inputs, labels, predicted, settings)


def fit_logistic(inputs: np.ndarray, labels: np.ndarray, predicted: dict[str, np.ndarray], settings: Logistic) -> dict:
    """Logistic (softmax) regression, converged: coefficients, intercepts, iterations.

    On components also their mean, components and explained_variance; of degree 2 also the term_means and term_scales
    that the terms (features, then products, as PolynomialFeatures orders them) were standardised with.
    """
    parts = {"fit": inputs, **predicted}
    x = _zero_to_one(inputs)
    transformers = _transformers(settings, *x.shape)
    if len(np.unique(labels)) == 1:
        log.info("the labels are all %d: the explainer is constant", labels[0])
        constant = np.uint8(labels[0])
        return {
            **{f"{part}_predictions": np.full(len(given), constant) for part, given in parts.items()},
            "coefficients": np.zeros((1, x.shape[1])),
            "intercepts": np.zeros(1),
            "iterations": 0,
        }
    model = make_pipeline(*transformers, LogisticRegression(C=settings.C, max_iter=settings.max_iterations))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(x, labels)
        except ConvergenceWarning:
            raise StudyError(
                f"fit.max_iterations: logistic regression did not converge in {settings.max_iterations} iterations: "
                f"raise it, or lower fit.C ({settings.C}) for a stronger penalty"
            ) from None
    regression = model[-1]
    log.info("logistic regression converged after %d iterations", regression.n_iter_[0])
    found = {
        **_predictions(model, parts, _zero_to_one),
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


def fit_tree(inputs: np.ndarray, labels: np.ndarray, predicted: dict[str, np.ndarray], settings: Tree) -> dict:
    """A decision tree: depth, leaves."""
    _at_most("min_leaf", settings.min_leaf, len(inputs), f"the {len(inputs)} inputs that it is fitted on")
    model = DecisionTreeClassifier(max_depth=settings.max_depth, min_samples_leaf=settings.min_leaf, random_state=0)
    model.fit(_as_they_are(inputs), labels)
    log.info("a tree of depth %d with %d leaves", model.get_depth(), model.get_n_leaves())
    return {
        **_predictions(model, {"fit": inputs, **predicted}, _as_they_are),
        "depth": int(model.get_depth()),
        "leaves": int(model.get_n_leaves()),
    }


def fit_nearest_neighbours(
    inputs: np.ndarray, labels: np.ndarray, predicted: dict[str, np.ndarray], settings: NearestNeighbours
) -> dict:
    """The majority among the nearest inputs by Euclidean distance.

    Of equally distant inputs the first in the data count; of groups with as many votes the lowest wins.
    """
    _at_most("neighbours", settings.neighbours, len(inputs), f"the {len(inputs)} inputs that it is fitted on")
    model = KNeighborsClassifier(settings.neighbours, algorithm="brute").fit(_as_they_are(inputs), labels)
    return _predictions(model, predicted, _as_they_are)


def _transformers(settings: Logistic, n: int, features: int) -> list:
    """What comes before the regression on n inputs; none for a linear model of the inputs."""
    transformers = []
    if settings.components:
        most = min(n - 1, features)
        _at_most("components", settings.components, most, f"the {most} that {n} inputs of {features} features have")
        solver = "covariance_eigh" if n >= features else "full"
        transformers.append(PCA(settings.components, svd_solver=solver))
    if settings.degree == 2:
        try:
            settings.check_terms(settings.components or features)
        except ValueError as error:
            raise StudyError(f"fit.{error}") from None
        transformers += [PolynomialFeatures(2, include_bias=False), StandardScaler(copy=False)]
    return transformers


def _at_most(key: str, value: int, most: int, what: str) -> None:
    if value > most:
        raise StudyError(f"fit.{key}: {value} is more than {what}: lower it")


def _predictions(model, parts: dict[str, np.ndarray], features: Callable) -> dict[str, np.ndarray]:
    """What the model says of each part, of none if it is empty."""
    return {
        f"{part}_predictions": model.predict(features(given)).astype(np.uint8) if len(given) else np.empty(0, np.uint8)
        for part, given in parts.items()
    }


def _zero_to_one(inputs: np.ndarray) -> np.ndarray:
    """Inputs as float64 [N, features]; uint8 images as [0, 1]."""
    scale = 255 if inputs.dtype == np.uint8 else 1
    return inputs.reshape(len(inputs), -1) / np.float64(scale)


def _as_they_are(inputs: np.ndarray) -> np.ndarray:
    """Inputs as float32 [N, features]; of uint8 images, whole numbers, whose distances have no rounding errors."""
    return inputs.reshape(len(inputs), -1).astype(np.float32)
