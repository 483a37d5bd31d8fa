"""Trainings that may be cut off: their state, from which the same training goes on to the same bytes."""

import logging
import os
import signal
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from workflow_scripts.training.checkpoints import Recorder
from workflow_scripts.training.signals import Signals, Stopped

log = logging.getLogger("workflow_scripts")

#: between two saves
SECONDS = 120.0


class Run:
    """Where a training stands: all that it takes to go on as if it had never been cut off.

    step: SGD steps done; file: where the state is kept, None for nowhere. In there are `done`, the steps; `order`, the
    generator of the order of the examples as the epoch started; `random` and `cuda_random`, torch's generators;
    `network.{name}`, weights and statistics; `momentum.{i}` of the i-th parameter; `recorded.{name}` of the recorder.
    """

    def __init__(
        self,
        file: Path | None,
        network: nn.Module,
        optimizer: torch.optim.SGD,
        order: torch.Generator,
        per_epoch: int,
        recorder: Recorder,
    ):
        self.file, self.network, self.optimizer, self.order = file, network, optimizer, order
        self.per_epoch, self.recorder = per_epoch, recorder
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
        state = load(self.file) if self.file else None
        if state is None:
            return
        recorded = {name: list(state.pop(f"recorded.{name}", ())) for name in self.recorder.recorded}
        if _forms(state) != _forms(self._standing()) or len({len(values) for values in recorded.values()}) > 1:
            refused(self.file, "not the state of this training")
            return
        self.step, self.recorder.recorded = int(state["done"]), recorded
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
        log.info("resumed at step %d, with %d checkpoints", self.step, len(self.recorder))

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


def load(path: Path) -> dict[str, np.ndarray] | None:
    """A saved state; None where there is none, or where it is damaged, which is reported."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        return None
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as e:
        refused(path, e)
        return None


def refused(path: Path, why) -> None:
    """Report a state that is not used."""
    log.warning("%s: damaged (%s): it is not used, training starts anew", path, " ".join(str(why).split()))


def _forms(arrays: dict[str, np.ndarray]) -> dict[str, tuple]:
    return {name: (values.shape, values.dtype) for name, values in arrays.items()}
