"""Training by SGD with the data resident on the device, and the trajectory of predictions that it leaves."""

import logging
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts.config.errors import StudyError
from workflow_scripts.config.training import SGD, Checkpoints
from workflow_scripts.data.tasks import PARTS, TaskData
from workflow_scripts.training import networks, resume

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
    state: Path | None = None,
) -> Trajectory:
    """Train on data's training part by SGD and record predictions and losses on every part at each checkpoint.

    The network is changed in place. Given a file for the state, training goes on from what it holds and leaves the same
    bytes as if it had never been cut off; the state is saved every few minutes, on SIGTERM and Ctrl-C, and at the end.
    Raises StudyError when a batch is larger than the training set, or too small for batch normalisation, when what is
    to be augmented is no image, or when the loss is no longer finite.
    """
    _check(network, data, sgd)
    parts = {part: Resident(data.inputs[part], data.labels[part], device) for part in PARTS}
    n = len(data.labels["train"])
    steps = checkpoint_steps(n, sgd, checkpoints)
    network.to(device)
    training = _Training(network, parts, sgd, order, keep_weights)
    log.info(
        "%d steps in %.6g epochs on %s; %d checkpoints",
        *(steps[-1], steps[-1] / training.per_epoch, device, len(steps)),
    )
    if state:
        training.resume(state)
    with resume.Signals() as signals:
        try:
            _train(training, steps, signals, state)
        except resume.Stopped:
            log.info("stopped at step %d", training.done)
        if state:
            training.save(state)
    if signals.came:
        signal.raise_signal(signals.came)
    return training.trajectory(steps)


def _train(training: "_Training", steps: np.ndarray, signals: resume.Signals, state: Path | None) -> None:
    """Train up to the last of the steps, looking at each; raises Stopped after a signal, between two steps."""
    progress = _Progress(steps, training.done, training.per_epoch)
    batches = training.batches()
    saved = time.monotonic()
    for step in steps[training.looks :]:
        while training.done < step:
            progress.report(training.done)
            next(batches)
            if state and time.monotonic() - saved > resume.SECONDS:
                training.save(state)
                saved = time.monotonic()
            signals.check()
        started = time.monotonic()
        with signals.at_once():
            looked = training.looked()
        training.record(looked)
        losses = {part: looked[f"{part}_loss"] for part in ("train", "test")}
        if not np.isfinite(losses["train"]):
            raise StudyError(f"lr: the training loss is {losses['train']} at step {step}: lower lr ({training.sgd.lr})")
        progress.looked("train loss {train:.4f}, test loss {test:.4f}".format(**losses), time.monotonic() - started)
    progress.report(int(steps[-1]), last=True)


class _Training:
    """Where a training stands: all that it takes to go on as if it had never been cut off."""

    def __init__(
        self, network: nn.Module, parts: dict[str, "Resident"], sgd: SGD, order: torch.Generator, keep_weights: bool
    ):
        self.network, self.parts, self.sgd, self.order = network, parts, sgd, order
        self.optimizer = optimizer(network, sgd)
        self.per_epoch = _per_epoch(len(parts["train"]), sgd)
        self.done = 0
        self.epoch_order = order.get_state()
        names = [f"{part}_{what}" for part in PARTS for what in ("predictions", "loss")]
        kept = [f"weights.{name}" for name in network.state_dict()] if keep_weights else []
        self.recorded: dict[str, list[np.ndarray]] = {name: [] for name in names + kept}

    @property
    def looks(self) -> int:
        """Checkpoints that are recorded."""
        return len(self.recorded["train_loss"])

    def batches(self) -> Iterator[None]:
        """Yield after each step, from where the training stands."""
        skip = self.done % self.per_epoch
        for _ in training_steps(self.network, self.optimizer, self.parts["train"], self.sgd, self.order, skip):
            self.done += 1
            if self.done % self.per_epoch == 0:
                self.epoch_order = self.order.get_state()
            yield

    def looked(self) -> dict[str, np.ndarray]:
        """Predictions and losses of the network as it is on every part, and its weights if they are kept."""
        found = {f"weights.{name}": tensor.cpu().numpy().copy() for name, tensor in self.network.state_dict().items()}
        for part in PARTS:
            predictions, loss = evaluate(self.network, self.parts[part])
            found |= {f"{part}_predictions": predictions, f"{part}_loss": np.float32(loss)}
        return found

    def record(self, looked: dict[str, np.ndarray]) -> None:
        for name, values in self.recorded.items():
            values.append(looked[name])

    def save(self, path: Path) -> None:
        """Save the state, once there is a checkpoint in it."""
        if self.looks:
            recorded = {f"recorded.{name}": np.stack(values) for name, values in self.recorded.items()}
            if resume.save(path, self._standing() | recorded):
                log.info("state saved at step %d", self.done)

    def resume(self, path: Path) -> None:
        """Go on from a saved state, if there is one and it is one of this training."""
        state = resume.load(path)
        if state is None:
            return
        recorded = {name: list(state.pop(f"recorded.{name}", ())) for name in self.recorded}
        if _forms(state) != _forms(self._standing()) or len({len(values) for values in recorded.values()}) > 1:
            resume.refused(path, "not the state of this training")
            return
        self.done, self.recorded = int(state["done"]), recorded
        self.epoch_order = torch.from_numpy(state["order"])
        self.order.set_state(self.epoch_order)
        torch.set_rng_state(torch.from_numpy(state["random"]))
        if "cuda_random" in state:
            torch.cuda.set_rng_state(torch.from_numpy(state["cuda_random"]))
        self.network.load_state_dict(
            {name: torch.from_numpy(state[f"network.{name}"]) for name in self.network.state_dict()}
        )
        for i, parameter in enumerate(self._moving()):
            self.optimizer.state[parameter]["momentum_buffer"] = torch.from_numpy(state[f"momentum.{i}"]).to(
                parameter.device
            )
        log.info("resumed at step %d, with %d checkpoints", self.done, self.looks)

    def trajectory(self, steps: np.ndarray) -> Trajectory:
        """What was recorded at these steps."""
        stacked = {name: np.stack(values) for name, values in self.recorded.items()}
        return Trajectory(
            steps,
            steps / self.per_epoch,
            {part: stacked[f"{part}_predictions"] for part in PARTS},
            {part: stacked[f"{part}_loss"] for part in PARTS},
            {name.removeprefix("weights."): values for name, values in stacked.items() if name.startswith("weights.")},
        )

    def _standing(self) -> dict[str, np.ndarray]:
        """The state but for what is recorded: steps done, random generators, weights and momentum."""
        momentum = [self.optimizer.state[p].get("momentum_buffer", torch.zeros_like(p)) for p in self._moving()]
        arrays = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        arrays |= {f"momentum.{i}": tensor for i, tensor in enumerate(momentum)}
        arrays |= {"order": self.epoch_order, "random": torch.get_rng_state()}
        if torch.cuda.is_initialized():
            arrays["cuda_random"] = torch.cuda.get_rng_state()
        return {"done": np.int64(self.done), **{name: tensor.cpu().numpy() for name, tensor in arrays.items()}}

    def _moving(self) -> list[nn.Parameter]:
        """The parameters that have a momentum."""
        return list(self.network.parameters()) if self.sgd.momentum else []


