"""What the report says: sections of numbers, charts and tables made from the figures, in one language."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any

from orchestration.report import figures as draw
from orchestration.report.queries import PERIOD_DAYS, QUARTER_DAYS, Figures, Rows
from orchestration.report.words import Words

STAGES = ("awareness", "consideration", "decision", "purchase", "evaluation", "loyalty", "lapse")
MODELS = ("first", "last", "linear", "position", "time_decay", "markov")
CHANNELS = (
    "email", "paid_search", "paid_social", "organic_search", "referral", "direct", "other", "unattributed",
)  # fmt: skip
STEPS = ("visits", "views", "baskets", "checkouts", "purchases")
STANDINGS = ("reached", "never_asked", "denied", "no_address")
REACH = ("email", "sms", "ad")
RFM = (
    "champions", "loyal", "cannot_lose_them", "at_risk", "potential_loyalists", "recent", "promising",
    "need_attention", "about_to_sleep", "hibernating", "lost",
)  # fmt: skip
# More would be a wall: further currencies and groups are counted, not drawn.
CURRENCIES, GROUPS, MOVERS = 3, 60, 12
NO_BREAK = "\u00a0"


@dataclass
class Number:
    """A figure that stands above the charts."""

    label: str
    value: str
    hint: str = ""
    change: str = ""
    is_good: bool | None = None

    @property
    def is_long(self) -> bool:
        """Whether it needs smaller letters; Japanese ones are twice as wide."""
        return sum(2 if ord(letter) > 0x2E80 else 1 for letter in self.value) > 11


@dataclass
class Chart:
    """A picture with its title, a help to read it and a table of its figures; `empty` is said instead of a picture."""

    key: str
    title: str
    help: str
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figure: draw.Figure | None = None
    empty: str = ""
    note: str = ""
    is_wide: bool = False


@dataclass
class Section:
    key: str
    title: str
    intro: str
    numbers: list[Number] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    empty: str = ""


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


def sales(figures: Figures, words: Words) -> Section:
    rows, returns = figures.rows["sales"], figures.rows["ad_return"]
    section = Section("sales", words("sales.title"), words("sales.intro", days=PERIOD_DAYS))
    currencies = list(dict.fromkeys(row["currency"] for row in rows))
    if not currencies:
        section.empty = words("sales.empty", days=PERIOD_DAYS)
        return section
    several = len(currencies) > 1
    for currency in currencies:
        now, before = _periods(rows, currency)
        if not now:
            continue

        def money(value: Any, currency: str = currency) -> str:
            return words.money(value, currency)

        def price(value: Any, currency: str = currency) -> str:
            return words.money(value, currency, is_whole=False)

        def label(key: str, currency: str = currency) -> str:
            return f"{words(f'sales.{key}')} · {currency}" if several else words(f"sales.{key}")

        section.numbers += [
            _number(words, label("revenue"), "sales.revenue", now, before, "revenue", money),
            _number(words, label("orders"), "sales.orders", now, before, "order_count", words.number),
            _number(words, label("average"), "sales.average", now, before, "average_order_value", price),
            _number(words, label("repeat"), "sales.repeat", now, before, "repeat_rate", words.percent, True),
        ]
        paid_now, paid_before = _periods(returns, currency)
        if paid_now:
            hint = words("sales.return_hint", unit=words.money(1, currency))
            paid_before = paid_before if before else None
            section.numbers.append(
                _number(words, label("return"), hint, paid_now, paid_before, "return_on_ad_spend", price)
            )
    now, before = _periods(rows, currencies[0])
    if now and now["visit_count"]:
        conversion = _number(
            words, words("sales.conversion"), "sales.conversion", now, before, "conversion_rate", words.percent, True
        )
        section.numbers.insert(4, conversion)
    for currency in currencies[:CURRENCIES]:
        section.charts += _daily(figures, words, currency, several)
    if len(currencies) > CURRENCIES:
        section.charts[-1].note = words("sales.more", count=CURRENCIES)
    return section


def _daily(figures: Figures, words: Words, currency: str, several: bool) -> list[Chart]:
    rows = [row for row in figures.rows["days"] if row["currency"] == currency]
    days = [row["activity_date"] for row in rows]
    day_format = "%-m月%-d日" if words.language == "ja" else "%-d %b"
    prefix = words.money(0, currency).rstrip("0")
    name = words.currency(currency)
    charts = []
    for kind, value, prefix_ in (("revenue", lambda x: words.money(x, currency), prefix), ("orders", words.number, "")):
        column = "revenue" if kind == "revenue" else "order_count"
        told = [f"{words.day(row['activity_date'])}<br>{value(row[column])}" for row in rows]
        names = (words(f"sales.{kind}"), words("sales.mean"))
        values = [float(row[column]) for row in rows]
        means = [float(row[f"mean_{column}"]) for row in rows]
        charts.append(
            Chart(
                f"daily_{kind}_{currency}",
                words(f"sales.daily_{kind}_in" if several else f"sales.daily_{kind}", currency=name),
                words("sales.daily_help", days=QUARTER_DAYS),
                [words("sales.day"), *names],
                [
                    [words.day(day), value(row[column]), value(row[f"mean_{column}"])]
                    for day, row in zip(reversed(days), reversed(rows), strict=True)
                ],
                draw.over_time(days, values, means, told, names, day_format, prefix_),
            )
        )
    return charts


def funnel(figures: Figures, words: Words) -> Section:
    section = Section("funnel", words("funnel.title"), words("funnel.intro", days=PERIOD_DAYS))
    row = figures.rows["funnel"][0]
    if not row["visits"]:
        section.empty = words("funnel.empty", days=PERIOD_DAYS)
        return section
    names = [words(f"funnel.{step}") for step in STEPS]
    counts = [row[step] for step in STEPS]
    shares = [words.percent(count / counts[0]) for count in counts]
    onward = [after / before if before else 1.0 for before, after in itertools.pairwise(counts)]
    worst = min(range(len(onward)), key=onward.__getitem__)
    hint = words(
        "funnel.biggest_loss_hint", before=names[worst], step=names[worst + 1], share=words.percent(onward[worst])
    )
    section.numbers = [
        Number(words("funnel.visits"), words.number(counts[0])),
        Number(words("funnel.purchases"), words.number(counts[-1]), f"{words('funnel.of_visits')}: {shares[-1]}"),
        Number(words("funnel.biggest_loss"), names[worst + 1], hint),
    ]
    told = [f"{words.number(count)} · {share}" for count, share in zip(counts, shares, strict=True)]
    section.charts = [
        Chart(
            "funnel",
            words("funnel.chart"),
            words("funnel.help"),
            [words("funnel.step"), words("funnel.visits"), words("funnel.of_visits"), words("funnel.of_before")],
            [
                [name, words.number(count), share, before]
                for name, count, share, before in zip(
                    names, counts, shares, ["–", *map(words.percent, onward)], strict=True
                )
            ],
            draw.bars(names, [("", counts, told)]),
        )
    ]
    return section


def cohorts(figures: Figures, words: Words) -> Section:
    section = Section("cohorts", words("cohorts.title"), words("cohorts.intro"), empty=words("cohorts.empty"))
    rows = figures.rows["cohorts"]
    sizes: dict[str, int] = {}
    for row in rows:
        if row["month_number"] == 0:
            sizes[row["currency"]] = sizes.get(row["currency"], 0) + row["customer_count"]
    for currency in sorted(sizes, key=lambda name: -sizes[name])[:CURRENCIES]:
        section.empty = ""
        own = [row for row in rows if row["currency"] == currency]
        suffix = f" · {currency}" if len(sizes) > 1 else ""
        for month, key in ((1, "next_month"), (3, "later")):
            known = [row for row in own if row["month_number"] == month]
            if total := sum(row["customer_count"] for row in known):
                share = sum(row["active_customer_count"] for row in known) / total
                label = words(f"cohorts.{key}") + suffix
                section.numbers.append(Number(label, words.percent(share), words("cohorts.mean_hint")))
        section.charts.append(_cohort_chart(own, words, currency, len(sizes) > 1))
    return section


def _cohort_chart(rows: Rows, words: Words, currency: str, several: bool) -> Chart:
    months = sorted({row["cohort_month"] for row in rows if row["month_number"]})
    numbers = sorted({row["month_number"] for row in rows} - {0})
    cells = {(row["cohort_month"], row["month_number"]): row for row in rows}
    first = {month: cells[month, 0]["customer_count"] for month in months if (month, 0) in cells}

    def cell(month: Any, number: int) -> draw.Cell:
        row = cells.get((month, number))
        return draw.NOTHING if row is None else (
            row["retention_rate"],
            words.percent(row["retention_rate"], 0),
            words(
                "cohorts.cell", cohort=words.month(month), months=number, rate=words.percent(row["retention_rate"]),
                active=words.number(row["active_customer_count"]), customers=words.number(row["customer_count"]),
            ),
        )  # fmt: skip

    names = [words.month(month) for month in months]
    grid = [[cell(month, number) for number in numbers] for month in months]
    return Chart(
        f"cohorts_{currency}",
        words("cohorts.chart_in" if several else "cohorts.chart", currency=words.currency(currency)),
        words("cohorts.help"),
        [words("cohorts.month"), words("cohorts.customers"), *map(str, numbers)],
        [
            [name, words.number(first.get(month, 0)), *(shown for _, shown, _ in row)]
            for name, month, row in zip(names, months, grid, strict=True)
        ],
        draw.heat([str(number) for number in numbers], names, grid, words("cohorts.since")) if numbers else None,
        words("cohorts.empty"),
        is_wide=True,
    )


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
        _counted(words, "segments_named", "segments.named", headers, table(named),
                 [(segment_name(row["segment"], words), row["customer_count"]) for row in named]),
        _counted(words, "segments_rfm", "segments.rfm", headers, table(rfm),
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
            [[_title(row["category"]), *cells] for row, *cells in zip(rows, *texts, strict=True)],
            draw.bars(
                [_title(row["category"]) for row in rows],
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


def attribution(figures: Figures, words: Words) -> Section:
    section = Section("attribution", words("attribution.title"), words("attribution.intro"))
    rows = figures.rows["attribution"]
    totals: dict[str, float] = {}
    for row in rows:
        totals[row["currency"]] = totals.get(row["currency"], 0) + float(row["credited_order_count"])
    if not totals:
        section.empty = words("attribution.empty")
        return section
    currencies = sorted(totals, key=lambda name: -totals[name])
    models = [(model, words.name("model", model)) for model in MODELS]
    for currency in currencies[:CURRENCIES]:
        own = {(row["channel"], row["attribution_model"]): row for row in rows if row["currency"] == currency}
        section.charts.append(_attribution_chart(own, words, currency, len(totals) > 1))
    shares: dict[str, list[float]] = {}
    for row in rows:
        if row["currency"] == currencies[0] and row["channel"] != "unattributed":
            shares.setdefault(row["channel"], []).append(row["revenue_share"] or 0)
    if shares:
        best = max(shares, key=lambda channel: sum(shares[channel]))
        low, high = words.percent(min(shares[best])), words.percent(max(shares[best]))
        hint = words("attribution.best_same" if low == high else "attribution.best_hint", low=low, high=high)
        section.numbers = [Number(words("attribution.best"), words.name("channel", best), hint)]
    section.charts.append(
        Chart(
            "models",
            words("attribution.models"),
            "",
            [words("attribution.model"), words("attribution.meaning")],
            [[name, words.name("model_meaning", model)] for model, name in models],
        )
    )
    return section


def _attribution_chart(rows: Mapping[tuple[str, str], Any], words: Words, currency: str, several: bool) -> Chart:
    known = {channel for channel, _ in rows}
    channels = [channel for channel in CHANNELS if channel in known] + sorted(known - set(CHANNELS))
    names = [words.name("channel", channel) for channel in channels]
    models = [words.name("model", model) for model in MODELS]

    def cell(channel: str, model: str) -> draw.Cell:
        row = rows.get((channel, model))
        if row is None:
            return draw.NOTHING
        share = words.percent(row["revenue_share"])
        told = words(
            "attribution.cell", channel=words.name("channel", channel), model=words.name("model", model), share=share,
            revenue=words.money(row["credited_revenue"], currency), orders=words.number(row["credited_order_count"]),
        )  # fmt: skip
        return row["revenue_share"], share, told

    grid = [[cell(channel, model) for model in MODELS] for channel in channels]
    darkest = max((row["revenue_share"] or 0 for (name, _), row in rows.items() if name != "unattributed"), default=1)
    return Chart(
        f"attribution_{currency}",
        words("attribution.chart_in" if several else "attribution.chart", currency=words.currency(currency)),
        words("attribution.help"),
        [words("attribution.channel"), *models],
        [[name, *(shown for _, shown, _ in row)] for name, row in zip(names, grid, strict=True)],
        draw.heat(models, names, grid, words("attribution.model"), darkest),
    )


def claims(figures: Figures, words: Words) -> Section:
    section = Section("claims", words("claims.title"), words("claims.intro", days=QUARTER_DAYS))
    rows = figures.rows["claims"]
    if not rows:
        section.empty = words("claims.empty", days=QUARTER_DAYS)
        return section
    tools = list(dict.fromkeys(row["platform"] for row in rows))
    totals = {
        tool: [sum(row[key] for row in rows if row["platform"] == tool) for key in ("claimed_count", "shown_count")]
        for tool in tools
    }
    for tool in tools:
        claimed, shown = totals[tool]
        difference = round(claimed - shown)
        key = "agrees" if not difference else "over" if difference > 0 else "under"
        value = words(f"claims.{key}", count=words.number(abs(difference)))
        hint = words("claims.hint", claimed=words.number(claimed), shown=words.number(shown))
        section.numbers.append(Number(words.name("platform", tool), value, hint))
    section.charts = [
        Chart(
            "claims",
            words("claims.chart"),
            words("claims.help"),
            [
                words(f"claims.{key}")
                for key in ("tool", "claimed", "shown", "difference", "unexplained", "claimed_revenue", "shown_revenue")
            ],
            [
                [
                    words.name("platform", row["platform"]), words.number(row["claimed_count"], 1),
                    words.number(row["shown_count"], 1), words.number(row["claimed_count"] - row["shown_count"], 1),
                    words.number(row["unexplained_count"], 1), words.money(row["claimed_revenue"], row["currency"]),
                    words.money(row["shown_revenue"], row["currency"]),
                ]
                for row in rows
            ],
            draw.bars(
                [words.name("platform", tool) for tool in tools],
                [
                    (words(f"claims.{key}"), [totals[tool][place] for tool in tools],
                     [words.number(totals[tool][place]) for tool in tools])
                    for place, key in enumerate(("claimed", "shown"))
                ],
                colours=(draw.ORANGE, draw.BLUE),
            ),
        ),
    ]  # fmt: skip
    findings = [
        [
            words.name("finding", row["finding"]),
            words.name("reason", row["reason"]),
            words.number(row["purchase_count"]),
        ]
        for row in figures.rows["findings"]
    ]
    counts: dict[str, int] = {}
    for row in figures.rows["findings"]:
        counts[row["finding"]] = counts.get(row["finding"], 0) + row["purchase_count"]
    section.charts.append(
        _counted(
            words, "findings", "claims.findings",
            [words("claims.finding"), words("claims.reason"), words("claims.purchases")], findings,
            [(words.name("finding", finding), count) for finding, count in counts.items()],
            words("claims.findings_empty", days=QUARTER_DAYS),
        )
    )  # fmt: skip
    section.charts += [_reasons(figures, words, tool) for tool in tools]
    return section


def _reasons(figures: Figures, words: Words, tool: str) -> Chart:
    rows = [row for row in figures.rows["claim_reasons"] if row["platform"] == tool]
    counts: dict[str, float] = {}
    for row in rows:
        counts[row["reason"]] = counts.get(row["reason"], 0) + row["order_count"]
    reasons = sorted((reason for reason in counts if round(counts[reason])), key=lambda reason: -abs(counts[reason]))
    values = [counts[reason] for reason in reasons]
    return Chart(
        f"reasons_{tool}",
        words("claims.reasons", tool=words.name("platform", tool)),
        words("claims.reasons_help") if reasons else "",
        [words(f"claims.{key}") for key in ("reason", "orders", "revenue")],
        [
            [
                words.name("reason", row["reason"]), words.number(row["order_count"], 1),
                words.money(row["revenue"], row["currency"]),
            ]
            for row in rows
        ],
        draw.bars(
            [words.name("reason", reason) for reason in reasons], [("", values, [words.number(v) for v in values])]
        )
        if reasons
        else None,
        words("claims.reasons_empty"),
    )  # fmt: skip


def email(figures: Figures, words: Words) -> Section:
    rows = figures.rows["campaigns"]
    section = Section("email", words("email.title"), words("email.intro", count=words.number(len(rows))))
    if not rows:
        section.intro, section.empty = "", words("email.empty")
        return section

    def total(key: str) -> int:
        return sum(row[key] or 0 for row in rows)

    delivered = total("delivered_count")

    def rate(key: str) -> str:
        return words.percent(total(key) / delivered if delivered else None)

    bounced = words("email.delivered_hint", bounced=words.number(total("bounce_count")))
    section.numbers = [
        Number(words("email.delivered"), words.number(delivered), bounced),
        Number(words("email.open"), rate("unique_open_count"), words("email.open_hint")),
        Number(words("email.click"), rate("unique_click_count"), words("email.click_hint")),
        Number(words("email.unsubscribe"), rate("unsubscribe_count"), words("email.unsubscribe_hint")),
    ]
    labels = [f"{row['campaign_name']} ({words.short_day(row['sent_date']).replace(' ', NO_BREAK)})" for row in rows]
    section.charts = [
        Chart(
            "campaigns",
            words("email.chart"),
            words("email.help"),
            [
                words(f"email.{key}")
                for key in ("campaign", "sent_date", "sent", "open", "click", "unsubscribe", "bounce", "orders")
            ],
            [
                [
                    row["campaign_name"], words.day(row["sent_date"]), words.number(row["sent_count"]),
                    *(words.percent(row[f"{key}_rate"]) for key in ("open", "click", "unsubscribe", "bounce")),
                    words.number(row["kept_order_count"] or 0),
                ]
                for row in rows
            ],
            draw.bars(
                labels,
                [
                    (words(f"email.{key}"), [row[f"{key}_rate"] or 0 for row in rows],
                     [words.percent(row[f"{key}_rate"], 0) for row in rows])
                    for key in ("open", "click")
                ],
                is_percent=True,
            ),
        )
    ]  # fmt: skip
    return section


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
        _counted(
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
        _named(words, "guards", "identity.guard", "guard", figures.rows["guards"], "guard", "edge_count"),
    ]  # fmt: skip
    section.charts.append(_named(words, "alarms", "identity.alarm", "alarm", alarms, "reason", "customer_count"))
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


SECTIONS: tuple[Callable[[Figures, Words], Section], ...] = (
    sales, funnel, cohorts, segments, journey, attribution, claims, email, identity, reach,
)  # fmt: skip


def _periods(rows: Rows, currency: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The rows of the period and of the one before; a period that the shop has only partly seen cannot be compared."""
    found = {row["period"]: row for row in rows if row["currency"] == currency}
    before = found.get("before")
    if before and before.get("day_count", PERIOD_DAYS) < PERIOD_DAYS:
        before = None
    return found.get("now"), before


