"""The profile of the small world, worked out a second time with pandas from the world's own tables."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from connectors.sandbox.world import World
from tests.dbt_build import mart

NOW = pd.Timestamp("2026-10-18 15:00:00")
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
BANDS = ["morning", "afternoon", "evening", "night"]
GIFTS = "GIFT|GREETING|FLORAL|BOUQUET|ROSES|LILY"


@pytest.fixture(scope="module")
def lake(built_lake: Path) -> Path:
    return built_lake


def frame(sql: str) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).df()


def steps_ago(moments: "pd.Series[pd.Timestamp]") -> "pd.Series[int]":
    """How many of the midnights that come every 30 days since 1970 lie between each moment and the clock."""
    cell, epoch = pd.Timedelta(days=30), pd.Timestamp(0)
    return (epoch - moments) // cell - (epoch - NOW) // cell


@pytest.fixture(scope="module")
def profile(lake: Path) -> pd.DataFrame:
    return frame(f"SELECT * FROM {mart(lake, 'customer_360')}").set_index("customer_id").sort_index()


@pytest.fixture(scope="module")
def customers(lake: Path) -> dict[str, dict[str, str]]:
    """Who is who is tested elsewhere and taken from the clusters: record type → record → customer."""
    clusters = frame(f"SELECT record_type, record_id, customer_id FROM {mart(lake, 'identity_clusters')}")
    return {str(kind): dict(zip(rows.record_id, rows.customer_id, strict=True))
            for kind, rows in clusters.groupby("record_type")}  # fmt: skip


@pytest.fixture(scope="module")
def orders(world: World, customers: dict[str, dict[str, str]]) -> pd.DataFrame:
    """Every order that is no test, with what came back and whose it is."""
    orders = frame(f"SELECT * FROM '{world.path('shopify_orders')}' WHERE NOT test")
    back = frame(f"SELECT order_id AS id, sum(amount) AS back FROM '{world.path('shopify_refunds')}' GROUP BY ALL")
    orders = orders.merge(back, how="left", on="id")
    accounts = "gid://shopify/Customer/" + orders.customer_id.astype("Int64").astype("string")
    guests = "gid://shopify/Order/" + orders.id.astype("string")
    orders["customer"] = accounts.map(customers["shopify.customers"]).fillna(guests.map(customers["shopify.orders"]))
    assert orders.customer.notna().all()
    orders["back"] = orders.back.fillna(0).astype(float)
    for column in ("total_price", "total_discounts"):
        orders[column] = orders[column].astype(float)
    orders["kept"] = orders.cancelled_at.isna()
    orders["net"] = np.where(orders.kept, (orders.total_price - orders.back).clip(lower=0), 0.0).round(2)
    orders["local"] = orders.created_at + pd.Timedelta(hours=9)
    return orders


@pytest.fixture(scope="module")
def kept(orders: pd.DataFrame) -> pd.DataFrame:
    return orders[orders.kept]


@pytest.fixture(scope="module")
def lines(world: World, orders: pd.DataFrame) -> pd.DataFrame:
    """Every line of these orders with its product and what is left of it."""
    lines = frame(f"SELECT * FROM '{world.path('shopify_order_lines')}'")
    products = frame(f"SELECT id AS product_id, vendor, product_type AS category, tags FROM "
                     f"'{world.path('shopify_products')}'")  # fmt: skip
    products["category"] = products.category.str.replace(r" +", " ", regex=True)
    lines = lines.merge(products, how="left", on="product_id")
    lines = lines.merge(
        orders[["id", "customer", "kept", "created_at"]].rename(columns={"id": "order_id"}), on="order_id"
    )
    for column in ("original_unit_price", "discounted_unit_price"):
        lines[column] = lines[column].astype(float)
    lines["left"] = np.where(lines.kept, lines.current_quantity, 0)
    lines["net"] = (lines.left * lines.discounted_unit_price).round(2)
    lines["list"] = lines.left * lines.original_unit_price
    steps = steps_ago(lines.created_at)
    lines["weight"] = np.where(steps < 24, (0.5 ** (steps / 3)).round(6), 0.0)
    return lines


@pytest.fixture(scope="module")
def visits(world: World, customers: dict[str, dict[str, str]], profile: pd.DataFrame) -> pd.DataFrame:
    """GA4's sessions of customers, from the events themselves."""
    events = frame(f"""
        SELECT DISTINCT user_pseudo_id, user_id, make_timestamp(event_timestamp) AS at, event_name,
          collected_traffic_source.manual_source AS source, collected_traffic_source.manual_medium AS medium,
          collected_traffic_source.manual_campaign_name AS campaign, device.category AS device,
          coalesce(list_filter(event_params, lambda p: p.key = 'ga_session_id')[1].value.string_value,
            list_filter(event_params, lambda p: p.key = 'ga_session_id')[1].value.int_value::VARCHAR) AS number
        FROM '{world.path("ga4_events")}' WHERE user_pseudo_id IS NOT NULL""").dropna(subset=["number"])
    events["session"] = events.user_pseudo_id + "." + events.number
    events = events.sort_values(["session", "at"], kind="stable")
    grouped = events.groupby("session", sort=False)
    visits = grouped.agg(started=("at", "min"), browser=("user_pseudo_id", "first"), user_id=("user_id", "first"),
                         source=("source", "first"), medium=("medium", "first"), campaign=("campaign", "first"),
                         device=("device", "first")).reset_index()  # fmt: skip
    signed_in = visits.user_id.map(customers["ga4.user_id"])
    visits["customer"] = signed_in.fillna(visits.browser.map(customers["ga4.user_pseudo_id"]))
    return visits[visits.customer.isin(profile.index) & (visits.started < NOW)]


