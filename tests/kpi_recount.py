"""Counts every column of every KPI mart again, with pandas, from the plain tables of `tests.kpi_world`.

Money is whole cents, ratios are floats, what has nothing to divide by is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from tests.kpi_world import NOW, SHOP, Shop

ALL_CHANNELS = [
    *("email", "paid_search", "paid_social", "organic_search", "referral", "direct", "other"),
    "unattributed",
]
WEEK = pd.Timedelta(days=7)


def per(value: pd.Series, divisor: pd.Series, cents: bool = False, by_cents: bool = False) -> pd.Series:
    """value / divisor, missing where the divisor is zero; cents become the currency's unit."""
    above = pd.to_numeric(value).astype(float) / (100 if cents else 1)
    below = pd.to_numeric(divisor).astype(float) / (100 if by_cents else 1)
    return above / below.where(below != 0)


def sums_of(orders: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Counts and money of orders and their customers by some keys."""
    grouped = orders.groupby(list(keys))
    kept = orders[orders.kept].groupby(list(keys))
    back = orders[orders.kept & (orders.first_day < orders.day)].groupby(list(keys))
    return pd.DataFrame(
        {
            "order_count": grouped.size(),
            "cancelled_order_count": grouped.cancelled.sum(),
            "kept_order_count": grouped.kept.sum(),
            "gross_sales": grouped.total.sum(),
            "cancelled_sales": grouped.cancelled_money.sum(),
            "refunded_sales": grouped.refunded_money.sum(),
            "net_sales": grouped.net.sum(),
            "customer_count": kept.customer.nunique(),
            "new_customer_count": grouped.is_first.sum(),
            "returning_customer_count": back.customer.nunique(),
        }
    )


def dense(frames: Sequence[pd.DataFrame | pd.Series], index: pd.MultiIndex | pd.Index) -> pd.DataFrame:
    """The frames side by side, a row of zeros for whatever of the index they do not have."""
    return pd.concat([frame.reindex(index) for frame in frames], axis=1).fillna(0)


def days_by(shop: Shop, *others: Sequence[Any]) -> pd.MultiIndex:
    """Every day with every combination of the others."""
    return pd.MultiIndex.from_tuples(list(product(shop.days, *others)))


def visit_sums(visits: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Visits, and those with a purchase."""
    grouped = visits.groupby(list(keys))
    return pd.DataFrame(
        {
            "session_count": grouped.size(),
            "purchase_session_count": grouped.bought.sum(),
        }
    )


def currencies(shop: Shop) -> list[str]:
    """Those of orders and advertisements."""
    return sorted(set(shop.orders.currency) | set(shop.ads.currency) | {"USD"})


def daily_sales(shop: Shop) -> pd.DataFrame:
    orders, keys = shop.orders, ["day", "currency"]
    index = days_by(shop, currencies(shop))
    grouped = orders.groupby(keys)
    extra = pd.DataFrame(
        {
            "guest_order_count": grouped.guest.sum(),
            "unknown_customer_order_count": grouped.size() - grouped.customer.count(),
            "discount_total": grouped.discount.sum(),
            "tax_total": grouped.tax.sum(),
            "shipping_total": grouped.shipping.sum(),
            "second": grouped.is_second.sum(),
        }
    )
    spend = shop.ads.groupby(keys).spend.sum()
    table = dense([sums_of(orders, keys), extra, spend], index)
    visits = visit_sums(shop.visits, ["day"]).reindex(index.get_level_values(0)).fillna(0)
    table = table.join(visits.set_axis(index))
    table.index.names = ["activity_date", "currency"]
    table = table.reset_index()
    table["gross_average_order_value"] = per(table.gross_sales, table.order_count, cents=True)
    table["average_order_value"] = per(table.net_sales, table.kept_order_count, cents=True)
    table["repeat_rate"] = per(table.returning_customer_count, table.customer_count)
    to_date = table.sort_values("activity_date").groupby("currency")
    table["buyer_count_to_date"] = to_date.new_customer_count.cumsum()
    table["repeat_buyer_count_to_date"] = to_date.second.cumsum()
    table["repeat_rate_to_date"] = per(table.repeat_buyer_count_to_date, table.buyer_count_to_date)
    table["conversion_rate"] = per(table.purchase_session_count, table.session_count)
    table["acquisition_cost"] = per(table.spend, table.new_customer_count, cents=True)
    table["return_on_ad_spend"] = per(table.net_sales, table.spend)
    return table.drop(columns="second")


def daily_channel_results(shop: Shop) -> pd.DataFrame:
    keys = ["day", "channel", "currency"]
    index = days_by(shop, ALL_CHANNELS, currencies(shop))
    ads = shop.ads.groupby(keys)[["impression_count", "click_count", "spend"]].sum()
    table = dense([sums_of(shop.orders, keys), ads], index)
    visits = visit_sums(shop.visits, ["day", "channel"]).reindex(index.droplevel(2)).fillna(0)
    table = table.join(visits.set_axis(index))
    table.index.names = ["activity_date", "channel", "currency"]
    table = table.reset_index()
    table["conversion_rate"] = per(table.purchase_session_count, table.session_count)
    table["average_order_value"] = per(table.net_sales, table.kept_order_count, cents=True)
    table["repeat_rate"] = per(table.returning_customer_count, table.customer_count)
    table["cost_per_click"] = per(table.spend, table.click_count, cents=True)
    table["acquisition_cost"] = per(table.spend, table.new_customer_count, cents=True)
    table["return_on_ad_spend"] = per(table.net_sales, table.spend)
    return table


def daily_campaign_results(shop: Shop) -> pd.DataFrame:
    keys, place = ["day", "channel", "campaign", "currency"], ["day", "channel", "campaign"]
    orders = shop.orders[shop.orders.campaign.notna()]
    sold = sums_of(orders, keys)[["order_count", "kept_order_count", "gross_sales", "net_sales", "new_customer_count"]]
    ads = shop.ads.groupby(keys)[["impression_count", "click_count", "spend"]].sum()
    mails = shop.mails.assign(channel="email")
    kinds = {"sent": "sent_count", "bounced": "bounced_count", "opened": "opened_count"}
    kinds |= {"clicked": "clicked_count", "unsubscribed": "unsubscribed_count"}
    counts = mails.groupby([*place, "kind"]).size().unstack().reindex(columns=list(kinds)).rename(columns=kinds)
    visits = visit_sums(shop.visits[shop.visits.campaign.notna()], place)
    sides = [frame.index.to_frame(index=False)[place] for frame in (sold, ads, counts, visits)]
    lives = pd.concat(sides).groupby(["channel", "campaign"]).day.agg(["min", "max"])
    all_currencies = currencies(shop)
    rows = [
        (day, channel, campaign, currency)
        for (channel, campaign), life in lives.iterrows()
        for day in shop.days
        if life["min"] <= day <= life["max"]
        for currency in all_currencies
    ]
    index = pd.MultiIndex.from_tuples(rows)
    everywhere = [frame.reindex(index.droplevel(3)).set_axis(index) for frame in (counts, visits)]
    table = dense([sold, ads, *everywhere], index)
    table.index.names = ["activity_date", "channel", "campaign", "currency"]
    table = table.reset_index()
    table["conversion_rate"] = per(table.purchase_session_count, table.session_count)
    table["average_order_value"] = per(table.net_sales, table.kept_order_count, cents=True)
    table["acquisition_cost"] = per(table.spend, table.new_customer_count, cents=True)
    table["return_on_ad_spend"] = per(table.net_sales, table.spend)
    return table


def daily_category_sales(shop: Shop) -> pd.DataFrame:
    facts = ["day", "currency", "cancelled", "kept", "customer"]
    baskets = shop.lines.groupby(["order", "category"], as_index=False)[["items", "kept_items", "total", "net"]].sum()
    lines = baskets.merge(shop.orders.set_index("id")[facts], left_on="order", right_index=True)
    lines.loc[lines.cancelled, ["kept_items", "net"]] = 0
    lines["cancelled_money"] = np.where(lines.cancelled, lines.total, 0)
    lines["returned_money"] = np.where(lines.cancelled, 0, lines.total - lines.net)
    keys = ["day", "category", "currency"]
    grouped = lines.groupby(keys)
    sold = pd.DataFrame(
        {
            "order_count": grouped.size(),
            "kept_order_count": grouped.kept.sum(),
            "customer_count": lines[lines.kept].groupby(keys).customer.nunique(),
            "item_count": grouped["items"].sum(),
            "kept_item_count": grouped.kept_items.sum(),
            "gross_sales": grouped.total.sum(),
            "cancelled_sales": grouped.cancelled_money.sum(),
            "returned_sales": grouped.returned_money.sum(),
            "net_sales": grouped.net.sum(),
        }
    )
    pairs = lines[["category", "currency"]].drop_duplicates().itertuples(index=False, name=None)
    index = pd.MultiIndex.from_tuples([(day, *pair) for pair in pairs for day in shop.days])
    table = dense([sold], index)
    table.index.names = ["activity_date", "category", "currency"]
    table = table.reset_index()
    table["average_order_value"] = per(table.net_sales, table.kept_order_count, cents=True)
    whole = shop.orders.groupby(["day", "currency"]).net.sum()
    of_day = whole.reindex(pd.MultiIndex.from_frame(table[["activity_date", "currency"]])).fillna(0)
    table["sales_share"] = per(table.net_sales, of_day.reset_index(drop=True))
    return table


def daily_segment_sales(shop: Shop) -> pd.DataFrame:
    orders = shop.orders.merge(shop.members, on="customer")
    table = dense(
        [sums_of(orders, ["day", "segment", "currency"])],
        days_by(shop, sorted(set(shop.members.segment)), currencies(shop)),
    )
    table.index.names = ["activity_date", "segment", "currency"]
    table = table.reset_index()
    table["average_order_value"] = per(table.net_sales, table.kept_order_count, cents=True)
    table["repeat_rate"] = per(table.customer_count - table.new_customer_count, table.customer_count)
    return table.drop(columns="returning_customer_count")


def daily_cart_results(shop: Shop) -> pd.DataFrame:
    carts, keys = shop.carts.copy(), ["day", "currency"]
    completed = carts.completed.notna() & (carts.completed < NOW)
    recovered = ~completed & carts.next.notna() & (carts.next <= carts["at"] + WEEK) & (carts.next < NOW)
    is_open = ~completed & ~recovered & (carts["at"] + WEEK >= NOW)
    carts["outcome"] = np.select([completed, recovered, is_open], ["completed", "recovered", "open"], "lost")
    counts = carts.groupby([*keys, "outcome"]).size().unstack().add_suffix("_cart_count")
    counts = counts.reindex(columns=[f"{name}_cart_count" for name in ("completed", "recovered", "open", "lost")])
    grouped = carts.groupby(keys)
    money = pd.DataFrame(
        {
            "cart_count": grouped.size(),
            "cart_value": grouped.total.sum(),
            "lost_cart_value": carts[carts.outcome == "lost"].groupby(keys).total.sum(),
        }
    )
    visits = shop.visits
    seen = pd.DataFrame({"day": visits.day, "bought": visits.bought})
    seen = seen.assign(cart=visits.add_to_cart > 0, checkout=visits.begin_checkout > 0)
    steps = pd.DataFrame(
        {
            "cart_session_count": seen.groupby("day").cart.sum(),
            "cart_purchase_session_count": seen[seen.bought].groupby("day").cart.sum(),
            "checkout_session_count": seen.groupby("day").checkout.sum(),
            "checkout_purchase_session_count": seen[seen.bought].groupby("day").checkout.sum(),
        }
    )
    index = days_by(shop, currencies(shop))
    table = dense([counts, money, steps.reindex(index.get_level_values(0)).set_axis(index)], index)
    table.index.names = ["activity_date", "currency"]
    table = table.reset_index()
    for step in ("cart", "checkout"):
        begun = table[f"{step}_session_count"]
        table[f"{step}_abandonment_rate"] = per(begun - table[f"{step}_purchase_session_count"], begun)
    table["recovery_rate"] = per(table.recovered_cart_count, table.recovered_cart_count + table.lost_cart_count)
    return table


def email_campaign_results(shop: Shop) -> pd.DataFrame:
    table = shop.campaigns.copy()
    table["delivered_count"] = table.sent_count - table.bounce_count
    for name, above, below in (
        ("bounce_rate", "bounce_count", "sent_count"),
        ("open_rate", "unique_open_count", "delivered_count"),
        ("click_rate", "unique_click_count", "delivered_count"),
        ("click_to_open_rate", "unique_click_count", "unique_open_count"),
        ("unsubscribe_rate", "unsubscribe_count", "delivered_count"),
    ):
        table[name] = per(table[above], table[below])
    by_mail = shop.orders[shop.orders.channel == "email"].groupby("campaign")
    visits = shop.visits[shop.visits.channel == "email"].groupby("campaign").size()
    table["session_count"] = table.campaign_name.map(visits).fillna(0)
    table["kept_order_count"] = table.campaign_name.map(by_mail.kept.sum()).fillna(0)
    table["net_sales"] = table.campaign_name.map(by_mail.net.sum()).fillna(0)
    table["sales_per_mail"] = per(table.net_sales, table.delivered_count, cents=True)
    return table


def daily_email_results(shop: Shop) -> pd.DataFrame:
    campaigns = email_campaign_results(shop).groupby("sent_date")
    names = ["sent_count", "bounce_count", "delivered_count", "unique_open_count", "unique_click_count"]
    sent = campaigns[[*names, "unsubscribe_count"]].sum().assign(campaign_count=campaigns.size())
    happened = shop.mails.groupby(["day", "kind"]).size().unstack().add_suffix("_count")
    kinds = ["opened_count", "clicked_count", "bounced_count", "unsubscribed_count"]
    table = dense([sent, happened.reindex(columns=kinds)], pd.Index(shop.days, name="activity_date")).reset_index()
    table["open_rate"] = per(table.unique_open_count, table.delivered_count)
    table["click_rate"] = per(table.unique_click_count, table.delivered_count)
    table["unsubscribe_rate"] = per(table.unsubscribe_count, table.delivered_count)
    return table


def _month(days: pd.Series) -> pd.Series:
    return days.map(lambda day: day.replace(day=1))


def customer_values(shop: Shop) -> pd.DataFrame:
    kept = shop.orders[shop.orders.kept & shop.orders.customer.notna()]
    grouped = kept.groupby(["customer", "currency"])
    table = pd.DataFrame(
        {
            "first_order_date": grouped.day.min(),
            "last_order_date": grouped.day.max(),
            "kept_order_count": grouped.size(),
            "gross_sales": grouped.total.sum(),
            "refunded_sales": grouped.refunded_money.sum(),
            "lifetime_value": grouped.net.sum(),
        }
    ).reset_index(names=["customer_id", "currency"])
    won = kept[kept.place == 1].set_index("customer")
    table["acquisition_channel"] = table.customer_id.map(won.channel)
    table["acquisition_campaign"] = table.customer_id.map(won.campaign)
    table["cohort_month"] = _month(table.first_order_date)
    table["average_order_value"] = per(table.lifetime_value, table.kept_order_count, cents=True)
    return table


def cohort_retention(shop: Shop) -> pd.DataFrame:
    buyers = customer_values(shop).rename(columns={"customer_id": "customer"})
    kept = shop.orders[shop.orders.kept].merge(
        buyers[["customer", "currency", "cohort_month"]], on=["customer", "currency"]
    )
    kept["order_month"] = _month(kept.day)
    sizes = buyers.groupby(["cohort_month", "currency"]).size()
    months = sorted({day.replace(day=1) for day in shop.days})
    rows = [(cohort, currency, month) for cohort, currency in sizes.index for month in months if month >= cohort]
    grouped = kept.groupby(["cohort_month", "currency", "order_month"])
    found = pd.DataFrame(
        {
            "active_customer_count": grouped.customer.nunique(),
            "kept_order_count": grouped.size(),
            "net_sales": grouped.net.sum(),
        }
    )
    index = pd.MultiIndex.from_tuples(rows, names=["cohort_month", "currency", "order_month"])
    table = dense([found], index).reset_index()
    table["customer_count"] = sizes.reindex(index.droplevel(2)).to_numpy()
    table["month_number"] = [
        (month.year - cohort.year) * 12 + month.month - cohort.month
        for cohort, month in zip(table.cohort_month, table.order_month, strict=True)
    ]
    table["is_complete"] = table.order_month < (NOW + SHOP).date().replace(day=1)
    table["retention_rate"] = per(table.active_customer_count, table.customer_count)
    in_order = table.sort_values("order_month").groupby(["cohort_month", "currency"])
    table["net_sales_to_date"] = in_order.net_sales.cumsum()
    table["value_per_customer_to_date"] = per(table.net_sales_to_date, table.customer_count, cents=True)
    return table


def lifetime_values(shop: Shop) -> pd.DataFrame:
    buyers = customer_values(shop).rename(columns={"customer_id": "customer", "lifetime_value": "value"})
    buyers = buyers[
        ["customer", "currency", "acquisition_channel", "acquisition_campaign", "kept_order_count", "value"]
    ]
    kept = shop.orders[shop.orders.kept & shop.orders.customer.notna()].set_index("id")[["customer", "currency"]]
    lines = shop.lines.merge(kept, left_on="order", right_index=True).groupby(["category", "customer", "currency"])
    bought = lines.agg(kept_order_count=("order", "nunique"), value=("net", "sum")).reset_index()
    sides = [
        buyers.assign(dimension="all", member="all"),
        buyers.assign(dimension="channel", member=buyers.acquisition_channel),
        buyers.assign(dimension="campaign", member=buyers.acquisition_campaign).dropna(subset="member"),
        bought.assign(dimension="category", member=bought.category),
        buyers.merge(shop.members, on="customer").assign(dimension="segment", member=lambda rows: rows.segment),
    ]
    keys = ["dimension", "member", "currency"]
    grouped = pd.concat(sides)[[*keys, "kept_order_count", "value"]].groupby(keys)
    table = pd.DataFrame(
        {
            "customer_count": grouped.size(),
            "kept_order_count": grouped.kept_order_count.sum(),
            "lifetime_value": grouped.value.sum(),
        }
    )
    ads = shop.ads
    paid = [ads.assign(dimension="all", member="all")]
    paid += [ads.assign(dimension=name, member=ads[name]) for name in ("channel", "campaign")]
    table["spend"] = pd.concat(paid).groupby(keys).spend.sum().reindex(table.index)
    table = table.reset_index()
    table["orders_per_customer"] = per(table.kept_order_count, table.customer_count)
    table["value_per_customer"] = per(table.lifetime_value, table.customer_count, cents=True)
    table["acquisition_cost"] = per(table.spend, table.customer_count, cents=True)
    table["value_to_cost_ratio"] = per(table.lifetime_value, table.spend)
    return table


RECOUNTS: dict[str, Callable[[Shop], pd.DataFrame]] = {
    recount.__name__: recount
    for recount in (
        daily_sales, daily_channel_results, daily_campaign_results, daily_category_sales, daily_segment_sales,
        daily_cart_results, daily_email_results, email_campaign_results, customer_values, cohort_retention,
        lifetime_values,
    )
}  # fmt: skip
