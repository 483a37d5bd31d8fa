"""Steps of SGD: on a CPU one operation after another, on CUDA as a graph that starts all kernels at once."""

from collections.abc import Callable

import torch
from torch import nn

from workflow_scripts.training import batches, losses
from workflow_scripts.training.batches import Draw, Resident


def stepper(network: nn.Module, optimizer: torch.optim.SGD, data: Resident) -> Callable[[Draw], None]:
    """A function that takes a step on a batch of data that was drawn, by the means of the data's device."""

    def step(draw: Draw) -> None:
        inputs, labels = batches.gathered(data, *draw)
        loss = losses.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return Graphs(step, optimizer) if data.device.type == "cuda" else step


class Graphs:
    """The same step on CUDA, without the time that Python takes to start one kernel after another.

    The first batch of a size is stepped on as ever: libraries choose their kernels then, and momentum is made. The
    second one is recorded as a graph of that size's kernels, which it and all later ones run. The bits are the same.
    """

    def __init__(self, step: Callable[[Draw], None], optimizer: torch.optim.SGD):
        self.step, self.optimizer = step, optimizer
        self.stream = torch.cuda.Stream()
        self.of_size: dict[int, tuple[torch.cuda.CUDAGraph, Draw] | None] = {}

    def __call__(self, draw: Draw) -> None:
        """Take a step on a batch that was drawn."""
        size = len(draw[0])
        if size not in self.of_size:
            self._as_ever(draw)
            self.of_size[size] = None
            return
        graph, read = self.of_size[size] = self.of_size[size] or self._recorded(draw)
        for held, values in zip(read, draw, strict=True):
            held.copy_(values)
        graph.replay()

    def _as_ever(self, draw: Draw) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            self.step(draw)
        torch.cuda.current_stream().wait_stream(self.stream)

    def _recorded(self, draw: Draw) -> tuple[torch.cuda.CUDAGraph, Draw]:
        """The graph of a step, not yet taken, and the tensors from which it reads what is drawn."""
        read = tuple(values.clone() for values in draw)
        self.optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.step(read)
        return graph, read
