"""The sections about what is sold and how it came about: sales, funnel, cohorts, channels, claims, e-mail."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from orchestration.report import figures as draw
from orchestration.report.parts import (
    CHANNELS,
    CURRENCIES,
    MODELS,
    NO_BREAK,
    STEPS,
    Chart,
    Number,
    Section,
    counts_chart,
    number_of,
    periods,
)
from orchestration.report.queries import PERIOD_DAYS, QUARTER_DAYS, Figures, Rows
from orchestration.report.words import Words


def sales(figures: Figures, words: Words) -> Section:
    rows, returns = figures.rows["sales"], figures.rows["ad_return"]
    section = Section("sales", words("sales.title"), words("sales.intro", days=PERIOD_DAYS))
    currencies = list(dict.fromkeys(row["currency"] for row in rows))
    if not currencies:
        section.empty = words("sales.empty", days=PERIOD_DAYS)
        return section
    several = len(currencies) > 1
    for currency in currencies:
        now, before = periods(rows, currency)
        if not now:
            continue

        def money(value: Any, currency: str = currency) -> str:
            return words.money(value, currency)

        def price(value: Any, currency: str = currency) -> str:
            return words.money(value, currency, is_whole=False)

        def label(key: str, currency: str = currency) -> str:
            return f"{words(f'sales.{key}')} · {currency}" if several else words(f"sales.{key}")

        section.numbers += [
            number_of(words, label("revenue"), "sales.revenue", now, before, "revenue", money),
            number_of(words, label("orders"), "sales.orders", now, before, "order_count", words.number),
            number_of(words, label("average"), "sales.average", now, before, "average_order_value", price),
            number_of(words, label("repeat"), "sales.repeat", now, before, "repeat_rate", words.percent, True),
        ]
        paid_now, paid_before = periods(returns, currency)
        if paid_now:
            hint = words("sales.return_hint", unit=words.money(1, currency))
            paid_before = paid_before if before else None
            section.numbers.append(
                number_of(words, label("return"), hint, paid_now, paid_before, "return_on_ad_spend", price)
            )
    now, before = periods(rows, currencies[0])
    if now and now["visit_count"]:
        conversion = number_of(
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
        counts_chart(
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
