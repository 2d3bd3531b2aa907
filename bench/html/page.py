"""Tables, plots and sentences as one HTML page that needs no network.

In: sections (title, sentences, tables, plots) and a template. Out: a file with everything it needs inside. Every page
begins alike, with what it is given of: `head`, sentences on what was compared, on what and when; `picture`, one plot of
what is gained against what it costs; `summary`, the answers; `glossary`, pairs of a term and its meaning.

    write_page(Path("study.html"), "study/page/study.html.j2", title="...", sections=[section("Top-k", plots=[...])])
"""

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, select_autoescape
from plotly.offline import get_plotlyjs

from infer.system.files import write_text
from infer.system.ownership import HTML_MARK

GREY = "#8a8f98"
COLOURS = ("#3b7dd8", "#e0803a", "#3fa673", "#b565c9", "#c9a227", "#d0506a", "#5aa9c4", GREY)
Table = dict[str, Any]
Plot = tuple[str, str | None]


def write_page(path: Path, template: str, sections: list[dict], **values: Any) -> Path:
    """Render the page; sections without tables and plots are named as absent. Returns where it lies."""
    environment = Environment(loader=PackageLoader("bench", "."), autoescape=select_autoescape(default=True))
    shown = [section for section in sections if section["tables"] or section["plots"]]
    absent = [section["title"] for section in sections if section not in shown]
    page = environment.get_template(template)
    content = page.render(mark=HTML_MARK, plotly=get_plotlyjs(), sections=shown, absent=absent, **values)
    write_text(path, content, owned=True)
    return path


def section(title: str, sentences: list[str] = [], tables: list[Table] = [], plots: list[Plot] = []) -> dict:  # noqa: B006
    """One part of a page. tables without rows, and plots (caption, JSON) without a figure, are left out."""
    return {
        "title": title,
        "sentences": sentences,
        "tables": [table for table in tables if table["rows"]],
        "plots": [(caption, plot) for caption, plot in plots if plot],
    }


def table(caption: str, header: list[str], rows: list[list[str]]) -> Table:
    """What the template shows as a table."""
    return {"caption": caption, "header": header, "rows": rows}


def figure(**layout: Any) -> go.Figure:
    """An empty plot without background, in colours that suit light and dark pages."""
    axis = {"gridcolor": "rgba(128,128,128,.25)", "zerolinecolor": "rgba(128,128,128,.4)", "automargin": True}
    shared = {
        "template": None,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": COLOURS,
        "margin": {"l": 50, "r": 20, "t": 10, "b": 45},
        # above, since titles of axes stand below
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        "xaxis": axis,
        "yaxis": axis,
        "height": 400,
    }
    plot = go.Figure(layout=shared)
    plot.update_layout(**layout)
    return plot
