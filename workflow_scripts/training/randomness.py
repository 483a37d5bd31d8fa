"""What a training draws at random: each of its generators is seeded from the seed of the training alone."""

from dataclasses import replace

import numpy as np
import torch

from workflow_scripts.data.tasks import TaskData


def generators(seed: int) -> torch.Generator:
    """Seed torch's global generator for the initialisation, and return another one for the order of the examples."""
    init, order, _ = _seeds(seed)
    torch.manual_seed(init)
    return torch.Generator().manual_seed(order)


def pretraining_generator(seed: int) -> torch.Generator:
    """A generator for pretraining, its labels and its order: what `generators` gives stays as it is without."""
    return torch.Generator().manual_seed(_seeds(seed)[2])


def random_labels(data: TaskData, generator: torch.Generator) -> TaskData:
    """The same data, each training example with a label drawn uniformly from the groups."""
    drawn = torch.randint(data.n_classes, (len(data.labels["train"]),), generator=generator)
    return replace(data, labels={**data.labels, "train": drawn.numpy()})


def _seeds(seed: int) -> list[int]:
    """Seeds of the initialisation, of the order of the examples, and of pretraining."""
    return np.random.SeedSequence(seed).generate_state(3, np.uint64).tolist()
