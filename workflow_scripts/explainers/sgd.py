"""A network of any kind, trained by SGD."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from workflow_scripts.config.base import Seed
from workflow_scripts.config.training import SGD, Checkpoints, Init
from workflow_scripts.explainers._solver import PREDICTED, Problem, Solver


class SGDFit(SGD, Solver):
    """The same SGD as the networks, from a seed of its own."""

    trains_network: ClassVar[bool] = True
    at_most_examples: ClassVar[tuple[str, ...]] = ("batch_size",)

    solver: Literal["sgd"]
    init: Init = Field("xavier_uniform", description="initialisation")
    seed: Seed = Field(0, description="seed of the initialisation and of the order of the examples")


Settings = SGDFit


def fit(settings: SGDFit, problem: Problem) -> dict[str, Any]:
    """Train the network: fit_predictions uint8[N], {part}_predictions uint8[M], weights.{name}, iterations (SGD steps).

    Raises StudyError as `training.sgd.train` does.
    """
    from workflow_scripts.training import devices, initialisation, randomness, sgd

    data, device = problem.data, devices.prepare(problem.device, problem.precision)
    order = randomness.generators(settings.seed)
    network = initialisation.build(problem.network, problem.inputs.shape[1:], data.n_classes, settings.init)
    seldom = Checkpoints(early=0, every=10)  # what counts is the last one; the others tell of a loss that diverges
    trajectory = sgd.train(network, data, settings, seldom, order, device, state=problem.state)
    return {
        "fit_predictions": trajectory.predictions["train"][-1],
        **{f"{part}_predictions": trajectory.predictions[part][-1] for part in PREDICTED},
        **{f"weights.{name}": tensor.cpu().numpy() for name, tensor in network.state_dict().items()},
        "iterations": int(trajectory.steps[-1]),
    }
