"""A network and its explainer on the test set: their joint counts, and what each example contributes to them."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from workflow_scripts.measures import information, intervals, nulls


@dataclass(frozen=True)
class Comparison:
    """A network F, an explainer L and the labels Y of the same N test examples, at T checkpoints or at one.

    Attributes:
        f: class indices, [T, N] or [N].
        l: those of the explainer, [T, N] or [N]; of several together, indices of their tuples.
        y: true labels, [N].
        counts: joint counts, [T, f, l, y] or [f, l, y].
    """

    f: np.ndarray
    l: np.ndarray
    y: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, f: np.ndarray, l: np.ndarray, y: np.ndarray, n_classes: int) -> Self:
        """F against one explainer. Raises ValueError as information.joint_counts."""
        return cls(f, l, y, information.joint_counts(f, l, y, n_classes))

    @classmethod
    def of_several(cls, f: np.ndarray, explainers: list[np.ndarray], y: np.ndarray, n_classes: int) -> Self:
        """F against several explainers together (N19 footnote 8). Raises ValueError as information.joint_counts."""
        counts, l = information.joint_counts_given_several(f, explainers, y, n_classes)
        return cls(f, l, y, counts)

    def at(self, t: int) -> Self:
        """The comparison at one checkpoint."""
        return type(self)(self.f[t], self.l[t] if self.l.ndim == 2 else self.l, self.y, self.counts[t])

    def at_end(self) -> Self:
        """The network against what a co-trained explainer is in the end, which decides where T0 lies; else itself.

        (Choice: a network that both start as knows nothing would be level with L_t at once.)
        """
        return self if self.l.ndim == 1 else self.of(self.f, self.l[-1], self.y, self.counts.shape[-1])

    def influences(self) -> dict[str, np.ndarray]:
        """intervals.influence, and as `mu_null` that on the mu of the within-class null model: [..., f, l, y], bits."""
        return {**intervals.influence(self.counts), "mu_null": nulls.closed_form_influence(self.counts)}

    def by_example(self, influences: Iterable[tuple[Hashable, np.ndarray]]) -> Iterator[tuple[Hashable, np.ndarray]]:
        """Influences of an example of each cell, [..., f, l, y], as those of each example, [..., N].

        Each has a key, which stays. They are made one by one, as one of a long trajectory is large.
        """
        _, n_l, n_y = self.counts.shape[-3:]
        cell = (self.f.astype(np.int64) * n_l + self.l) * n_y + self.y
        for key, values in influences:
            by_cell = np.reshape(values, (*self.counts.shape[:-3], -1))
            yield key, np.take_along_axis(by_cell, cell, axis=-1)
