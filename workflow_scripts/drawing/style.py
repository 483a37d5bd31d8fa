"""How every figure looks, and how it is written: PDF, PNG and SVG with the same bytes from run to run."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

#: Okabe & Ito's colours, told apart by colour-blind readers too
BLACK, BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = (
    "#1a1a1a",
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
EXPLAINERS = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY)
#: Petroff's ten (2021), for classes: more colours than the above, and still told apart by most readers
CLASSES = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
GREY, DARK = "#8a8a8a", "#4a4a4a"
_RC = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": DARK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "svg.hashsalt": "sgd-increasing-complexity",
}


def panels(rows: int, columns: int, width: float = 4.6, height: float = 3.2, **shared: bool):
    """A figure and its axes, [rows, columns], each panel of the given size in inches; shared: sharex, sharey."""
    plt.rcdefaults()
    plt.rcParams.update(_RC)
    return plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained", **shared
    )


def stacked(width: float, heights: list[float]):
    """A figure of rows, each of the given height in inches, to be divided into panels by `subplots`."""
    plt.rcdefaults()
    plt.rcParams.update(_RC)
    figure = plt.figure(figsize=(width, sum(heights)), layout="constrained")
    return figure, figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]


def save(figure: Figure, pdf: Path, png: Path, svg: Path, key: str) -> None:
    """Write the figure in three formats, without dates, each with its provenance key in its metadata."""
    mark = f"provenance key {key}"
    figure.savefig(pdf, metadata={"Subject": mark, "CreationDate": None, "ModDate": None})
    figure.savefig(png, dpi=200, metadata={"Description": mark})
    figure.savefig(svg, metadata={"Description": mark, "Date": None})
    plt.close(figure)