def _number(
    words: Words, label: str, hint: str, now: Mapping[str, Any], before: Mapping[str, Any] | None, key: str,
    say: Callable[[Any], str], is_share: bool = False,
) -> Number:  # fmt: skip
    """A figure with its change: in percent, or in points where it is a share itself. `hint` is a text or its key."""
    hint = words(f"{hint}_hint") if hint.startswith("sales.") else hint
    value, earlier = now[key], before[key] if before else None
    said = "–" if value is None else say(value)
    if value is None or earlier is None or (not is_share and not earlier):
        return Number(label, said, hint, words("change.none"))
    if is_share:
        change = (value - earlier) * 100
        told = words("change.points", points=words.number(abs(change), 1))
    else:
        change = float(value) / float(earlier) * 100 - 100
        told = words.percent(abs(change) / 100)
    if abs(change) < 0.05:
        return Number(label, said, hint, words("change.same", days=PERIOD_DAYS))
    direction = "change.up" if change > 0 else "change.down"
    return Number(label, said, hint, words(direction, change=told, days=PERIOD_DAYS), change > 0)


def _counted(
    words: Words, key: str, text: str, headers: Sequence[str], rows: Sequence[Sequence[str]],
    counts: Iterable[tuple[str, int]], empty: str = "",
) -> Chart:  # fmt: skip
    """Bars of counts; `text` is the key of the title, with `_chart` where it has one, and of the `_help`."""
    labels, values = [list(column) for column in zip(*counts, strict=True)] or ([], [])
    figure = draw.bars(labels, [("", values, [words.number(value) for value in values])]) if values else None
    title = words(text if not text.startswith("identity.") else f"{text}_chart")
    return Chart(key, title, words(f"{text}_help") if values else "", headers, rows, figure, empty)


def _named(words: Words, key: str, text: str, kind: str, rows: Rows, column: str, count: str) -> Chart:
    """Bars of the counts of a mart's named values."""
    counts = [(words.name(kind, row[column]), row[count]) for row in rows]
    table = [[name, words.number(value)] for name, value in counts]
    headers = [words("identity.guard"), words("identity.count")]
    return _counted(words, key, text, headers, table, counts, words(f"{text}_empty"))


def _title(category: str) -> str:
    """A category of a catalogue in capitals, as one would write it."""
    return " ".join(category.split()).capitalize() if category.isupper() else category
