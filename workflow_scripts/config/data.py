"""Data sets and tasks."""

import re
from collections import Counter
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from workflow_scripts.config.base import Name, Seed, Strict

Count = Annotated[int, Field(ge=1)]


class Digits(Strict):
    """scikit-learn's bundled 8x8 images of digits, ten classes, 1,797 in all: no download."""

    n_classes: ClassVar[int] = 10

    kind: Literal["digits"]
    train: Count | None = Field(None, description="training examples; null: all that the other parts leave")
    test: int = Field(600, ge=10, le=1787, description="test examples")
    fresh: int = Field(0, ge=0, description="inputs held out of training, for distillation only")
    seed: Seed = Field(0, description="seed of the stratified split")

    @property
    def n_train(self) -> int:
        """Training examples."""
        return self.train or 1797 - self.test - self.fresh

    @model_validator(mode="after")
    def _fits(self):
        if (self.train or 1) + self.test + self.fresh > 1797:
            raise ValueError("train + test + fresh is more than the 1797 images there are: lower one of them")
        return self


class _Published(Strict):
    """Images of ten classes that are published as a training set and a test set of 10,000."""

    n_classes: ClassVar[int] = 10
    n_images: ClassVar[int]

    train: Count | None = Field(None, description="training examples; null: all that fresh leaves")
    test: Count | None = Field(None, le=10_000, description="test examples, the first ones; null: all 10,000")
    fresh: int = Field(0, ge=0, description="training images held out of training, for distillation only")
    seed: Seed = Field(0, description="seed of the choice of training and fresh images")

    @property
    def n_train(self) -> int:
        """Training examples."""
        return self.train or self.n_images - self.fresh

    @model_validator(mode="after")
    def _fits(self):
        if (self.train or 1) + self.fresh > self.n_images:
            raise ValueError(
                f"train + fresh is more than the {self.n_images} training images there are: lower one of them"
            )
        return self


class Mnist(_Published):
    """MNIST, 28x28, ten classes, 60,000 + 10,000: from the files under data_root, or downloaded there."""

    n_images: ClassVar[int] = 60_000

    kind: Literal["mnist"]


class Cifar10(_Published):
    """CIFAR-10, 32x32 in colour, ten classes, 50,000 + 10,000: from the files under data_root, or downloaded there."""

    n_images: ClassVar[int] = 50_000

    kind: Literal["cifar10"]


class Sinusoid(Strict):
    """x ~ N(0, I), y = sign(<w, x> + sin(frequency <w', x>)), w orthogonal to w' (N19 section 3, task iv)."""

    n_classes: ClassVar[int] = 2

    kind: Literal["sinusoid"]
    train: Count = Field(100_000, description="training examples")
    test: Count = Field(10_000, description="test examples")
    fresh: int = Field(0, ge=0, description="further draws, for distillation only")
    seed: Seed = Field(0, description="seed of w, w' and every draw")
    dimension: int = Field(100, ge=2, description="length of x")
    linear_norm: float = Field(1.0, gt=0, description="norm of w")
    sine_norm: float = Field(1.0, gt=0, description="norm of w'")
    frequency: float = Field(1.0, gt=0, description="factor on <w', x> inside the sine")

    @property
    def n_train(self) -> int:
        """Training examples."""
        return self.train


class Ball(Strict):
    """Uniform in the unit disc, labelled by a sinusoidal curve, with label noise (N19 Fig 1)."""

    n_classes: ClassVar[int] = 2

    kind: Literal["ball"]
    train: Count = Field(500, description="training examples")
    test: Count = Field(10_000, description="test examples, with as much label noise")
    fresh: int = Field(0, ge=0, description="further draws, for distillation only")
    seed: Seed = Field(0, description="seed of every draw")
    amplitude: float = Field(0.4, ge=0, description="a in: y = +1 above the curve x2 = a sin(frequency x1); 0: a line")
    frequency: float = Field(4.0, gt=0, description="radians per unit of x1")
    noise: float = Field(0.1, ge=0, le=0.5, description="probability that a label is flipped")
    grid: int = Field(200, ge=2, le=1000, description="points per side of the grid on which boundaries are recorded")

    @property
    def n_train(self) -> int:
        """Training examples."""
        return self.train


