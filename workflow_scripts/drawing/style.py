"""How every figure looks, and how it is written: PDF, PNG and SVG with the same bytes from run to run.

Matplotlib is loaded by the first figure that is drawn, not with this module: planning loads figures' settings, and with
them this module, and need not wait for it.
"""

import functools
import logging
import os
import unicodedata
from pathlib import Path

log = logging.getLogger(__name__)

# for files alone; what a notebook or a desktop sets may not even be known here
os.environ["MPLBACKEND"] = "Agg"

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
#: dashes of a line at a level, I(L;Y)
LEVEL = (0, (6, 3))
_FACES = ("DejaVuSans", "DejaVuSans-Bold")
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
    return _pyplot().subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained", **shared
    )


def stacked(width: float, heights: list[float]):
    """A figure of rows, each of the given height in inches, to be divided into panels by `subplots`."""
    figure = _pyplot().figure(figsize=(width, sum(heights)), layout="constrained")
    return figure, figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]


def key(**look):
    """A line, or a marker, for a legend; look: as for `plot`, label among it."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **look)


def patch(**look):
    """A patch of colour for a legend."""
    from matplotlib.patches import Patch

    return Patch(**look)


def literal(text: str) -> str:
    r"""A user's text so that it is drawn as it is: no sign of it begins a formula, and none hides it from a legend.

    What our font lacks, and what runs from right to left, which Matplotlib can't set, is drawn as \u and its number.
    """
    shown = "".join(sign if _can_be_drawn(sign) else sign.encode("unicode_escape").decode() for sign in text)
    if shown != text:
        log.warning("%s: figures can't draw all of it with DejaVu Sans, and show it as %s", text, shown)
    return ("\u200b" if shown.startswith("_") else "") + shown.replace("$", r"\$")


def _can_be_drawn(sign: str) -> bool:
    return ord(sign) in _signs() and unicodedata.bidirectional(sign) not in ("R", "AL", "AN")


@functools.cache
def _signs() -> set[int]:
    """The characters that our font has in every face that is used."""
    from matplotlib import ft2font, get_data_path

    files = [f"{get_data_path()}/fonts/ttf/{face}.ttf" for face in _FACES]
    return set.intersection(*(set(ft2font.FT2Font(file).get_charmap()) for file in files))


def band(label: str = "band: ± 1 std over seeds"):
    """The filled band around lines, for a legend."""
    return patch(color=GREY, alpha=0.22, linewidth=0, label=label)


def thin_lines(label: str = "thin lines: 95% interval"):
    """The thin lines around lines, for a legend."""
    return key(color=GREY, linewidth=0.5, label=label)


def whole_numbers(axis, most: int | str = "auto") -> None:
    """Ticks at whole numbers alone, and at most so many."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True))


def save(figure, pdf: Path, png: Path, svg: Path, key: str) -> None:
    """Write the figure in three formats, without dates, each with its provenance key in its metadata."""
    from matplotlib import pyplot

    mark = f"provenance key {key}"
    figure.savefig(pdf, metadata={"Subject": mark, "CreationDate": None, "ModDate": None})
    figure.savefig(png, dpi=200, metadata={"Description": mark})
    figure.savefig(svg, metadata={"Description": mark, "Date": None})
    pyplot.close(figure)


def _pyplot():
    """matplotlib.pyplot in our style."""
    from matplotlib import pyplot

    pyplot.rcdefaults()
    pyplot.rcParams.update(_RC)
    return pyplot
