"""Reads the world as a shopkeeper's plain tables, for a recount of the KPIs that shares no code with the warehouse.

Money is whole cents. Of the warehouse only the customers' names for people are used (`identity_clusters`): who bought
what, when and how they came is read from the world itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from connectors.sandbox.world import World
from tests.dbt_build import mart

NOW = pd.Timestamp("2026-10-18 15:00:00")
SHOP = pd.Timedelta(hours=9)
NEVER = pd.Timestamp("1900-01-01")
LOOKBACK = pd.Timedelta(days=30)
SAME_ACT = pd.Timedelta(minutes=30)

# Every way the world's visitors come, by hand.
CHANNELS = {
    (None, None): "direct",
    ("mailchimp", "email"): "email",
    ("google", "cpc"): "paid_search",
    ("instagram", "paid_social"): "paid_social",
    ("facebook", "paid_social"): "paid_social",
    ("google", "organic"): "organic_search",
    ("yahoo", "organic"): "organic_search",
    ("recipes.example", "referral"): "referral",
    ("line", "social"): "other",
}
PLATFORM_CHANNELS = {"google_ads": "paid_search", "meta": "paid_social"}


@dataclass
class Shop:
    """What happened, one table a kind of thing; every `customer` is the warehouse's id or missing."""

    orders: pd.DataFrame
    lines: pd.DataFrame
    visits: pd.DataFrame
    carts: pd.DataFrame
    ads: pd.DataFrame
    mails: pd.DataFrame
    campaigns: pd.DataFrame
    members: pd.DataFrame
    days: list[Any]


def day_of(moments: pd.Series) -> pd.Series:
    """The shop's calendar day of UTC moments."""
    return (moments + SHOP).dt.date


def read_shop(world: World, lake: Path) -> Shop:
    """The whole world up to its now, with the channel of each order's last touch."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")

        read = _Reader(connection, world, lake)
        people = read.people()
        orders = _orders(read, people)
        events = _events(read)
        visits = _visits(events, people)
        mails = _mails(read, lake)
        touches = pd.concat([_visit_touches(visits), _click_touches(mails, visits)])
        orders = orders.join(_last_touches(orders, touches), on="id")
        ads = _ads(read)
        first = min([orders.day.min(), *([ads.day.min()] if len(ads) else [])])
        days = list(pd.date_range(first, (NOW - pd.Timedelta(seconds=1) + SHOP).date()).date)
        return Shop(
            orders, _lines(read), visits, _carts(read, people, events, visits, orders), ads, mails, _campaigns(read),
            read.sql(f"SELECT DISTINCT segment, customer_id AS customer FROM {mart(lake, 'segment_members')}"), days,
        )  # fmt: skip


class _Reader:
    """Queries over the world's tables, named in braces."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, world: World, lake: Path) -> None:
        self._connection, self._world, self._lake = connection, world, lake

    def sql(self, query: str) -> pd.DataFrame:
        return self._connection.execute(query).df()

    def world(self, query: str, *tables: str) -> pd.DataFrame:
        return self.sql(query.format(*(f"'{self._world.path(table)}'" for table in tables)))

    def people(self) -> Callable[[str, Iterable[Any]], pd.Series]:
        """The customer of a record, and nobody for a browser whose cluster holds no person."""
        clusters = self.sql(f"SELECT record_type, record_id, customer_id FROM {mart(self._lake, 'identity_clusters')}")
        persons = clusters.record_type.isin(["shopify.customers", "shopify.orders", "hubspot.contacts"])
        known = clusters[clusters.customer_id.isin(set(clusters[persons].customer_id))]
        names = dict(zip(zip(known.record_type, known.record_id, strict=True), known.customer_id, strict=True))

        def find(record_type: str, record_ids: Iterable[Any]) -> pd.Series:
            return pd.Series([names.get((record_type, record_id)) for record_id in record_ids], dtype=object)

        return find


