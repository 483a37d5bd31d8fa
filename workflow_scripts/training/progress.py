"""Lines in the log about a training."""

import logging
import time

import numpy as np

log = logging.getLogger("workflow_scripts")


class Progress:
    """A line every few seconds: where training is, how fast, how long it will take.

    steps: those of the checkpoints, int64[T]; done: steps done before; per_epoch: steps of an epoch.
    """

    SECONDS = 5.0

    def __init__(self, steps: np.ndarray, done: int, per_epoch: int):
        self.steps, self.per_epoch, self.checkpoints = int(steps[-1]), per_epoch, len(steps)
        self.first = done
        self.losses, self.evaluations, self.evaluating = "", 0, 0.0
        self.start = self.shown = time.monotonic()

    def evaluated(self, checkpoint: dict[str, np.ndarray], seconds: float) -> None:
        """Note the losses of a checkpoint, and how long its evaluation took."""
        self.losses = "train loss {train_loss:.4f}, test loss {test_loss:.4f}".format(**checkpoint)
        self.evaluations += 1
        self.evaluating += seconds

    def report(self, done: int, last: bool = False) -> None:
        """Log a line if it is time for one, or if it is the last."""
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
