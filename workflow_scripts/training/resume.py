"""Trainings that may be cut off: their state, from which the same training goes on to the same bytes."""

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from workflow_scripts.config.errors import Missing, StudyError
from workflow_scripts.files import npz
from workflow_scripts.training.checkpoints import Recorder
from workflow_scripts.training.signals import Signals, Stopped

log = logging.getLogger("workflow_scripts")

#: between two saves
SECONDS = 120.0


class Run:
    """Where a training stands: all that it takes to go on as if it had never been cut off.

    step: SGD steps done; steps: those of the checkpoints, [T]; file: where the state is kept, None for nowhere. In it
    are `done`, the steps; `order`, the generator of the order of the examples as the epoch started; `random` and
    `cuda_random`, torch's generators; `network.{name}`, weights and statistics; `momentum.{i}` of the i-th parameter;
    `recorded.{name}` of the recorder.
    """

    def __init__(
        self,
        file: Path | None,
        network: nn.Module,
        optimizer: torch.optim.SGD,
        order: torch.Generator,
        per_epoch: int,
        steps: np.ndarray,
        recorder: Recorder,
    ):
        self.file, self.network, self.optimizer, self.order = file, network, optimizer, order
        self.per_epoch, self.steps, self.recorder = per_epoch, steps, recorder
        self.step = 0
        self.epoch_order = order.get_state()
        self.signals = Signals()
        self._saved = time.monotonic()

    @property
    def step_of_epoch(self) -> int:
        """Steps done in the epoch that is not finished."""
        return self.step % self.per_epoch

    @contextmanager
    def resumed(self) -> Iterator[None]:
        """Go on from the state in the file; save it every few minutes, after a signal, and at the end.

        SIGTERM, SIGHUP or Ctrl-C ends what is inside between two steps, and takes effect once the state is saved.
        """
        self._restore()
        with self.signals:
            try:
                yield
            except Stopped:
                log.info("stopped at step %d", self.step)
            self._save()
        if self.signals.came:
            signal.raise_signal(self.signals.came)
            sys.exit(128 + self.signals.came)  # what is cut off is no result, whatever the handler does

    def count_step(self) -> None:
        """Count a step that is done, and save the state if it is time; raises Stopped after a signal."""
        self.step += 1
        if self.step_of_epoch == 0:
            self.epoch_order = self.order.get_state()
        if time.monotonic() - self._saved > SECONDS:
            self._save()
            self._saved = time.monotonic()
        self.signals.check()

    def _save(self) -> None:
        """Save the state, if there is a file for it, once there is a checkpoint in it."""
        if self.file and len(self.recorder):
            recorded = {f"recorded.{name}": values for name, values in self.recorder.stacked().items()}
            if save(self.file, self._standing() | recorded):
                log.info("state saved at step %d", self.step)

    def _restore(self) -> None:
        """Take over a saved state, if there is one and it is one of this training."""
        state = load(self.file, self._forms()) if self.file else None
        if state is None:
            return
        if not self._is_of_this_training(state):
            refused(self.file, "not the state of this training")
            return
        self.recorder.recorded = {name: list(state[f"recorded.{name}"]) for name in self.recorder.recorded}
        self.step, self.epoch_order = int(state["done"]), torch.from_numpy(state["order"])
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
        log.info("resumed at step %d, with %d checkpoints", self.step, len(self.recorder))

    def _forms(self) -> dict[str, npz.Form]:
        """What each array of the state must be."""
        standing = {name: npz.Form(values.dtype.kind, values.shape) for name, values in self._standing().items()}
        recorded = {name: npz.Form(kind, ("T", *shape)) for name, (kind, shape) in self.recorder.forms.items()}
        return standing | {f"recorded.{name}": form for name, form in recorded.items()}

    def _is_of_this_training(self, state: dict[str, np.ndarray]) -> bool:
        """Whether an array of each form is what this training may have left."""
        recorded, done = len(state["recorded.train_loss"]), int(state["done"])
        if not 0 < recorded <= len(self.steps):
            return False
        ends = self.steps[recorded - 1], self.steps[min(recorded, len(self.steps) - 1)]
        alike = all(state[name].dtype == values.dtype for name, values in self._standing().items())
        return alike and ends[0] <= done <= ends[1] and all(_is_of_generator(state[of]) for of in ("order", "random"))

    def _standing(self) -> dict[str, np.ndarray]:
        """The state but for what is recorded."""
        momentum = [self.optimizer.state[p].get("momentum_buffer", torch.zeros_like(p)) for p in self._moving()]
        arrays = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        arrays |= {f"momentum.{i}": tensor for i, tensor in enumerate(momentum)}
        arrays |= {"order": self.epoch_order, "random": torch.get_rng_state()}
        if torch.cuda.is_initialized():
            arrays["cuda_random"] = torch.cuda.get_rng_state()
        return {"done": np.int64(self.step), **{name: tensor.cpu().numpy() for name, tensor in arrays.items()}}

    def _moving(self) -> list[nn.Parameter]:
        """The parameters that have a momentum."""
        return [p for group in self.optimizer.param_groups if group["momentum"] for p in group["params"]]


def save(path: Path, state: dict[str, np.ndarray]) -> bool:
    """Write a state in place of the one before; False where that can't be, which is reported."""
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            np.savez(file, **state)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        log.warning("%s: the state can't be saved here: %s", path, error.strerror or error)
        return False
    return True


def load(path: Path, forms: dict[str, npz.Form]) -> dict[str, np.ndarray] | None:
    """A saved state, an array of each form; None where there is none, or where it can't be used, which is reported."""
    try:
        return npz.load(path, *forms, forms=forms)
    except Missing:
        return None
    except (StudyError, OSError) as error:
        refused(path, error)
        return None


def refused(path: Path, why: object) -> None:
    """Report a state that is not used."""
    reason = str(why).removeprefix(f"{path}: ").removesuffix(": delete it and run its stage again")
    log.warning("%s: %s: it is not used, training starts anew", path, " ".join(reason.split()))


def _is_of_generator(state: np.ndarray) -> bool:
    try:
        torch.Generator().set_state(torch.from_numpy(state))
    except (RuntimeError, TypeError):
        return False
    return True