def _orders(read: _Reader, people: Callable[[str, Iterable[Any]], pd.Series]) -> pd.DataFrame:
    orders = read.world(
        """SELECT o.id, o.name, o.customer_id, o.created_at AS at, o.cancelled_at IS NOT NULL AS cancelled,
             o.currency_code AS currency, o.source_name, (o.total_price * 100)::BIGINT AS total,
             (o.total_discounts * 100)::BIGINT AS discount, (o.total_tax * 100)::BIGINT AS tax,
             (o.total_shipping * 100)::BIGINT AS shipping,
             (100 * coalesce((SELECT sum(amount) FROM {1} AS r WHERE r.order_id = o.id), o.total_refunded))::BIGINT
               AS refunded
           FROM {0} AS o WHERE NOT test AND o.created_at < TIMESTAMP '2026-10-18 15:00:00'""",
        "shopify_orders",
        "shopify_refunds",
    )
    accounts = people(
        "shopify.customers",
        [f"gid://shopify/Customer/{int(n)}" if pd.notna(n) else None for n in orders.customer_id],
    )
    orders["id"] = "gid://shopify/Order/" + orders["id"].astype(str)
    orders["customer"] = accounts.where(accounts.notna(), people("shopify.orders", orders["id"]))
    orders["guest"] = orders.customer_id.isna()
    orders["day"] = day_of(orders["at"])
    orders["kept"] = ~orders.cancelled
    orders["net"] = np.where(orders.cancelled, 0, np.maximum(orders.total - orders.refunded, 0))
    orders["cancelled_money"] = np.where(orders.cancelled, orders.total, 0)
    orders["refunded_money"] = np.where(orders.cancelled, 0, orders.total - orders.net)
    orders = orders.sort_values(["at", "id"], ignore_index=True)
    kept = orders[orders.kept & orders.customer.notna()]
    orders["place"] = kept.groupby("customer").cumcount() + 1
    orders["is_first"], orders["is_second"] = orders.place == 1, orders.place == 2
    orders["first_day"] = orders.customer.map(kept.groupby("customer").day.min())
    return orders


def _lines(read: _Reader) -> pd.DataFrame:
    return read.world(
        """SELECT 'gid://shopify/Order/' || l.order_id AS "order", l.quantity AS items,
             regexp_replace(p.product_type, ' +', ' ', 'g') AS category,
             l.current_quantity AS kept_items, (l.quantity * l.discounted_unit_price * 100)::BIGINT AS total,
             (l.current_quantity * l.discounted_unit_price * 100)::BIGINT AS net
           FROM {0} AS l JOIN {1} AS p ON p.id = l.product_id""",
        "shopify_order_lines",
        "shopify_products",
    )


def _events(read: _Reader) -> pd.DataFrame:
    """GA4's events without the rows the export wrote twice, with the number of their visit."""
    number = "list_filter(event_params, lambda p: p.key = 'ga_session_id')[1].value"
    events = read.world(
        f"""SELECT DISTINCT ON (user_pseudo_id, event_timestamp, event_name, batch_page_id, batch_ordering_id,
               batch_event_index) user_pseudo_id AS browser, user_id AS account, event_timestamp AS stamp,
             event_name AS name, coalesce(({number}).int_value::VARCHAR, ({number}).string_value) AS visit,
             collected_traffic_source.manual_source AS source, collected_traffic_source.manual_medium AS medium,
             collected_traffic_source.manual_campaign_name AS campaign, ecommerce.transaction_id AS number,
             CASE WHEN event_name = 'add_to_cart' THEN items END AS items
           FROM {{0}} WHERE user_pseudo_id IS NOT NULL""",
        "ga4_events",
    )
    events["at"] = pd.to_datetime(events.stamp, unit="us").astype("datetime64[us]")
    return events.sort_values("stamp", ignore_index=True)


def _visits(events: pd.DataFrame, people: Callable[[str, Iterable[Any]], pd.Series]) -> pd.DataFrame:
    bought = events.number.where(events.name == "purchase")
    bought = bought.where(~bought.isin(["", "(not set)"]))
    unnumbered = "event " + events.stamp.astype(str)
    events = events.assign(purchase=bought.where(bought.notna() | (events.name != "purchase"), unnumbered))
    grouped = events.groupby(["browser", "visit"], sort=False)
    visits = grouped.agg(at=("at", "min"), account=("account", "first"), purchases=("purchase", "nunique")).join(
        grouped[["source", "medium", "campaign"]].first()
    )
    for name in ("add_to_cart", "begin_checkout"):
        visits[name] = (events.name == name).groupby([events.browser, events.visit], sort=False).sum()
    visits = visits.reset_index()
    mine, browsers = people("ga4.user_id", visits.account), people("ga4.user_pseudo_id", visits.browser)
    # whoever signed in is known by the account even where the account is nobody the shop knows
    visits["customer"] = mine.where(mine.notna(), browsers)
    visits = visits.astype({"source": object, "medium": object, "campaign": object})
    for name in ("source", "medium", "campaign", "customer"):
        visits[name] = visits[name].where(visits[name].notna(), None)
    visits["channel"] = [CHANNELS[way] for way in zip(visits.source, visits.medium, strict=True)]
    visits = visits[visits["at"] < NOW].copy()
    visits["day"], visits["bought"] = day_of(visits["at"]), visits.purchases > 0
    return visits


