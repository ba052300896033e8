{# Google shares an order among a month's clicks by a rule it does not tell. The orders it can claim beyond the journey are
   known, its share of them is not: no more of them is named than there is left to explain. #}
{% set keys = 'activity_date, platform, channel, currency' -%}
with named as (
  select
    *,
    platform = 'google_ads' and reason = 'outside_lookback' as is_bound
  from (
    select * from {{ ref('ga4_differences') }}
    union all
    select * from {{ ref('platform_differences') }}
    union all
    select
      activity_date, platform, {{ channel_of_platform('platform') }}, currency, 'view_through',
      sum(claimed_view_count), sum(claimed_view_value)
    from {{ ref('ad_performance') }}
    group by activity_date, platform, currency
  ) as reasons
),

explained as (
  select
    {{ keys }},
    sum(case when is_bound then 0 else order_count end) as order_count,
    sum(case when is_bound then 0 else revenue end) as revenue,
    sum(case when is_bound then order_count else 0 end) as bound_count,
    sum(case when is_bound then revenue else 0 end) as bound_revenue
  from named
  group by {{ keys }}
),

remaining as (
  select
    totals.activity_date,
    totals.platform,
    totals.channel,
    totals.currency,
    totals.claimed_count - totals.shown_count - coalesce(explained.order_count, 0) as order_count,
    totals.claimed_revenue - totals.shown_revenue - coalesce(explained.revenue, 0) as revenue,
    coalesce(explained.bound_count, 0) as bound_count,
    coalesce(explained.bound_revenue, 0) as bound_revenue
  from {{ ref('claims_and_orders') }} as totals
  left join explained
    on
      totals.activity_date = explained.activity_date and totals.platform = explained.platform
      and totals.channel = explained.channel and totals.currency = explained.currency
),

bounded as (
  select
    *,
    least(greatest(order_count, 0), bound_count) as named_count,
    least(greatest(revenue, 0), bound_revenue) as named_revenue
  from remaining
),

together as (
  select
    {{ keys }}, reason, order_count, revenue
  from named
  where not is_bound
  union all
  select
    {{ keys }}, 'outside_lookback', named_count, named_revenue
  from bounded
  union all
  -- what is left when every reason the data can show is named
  select
    {{ keys }}, 'unexplained', order_count - named_count, revenue - named_revenue
  from bounded
)

select
  {{ keys }},
  reason,
  cast(sum(order_count) as decimal(18, 4)) as order_count,
  {{ money('sum(revenue)') }} as revenue
from together
group by {{ keys }}, reason
having sum(order_count) <> 0 or sum(revenue) <> 0
