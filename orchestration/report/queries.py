"""What the report reads of the lake: one SQL text a result, every one of them summed up by DuckDB.

The SQL sees each mart under its own name and these variables: `as_of` (UTC); `since` and `until`, the first and last
day of the period told, in the shop's calendar; `before_since`, the first day of the period before; `quarter_since`, the
first of the last ninety days; `since_at` and `until_at`, the period as moments in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.lake import Lake

Rows = list[dict[str, Any]]

PERIOD_DAYS = 30
QUARTER_DAYS = 90
CAMPAIGNS = 12

_NOW_OR_BEFORE = """case
    when activity_date between getvariable('since') and getvariable('until') then 'now'
    when activity_date between getvariable('before_since') and getvariable('since') - 1 then 'before'
  end"""

QUERIES = {
    "freshness": """
        select 'orders' as source, max(ordered_at) as newest_at, null::date as newest_date from orders
        union all by name select 'visits' as source, max(started_at) as newest_at from sessions
        union all by name select 'emails' as source, max(occurred_at) as newest_at from email_events
        union all by name select 'ads' as source, max(activity_date) as newest_date from ad_performance""",
    "sales": f"""
        select currency, {_NOW_OR_BEFORE} as period, count(*) as day_count,
          sum(kept_order_count)::bigint as order_count, sum(net_sales) as revenue,
          sum(net_sales)::double / nullif(sum(kept_order_count), 0) as average_order_value,
          max_by(repeat_rate_to_date, activity_date) as repeat_rate,
          sum(session_count)::bigint as visit_count,
          sum(purchase_session_count)::double / nullif(sum(session_count), 0) as conversion_rate
        from daily_sales where period is not null group by currency, period
        order by order_count desc, currency, period""",
    "ad_return": f"""
        with paid as (select distinct channel from daily_channel_results where spend > 0)
        select currency, {_NOW_OR_BEFORE} as period, sum(spend) as spend, sum(net_sales) as revenue,
          sum(net_sales)::double / nullif(sum(spend), 0)::double as return_on_ad_spend
        from daily_channel_results semi join paid using (channel) where period is not null
        group by currency, period having sum(spend) > 0 order by currency, period""",
    "days": """
        select currency, activity_date, net_sales as revenue, kept_order_count as order_count,
          avg(net_sales::double) over seven_days as mean_revenue,
          avg(kept_order_count) over seven_days as mean_order_count
        from daily_sales
        window seven_days as (partition by currency order by activity_date rows between 6 preceding and current row)
        qualify activity_date between getvariable('quarter_since') and getvariable('until')
        order by currency, activity_date""",
    "funnel": """
        select count(*) as visits, count(*) filter (product_view_count > 0) as views,
          count(*) filter (cart_addition_count > 0) as baskets, count(*) filter (checkout_count > 0) as checkouts,
          count(*) filter (purchase_count > 0) as purchases
        from sessions where started_at >= getvariable('since_at') and started_at < getvariable('until_at')""",
    "cohorts": """
        select currency, cohort_month, month_number, customer_count, active_customer_count, retention_rate
        from cohort_retention
        where is_complete and month_number <= 12 and cohort_month > getvariable('until') - interval 13 months
        order by currency, cohort_month, month_number""",
    "segments": """
        with starts as (select segment, min(changed_at) as started_at from segment_changes group by segment),
        moves as (
          select segment, count(*) filter (change = 'entered') as entered_count,
            count(*) filter (change = 'left') as left_count
          from segment_changes join starts using (segment)
          where reason = 'rule' and changed_at > started_at and changed_at >= getvariable('since_at')
          group by segment),
        sizes as (select segment, count(*) as customer_count from segment_members group by segment)
        select segment, coalesce(customer_count, 0) as customer_count, coalesce(entered_count, 0) as entered_count,
          coalesce(left_count, 0) as left_count
        from sizes full join moves using (segment) order by customer_count desc, segment""",
    "segment_builds": "select min(changed_at) as first_at from segment_changes",
    "stages": "select stage, count(*) as customer_count from journey_stages group by stage",
    "transitions": """
        select from_stage, to_stage, transition_count, customer_count, median_days from journey_transitions
        where category is null order by transition_count desc, from_stage, to_stage""",
    "deciding": """
        select category, count(*) filter (stage = 'decision') as deciding_count,
          count(*) filter (stage = 'consideration') as considering_count
        from category_journey_stages where stage in ('decision', 'consideration')
        group by category order by deciding_count desc, considering_count desc, category limit 10""",
    "attribution": """
        select attribution_model, channel, currency, credited_order_count, order_share, credited_revenue, revenue_share
        from channel_attribution where credited_order_count > 0 order by currency, channel, attribution_model""",
    "claims": """
        select platform, currency, sum(claimed_count)::double as claimed_count, sum(shown_count)::double as shown_count,
          sum(unexplained_count)::double as unexplained_count, sum(claimed_revenue) as claimed_revenue,
          sum(shown_revenue) as shown_revenue
        from claim_reconciliation where activity_date between getvariable('quarter_since') and getvariable('until')
        group by platform, currency order by platform, claimed_count desc, currency""",
    "claim_reasons": """
        select platform, currency, reason, sum(order_count)::double as order_count, sum(revenue) as revenue
        from claim_differences where activity_date between getvariable('quarter_since') and getvariable('until')
        group by platform, currency, reason having sum(order_count) <> 0 or sum(revenue) <> 0
        order by platform, abs(sum(order_count)) desc, reason, currency""",
    "findings": """
        select finding, reason, count(*) as purchase_count from purchase_reconciliation
        where coalesce(order_date, purchase_date) between getvariable('quarter_since') and getvariable('until')
        group by finding, reason order by purchase_count desc, finding, reason""",
    "campaigns": f"""
        select campaign_name, sent_date, sent_count, bounce_count, delivered_count, unique_open_count,
          unique_click_count, unsubscribe_count, open_rate, click_rate, unsubscribe_rate, bounce_rate, kept_order_count,
          net_sales, currency
        from email_campaign_results order by sent_date desc, campaign_name limit {CAMPAIGNS}""",
    "records": """
        select record_type, count(*) as record_count, count(distinct customer_id) as customer_count
        from identity_clusters group by record_type order by record_count desc, record_type""",
    "customers": """
        select count(*) as customer_count, count(*) filter (order_count > 0) as buyer_count,
          count(*) filter (not (can_email or can_text or can_show_ads)) as unreachable_count
        from customer_360""",
    "edges": """
        with edges as (
          select rule, guard from identity_edges union all by name select rule, guard from probable_edges)
        select rule, count(*) as edge_count, count(*) filter (guard is not null) as guarded_count
        from edges group by rule order by edge_count desc, rule""",
    "guards": """
        with edges as (
          select rule, guard from identity_edges union all by name select rule, guard from probable_edges)
        select guard, count(*) as edge_count from edges
        where guard is not null group by guard order by edge_count desc, guard""",
    "alarms": """
        select reason, count(distinct customer_id) as customer_count from identity_alarms
        group by reason order by customer_count desc, reason""",
    "reviews": "select count(*) as pair_count from match_reviews",
    "changes": """
        select event, count(*) as event_count,
          count(*) filter (occurred_at >= getvariable('since_at')) as recent_count
        from customer_history group by event order by event""",
    "reach": """
        with channels as (
          select 'email' as channel, can_email as is_reached, has_email as has_address, email_consent as consent
          from customer_360
          union all select 'sms', can_text, has_mobile_phone, sms_consent from customer_360
          union all select 'ad', can_show_ads, has_email or has_mobile_phone, ad_consent from customer_360)
        select channel,
          case when is_reached then 'reached' when consent = 'denied' then 'denied'
            when not has_address then 'no_address' else 'never_asked' end as standing,
          count(*) as customer_count
        from channels group by channel, standing order by channel, standing""",
    "consent_reasons": """
        select channel, decision, reason, count(*) as customer_count from consents
        where purpose = 'marketing' group by channel, decision, reason
        order by channel, customer_count desc, reason""",
}

_CLOCK = "select max(as_of) as as_of from customer_360"
_MARTS = sorted(
    {name for sql in [*QUERIES.values(), _CLOCK] for name in re.findall(r"\b(?:from|join)\s+([a-z]\w+)", sql)}
    - {"paid", "starts", "moves", "sizes", "edges", "channels"}
)


class MissingMarts(Exception):
    """The lake holds no marts, or older ones than this report reads."""


@dataclass(frozen=True)
class Period:
    """The time the report tells of: `since` to `until` are full days of the shop's calendar."""

    as_of: datetime
    zone: ZoneInfo
    built_at: datetime

    @property
    def until(self) -> date:
        return self.local(self.as_of).date() - timedelta(days=1)

    @property
    def since(self) -> date:
        return self.until - timedelta(days=PERIOD_DAYS - 1)

    @property
    def before_since(self) -> date:
        return self.since - timedelta(days=PERIOD_DAYS)

    @property
    def quarter_since(self) -> date:
        return self.until - timedelta(days=QUARTER_DAYS - 1)

    def local(self, moment: datetime) -> datetime:
        """A moment in the shop's time zone; one without a zone is UTC."""
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(self.zone)

    def begin(self, day: date) -> datetime:
        """The UTC moment, without zone, at which a day of the shop begins."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC).replace(tzinfo=None)

    def variables(self) -> dict[str, date | datetime]:
        return {
            "as_of": self.as_of.astimezone(UTC).replace(tzinfo=None),
            "since": self.since,
            "until": self.until,
            "before_since": self.before_since,
            "quarter_since": self.quarter_since,
            "since_at": self.begin(self.since),
            "until_at": self.begin(self.until + timedelta(days=1)),
        }


@dataclass(frozen=True)
class Figures:
    """The period and the rows of each query."""

    period: Period
    rows: dict[str, Rows]


def read(lake: Lake, zone: ZoneInfo, now: datetime) -> Figures:
    """Every result over one lake; MissingMarts names what is not there. `now` counts where no customer is known."""
    files = {name: lake.files(f"marts/{name}") for name in _MARTS}
    if missing := [name for name, found in files.items() if not found]:
        raise MissingMarts(
            f"{lake.path('marts')} lacks {', '.join(missing)}; run `make demo` first (or materialise everything in "
            "`make ui`), then `make report`"
        )
    with lake.connect() as connection:
        connection.execute("SET memory_limit = '1GB'; SET threads = 2")
        for name, found in files.items():
            connection.read_parquet(found).create_view(name)
        clock = connection.execute(_CLOCK).fetchall()[0][0]
        built = max(_written_at(lake, path) for path in files["daily_sales"])
        period = Period(
            clock.replace(tzinfo=UTC) if clock else now if now.tzinfo else now.replace(tzinfo=UTC), zone, built
        )
        for name, value in period.variables().items():
            connection.execute(f"set variable {name} = ?", [value])
        rows = {}
        for name, sql in QUERIES.items():
            answer = connection.execute(sql)
            columns = [column[0] for column in answer.description]
            rows[name] = [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]
    return Figures(period, rows)


def _written_at(lake: Lake, path: str) -> datetime:
    return lake.filesystem.modified(path).astimezone(UTC)