def _carts(
    read: _Reader,
    people: Callable[[str, Iterable[Any]], pd.Series],
    events: pd.DataFrame,
    visits: pd.DataFrame,
    orders: pd.DataFrame,
) -> pd.DataFrame:
    """Checkouts of the shop's list, and visits of known people that put something in and went no further."""
    checkouts = read.world(
        """SELECT customer_id, created_at AS at, completed_at AS completed, (total_price * 100)::BIGINT AS total,
             currency_code AS currency FROM {0}""",
        "shopify_checkouts",
    )
    checkouts["customer"] = people(
        "shopify.customers",
        [f"gid://shopify/Customer/{int(n)}" if pd.notna(n) else None for n in checkouts.customer_id],
    )
    left = visits[(visits.add_to_cart > 0) & (visits.begin_checkout == 0) & (visits.purchases == 0)]
    left = left[left.customer.notna()]
    filled = events[events.name == "add_to_cart"]
    worth = filled["items"].map(lambda items: sum(round(i["price"] * 100) * (i["quantity"] or 1) for i in items))
    worth = worth.groupby([filled.browser, filled.visit]).sum().rename("total")
    left = left.join(worth, on=["browser", "visit"], how="inner").assign(completed=pd.NaT, currency="USD")
    carts = pd.concat([frame[["customer", "at", "completed", "total", "currency"]] for frame in (checkouts, left)])
    by_customer = {customer: group["at"].to_numpy() for customer, group in orders.groupby("customer")}
    carts["next"] = [_first_from(by_customer.get(who), at) for who, at in zip(carts.customer, carts["at"], strict=True)]
    carts = carts[carts["at"] < NOW].copy()
    carts["day"] = day_of(carts["at"])
    return carts


def _first_from(moments: Any, start: pd.Timestamp) -> Any:
    later = [] if moments is None else moments[moments >= start.to_datetime64()]
    return pd.Timestamp(later[0]) if len(later) else pd.NaT


def _visit_touches(visits: pd.DataFrame) -> pd.DataFrame:
    touches = visits[visits.customer.notna()][["customer", "at", "channel", "campaign"]]
    return touches.assign(touch="visit." + visits.browser + "." + visits.visit)


