with named as (
  select * from {{ ref('ga4_differences') }}
  union all
  select * from {{ ref('platform_differences') }}
  union all
  select
    activity_date, platform, {{ channel_of_platform('platform') }}, currency, 'view_through',
    sum(claimed_view_count), sum(claimed_view_value)
  from {{ ref('ad_performance') }}
  group by activity_date, platform, currency
),

explained as (
  select
    activity_date, platform, channel, currency,
    sum(order_count) as order_count,
    sum(revenue) as revenue
  from named
  group by activity_date, platform, channel, currency
),

-- what is left when every reason the data can show is named
remainders as (
  select
    totals.activity_date, totals.platform, totals.channel, totals.currency,
    'unexplained' as reason,
    totals.claimed_count - totals.shown_count - coalesce(explained.order_count, 0) as order_count,
    totals.claimed_revenue - totals.shown_revenue - coalesce(explained.revenue, 0) as revenue
  from {{ ref('claims_and_orders') }} as totals
  left join explained
    on
      totals.activity_date = explained.activity_date and totals.platform = explained.platform
      and totals.channel = explained.channel and totals.currency = explained.currency
),

together as (
  select * from named
  union all
  select * from remainders
)

select
  activity_date,
  platform,
  channel,
  currency,
  reason,
  cast(sum(order_count) as decimal(18, 4)) as order_count,
  {{ money('sum(revenue)') }} as revenue
from together
group by activity_date, platform, channel, currency, reason
having sum(order_count) <> 0 or sum(revenue) <> 0
