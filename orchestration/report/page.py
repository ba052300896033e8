"""The report as one HTML page: both languages, plotly.js and every figure inside, nothing fetched from anywhere."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from orchestration.report.queries import PERIOD_DAYS, Figures
from orchestration.report.sections import freshness, sections
from orchestration.report.words import LOCALES, Words


def render(figures: Figures, written: datetime) -> str:
    """The page's HTML."""
    editions = [_edition(figures, Words(language), written) for language in LOCALES]
    charts = {
        f"{edition['language']}-{chart.key}": chart.figure
        for edition in editions
        for section in edition["sections"]
        for chart in section.charts
        if chart.figure
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((Path(__file__).parent / "template.html").read_text("utf-8"))
    # No name of a campaign may end the script element that holds it.
    data = json.dumps(charts, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return template.render(editions=editions, charts=data, plotly=get_plotlyjs())


def _edition(figures: Figures, words: Words, written: datetime) -> dict[str, Any]:
    period = figures.period
    return {
        "language": words.language,
        "name": {"en": "English", "ja": "日本語"}[words.language],
        "words": words,
        "sections": sections(figures, words),
        "freshness": freshness(figures, words),
        "as_of": words("page.as_of", moment=words.moment(period.local(period.as_of)), zone=period.zone.key),
        "period": words(
            "page.period", days=PERIOD_DAYS, since=words.day(period.since), until=words.day(period.until)
        ),
        "built": words(
            "page.built", built=words.moment(period.local(period.built_at)), written=words.moment(period.local(written))
        ),
        "is_old": written - period.built_at > timedelta(days=1),
    }  # fmt: skip