def _click_touches(mails: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Clicks by mail whose visit GA4 did not count."""
    clicks = mails[(mails.kind == "clicked") & mails.customer.notna()]
    counted = visits[visits.channel == "email"].groupby(["customer", "campaign"])["at"].apply(np.sort).to_dict()
    seen = [
        any(at.to_datetime64() <= moment <= (at + SAME_ACT).to_datetime64() for moment in counted.get((who, name), []))
        for who, name, at in zip(clicks.customer, clicks.campaign, clicks["at"], strict=True)
    ]
    clicks = clicks[~np.array(seen, dtype=bool)]
    return clicks.assign(channel="email", touch="click")[["customer", "at", "channel", "campaign", "touch"]]


def _last_touches(orders: pd.DataFrame, touches: pd.DataFrame) -> pd.DataFrame:
    """By order: channel and campaign of the newest touch since the customer's order before it, direct visits last."""
    in_order = touches.sort_values(["customer", "at", "touch"])
    ways: dict[str, list[tuple[Any, str, Any]]] = {}
    for who, at, channel, campaign in zip(
        in_order.customer, in_order["at"], in_order.channel, in_order.campaign, strict=True
    ):
        ways.setdefault(who, []).append((at, channel, campaign))
    found: dict[str, tuple[str, Any]] = {}
    before: dict[str, Any] = {}
    for order, who, at in zip(orders["id"], orders.customer, orders["at"], strict=True):
        since = max(before.get(who, NEVER), at - LOOKBACK - pd.Timedelta(microseconds=1))
        led = [way for way in ways.get(who, []) if since < way[0] <= at]
        before[who] = at
        if led:
            newest = next((way for way in reversed(led) if way[1] != "direct"), led[-1])
            found[order] = (newest[1], newest[2])
    every = [found.get(order, ("unattributed", None)) for order in orders["id"]]
    last = pd.DataFrame(every, columns=["channel", "campaign"], index=orders["id"], dtype=object)
    return last.where(last.notna(), None)


def _ads(read: _Reader) -> pd.DataFrame:
    """What the platforms show at the world's now: of settled days the clicks taken back are gone, and what they cost.

    A click costs whole millionths, a day whole cents.
    """
    ads = read.world(
        """SELECT d.platform, c.name AS campaign, d.activity_date::TIMESTAMP AS day, d.impressions AS impression_count,
             d.clicks, d.invalid_clicks, d.cost_micros, d.corrected_at
           FROM {0} AS d JOIN {1} AS c ON c.id = d.campaign_id""",
        "ad_days",
        "ad_campaigns",
    )
    taken_back = np.where(ads.corrected_at <= NOW, ads.invalid_clicks, 0)
    ads["click_count"] = ads.clicks - taken_back
    per_click = ads.cost_micros // ads.clicks.where(ads.clicks > 0, 1)
    ads["spend"] = np.where(ads.corrected_at <= NOW, per_click * ads.click_count, ads.cost_micros) // 10000
    ads["day"], ads["currency"] = ads.day.dt.date, "USD"
    ads["channel"] = ads.platform.map(PLATFORM_CHANNELS)
    return ads[ads.day < (NOW + SHOP).date()]


def _mails(read: _Reader, lake: Path) -> pd.DataFrame:
    """What people did with the mails; what machines did for them is left out.

    A machine is Apple's network, or whoever follows two links of a mail in one second. Whose an address is, the
    warehouse says.
    """
    sent = "SELECT campaign_id, email, 'sent' AS kind, NULL::TIMESTAMP AS at, NULL AS url, NULL AS ip FROM {0}"
    acts = """SELECT campaign_id, email,
        CASE action WHEN 'open' THEN 'opened' WHEN 'click' THEN 'clicked' ELSE 'bounced' END, occurred_at, url, ip
        FROM {1} WHERE occurred_at <= TIMESTAMP '2026-10-18 15:00:00'"""
    gone = "SELECT campaign_id, email, 'unsubscribed', unsubscribed_at, NULL, NULL FROM {2}"
    names = "SELECT id AS campaign_id, title AS campaign, send_time FROM {3}"
    tables = ("mailchimp_sends", "mailchimp_activity", "mailchimp_unsubscribes", "mailchimp_campaigns")
    mails = read.world(
        f"SELECT * FROM ({sent} UNION ALL {acts} UNION ALL {gone}) JOIN ({names}) USING (campaign_id)", *tables
    )
    mails["at"] = mails["at"].where(mails["at"].notna(), mails.send_time)
    mails = mails[mails["at"] < NOW]
    mails = mails.drop_duplicates(["campaign_id", "email", "kind", "at", "url"])
    is_click = mails.kind == "clicked"
    twice = mails[is_click].groupby(["campaign_id", "email", "at"]).url.transform("nunique") > 1
    machine = mails.ip.fillna("").str.startswith("17.") | twice.reindex(mails.index, fill_value=False)
    mails = mails[~machine].copy()
    # an address the warehouse trusts, and that belongs to one customer only
    owners = read.sql(f"""
        SELECT e.identifier_value AS email, min(c.customer_id) AS customer
        FROM {mart(lake, "identity_edges")} AS e
        JOIN {mart(lake, "identity_clusters")} AS c USING (record_type, record_id)
        JOIN {mart(lake, "customers")} AS known USING (customer_id)
        WHERE identifier_type = 'email' AND guard IS NULL GROUP BY ALL HAVING count(DISTINCT c.customer_id) = 1""")
    mails["customer"] = mails.email.str.lower().map(owners.set_index("email").customer)
    mails["day"] = day_of(mails["at"])
    return mails


def _campaigns(read: _Reader) -> pd.DataFrame:
    """Each campaign sent so far, with whom it reached and what they did."""
    campaigns = read.world(
        """SELECT id AS campaign_id, title AS campaign_name, send_time AS at FROM {0}
           WHERE send_time < TIMESTAMP '2026-10-18 15:00:00'""",
        "mailchimp_campaigns",
    )
    sends = read.world("SELECT campaign_id, status FROM {0}", "mailchimp_sends")
    acts = read.world(
        "SELECT * FROM {0} WHERE occurred_at <= TIMESTAMP '2026-10-18 15:00:00'",
        "mailchimp_activity",
    )
    gone = read.world("SELECT campaign_id FROM {0}", "mailchimp_unsubscribes")
    counts = {
        "sent_count": sends.groupby("campaign_id").size(),
        "bounce_count": sends[sends.status != "sent"].groupby("campaign_id").size(),
        "unique_open_count": acts[acts.action == "open"].groupby("campaign_id").email.nunique(),
        "unique_click_count": acts[acts.action == "click"].groupby("campaign_id").email.nunique(),
        "unsubscribe_count": gone.groupby("campaign_id").size(),
    }
    for name, count in counts.items():
        campaigns[name] = campaigns.campaign_id.map(count).fillna(0).astype(int)
    campaigns["sent_date"], campaigns["currency"] = day_of(campaigns["at"]), "USD"
    return campaigns.drop(columns="at")
