"""The sections about customers: their groups, where they stand, who is who, whom the shop may reach."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from orchestration.report import figures as draw
from orchestration.report.parts import (
    GROUPS,
    MOVERS,
    REACH,
    RFM,
    STAGES,
    STANDINGS,
    Chart,
    Number,
    Section,
    counts_chart,
    named_counts,
    title_case,
)
from orchestration.report.queries import PERIOD_DAYS, Figures, Rows
from orchestration.report.words import Words


def segment_name(segment: str, words: Words) -> str:
    """A segment as people say it: the name of a single rule, or family and part."""
    family, _, part = segment.partition(".")
    if not part:
        return words.name("segment", family)
    if family == "journey":
        said = words.name("stage", part)
    elif family == "behaviour":
        said = ("、" if words.language == "ja" else ", ").join(words.name("habit", word) for word in part.split(", "))
    else:
        said = words.name(family, part)
    return f"{words.name('family', family)}{'：' if words.language == 'ja' else ': '}{said}"


def segments(figures: Figures, words: Words) -> Section:
    section = Section("segments", words("segments.title"), words("segments.intro"))
    rows = figures.rows["segments"]
    if not rows:
        section.empty = words("segments.empty")
        return section
    existing = sum(1 for row in rows if row["customer_count"])
    moves = [row for row in rows if row["entered_count"] or row["left_count"]]
    section.numbers = [
        Number(words("segments.count"), words.number(existing), words("segments.count_hint")),
        Number(words("segments.entered"), words.number(sum(row["entered_count"] for row in moves))),
        Number(words("segments.left"), words.number(sum(row["left_count"] for row in moves))),
    ]
    named = [row for row in rows if "." not in row["segment"]]
    by_group = {row["segment"].removeprefix("rfm."): row for row in rows if row["segment"].startswith("rfm.")}
    rfm = [by_group[name] for name in RFM if name in by_group]
    headers = [words(f"segments.{key}") for key in ("group", "customers", "entered", "left")]

    def table(chosen: Rows) -> list[list[str]]:
        counts = ("customer_count", "entered_count", "left_count")
        return [[segment_name(row["segment"], words), *(words.number(row[key]) for key in counts)] for row in chosen]

    section.charts = [
        counts_chart(words, "segments_named", "segments.named", headers, table(named),
                 [(segment_name(row["segment"], words), row["customer_count"]) for row in named]),
        counts_chart(words, "segments_rfm", "segments.rfm", headers, table(rfm),
                 [(words.name("rfm", row["segment"].removeprefix("rfm.")), row["customer_count"]) for row in rfm]),
    ]  # fmt: skip
    movers = sorted(moves, key=lambda row: (-row["entered_count"] - row["left_count"], row["segment"]))[:MOVERS]
    first = figures.rows["segment_builds"][0]["first_at"]
    since = words.day(figures.period.local(first)) if first else words("page.nothing_yet")
    parts = [
        (words("segments.entered"), [row["entered_count"] for row in movers],
         [words.number(row["entered_count"]) for row in movers]),
        (words("segments.left"), [-row["left_count"] for row in movers],
         [words.number(row["left_count"]) for row in movers]),
    ]  # fmt: skip
    largest = rows[:GROUPS]
    section.charts.append(
        Chart(
            "segments_moves",
            words("segments.moves", days=PERIOD_DAYS),
            words("segments.moves_help", count=MOVERS) if movers else "",
            headers,
            table(largest),
            draw.bars([segment_name(row["segment"], words) for row in movers], parts, colours=(draw.BLUE, draw.ORANGE))
            if movers
            else None,
            words("segments.moves_empty", days=PERIOD_DAYS, since=since),
            words("segments.more", count=GROUPS) if len(rows) > GROUPS else "",
            is_wide=True,
        )
    )
    return section


def journey(figures: Figures, words: Words) -> Section:
    section = Section("journey", words("journey.title"), words("journey.intro"))
    counts = {row["stage"]: row["customer_count"] for row in figures.rows["stages"]}
    if not counts:
        section.empty = words("journey.empty")
        return section
    total = sum(counts.values())
    names = {stage: words.name("stage", stage) for stage in STAGES}
    section.numbers = [
        Number(names[stage], words.number(counts.get(stage, 0)), words.name("stage_meaning", stage))
        for stage in ("decision", "loyalty", "lapse")
    ]
    told = [f"{words.number(counts.get(stage, 0))} · {words.percent(counts.get(stage, 0) / total)}" for stage in STAGES]
    section.charts = [
        Chart(
            "stages",
            words("journey.stages"),
            words("journey.stages_help"),
            [words(f"journey.{key}") for key in ("stage", "meaning", "customers", "share")],
            [
                [names[stage], words.name("stage_meaning", stage), *text.split(" · ")]
                for stage, text in zip(STAGES, told, strict=True)
            ],
            draw.bars(list(names.values()), [("", [counts.get(stage, 0) for stage in STAGES], told)]),
        ),
    ]
    rows = figures.rows["deciding"]
    kinds = ("decision_count", "consideration_count")
    columns = [[row["deciding_count"] for row in rows], [row["considering_count"] for row in rows]]
    texts = [[words.number(value) for value in column] for column in columns]
    section.charts.append(
        Chart(
            "deciding",
            words("journey.deciding"),
            words("journey.deciding_help") if rows else "",
            [words("journey.category"), *(words(f"journey.{kind}") for kind in kinds)],
            [[title_case(row["category"]), *cells] for row, *cells in zip(rows, *texts, strict=True)],
            draw.bars(
                [title_case(row["category"]) for row in rows],
                [
                    (words(f"journey.{kind}"), column, text)
                    for kind, column, text in zip(kinds, columns, texts, strict=True)
                ],
                colours=(draw.BLUE, draw.SKY),
            )
            if rows
            else None,
            words("journey.deciding_empty"),
        )
    )
    section.charts.append(_transitions(figures, words, names))
    return section


def _transitions(figures: Figures, words: Words, names: Mapping[str, str]) -> Chart:
    rows = [row for row in figures.rows["transitions"] if row["from_stage"] in STAGES]
    moves = {(row["from_stage"], row["to_stage"]): row for row in rows}
    left = {stage: sum(row["transition_count"] for row in rows if row["from_stage"] == stage) for stage in STAGES}
    sources = [stage for stage in STAGES if left[stage]]

    def stay(row: dict[str, Any]) -> str:
        return words.span(timedelta(days=row["median_days"] or 0))

    def cell(start: str, end: str) -> draw.Cell:
        row = moves.get((start, end))
        if row is None:
            return draw.NOTHING
        share = row["transition_count"] / left[start]
        told = words(
            "journey.cell", from_stage=names[start], to_stage=names[end], share=words.percent(share),
            moves=words.number(row["transition_count"]), stay=stay(row),
        )  # fmt: skip
        return share, words.percent(share, 0), told

    return Chart(
        "transitions",
        words("journey.transitions"),
        words("journey.transitions_help") if rows else "",
        [words(f"journey.{key}") for key in ("from", "to", "moves", "customers", "median")],
        [
            [
                names[row["from_stage"]], names[row["to_stage"]], words.number(row["transition_count"]),
                words.number(row["customer_count"]), stay(row),
            ]
            for row in rows
        ],
        draw.heat(
            list(names.values()), [names[stage] for stage in sources],
            [[cell(start, end) for end in STAGES] for start in sources], words("journey.to"),
        )
        if sources
        else None,
        words("journey.transitions_empty"), is_wide=True,
    )  # fmt: skip


def identity(figures: Figures, words: Words) -> Section:
    section = Section("identity", words("identity.title"), words("identity.intro"))
    records = figures.rows["records"]
    if not records:
        section.empty = words("identity.empty")
        return section
    customers = figures.rows["customers"][0]
    record_count = sum(row["record_count"] for row in records)
    each = words.number(record_count / customers["customer_count"], 1) if customers["customer_count"] else "–"
    changes = {row["event"]: row for row in figures.rows["changes"]}

    def changed(event: str, key: str) -> str:
        return words.number(changes[event][key] if event in changes else 0)

    alarms, reviews = figures.rows["alarms"], figures.rows["reviews"][0]["pair_count"]
    section.numbers = [
        Number(
            words("identity.customers"), words.number(customers["customer_count"]),
            words("identity.customers_hint", buyers=words.number(customers["buyer_count"])),
        ),
        Number(words("identity.records"), words.number(record_count), words("identity.records_hint", each=each)),
        Number(
            words("identity.changes"),
            f"{changed('merged', 'recent_count')} / {changed('split', 'recent_count')}",
            words(
                "identity.changes_hint", days=PERIOD_DAYS, merged=changed("merged", "event_count"),
                split=changed("split", "event_count"),
            ),
        ),
        Number(
            words("identity.alarms"), words.number(sum(row["customer_count"] for row in alarms)),
            words("identity.alarms_hint"),
        ),
        Number(words("identity.reviews"), words.number(reviews), words("identity.reviews_hint")),
    ]  # fmt: skip
    counted = [words("identity.kind"), words("identity.record_count"), words("identity.customers")]
    edges = figures.rows["edges"]
    used = [row["edge_count"] - row["guarded_count"] for row in edges]
    held = [row["guarded_count"] for row in edges]
    rules = [words.name("rule", row["rule"]) for row in edges]
    section.charts = [
        counts_chart(
            words, "records", "identity.record", counted,
            [
                [words.name("record", row["record_type"]), words.number(row["record_count"]),
                 words.number(row["customer_count"])]
                for row in records
            ],
            [(words.name("record", row["record_type"]), row["record_count"]) for row in records],
        ),
        Chart(
            "edges",
            words("identity.edge_chart"),
            words("identity.edge_help"),
            [words("identity.rule"), words("identity.used"), words("identity.guarded")],
            [[rule, words.number(yes), words.number(no)] for rule, yes, no in zip(rules, used, held, strict=True)],
            draw.bars(
                rules,
                [
                    (words(f"identity.{key}"), values, [words.number(value) if value else "" for value in values])
                    for key, values in (("used", used), ("guarded", held))
                ],
                is_stacked=True,
            ),
            is_wide=True,
        ),
        named_counts(words, "guards", "identity.guard", "guard", figures.rows["guards"], "guard", "edge_count"),
    ]  # fmt: skip
    section.charts.append(named_counts(words, "alarms", "identity.alarm", "alarm", alarms, "reason", "customer_count"))
    return section


def reach(figures: Figures, words: Words) -> Section:
    section = Section("reach", words("reach.title"), words("reach.intro"))
    customers = figures.rows["customers"][0]
    everybody = customers["customer_count"]
    if not everybody:
        section.empty = words("reach.empty")
        return section
    counts = {(row["channel"], row["standing"]): row["customer_count"] for row in figures.rows["reach"]}
    names = [words.name("channel", channel) for channel in REACH]

    def of_all(count: int) -> str:
        return words("reach.of_all", count=words.number(count), all=words.number(everybody))

    for channel, name in zip(REACH, names, strict=True):
        count = counts.get((channel, "reached"), 0)
        section.numbers.append(Number(name, words.percent(count / everybody, 0), of_all(count)))
    nobody = customers["unreachable_count"]
    section.numbers.append(Number(words("reach.nobody"), words.percent(nobody / everybody, 0), of_all(nobody)))
    parts = []
    for standing in STANDINGS:
        values = [counts.get((channel, standing), 0) for channel in REACH]
        parts.append((words.name("standing", standing), values, [words.number(v) if v else "" for v in values]))
    section.charts = [
        Chart(
            "reach",
            words("reach.chart"),
            words("reach.help"),
            [words("reach.channel"), *(name for name, _, _ in parts)],
            [[name, *(words.number(part[1][place]) for part in parts)] for place, name in enumerate(names)],
            draw.bars(names, parts, is_stacked=True, colours=(draw.BLUE, draw.SKY, draw.ORANGE, draw.GREY)),
        ),
        Chart(
            "consent_reasons",
            words("reach.reasons"),
            words("reach.reasons_help"),
            [words(f"reach.{key}") for key in ("channel", "decision", "reason", "customers")],
            [
                [
                    words.name("channel", row["channel"]), words.name("decision", row["decision"]),
                    words.name("consent_reason", row["reason"]), words.number(row["customer_count"]),
                ]
                for row in figures.rows["consent_reasons"]
            ],
            empty="" if figures.rows["consent_reasons"] else words("reach.reasons_empty"),
        ),
    ]  # fmt: skip
    return section