def assert_column(profile: pd.DataFrame, column: str, expected: Any, default: Any = None) -> None:
    """The profile's column for everybody equals what was counted; who was not counted has the default."""
    found = profile[column]
    expected = pd.Series(expected).reindex(profile.index)
    assert expected.notna().any(), f"nothing was counted for {column}"
    for customer, value in found.items():
        wanted = expected[customer]
        if pd.isna(wanted):
            wanted = default
        if wanted is None:
            assert pd.isna(value), f"{column} of {customer} is {value}, nothing was counted"
        elif isinstance(wanted, float | Decimal | np.floating):
            assert float(value) == pytest.approx(float(wanted), abs=1e-6), f"{column} of {customer}"
        else:
            assert value == wanted, f"{column} of {customer}"


def test_orders_and_money(profile: pd.DataFrame, orders: pd.DataFrame, kept: pd.DataFrame, lines: pd.DataFrame) -> None:
    by = kept.groupby("customer")
    assert_column(profile, "order_count", by.size(), 0)
    assert_column(profile, "placed_order_count", orders.groupby("customer").size(), 0)
    assert_column(profile, "cancelled_order_count", (~orders.kept).groupby(orders.customer).sum(), 0)
    assert_column(profile, "cancelled_order_rate", ((~orders.kept).groupby(orders.customer).mean())[by.size().index])
    assert_column(profile, "lifetime_spend", by.net.sum().round(2), 0)
    assert_column(profile, "refunded_total", by.back.sum().round(2), 0)
    assert_column(profile, "refunded_order_count", (kept.back > 0).groupby(kept.customer).sum(), 0)
    assert_column(profile, "refunded_order_rate", (kept.back > 0).groupby(kept.customer).mean())
    assert_column(profile, "refund_rate", by.back.sum().round(2) / by.total_price.sum().round(2))
    assert_column(profile, "mean_order_value", by.net.sum().round(2) / by.size())
    assert_column(profile, "largest_order_total", by.net.max())
    assert_column(profile, "mean_order_items", (lines.groupby("customer").left.sum() / by.size()).dropna())
    assert_column(profile, "guest_order_count", kept.customer_id.isna().groupby(kept.customer).sum(), 0)


