"""Training by SGD with the data resident on the device, and the trajectory of predictions that it leaves."""

import ctypes
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts import networks
from workflow_scripts.config.training import SGD, Checkpoints
from workflow_scripts.errors import StudyError
from workflow_scripts.tasks import PARTS, TaskData

log = logging.getLogger("workflow_scripts")

EVALUATION_BATCH = {"cpu": 250, "cuda": 4096}


@dataclass(frozen=True)
class Trajectory:
    """What a network predicted at each of T checkpoints.

    steps: int64[T], SGD steps done; epochs: float64[T]; predictions: part -> uint8[T, N]; losses: part -> float32[T],
    mean (binary) cross-entropy in nats; weights: name -> float32[T, ...], if they were to be kept.
    """

    steps: np.ndarray
    epochs: np.ndarray
    predictions: dict[str, np.ndarray]
    losses: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]


def prepare_device(device: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`, set up so that equal seeds give equal bits.

    One CPU thread: results must not depend on the number of cores. Raises StudyError when CUDA is asked for and absent.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise StudyError("device: cuda was asked for, but PyTorch finds no CUDA device here: use auto or cpu")
    keep_freed_memory()
    torch.set_num_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    for attention in ("flash", "mem_efficient", "cudnn"):  # their gradients need not be the same twice
        getattr(torch.backends.cuda, f"enable_{attention}_sdp")(False)
    return torch.device("cuda")


def keep_freed_memory() -> None:
    """Ask glibc not to return freed memory: the page faults of getting it back can double the time of a CPU step."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 1 << 26)


def total_steps(n: int, sgd: SGD) -> int:
    """SGD steps of a whole training on n examples."""
    return sgd.steps or _per_epoch(n, sgd) * sgd.epochs


def checkpoint_steps(n: int, sgd: SGD, checkpoints: Checkpoints) -> np.ndarray:
    """Sorted steps at which to look, int64[T]: 0, log-spaced early ones, every k epochs, the last step."""
    per_epoch, last = _per_epoch(n, sgd), total_steps(n, sgd)
    early_end = min(per_epoch * checkpoints.early_epochs, last)
    early = np.rint(np.geomspace(1, early_end, checkpoints.early)).astype(np.int64)
    regular = np.arange(early_end, last + 1, per_epoch * checkpoints.every)
    return np.unique(np.concatenate([[0], early, regular, [last]])).astype(np.int64)


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


def train(
    network: nn.Module,
    data: TaskData,
    sgd: SGD,
    checkpoints: Checkpoints,
    order: torch.Generator,
    device: torch.device,
    keep_weights: bool = False,
) -> Trajectory:
    """Train on data's training part by SGD and record predictions and losses on every part at each checkpoint.

    The network is changed in place. Raises StudyError when a batch is larger than the training set, or too small for
    batch normalisation, when what is to be augmented is no image, or when the loss is no longer finite.
    """
    _check(network, data, sgd)
    parts = {part: Resident(data.inputs[part], data.labels[part], device) for part in PARTS}
    n = len(data.labels["train"])
    steps, per_epoch = checkpoint_steps(n, sgd, checkpoints), _per_epoch(n, sgd)
    predictions = {part: np.empty((len(steps), len(data.labels[part])), np.uint8) for part in PARTS}
    losses = {part: np.empty(len(steps), np.float32) for part in PARTS}
    network.to(device)
    kept = {name: [] for name in network.state_dict()} if keep_weights else {}
    log.info("%d steps in %.6g epochs on %s; %d checkpoints", steps[-1], steps[-1] / per_epoch, device, len(steps))
    progress = _Progress(int(steps[-1]), per_epoch, len(steps))
    batches = training_steps(network, parts["train"], sgd, order)
    for index, (before, step) in enumerate(pairwise([0, *steps])):
        for done in range(before, step):
            progress.report(done)
            next(batches)
        started = time.monotonic()
        for part in PARTS:
            predictions[part][index], losses[part][index] = evaluate(network, parts[part])
        for name, values in kept.items():
            values.append(network.state_dict()[name].cpu().numpy().copy())
        loss = losses["train"][index]
        if not np.isfinite(loss):
            raise StudyError(f"lr: the training loss is {loss} at step {step}: lower lr ({sgd.lr})")
        progress.looked(f"train loss {loss:.4f}, test loss {losses['test'][index]:.4f}", time.monotonic() - started)
    progress.report(int(steps[-1]), last=True)
    weights = {name: np.stack(values) for name, values in kept.items()}
    return Trajectory(steps, steps / per_epoch, predictions, losses, weights)


def training_steps(network: nn.Module, data: "Resident", sgd: SGD, order: torch.Generator) -> Iterator[None]:
    """Yield after each SGD step, epoch after epoch; each epoch visits the examples in a new random order.

    With augmentation, each epoch also draws a new shift and flip for every example.
    """
    optimizer = torch.optim.SGD(
        network.parameters(), lr=sgd.lr, momentum=sgd.momentum, weight_decay=sgd.weight_decay, fused=True
    )
    for inputs, labels in islice(_batches(data, sgd, order), total_steps(len(data), sgd)):
        loss = networks.loss(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield


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


def _batches(data: "Resident", sgd: SGD, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and labels of one batch after another, without end."""
    n = len(data)
    while True:
        permutation = torch.randperm(n, generator=order).to(data.device)
        if sgd.augmentation:
            shifts = torch.randint(-4, 5, (n, 2), generator=order).to(data.device)
            flips = torch.randint(2, (n,), generator=order).bool().to(data.device)
        for chosen in permutation.split(sgd.batch_size):
            inputs, labels = data.batch(chosen)
            if sgd.augmentation:
                inputs = crop_flip(inputs, shifts[chosen], flips[chosen])
            yield inputs, labels


def _check(network: nn.Module, data: TaskData, sgd: SGD) -> None:
    n, shape = len(data.labels["train"]), data.inputs["train"].shape[1:]
    if sgd.batch_size > n:
        raise StudyError(f"batch_size: {sgd.batch_size} is more than the {n} training examples: lower it")
    if sgd.augmentation and len(shape) != 3:
        raise StudyError(
            f"augmentation: {sgd.augmentation} is for images [channels, height, width], got inputs {list(shape)}: "
            "remove it"
        )
    normalised = any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    if normalised and 1 in (sgd.batch_size, n % sgd.batch_size):
        raise StudyError(
            f"batch_size: with {sgd.batch_size}, a batch of the {n} training examples has only one, and batch "
            "normalisation needs two: change it"
        )


def _per_epoch(n: int, sgd: SGD) -> int:
    return -(-n // sgd.batch_size)


def _seeds(seed: int) -> list[int]:
    """Seeds of the initialisation, of the order of the examples, and of pretraining."""
    return np.random.SeedSequence(seed).generate_state(3, np.uint64).tolist()


@torch.inference_mode()
def evaluate(network: nn.Module, data: "Resident") -> tuple[np.ndarray, float]:
    """Predictions uint8[N] on all of data, and the mean loss in nats (NaN for no data)."""
    was_training = network.training
    network.eval()
    predicted, total = [], 0.0
    batch = EVALUATION_BATCH[data.device.type]
    for start in range(0, len(data), batch):
        inputs, labels = data.batch(slice(start, start + batch))
        logits = network(inputs)
        predicted.append(networks.predictions(logits))
        total += networks.loss(logits, labels, "sum").double()
    network.train(was_training)
    if not predicted:
        return np.empty(0, np.uint8), float("nan")
    return torch.cat(predicted).cpu().numpy(), float(total) / len(data)


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


class _Progress:
    """Lines in the log, one every few seconds: where training is, how fast, how long it will take."""

    SECONDS = 5.0

    def __init__(self, steps: int, per_epoch: int, checkpoints: int):
        self.steps, self.per_epoch, self.checkpoints = steps, per_epoch, checkpoints
        self.losses, self.evaluations, self.evaluating = "", 0, 0.0
        self.start = self.shown = time.monotonic()

    def looked(self, losses: str, seconds: float) -> None:
        self.losses = losses
        self.evaluations += 1
        self.evaluating += seconds

    def report(self, done: int, last: bool = False) -> None:
        now = time.monotonic()
        if not last and (done == 0 or now - self.shown < self.SECONDS):
            return
        self.shown = now
        per_step = (now - self.start - self.evaluating) / done
        per_evaluation = self.evaluating / self.evaluations
        left = (self.steps - done) * per_step + (self.checkpoints - self.evaluations) * per_evaluation
        log.info(
            "step %d of %d (epoch %.2f of %.6g): %s; %.0f steps/s, %.1f s a checkpoint, %d min %d s left",
            *(done, self.steps, done / self.per_epoch, self.steps / self.per_epoch, self.losses),
            *(1 / per_step, per_evaluation, *divmod(int(left), 60)),
        )
