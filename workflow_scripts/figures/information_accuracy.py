"""N19 Fig 3: information against accuracy."""

import numpy as np

from workflow_scripts.drawing import style
from workflow_scripts.drawing.points import Points
from workflow_scripts.measures import information


def draw(points: Points):
    """N19 Fig 3: I(F;Y) = 1 - h(P[F = Y]) for unbiased binary F and Y."""
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