class ImageFolder(Strict):
    """Pictures of your own, PNG or JPEG, as train/{class}/* and test/{class}/* in a folder or a .zip file."""

    kind: Literal["images"]
    path: str = Field(description="the folder or .zip file; relative to the working directory")
    classes: list[str] = Field(description="names of the class folders, two or more; label maps count them from 0")
    train: Count | None = Field(None, description="training pictures; null: all that fresh leaves")
    test: Count | None = Field(None, description="test pictures; null: all")
    fresh: int = Field(0, ge=0, description="pictures under train held out of training, for distillation only")
    seed: Seed = Field(0, description="seed of the choice of pictures")
    mode: Literal["L", "RGB"] | None = Field(
        None, description="convert to grey (L) or colour (RGB); null: all have to be L, or all RGB"
    )
    size: list[Count] | None = Field(
        None, description="resize to [height, width]; null: all have to be of the same size"
    )
    sha256: str | None = Field(
        None,
        description="pin: refuse pictures with another digest than this one, which the log tells. It is the SHA-256 of "
        "the .zip file; of a folder, that of the sorted names and SHA-256s of the pictures read. null: a change is "
        "noticed by names and sizes, in a .zip file by CRCs too",
    )

    @property
    def n_classes(self) -> int:
        """Class folders."""
        return len(self.classes)

    @property
    def n_train(self) -> int | None:
        """Training examples; None: as many as there are, which is not known before they are listed."""
        return self.train

    @model_validator(mode="after")
    def _is_sound(self):
        if not 2 <= len(self.classes) <= 256:
            raise ValueError(f"classes: expected 2 to 256 names of class folders, got {len(self.classes)}")
        if repeated := [name for name, times in Counter(self.classes).items() if times > 1]:
            raise ValueError(f"classes: {repeated[0]!r} is listed twice: keep one")
        if self.size is not None and len(self.size) != 2:
            raise ValueError(f"size: expected [height, width], got {self.size}")
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256: expected 64 digits 0-9 and a-f, got {self.sha256!r}: copy it from the job's log")
        return self


class Theorem1(Strict):
    """x = eta y e_1 + e_k, k uniform in 2..dimension, eta = -1 with probability noise, else +1 (N19 section 5)."""

    n_classes: ClassVar[int] = 2

    kind: Literal["theorem1"]
    train: Count = Field(500, description="training examples")
    test: Count = Field(10_000, description="test examples")
    fresh: int = Field(0, ge=0, description="further draws, for distillation only")
    seed: Seed = Field(0, description="seed of every draw")
    dimension: int = Field(10_000, ge=2, description="length of x")
    noise: float = Field(0.1, ge=0, le=0.5, description="probability p that eta is -1")

    @property
    def n_train(self) -> int:
        """Training examples."""
        return self.train

    @model_validator(mode="after")
    def _fits(self):
        gib = (self.train + self.test + self.fresh) * self.dimension * 4 / 2**30
        if gib > 1:
            raise ValueError(f"train + test + fresh inputs take {gib:.1f} GiB, more than 1: lower one, or dimension")
        return self


Dataset = Annotated[Ball | Cifar10 | Digits | ImageFolder | Mnist | Sinusoid | Theorem1, Field(discriminator="kind")]


class Task(Strict):
    """What is to be predicted: a data set and a label map."""

    dataset: Name = Field(description="a name under datasets")
    groups: dict[str, list[Annotated[int, Field(ge=0)]]] | None = Field(
        None, description="label map, group name -> classes (0-based); null: the classes themselves"
    )
    leave_out: list[Annotated[int, Field(ge=0)]] = Field([], description="classes whose examples are not used")

    @model_validator(mode="after")
    def _is_partition(self):
        if self.groups is None:
            if self.leave_out:
                raise ValueError("leave_out goes with groups: name the groups of the classes that stay")
            return self
        if len(self.groups) < 2:
            raise ValueError("groups: a task needs two groups or more: there is nothing to tell apart")
        owner: dict[int, str] = {}
        for name, members in [*self.groups.items(), ("leave_out", self.leave_out)]:
            if not members and name != "leave_out":
                raise ValueError(f"groups.{name}: the group is empty: give it a class, or remove it")
            for member in members:
                if member in owner:
                    raise ValueError(f"class {member} is in {owner[member]!r} and in {name!r}: keep one of them")
                owner[member] = name
        return self

    def check_classes(self, n_classes: int) -> None:
        """Raise ValueError unless the label map names exactly the classes 0..n_classes-1."""
        if self.groups is None:
            return
        named = {member for members in [*self.groups.values(), self.leave_out] for member in members}
        if absent := sorted(named - set(range(n_classes))):
            raise ValueError(
                f"class {absent[0]} is not in {self.dataset!r}, whose classes are 0 to {n_classes - 1}: remove it"
            )
        if missing := sorted(set(range(n_classes)) - named):
            raise ValueError(
                f"class {missing[0]} of {self.dataset!r} is in no group: add it to one, or list it in leave_out"
            )
