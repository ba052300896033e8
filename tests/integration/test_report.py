"""`make report` over the small world: its figures are those of the marts, it is whole in both languages, and a real
browser opens it without a network, an error or a sideways scroll."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from babel.numbers import format_currency

from connectors.lake import Lake
from connectors.sandbox.world import World
from orchestration.report import page, queries
from orchestration.report.__main__ import main, shop_zone
from orchestration.report.queries import Figures
from orchestration.report.sections import SECTIONS, sections
from orchestration.report.words import LOCALES, Words
from tests.browser import CHROMIUM, Browser
from tests.dbt_build import mart, rows

NOW = datetime(2026, 10, 18, 15, 5, tzinfo=UTC)
# The world's last thirty days and the thirty before, by hand.
SINCE, UNTIL, BEFORE = date(2026, 9, 19), date(2026, 10, 18), date(2026, 8, 20)


@pytest.fixture(scope="module")
def lake(built_lake: Path) -> Path:
    return built_lake


@pytest.fixture(scope="module")
def figures(lake: Path) -> Figures:
    return queries.read(Lake(lake), shop_zone(), NOW)


@pytest.fixture(scope="module")
def html(lake: Path) -> str:
    assert main(["--lake", str(lake)]) == 0
    return (lake / "report.html").read_text("utf-8")


def without_plotly(html: str) -> str:
    return html.replace(page.get_plotlyjs(), "")


def one(sql: str) -> Any:
    return rows(sql)[0][0]


def section(figures: Figures, key: str, language: str = "en") -> Any:
    return next(part for part in sections(figures, Words(language)) if part.key == key)


def test_the_period_is_the_last_thirty_full_days_of_the_shop(figures: Figures) -> None:
    period = figures.period
    assert (period.since, period.until, period.before_since) == (SINCE, UNTIL, BEFORE)
    assert period.begin(SINCE) == datetime(2026, 9, 18, 15)


def test_a_day_that_is_not_over_is_no_part_of_the_period() -> None:
    noon = queries.Period(datetime(2026, 10, 19, 3, tzinfo=UTC), ZoneInfo("Asia/Tokyo"), NOW)
    assert noon.until == date(2026, 10, 18)


def test_sales_equal_the_orders(lake: Path, figures: Figures) -> None:
    kept = f"{mart(lake, 'orders')} WHERE NOT is_cancelled AND currency = 'USD'"
    for period, since, until in (("now", SINCE, UNTIL), ("before", BEFORE, SINCE - timedelta(days=1))):
        told = next(row for row in figures.rows["sales"] if row["period"] == period)
        counted = rows(
            f"""SELECT count(*), sum(net_total) FROM {kept}
                AND (ordered_at + INTERVAL 9 HOURS)::DATE BETWEEN '{since}' AND '{until}'"""
        )[0]
        assert (told["order_count"], told["revenue"]) == counted
        assert told["average_order_value"] == pytest.approx(float(counted[1]) / counted[0])


def test_the_page_shows_the_revenue_of_the_marts_in_both_languages(lake: Path, html: str) -> None:
    revenue = one(
        f"SELECT sum(net_sales) FROM {mart(lake, 'daily_sales')} WHERE activity_date BETWEEN '{SINCE}' AND '{UNTIL}'"
    )
    for locale in LOCALES.values():
        told = format_currency(revenue, "USD", format="¤#,##0", locale=locale, currency_digits=False)
        assert f">{told}</dd>" in html


def test_return_on_ad_spend_is_that_of_the_paid_channels(lake: Path, figures: Figures) -> None:
    told = next(row for row in figures.rows["ad_return"] if row["period"] == "now")
    counted = rows(
        f"""SELECT sum(net_sales)::DOUBLE, sum(spend)::DOUBLE FROM {mart(lake, "daily_channel_results")}
            WHERE channel IN ('paid_search', 'paid_social') AND activity_date BETWEEN '{SINCE}' AND '{UNTIL}'"""
    )[0]
    assert told["return_on_ad_spend"] == pytest.approx(counted[0] / counted[1])


def test_the_funnel_counts_the_visits_of_the_daily_mart_and_never_widens(lake: Path, figures: Figures) -> None:
    counts = figures.rows["funnel"][0]
    visits = one(
        f"""SELECT sum(session_count) FROM {mart(lake, "daily_sales")}
            WHERE activity_date BETWEEN '{SINCE}' AND '{UNTIL}'"""
    )
    assert counts["visits"] == visits
    assert list(counts.values()) == sorted(counts.values(), reverse=True)


def test_segments_stages_and_reachability_count_every_customer_once(lake: Path, figures: Figures) -> None:
    everybody = one(f"SELECT count(*) FROM {mart(lake, 'customer_360')}")
    members = one(f"SELECT count(*) FROM {mart(lake, 'segment_members')}")
    assert sum(row["customer_count"] for row in figures.rows["segments"]) == members
    assert sum(row["customer_count"] for row in figures.rows["stages"]) == everybody
    for channel, may in (("email", "can_email"), ("sms", "can_text"), ("ad", "can_show_ads")):
        own = {row["standing"]: row["customer_count"] for row in figures.rows["reach"] if row["channel"] == channel}
        assert sum(own.values()) == everybody
        assert own["reached"] == one(f"SELECT count(*) FROM {mart(lake, 'customer_360')} WHERE {may}")


def test_claims_less_what_the_orders_show_is_the_sum_of_the_reasons(figures: Figures) -> None:
    for row in figures.rows["claims"]:
        reasons = [
            reason["order_count"]
            for reason in figures.rows["claim_reasons"]
            if (reason["platform"], reason["currency"]) == (row["platform"], row["currency"])
        ]
        assert sum(reasons) == pytest.approx(row["claimed_count"] - row["shown_count"], abs=1e-3)


def test_entering_a_segment_shows_only_after_the_first_build(figures: Figures) -> None:
    assert not any(row["entered_count"] or row["left_count"] for row in figures.rows["segments"])
    moves = next(chart for chart in section(figures, "segments").charts if chart.key == "segments_moves")
    assert moves.figure is None and "second calculation" in moves.empty


def test_several_currencies_stand_beside_each_other_and_are_never_added(figures: Figures) -> None:
    yen = [row | {"currency": "JPY", "revenue": 7_000_000, "order_count": 3} for row in figures.rows["sales"]]
    days = [row | {"currency": "JPY"} for row in figures.rows["days"]]
    both = {"sales": [*figures.rows["sales"], *yen], "days": [*figures.rows["days"], *days]}
    mixed = Figures(figures.period, figures.rows | both)
    told = section(mixed, "sales")
    revenues = {number.label: number.value for number in told.numbers if number.label.startswith("Revenue")}
    alone = section(figures, "sales").numbers[0].value
    assert revenues == {"Revenue · USD": alone, "Revenue · JPY": "¥7,000,000"}
    assert {chart.key for chart in told.charts} >= {"daily_revenue_USD", "daily_revenue_JPY"}


def test_every_section_is_whole_in_both_languages(figures: Figures, html: str) -> None:
    english, japanese = (sections(figures, Words(language)) for language in LOCALES)
    assert len(english) == len(SECTIONS)
    for ours, theirs in zip(english, japanese, strict=True):
        assert ours.key == theirs.key and ours.title != theirs.title
        assert len(ours.numbers) == len(theirs.numbers)
        assert not ours.empty, f"{ours.key} is empty in the small world"
        for chart, other in zip(ours.charts, theirs.charts, strict=True):
            assert chart.key == other.key and chart.title != other.title
            assert (chart.figure is None) == (other.figure is None)
            assert [len(row) for row in chart.rows] == [len(row) for row in other.rows]
            assert all(len(row) == len(chart.headers) for row in chart.rows)
    for language in LOCALES:
        edition = re.search(rf'<div class="page" data-edition="{language}".*?</footer>', html, re.DOTALL)
        assert edition and edition[0].count("<section") == len(SECTIONS)


def test_every_value_of_the_marts_has_a_name_in_japanese(figures: Figures) -> None:
    words = Words("ja")
    named = {
        "stages": ("stage", "stage"),
        "claims": ("platform", "platform"),
        "claim_reasons": ("reason", "reason"),
        "findings": ("finding", "finding"),
        "records": ("record", "record_type"),
        "edges": ("rule", "rule"),
        "guards": ("guard", "guard"),
        "alarms": ("alarm", "reason"),
        "consent_reasons": ("consent_reason", "reason"),
        "attribution": ("channel", "channel"),
    }
    unnamed = {
        f"{kind}.{row[column]}"
        for name, (kind, column) in named.items()
        for row in figures.rows[name]
        if words.name(kind, row[column]) == str(row[column]).replace("_", " ") and row[column] != "mailchimp"
    }
    assert not unnamed


def test_the_page_asks_nobody_for_anything(html: str) -> None:
    ours = without_plotly(html)
    assert len(html) - len(ours) == len(page.get_plotlyjs()), "plotly.js stands in the page once"
    assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w+", ours)
    assert not re.findall(r"<(?:link|img|iframe)\b|\bsrc=|@import|url\(", ours)
    assert "default-src 'none'" in ours


def test_no_personal_data_is_in_the_page(world: World, lake: Path, html: str) -> None:
    ours = without_plotly(html)
    personal = rows(
        f"""SELECT customer_id FROM {mart(lake, "customers")}
            UNION SELECT display_name FROM {mart(lake, "customers")} WHERE length(display_name) > 5
            UNION SELECT identifier FROM {mart(lake, "contact_points")}
            UNION SELECT order_id FROM {mart(lake, "orders")}"""
    )
    assert len(personal) > 500
    assert not [value for (value,) in personal if value and value in ours]
    assert "@" not in re.sub(r"info@|@(?:media|import)", "", ours)


def test_a_lake_without_marts_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lake", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "make demo" in said and "daily_sales" in said
    assert not (tmp_path / "report.html").exists()


def test_an_older_lake_names_the_mart_that_is_missing(lake: Path, tmp_path: Path) -> None:
    older = tmp_path / "lake"
    (older / "marts").mkdir(parents=True)
    for folder in (lake / "marts").iterdir():
        if folder.name != "cohort_retention":
            (older / "marts" / folder.name).symlink_to(folder)
    with pytest.raises(queries.MissingMarts, match=r"lacks cohort_retention; run `make demo`"):
        queries.read(Lake(older), shop_zone(), NOW)


def test_a_shop_without_data_gets_sentences_instead_of_charts(lake: Path, tmp_path: Path) -> None:
    empty = tmp_path / "lake"
    with duckdb.connect() as connection:
        for folder in (lake / "marts").iterdir():
            if folder.is_dir():
                (empty / "marts" / folder.name).mkdir(parents=True)
                target = empty / "marts" / folder.name / "data.parquet"
                connection.execute(f"COPY (FROM {mart(lake, folder.name)} LIMIT 0) TO '{target}' (FORMAT parquet)")
    nothing = queries.read(Lake(empty), shop_zone(), NOW)
    for language in LOCALES:
        for part in sections(nothing, Words(language)):
            assert part.empty and not part.charts and not part.numbers, part.key
    text = page.render(nothing, NOW)
    assert "No sales in the last 30 days." in text and "直近30日間の売上はありません。" in text
    assert re.search(r'id="figures">({.*?})</script>', text)[1] == "{}"  # type: ignore[index]


def test_figures_survive_whatever_a_campaign_is_called(figures: Figures) -> None:
    name = "</script><script>alert(1)</script> & 'sale'"
    campaigns = [row | {"campaign_name": name} for row in figures.rows["campaigns"]]
    text = page.render(Figures(figures.period, figures.rows | {"campaigns": campaigns}), NOW)
    assert "<script>alert" not in without_plotly(text)
    data = re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)
    assert data and "alert(1)" in json.dumps(json.loads(data[1])["en-campaigns"])


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_shows_every_chart_at_every_width_without_an_error(lake: Path, html: str) -> None:
    with Browser() as browser:
        for language in LOCALES:
            for width in (390, 1280):
                browser.open(f"file://{lake}/report.html#{language}", width=width)
                assert browser.value("document.documentElement.lang") == language
                assert browser.value("innerWidth") == width
                assert browser.value("document.documentElement.scrollWidth") <= width
                plots = "[...document.querySelectorAll('[data-edition]:not([hidden]) .plot')]"
                assert browser.value(f"{plots}.length") >= 15
                assert browser.value(f"{plots}.filter(plot => !plot.querySelector('.main-svg')).length") == 0
        browser.value("document.querySelector('[data-edition=ja] [data-switch=en]').click()")
        assert browser.value("document.documentElement.lang + document.title") == "enHow the shop is doing"
        assert not browser.errors
        assert {address.partition(":")[0] for address in browser.requests} <= {"file", "data", "about", "blob"}
