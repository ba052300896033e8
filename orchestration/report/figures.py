"""The report's charts: plotly figures as plain JSON, already in the reader's language.

Colours of text, grid and heat are set in the page, which knows whether the reader wants it light or dark. The palette
is Okabe and Ito's, made for every kind of colour vision (https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from datetime import date
from typing import Any

import plotly.graph_objects as go

BLUE, ORANGE, GREEN, SKY, RED, PURPLE, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7", "#8A8F98",
)  # fmt: skip

Figure = dict[str, Any]
Cell = tuple[float | None, str, str]  # a share, what stands in its place, what is told when it is pointed at
NOTHING: Cell = (None, "", "")
LABEL_WIDTH = 24
# What a bar and the space around a chart take, in pixels.
ROW, FRAME = 30, 70


def over_time(
    days: Sequence[date], values: Sequence[float], means: Sequence[float], told: Sequence[str], names: tuple[str, str],
    day_format: str, prefix: str = "",
) -> Figure:  # fmt: skip
    """Bars a day with the line of their mean; `told` is what a bar says when pointed at."""
    bars = go.Bar(x=days, y=values, name=names[0], marker_color=SKY, customdata=told, hovertemplate=_TOLD)
    line = go.Scatter(x=days, y=means, name=names[1], mode="lines", line={"color": BLUE, "width": 3}, hoverinfo="skip")
    figure = _figure([bars, line], height=300)
    figure["layout"]["xaxis"] |= {"tickformat": day_format, "nticks": 6, "showgrid": False}
    figure["layout"]["yaxis"] |= {"tickformat": ",.0f", "tickprefix": prefix, "rangemode": "tozero"}
    return figure


def bars(
    labels: Sequence[str], parts: Sequence[tuple[str, Sequence[float], Sequence[str]]], is_stacked: bool = False,
    colours: Sequence[str] = (BLUE, ORANGE, GREEN, GREY, PURPLE, RED), is_percent: bool = False,
) -> Figure:  # fmt: skip
    """Lying bars, the first label on top; a part is its name, its values and what stands at each bar."""
    lines = [_wrapped(label) for label in labels]
    widest = max((sum(abs(part[1][row]) for part in parts) for row in range(len(lines))), default=0)
    traces = [
        go.Bar(
            y=lines, x=values,
            # Where a part is too small to hold its figure, the figure is in the table.
            text=[text if not is_stacked or abs(value) > 0.06 * widest else ""
                  for value, text in zip(values, told, strict=True)],
            name=name, orientation="h", marker_color=colour, constraintext="none",
            textposition="inside" if is_stacked else "outside", insidetextanchor="middle", cliponaxis=False,
            textangle=0,
            customdata=[f"{label}<br>{name}: {text}" if name else f"{label}: {text}"
                        for label, text in zip(labels, told, strict=True)],
            hovertemplate=_TOLD,
        )
        for (name, values, told), colour in zip(parts, colours, strict=False)
    ]  # fmt: skip
    rows = len(lines) * (1 if is_stacked or len(parts) == 1 else 0.75 * len(parts))
    figure = _figure(traces, height=FRAME + max(2, rows) * ROW + (30 if len(parts) > 1 else 0))
    figure["layout"] |= {"barmode": "stack" if is_stacked else "group", "bargap": 0.3}
    figure["layout"]["yaxis"] |= {"autorange": "reversed", "showgrid": False}
    figure["layout"]["xaxis"] |= {"tickformat": ".0%" if is_percent else ",.0f", "nticks": 5, "zeroline": True}
    if not is_stacked:
        ends = [0.0, *(value for _, values, _ in parts for value in values)]
        span = max(ends) - min(ends) or 1
        # Room for the text at the ends of the bars.
        low = min(ends) - 0.2 * span if min(ends) < 0 else 0
        figure["layout"]["xaxis"]["range"] = [low, max(ends) + 0.25 * span]
    return figure


def heat(
    columns: Sequence[str], rows: Sequence[str], cells: Sequence[Sequence[Cell]], column_title: str,
    darkest: float | None = None,
) -> Figure:  # fmt: skip
    """A grid of shares from light to dark; from `darkest` on (default: the largest) the colour is the darkest."""
    shares, shown, told = ([[cell[place] for cell in row] for row in cells] for place in range(3))
    trace = go.Heatmap(
        x=[_wrapped(column, 10) for column in columns], y=[_wrapped(row, 16) for row in rows], z=shares,
        text=shown, texttemplate="%{text}", customdata=told, hovertemplate=_TOLD, showscale=False, xgap=2, ygap=2,
        zmin=0, zmax=darkest, hoverongaps=False,
    )  # fmt: skip
    figure = _figure([trace], height=FRAME + 60 + len(rows) * 34)
    figure["layout"]["xaxis"] |= {"side": "top", "type": "category", "showgrid": False, "tickangle": 0, "ticks": ""}
    figure["layout"]["xaxis"]["title"] = {"text": column_title, "standoff": 8, "font": {"size": 13}}
    figure["layout"]["yaxis"] |= {"autorange": "reversed", "type": "category", "showgrid": False, "ticks": ""}
    return figure


_TOLD = "%{customdata}<extra></extra>"


def _figure(traces: list[Any], height: float) -> Figure:
    figure = go.Figure(traces)
    figure.update_layout(
        template="none",
        height=round(height),
        margin={"l": 8, "r": 12, "t": 12, "b": 8},
        showlegend=len(traces) > 1,
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        # A finger that scrolls the page must not move the chart.
        dragmode=False,
        xaxis={"automargin": True, "fixedrange": True},
        yaxis={"automargin": True, "fixedrange": True},
    )
    plain: Figure = json.loads(figure.to_json())
    plain["layout"].pop("template", None)
    return plain


def _wrapped(label: str, width: int = LABEL_WIDTH) -> str:
    """A label on lines of so many narrow letters; Japanese letters are twice as wide and break anywhere."""
    if any(ord(letter) > 0x2E80 for letter in label):
        width = max(5, width * 10 // 16)
    return "<br>".join(textwrap.wrap(label, width)) or label
