"""Drawing on axes so that every drawn point is kept."""

import numpy as np
import pandas as pd

from workflow_scripts.drawing import style

#: columns that say what a point is about, so that it can be traced to the rows it comes from
_ABOUT = ("explainer", "class", "mode", "checkpoint", "quantity", "phase", "noise", "init", "step")


class Points:
    """Draws on axes and keeps every drawn point, so that the CSV is what the picture shows.

    of: the rows of the table that the points come from; what these rows are about is kept beside the points.
    """

    def __init__(self):
        self.tables: list[pd.DataFrame] = []

    def line(
        self, axes, panel: str, series: str, x, y, of: pd.DataFrame | None = None, band: float = 0.22, **look
    ) -> None:
        """A line; a series that starts with _ stays out of the legend.

        Where of has columns std, lo and hi: the band y +- std, of that opacity, and the interval between thin lines.
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        axes.plot(x, y, label=series, **look)
        spread = {"std": np.nan, "lo": np.nan, "hi": np.nan}
        if of is not None and "std" in of:
            spread = {name: of[name].to_numpy(float) for name in spread}
            edge = {"color": look["color"], "linewidth": 0.5, "alpha": 0.75}
            axes.fill_between(x, y - spread["std"], y + spread["std"], color=look["color"], alpha=band, linewidth=0)
            axes.plot(x, np.column_stack([spread["lo"], spread["hi"]]), **edge)
        self._keep(of, {"panel": panel, "series": series.lstrip("_"), "x": x, "y": y, **spread})

    def level(self, axes, panel: str, series: str, y: float, color: str, of: pd.DataFrame) -> None:
        """A dashed horizontal line."""
        axes.axhline(y, color=color, linewidth=0.9, linestyle=(0, (6, 3)), zorder=1, label=series)
        self._keep(of, {"panel": [panel], "series": [series], "x": [np.nan], "y": [y]})

    def instant(self, axes, panel: str, series: str, x: float, lo: float, hi: float, of: pd.DataFrame) -> None:
        """A dashed vertical line with its name at the bottom, and its interval shaded."""
        if np.isfinite([lo, hi]).all():
            axes.axvspan(max(lo, axes.get_xlim()[0]), min(hi, axes.get_xlim()[1]), color=style.GREY, alpha=0.12, lw=0)
        axes.axvline(x, color=style.GREY, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        side, gap = ("right", -3) if x > np.mean(axes.get_xlim()) else ("left", 3)
        place = {"xycoords": ("data", "axes fraction"), "xytext": (gap, 3), "textcoords": "offset points"}
        axes.annotate(series, (x, 0), **place, ha=side, fontsize=8, color=style.DARK)
        self._keep(of, {"panel": [panel], "series": [series], "x": [x], "y": [np.nan], "lo": [lo], "hi": [hi]})

    def mark(self, axes, panel: str, series: str, x: float, y: float, **look) -> None:
        """A marker of something that no result of ours says: its quantity is `printed`, which no table has."""
        axes.plot([x], [y], linestyle="", zorder=5, **look)
        self.keep(panel=[panel], series=[series], x=[x], y=[y], quantity=["printed"])

    def estimate(
        self, axes, panel: str, series: str, x: float, y: float, lo: float, hi: float, of: pd.DataFrame, **look
    ) -> None:
        """A marker, and its interval as an upright line; nothing is drawn where y is NaN."""
        axes.plot([x, x], [lo, hi], color=look["color"], linewidth=1.1, alpha=look.get("alpha"))
        axes.plot([x], [y], linestyle="", markersize=5.5, markeredgewidth=0, **look)
        self._keep(of, {"panel": [panel], "series": [series], "x": [x], "y": [y], "lo": [lo], "hi": [hi]})

    def table(self) -> pd.DataFrame:
        """All points drawn so far, in the order in which they were."""
        return pd.concat(self.tables, ignore_index=True)

    def keep(self, **columns) -> None:
        """Points that were drawn in another way; columns of one length, or single values."""
        self.tables.append(pd.DataFrame(columns))

    def _keep(self, of: pd.DataFrame | None, points: dict) -> None:
        about = {} if of is None else {key: of[key].to_numpy() for key in _ABOUT if key in of}
        self.tables.append(pd.DataFrame(points | about))
