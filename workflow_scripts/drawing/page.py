"""Tables as pages to read."""

import html

import pandas as pd

_TEMPLATE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; margin: 2rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
caption {{ text-align: left; max-width: 60rem; padding-bottom: 1rem; color: #444; }}
th, td {{ padding: .35rem .8rem; text-align: left; border-bottom: 1px solid #e2e2e2; vertical-align: top; }}
thead th {{ border-bottom: 2px solid #444; }}
small {{ color: #666; white-space: nowrap; }}
.yes {{ color: #00684c; }} .no {{ color: #a63c00; }} .undecided {{ color: #666; }}
</style>
<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></html>
"""


def render(title: str, caption: str, head: list[str], body: list[list[str]]) -> str:
    """A page with one table; caption, head and body are HTML, the title is text."""
    rows = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for cells in body)
    return _TEMPLATE.format(
        title=html.escape(title), caption=caption, head="".join(f"<th>{cell}</th>" for cell in head), body=rows
    )


def with_interval(row: pd.Series, mean: str, lo: str, hi: str, sign: str = "") -> str:
    """A number with its 95% interval, from the columns named; sign: + to show it."""
    from workflow_scripts.measures.rounding import settled  # here: planning needs none of it

    middle, lower, upper = (float(settled(row[name])) for name in (mean, lo, hi))
    if pd.isna(middle):
        return "none"
    end = "–" if pd.isna(upper) else f"{upper:{sign}.3g}"
    interval = f" <small>[{lower:{sign}.3g}, {end}]</small>" if pd.notna(lower) else ""
    return f"{middle:{sign}.3g}{interval}"


def paper_prints(value: float) -> str:
    """What the paper prints, if anything."""
    return "" if pd.isna(value) else f"<br><small>paper {value:g}</small>"
