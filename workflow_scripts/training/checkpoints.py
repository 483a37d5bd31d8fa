"""Checkpoints: at which steps they are, and what is recorded of the network at each."""

import numpy as np
import torch
from torch import nn

from workflow_scripts.config.training import SGD, Checkpoints
from workflow_scripts.data.tasks import PARTS
from workflow_scripts.training import losses
from workflow_scripts.training.batches import Resident

#: examples that are evaluated at once
EVALUATION_BATCH = {"cpu": 250, "cuda": 4096}


def steps_per_epoch(n: int, sgd: SGD) -> int:
    """SGD steps in which n examples are visited once."""
    return -(-n // sgd.batch_size)


def checkpoint_steps(n: int, sgd: SGD, checkpoints: Checkpoints) -> np.ndarray:
    """Sorted steps of the checkpoints, int64[T]: 0, log-spaced early ones, every k epochs, the last step."""
    per_epoch = steps_per_epoch(n, sgd)
    last = sgd.steps or per_epoch * sgd.epochs
    early_end = min(per_epoch * checkpoints.early_epochs, last)
    early = np.rint(np.geomspace(1, early_end, checkpoints.early)).astype(np.int64)
    regular = np.arange(early_end, last + 1, per_epoch * checkpoints.every)
    return np.unique(np.concatenate([[0], early, regular, [last]])).astype(np.int64)


@torch.inference_mode()
def evaluate(network: nn.Module, data: Resident) -> tuple[np.ndarray, float]:
    """Predictions uint8[N] on all of data, and the mean loss in nats (NaN for no data)."""
    was_training = network.training
    network.eval()
    predicted, total = [], 0.0
    batch = EVALUATION_BATCH[data.device.type]
    for start in range(0, len(data), batch):
        inputs, labels = data.batch(slice(start, start + batch))
        logits = network(inputs)
        predicted.append(losses.predictions(logits))
        total += losses.cross_entropy(logits, labels, "sum").double()
    network.train(was_training)
    if not predicted:
        return np.empty(0, np.uint8), float("nan")
    return torch.cat(predicted).cpu().numpy(), float(total) / len(data)


class Recorder:
    """What is recorded of a network at each checkpoint.

    recorded: `{part}_predictions`, `{part}_loss` and, if weights are kept, `weights.{name}` -> an array per checkpoint.
    """

    def __init__(self, network: nn.Module, parts: dict[str, Resident], keep_weights: bool):
        self.network, self.parts = network, parts
        names = [f"{part}_{what}" for part in PARTS for what in ("predictions", "loss")]
        kept = [f"weights.{name}" for name in network.state_dict()] if keep_weights else []
        self.recorded: dict[str, list[np.ndarray]] = {name: [] for name in names + kept}

    def __len__(self) -> int:
        return len(self.recorded["train_loss"])

    @property
    def forms(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """The letter of numpy's kind of dtype, and the shape, of what is recorded at a checkpoint."""
        weights = {
            f"weights.{name}": (tensor.cpu().numpy().dtype.kind, tuple(tensor.shape))
            for name, tensor in self.network.state_dict().items()
        }
        said = {f"{part}_predictions": ("u", (len(data),)) for part, data in self.parts.items()}
        losses = {f"{part}_loss": ("f", ()) for part in self.parts}
        return {name: form for name, form in (weights | said | losses).items() if name in self.recorded}

    def evaluated(self) -> dict[str, np.ndarray]:
        """Predictions and losses of the network as it is on every part, and its weights: a checkpoint to be added."""
        found = {f"weights.{name}": tensor.cpu().numpy().copy() for name, tensor in self.network.state_dict().items()}
        for part in PARTS:
            predictions, loss = evaluate(self.network, self.parts[part])
            found |= {f"{part}_predictions": predictions, f"{part}_loss": np.float32(loss)}
        return found

    def add(self, checkpoint: dict[str, np.ndarray]) -> None:
        """Record a checkpoint."""
        for name, values in self.recorded.items():
            values.append(checkpoint[name])

    def stacked(self) -> dict[str, np.ndarray]:
        """The arrays of all T checkpoints, by name: [T, ...]."""
        return {name: np.stack(values) for name, values in self.recorded.items()}