def _forms(arrays: dict[str, np.ndarray]) -> dict[str, tuple]:
    return {name: (values.shape, values.dtype) for name, values in arrays.items()}


def optimizer(network: nn.Module, sgd: SGD) -> torch.optim.SGD:
    """SGD on all parameters of the network."""
    return torch.optim.SGD(
        network.parameters(), lr=sgd.lr, momentum=sgd.momentum, weight_decay=sgd.weight_decay, fused=True
    )


def training_steps(
    network: nn.Module,
    optimizer: torch.optim.SGD,
    data: "Resident",
    sgd: SGD,
    order: torch.Generator,
    skip: int = 0,
) -> Iterator[None]:
    """Yield after each SGD step, without end; each epoch visits the examples in a new random order.

    With augmentation, each epoch also draws a new shift and flip for every example. The first `skip` steps of the first
    epoch are left out.
    """
    for inputs, labels in _batches(data, sgd, order, skip):
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


def _batches(data: "Resident", sgd: SGD, order: torch.Generator, skip: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and labels of one batch after another, without end, but for the first `skip` of the first epoch."""
    n = len(data)
    while True:
        permutation = torch.randperm(n, generator=order).to(data.device)
        if sgd.augmentation:
            shifts = torch.randint(-4, 5, (n, 2), generator=order).to(data.device)
            flips = torch.randint(2, (n,), generator=order).bool().to(data.device)
        chunks, skip = permutation.split(sgd.batch_size)[skip:], 0
        for chosen in chunks:
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

    def __init__(self, steps: np.ndarray, done: int, per_epoch: int):
        self.steps, self.per_epoch, self.checkpoints = int(steps[-1]), per_epoch, len(steps)
        self.first = done
        self.losses, self.evaluations, self.evaluating = "", 0, 0.0
        self.start = self.shown = time.monotonic()

    def looked(self, losses: str, seconds: float) -> None:
        self.losses = losses
        self.evaluations += 1
        self.evaluating += seconds

    def report(self, done: int, last: bool = False) -> None:
        now = time.monotonic()
        if self.evaluations == 0 or done == self.first or (not last and now - self.shown < self.SECONDS):
            return
        self.shown = now
        per_step = (now - self.start - self.evaluating) / (done - self.first)
        per_evaluation = self.evaluating / self.evaluations
        left = (self.steps - done) * per_step + (self.checkpoints - self.evaluations) * per_evaluation
        log.info(
            "step %d of %d (epoch %.2f of %.6g): %s; %.0f steps/s, %.1f s a checkpoint, %d min %d s left",
            *(done, self.steps, done / self.per_epoch, self.steps / self.per_epoch, self.losses),
            *(1 / per_step, per_evaluation, *divmod(int(left), 60)),
        )
