"""Every number of every KPI mart equals one counted from the world by code that shares nothing with the warehouse, and
attribution and reconciliation add up."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from connectors.sandbox.world import World
from tests.dbt_build import PROJECT, mart, rows
from tests.kpi_recount import RECOUNTS
from tests.kpi_world import Shop, read_shop

KPI_MARTS = sorted(path.stem for path in (PROJECT / "models" / "kpis").glob("*.sql"))


@pytest.fixture(scope="module")
def lake(built_lake: Path) -> Path:
    return built_lake


@pytest.fixture(scope="module")
def shop(world: World, lake: Path) -> Shop:
    return read_shop(world, lake)


def counted_by_the_warehouse(lake: Path, name: str) -> pd.DataFrame:
    """A mart with money in whole cents and days as dates."""
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE FROM {mart(lake, name)}").fetchall()
        columns = [
            f"({column} * 100)::BIGINT AS {column}" if kind == "DECIMAL(18,2)" else column
            for column, kind, *_ in described
        ]
        table = connection.execute(f"SELECT {', '.join(columns)} FROM {mart(lake, name)}").df()
        for column, kind, *_ in described:
            if kind == "DATE":
                table[column] = table[column].dt.date
        return table


@pytest.mark.parametrize("name", KPI_MARTS)
def test_every_column_of_a_kpi_mart_equals_its_recount(lake: Path, shop: Shop, name: str) -> None:
    found, wanted = counted_by_the_warehouse(lake, name), RECOUNTS[name](shop)
    assert set(found.columns) == set(wanted.columns), "a column without a recount, or the other way round"
    assert len(found) > 0 and len(found) == len(wanted)
    keys = KEYS[name]
    both = found.merge(wanted, on=keys, suffixes=("_found", "_wanted"), validate="one_to_one")
    assert len(both) == len(found), "other rows than the recount's"
    for column in sorted(set(found.columns) - set(keys)):
        left, right = both[f"{column}_found"], both[f"{column}_wanted"]
        if pd.api.types.is_numeric_dtype(left) and not pd.api.types.is_bool_dtype(left):
            same = np.isclose(left.astype(float), right.astype(float), rtol=1e-12, atol=0, equal_nan=True)
        else:
            same = ((left == right) | (left.isna() & right.isna())).to_numpy()
        assert same.all(), f"{column}:\n{both.loc[~same, [*keys, f'{column}_found', f'{column}_wanted']].head()}"


KEYS = {
    "daily_sales": ["activity_date", "currency"],
    "daily_channel_results": ["activity_date", "channel", "currency"],
    "daily_campaign_results": ["activity_date", "channel", "campaign", "currency"],
    "daily_category_sales": ["activity_date", "category", "currency"],
    "daily_segment_sales": ["activity_date", "segment", "currency"],
    "daily_cart_results": ["activity_date", "currency"],
    "daily_email_results": ["activity_date"],
    "email_campaign_results": ["campaign_id"],
    "customer_values": ["customer_id", "currency"],
    "cohort_retention": ["cohort_month", "currency", "month_number"],
    "lifetime_values": ["dimension", "member", "currency"],
}


def test_every_day_of_the_shop_is_a_row(lake: Path) -> None:
    days, first, last = rows(
        f"SELECT count(*), min(activity_date), max(activity_date) FROM {mart(lake, 'daily_sales')}"
    )[0]
    assert days == (last - first).days + 1 == 365


def test_marts_of_one_day_agree(lake: Path) -> None:
    # The same orders cut in two ways: by day, and by day and channel.
    counts = "sum(order_count), sum(gross_sales), sum(net_sales), sum(new_customer_count), sum(spend)"
    whole, by_channel = (
        rows(f"SELECT {counts} FROM {mart(lake, name)}") for name in ("daily_sales", "daily_channel_results")
    )
    assert whole == by_channel


def test_credits_of_an_order_are_one_and_its_revenue_exactly(lake: Path) -> None:
    wrong = rows(f"""
        SELECT a.attribution_model, a.order_id, sum(credit), sum(credited_revenue), any_value(o.net_total)
        FROM {mart(lake, "attributed_orders")} AS a JOIN {mart(lake, "orders")} AS o USING (order_id)
        GROUP BY ALL HAVING sum(credit) <> 1 OR sum(credited_revenue) <> any_value(o.net_total)""")
    assert wrong == []
    counted = rows(
        f"""SELECT count(DISTINCT order_id) FROM {mart(lake, "attributed_orders")} GROUP BY attribution_model"""
    )
    assert counted == rows(f"SELECT count(*) FROM {mart(lake, 'orders')}") * 6


def test_last_touches_of_a_channel_count_its_orders(lake: Path) -> None:
    credited = f"FROM {mart(lake, 'attributed_orders')} GROUP BY attribution_model, channel ORDER BY ALL"
    wanted = rows(f"SELECT attribution_model, channel, count(DISTINCT order_id) {credited}")
    assert len(wanted) > 6
    assert rows(f"SELECT attribution_model, channel, count_if(is_last_of_channel) {credited}") == wanted


def test_last_touches_equal_the_recount(lake: Path, shop: Shop) -> None:
    found = rows(f"""SELECT order_id, channel, campaign FROM {mart(lake, "attributed_orders")}
        WHERE attribution_model = 'last' ORDER BY 1""")
    orders = shop.orders.sort_values("id")
    wanted = list(zip(orders["id"], orders.channel, orders.campaign, strict=True))
    assert found == [(order, channel, campaign or None) for order, channel, campaign in wanted]


def test_removal_effects_equal_a_linear_solution(lake: Path) -> None:
    # Paths are put together from the touches anew; numpy solves the absorbing chain at once instead of by elimination.
    with duckdb.connect() as connection:
        touches = connection.execute(f"""
            SELECT t.*, o.is_cancelled FROM {mart(lake, "touches")} AS t
            LEFT JOIN {mart(lake, "orders")} AS o ON o.order_id = t.next_order_id
            ORDER BY visitor_id, touched_at, touch_id
        """).df()
    paths: list[tuple[list[str], bool]] = []
    for _, led in touches[touches.is_within_lookback].groupby("next_order_id"):
        paths.append((list(led.channel), not led.is_cancelled.iloc[0]))
    for _, idle in touches[~touches.is_within_lookback].groupby("visitor_id"):
        stretch = (idle.touched_at.diff() > pd.Timedelta(days=30)).cumsum()
        paths += [(list(part.channel), False) for _, part in idle.groupby(stretch)]
    paths = [([c for c in path if c != "direct"] or path, sold) for path, sold in paths]
    names = sorted({channel for path, _ in paths for channel in path})
    place = {name: number for number, name in enumerate(["start", *names])}
    steps, orders = np.zeros((len(place), len(place))), np.zeros(len(place))
    for path, sold in paths:
        for before, after in zip(["start", *path], path, strict=False):
            steps[place[before], place[after]] += 1
        orders[place[path[-1]]] += sold
    ended = np.zeros(len(place))
    for path, _ in paths:
        ended[place[path[-1]]] += 1
    totals = steps.sum(axis=1) + ended

    def chance(without: str | None) -> float:
        kept = steps.copy()
        if without:
            kept[:, place[without]] = 0
        return float(np.linalg.solve(np.eye(len(place)) - kept / totals[:, None], orders / totals)[0])

    found = dict(rows(f"SELECT channel, removal_effect FROM {mart(lake, 'channel_removal_effects')}"))
    for name in names:
        assert found[name] == pytest.approx(1 - chance(name) / chance(None), abs=5.1e-7), name
    assert {name for name, effect in found.items() if effect > 0} <= set(names)


def test_reasons_add_up_to_the_whole_difference(lake: Path) -> None:
    wrong = rows(f"""
        WITH named AS (
          SELECT activity_date, platform, channel, currency, sum(order_count) AS orders, sum(revenue) AS revenue
          FROM {mart(lake, "claim_differences")} GROUP BY ALL)
        SELECT * FROM {mart(lake, "claim_reconciliation")} AS c
        FULL JOIN named AS n USING (activity_date, platform, channel, currency)
        WHERE coalesce(c.claimed_count - c.shown_count, 0) <> coalesce(n.orders, 0)
          OR coalesce(c.claimed_revenue - c.shown_revenue, 0) <> coalesce(n.revenue, 0)""")
    assert wrong == []


def test_ga4_is_explained_but_for_orders_it_never_saw(lake: Path) -> None:
    # What GA4 claims and what the orders show differ by named reasons; only a web order without any event has none.
    missing = rows(f"""SELECT count(*) FILTER (NOT is_cancelled), sum(net_total)
        FROM {mart(lake, "purchase_reconciliation")} WHERE finding = 'missing' AND reason = 'unexplained'""")
    found = rows(f"""SELECT -sum(order_count), -sum(revenue) FROM {mart(lake, "claim_differences")}
        WHERE platform = 'ga4' AND reason = 'unexplained'""")
    assert found == missing
