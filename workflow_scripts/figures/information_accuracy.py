"""N19 Fig 3: information against accuracy."""

from typing import Literal

import numpy as np

from workflow_scripts.config.base import Strict
from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points

CAPTION = r"""I(F; Y) as a function of P[F = Y] for unbiased binary F and Y, in closed form (Nakkiran et al. 2019, Fig
3). The right axes of the other figures use this relation."""


class InformationAccuracy(Strict):
    """N19 Fig 3: I(F;Y) against accuracy for unbiased binary F and Y, in closed form."""

    kind: Literal["information_accuracy"]


Settings = InformationAccuracy


def check(settings: InformationAccuracy, study, key: str) -> None:
    """Every study can have it."""


def inputs(settings: InformationAccuracy, study) -> dict[str, list[str]]:
    """It reads no file."""
    return {}


def shown(settings: InformationAccuracy, study) -> dict:
    """It shows nothing of the study."""
    return {}


def draw(job, inputs, points: Points):
    """N19 Fig 3: I(F;Y) = 1 - h(P[F = Y]) for unbiased binary F and Y."""
    from workflow_scripts.measures import information

    figure, axes = style.panels(1, 1, 4.2, 3.1)
    axes = axes[0, 0]
    accuracy = np.linspace(0.5, 1, 501)
    series = "I(F; Y) = 1 − h(accuracy)"
    bits = information.information_of_accuracy(accuracy)
    points.line(axes, "", series, accuracy, bits, color=style.BLUE, linewidth=2)
    axes.set(
        xlim=(0.5, 1),
        ylim=(0, 1.02),
        xlabel="accuracy  P[F = Y]",
        ylabel="I(F; Y)  (bits)",
        title="Information and accuracy",
    )
    return figure
