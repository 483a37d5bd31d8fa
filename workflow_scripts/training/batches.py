"""Data that live on the device, and the batches that SGD takes of them."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts.config.training import SGD


class Resident:
    """Inputs and labels that live on the device; uint8 images are decoded to [0, 1] batch by batch."""

    def __init__(self, inputs: np.ndarray, labels: np.ndarray, device: torch.device):
        self.device = device
        self.inputs = torch.from_numpy(inputs).to(device)
        self.labels = torch.from_numpy(labels).to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: Tensor | slice) -> tuple[Tensor, Tensor]:
        """The chosen inputs as float32 and their labels."""
        if isinstance(chosen, slice):
            inputs, labels = self.inputs[chosen], self.labels[chosen]
        else:
            inputs, labels = self.inputs.index_select(0, chosen), self.labels.index_select(0, chosen)
        if inputs.dtype == torch.uint8:
            inputs = inputs.float().div_(255)
        return inputs, labels


#: what is drawn of a batch [B]: which examples, int64[B]; with augmentation their shifts [B, 2] and flips bool[B] too
Draw = tuple[Tensor, ...]


def shuffled(data: Resident, sgd: SGD, order: torch.Generator, skip: int = 0) -> Iterator[Draw]:
    """One batch after another, without end, as it is drawn; each epoch has the examples in a new random order.

    With augmentation, each epoch also draws a new shift and flip for every example. All is drawn from `order` when an
    epoch starts. The first `skip` batches of the first epoch are left out.
    """
    n = len(data)
    while True:
        drawn = [torch.randperm(n, generator=order)]
        if sgd.augmentation:
            shifts = torch.randint(-4, 5, (n, 2), generator=order)
            flips = torch.randint(2, (n,), generator=order).bool()
            drawn += [shifts[drawn[0]], flips[drawn[0]]]
        parts = (values.to(data.device).split(sgd.batch_size) for values in drawn)
        yield from islice(zip(*parts, strict=True), skip, None)
        skip = 0


def gathered(data: Resident, chosen: Tensor, *augmented: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs and labels of a batch that was drawn."""
    inputs, labels = data.batch(chosen)
    return crop_flip(inputs, *augmented) if augmented else inputs, labels


def crop_flip(images: Tensor, shifts: Tensor, flips: Tensor) -> Tensor:
    """Images [B, C, H, W] seen through a window moved by shifts [B, 2] (rows, columns) of -4 to 4 pixels, 0 beyond.

    Those with flips, bool[B], are mirrored left to right.
    """
    height, width = images.shape[2:]
    rows = 4 + shifts[:, :1] + torch.arange(height, device=images.device)
    columns = 4 + shifts[:, 1:] + torch.arange(width, device=images.device)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    padded = nn.functional.pad(images, (4, 4, 4, 4))
    examples, channels = (torch.arange(k, device=images.device) for k in images.shape[:2])
    return padded[
        examples[:, None, None, None], channels[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]