def test_price_and_coupon_sensitivity(profile: pd.DataFrame, kept: pd.DataFrame, lines: pd.DataFrame) -> None:
    coupons = (kept.discount_codes.map(len) > 0).groupby(kept.customer).mean()
    assert_column(profile, "coupon_order_rate", coupons)
    tiers = pd.cut(coupons, [-1, 0, 0.2 - 1e-12, 1], labels=["none", "some", "high"]).astype(str)
    assert_column(profile, "coupon_sensitivity", tiers)
    assert_column(profile, "discount_order_rate", (kept.total_discounts > 0).groupby(kept.customer).mean())
    by = lines.groupby("customer")
    below = lines.left.where(lines.discounted_unit_price < lines.original_unit_price, 0).groupby(lines.customer).sum()
    share = (below / by.left.sum()).replace([np.inf], np.nan).dropna()
    assert_column(profile, "discounted_item_rate", share)
    listed = by["list"].sum()
    assert_column(profile, "saved_rate", ((listed - by.net.sum()) / listed.where(listed > 0)).dropna())
    sold = lines[(lines.left > 0) & (lines.original_unit_price > 0)]
    median = sold.groupby("category").original_unit_price.apply(lambda p: p.sort_values().iloc[(len(p) - 1) // 2])
    middle = (lines.category.map(median) * lines.left).groupby(lines.customer).sum()
    index = (lines["list"].where(lines.category.isin(median.index)).groupby(lines.customer).sum() / middle).dropna()
    assert_column(profile, "price_index", index)
    tiers = pd.cut(index, [0, 0.85 - 1e-12, 1.15, np.inf], labels=["budget", "middle", "premium"]).astype(str)
    assert_column(profile, "price_tier", tiers)
    own = lines.net.where(lines.tags.map(lambda tags: "Private" in tags), 0).groupby(lines.customer).sum()
    assert_column(profile, "private_label_rate", (own / by.net.sum().where(lambda s: s > 0)).dropna())


def test_gifts(profile: pd.DataFrame, lines: pd.DataFrame) -> None:
    gifts = lines[lines.kept & lines.category.str.contains(GIFTS, regex=True)]
    assert_column(profile, "gift_order_count", gifts.groupby("customer").order_id.nunique(), 0)
    assert_column(profile, "last_gift_ordered_at", gifts.groupby("customer").created_at.max())


def test_days_hours_and_rhythm(profile: pd.DataFrame, kept: pd.DataFrame) -> None:
    by = kept.groupby("customer")
    weekday = kept.local.dt.day_of_week
    assert_column(profile, "weekend_order_rate", (weekday >= 5).groupby(kept.customer).mean())
    mode = weekday.groupby(kept.customer).agg(lambda days: WEEKDAYS[days.value_counts().sort_index().idxmax()])
    assert_column(profile, "favourite_weekday", mode)
    band = kept.local.dt.hour.map(lambda hour: np.searchsorted([5, 11, 17, 22], hour, side="right")).map(
        {0: 3, 1: 0, 2: 1, 3: 2, 4: 3}
    )
    mode = band.groupby(kept.customer).agg(lambda bands: BANDS[bands.value_counts().sort_index().idxmax()])
    assert_column(profile, "favourite_hour_band", mode)
    gaps = by.local.apply(lambda times: sorted(np.diff(sorted(times.dt.normalize().unique())) / np.timedelta64(1, "D")))
    assert_column(profile, "longest_gap_days", gaps[gaps.map(len) > 0].map(lambda g: int(g[-1])))
    rhythm = gaps[gaps.map(len) >= 2].map(lambda g: int(g[(len(g) - 1) // 2]))
    assert_column(profile, "median_gap_days", rhythm)
    last = by.local.max().dt.normalize()[rhythm.index]
    assert_column(profile, "expected_next_order_date", last + pd.to_timedelta(rhythm, unit="D"))


def test_affinities(lake: Path, world: World, profile: pd.DataFrame, lines: pd.DataFrame, visits: pd.DataFrame) -> None:
    looks = frame(f"""
        SELECT DISTINCT user_pseudo_id || '.' || coalesce(
            list_filter(event_params, lambda p: p.key = 'ga_session_id')[1].value.string_value,
            list_filter(event_params, lambda p: p.key = 'ga_session_id')[1].value.int_value::VARCHAR) AS session,
          event_timestamp, event_name, make_timestamp(event_timestamp) AS at, generate_subscripts(items, 1) AS place,
          unnest(items).item_category AS category
        FROM '{world.path("ga4_events")}' WHERE event_name IN ('view_item', 'add_to_cart')""")
    looks = looks.merge(visits[["session", "customer"]], on="session").dropna(subset=["category"])
    looks["category"] = looks.category.str.replace(r" +", " ", regex=True)
    steps = steps_ago(looks["at"])
    looks["weight"] = (0.5 ** (steps / 3)).round(6) * looks.event_name.map({"view_item": 1, "add_to_cart": 2})
    bought = lines[lines.left > 0]
    score = bought.groupby(["customer", "category"]).weight.sum().mul(4)
    score = score.add(looks.groupby(["customer", "category"]).weight.sum(), fill_value=0)
    found = frame(f"SELECT * FROM {mart(lake, 'category_affinities')}").set_index(["customer_id", "category"])
    positive = found[found.affinity_score > 0].affinity_score
    assert len(positive) == len(score) > 1000
    assert np.allclose(positive.sort_index(), score.sort_index(), atol=1e-4)
    assert np.allclose(found[found.affinity_score > 0].groupby("customer_id").affinity_share.sum(), 1)
    assert (found.sort_values("affinity_rank").groupby("customer_id").affinity_score.diff().dropna() <= 0).all()

    ranked = score.rename("score").reset_index().sort_values(["score", "category"], ascending=[False, True])
    best = ranked.groupby("customer").category.agg(lambda names: ", ".join(names[:3]))
    close = ranked.groupby("customer").score.apply(lambda s: s.iloc[:4].round(3).duplicated().any())
    assert_column(profile[~profile.index.isin(close[close].index)], "interests", best[~close])

    makers = bought.groupby(["customer", "vendor"]).weight.sum()
    found = frame(f"SELECT * FROM {mart(lake, 'brand_affinities')}").set_index(["customer_id", "brand"])
    assert np.allclose(found.affinity_score.sort_index(), makers.sort_index(), atol=1e-4)


def test_visits_devices_and_touches(profile: pd.DataFrame, kept: pd.DataFrame, visits: pd.DataFrame) -> None:
    by = visits.groupby("customer")
    assert_column(profile, "session_count", by.size(), 0)
    assert_column(profile, "browser_count", by.browser.nunique(), 0)
    assert_column(profile, "last_visited_at", by.started.max())
    assert_column(profile, "devices", by.device.agg(lambda kinds: ", ".join(sorted(kinds.dropna().unique()))))
    counts = visits.groupby(["customer", "device"]).size().rename("count").reset_index()
    favourite = counts.sort_values(["count", "device"], ascending=[False, True]).groupby("customer").device.first()
    assert_column(profile, "favourite_device", favourite)
    first = visits.customer.map(kept.groupby("customer").created_at.min()).fillna(NOW)
    before = visits[visits.started < first].sort_values(["started", "session"])
    assert_column(profile, "visits_before_first_order", before.groupby("customer").size(), 0)
    for touch, position in (("first_touch", 0), ("last_touch", -1)):
        rows = before.groupby("customer").nth(position).set_index("customer")
        assert_column(profile, f"{touch}_at", rows.started)
        for column in ("source", "medium", "campaign"):
            assert_column(profile, f"{touch}_{column}", rows[column])


def test_reachable_channels_are_those_with_an_address_and_a_yes(profile: pd.DataFrame) -> None:
    for channel, flag in (("email", "can_email"), ("sms", "can_text"), ("ad", "can_show_ads")):
        named = profile.reachable_channels.fillna("").str.split(", ").map(lambda names, c=channel: c in names)
        assert (named == profile[flag]).all()
        stated = profile[f"{channel}_consent"] != "unknown"
        assert (profile[f"{channel}_consent_evidence"].notna() == stated).all()
        assert profile[flag].any() and (profile.loc[profile[flag], f"{channel}_consent"] == "granted").all()


def test_demographics(profile: pd.DataFrame, world: World, customers: dict[str, dict[str, str]]) -> None:
    today = (NOW + pd.Timedelta(hours=9)).date()
    known = profile.dropna(subset=["birth_date"])
    ages = known.birth_date.map(lambda d: today.year - d.year - ((today.month, today.day) < (d.month, d.day)))
    assert len(ages) > 50
    assert (ages == known.age_years).all()
    bands = pd.cut(ages, [-1, 17, 24, 34, 44, 54, 64, 74, 200],
                   labels=["0-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65-74", "75+"])  # fmt: skip
    assert (bands.astype(str) == known.age_band).all()
    people = frame(f"""
        SELECT record_id, prefecture FROM '{world.path("truth")}' JOIN '{world.path("persons")}' USING (person_id)
        WHERE record_type = 'shopify.customers'""")
    people["customer"] = people.record_id.map(customers["shopify.customers"])
    told = people.groupby("customer").prefecture.agg(set)
    prefectures = profile.prefecture.dropna()
    prefectures = prefectures[prefectures.str.contains("[都道府県]$") & prefectures.index.isin(told.index)]
    right = [name in told[customer] for customer, name in prefectures.items()]
    assert len(right) > 80 and np.mean(right) > 0.97
    assert not profile.prefecture.str.startswith("JP-", na=False).any()
    assert_column(profile, "rfm_score", profile[["recency_quintile", "frequency_quintile", "spend_quintile"]].dropna()
                  .astype(int).astype(str).agg("".join, axis=1))  # fmt: skip


def test_money_of_each_currency_stands_apart(lake: Path, profile: pd.DataFrame) -> None:
    spend = frame(f"SELECT * FROM {mart(lake, 'customer_currency_spend')}")
    assert set(spend.currency) == {"USD"}
    assert_column(profile, "lifetime_spend", spend.set_index("customer_id").lifetime_spend, 0)


def test_mail(profile: pd.DataFrame, lake: Path, world: World) -> None:
    # an address is somebody's when the guards trust it and one customer alone has it
    owners = frame(f"""
        SELECT identifier_value AS email, customer_id FROM {mart(lake, "identity_edges")}
        JOIN {mart(lake, "identity_clusters")} USING (record_type, record_id)
        WHERE identifier_type = 'email' AND guard IS NULL""").drop_duplicates()
    owners = owners[owners.customer_id.isin(profile.index)].drop_duplicates("email", keep=False).set_index("email")
    sends = frame(f"""
        SELECT campaign_id, lower(email) AS email, 'sent' AS action, send_time AS at, NULL AS ip
        FROM '{world.path("mailchimp_sends")}' JOIN '{world.path("mailchimp_campaigns")}' AS c ON c.id = campaign_id""")
    acts = frame(f"""
        SELECT DISTINCT campaign_id, lower(email) AS email, action, occurred_at AS at, ip, url
        FROM '{world.path("mailchimp_activity")}' WHERE action IN ('open', 'click')""")
    in_one_second = acts.groupby(["campaign_id", "email", "action", "at"]).url.transform("nunique") > 1
    machine = acts.ip.str.startswith("17.", na=False) | ((acts.action == "click") & in_one_second)
    events = pd.concat([sends, acts[~machine]])
    events["customer"] = events.email.map(owners.customer_id)
    events = events[events.customer.notna() & (events["at"] < NOW)]
    for action, name in (("sent", "sent"), ("open", "opened"), ("click", "clicked")):
        mine = events[events.action == action]
        assert len(mine) > 20, action
        assert_column(profile, f"last_email_{name}_at", mine.groupby("customer")["at"].max())
        for days in (30, 90):
            recent = mine[mine["at"] > NOW - pd.Timedelta(days=days)]
            assert_column(profile, f"emails_{name}_{days}d", recent.groupby("customer").campaign_id.nunique(), 0)
    tiers = profile.email_engagement
    assert (tiers[profile.emails_clicked_30d > 0] == "active").all()
    assert (profile.emails_sent_90d[tiers == "not_mailed"] == 0).all()
    assert {"active", "silent", "not_mailed"} <= set(tiers)
