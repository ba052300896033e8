"""What an ad platform shows of a campaign's day at a moment: claims it has learnt of, clicks it has not taken back."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from connectors.sandbox.state import WORLD_NOW, State


class Day(NamedTuple):
    """A campaign's day; the conversions and their value by the kind of claim."""

    campaign_id: str
    name: str
    date: date
    impressions: int
    clicks: int
    cost_micros: int
    by_click: Decimal
    by_view: Decimal
    click_value: Decimal
    view_value: Decimal


DAYS = """
    with claimed as (
        select campaign_id, activity_date,
            coalesce(sum(credit) filter (kind <> 'view'), 0) as by_click,
            coalesce(sum(credit) filter (kind = 'view'), 0) as by_view,
            coalesce(sum(value) filter (kind <> 'view'), 0) as click_value,
            coalesce(sum(value) filter (kind = 'view'), 0) as view_value
        from ad_claims where platform = $platform and visible_at <= $now group by all
    )
    select d.campaign_id, c.name, d.activity_date, d.impressions,
        d.clicks - case when d.corrected_at <= $now then d.invalid_clicks else 0 end as clicks,
        case when d.corrected_at <= $now and d.clicks > 0
            then d.cost_micros // d.clicks * (d.clicks - d.invalid_clicks) // 10000 * 10000
            else d.cost_micros end as cost,
        coalesce(by_click, 0) as by_click, coalesce(by_view, 0) as by_view, coalesce(click_value, 0) as click_value,
        coalesce(view_value, 0) as view_value
    from ad_days as d join ad_campaigns as c on c.id = d.campaign_id
    left join claimed as k on k.campaign_id = d.campaign_id and k.activity_date = d.activity_date
    where d.platform = $platform and d.activity_date between $since and $until and d.activity_date <= $today
    order by d.activity_date, d.campaign_id
"""


def days(state: State, platform: str, since: date, until: date) -> list[Day]:
    """The days with any delivery. Figures are settled each midnight of the account, not by the second."""
    now = settled(state.now())
    parameters = {
        "platform": platform,
        "now": now,
        "since": since,
        "until": until,
        "today": (now - timedelta(seconds=1) + timedelta(hours=9)).date(),
    }
    return [Day(*row) for row in state.rows(DAYS, parameters)]


def settled(now: datetime) -> datetime:
    """The last midnight in Tokyo."""
    return now - (now - WORLD_NOW) % timedelta(days=1)
