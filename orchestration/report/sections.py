"""What the report says, section by section, in one language."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

from orchestration.report.parts import Section
from orchestration.report.people import identity, journey, reach, segments
from orchestration.report.queries import Figures
from orchestration.report.selling import attribution, claims, cohorts, email, funnel, sales
from orchestration.report.words import Words

SECTIONS: tuple[Callable[[Figures, Words], Section], ...] = (
    sales, funnel, cohorts, segments, journey, attribution, claims, email, identity, reach,
)  # fmt: skip


def freshness(figures: Figures, words: Words) -> list[tuple[str, str]]:
    """Source → how new its newest datum is."""
    told = []
    for row in figures.rows["freshness"]:
        if row["newest_at"] is not None:
            moment = row["newest_at"].replace(tzinfo=UTC)
            age = words.span(figures.period.as_of - moment)
            text = words("page.age", newest=words.moment(figures.period.local(moment)), age=age)
        elif row["newest_date"] is not None:
            text = words("page.fresh_day", day=words.day(row["newest_date"]))
        else:
            text = words("page.nothing_yet")
        told.append((words(f"source.{row['source']}"), text))
    return told


def sections(figures: Figures, words: Words) -> list[Section]:
    """The whole report in the order in which it is read."""
    return [write(figures, words) for write in SECTIONS]
