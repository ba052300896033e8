{{ config(meta={'dagster': {'ref': {'name': 'claim_differences'}}}) }}
-- what a tool claims minus what the orders show is the sum of its reasons, to the cent; nothing is left without a name
with named as (
  select
    activity_date, platform, channel, currency,
    sum(order_count) as order_count,
    sum(revenue) as revenue
  from {{ ref('claim_differences') }}
  group by activity_date, platform, channel, currency
)

select
  coalesce(claims.platform, named.platform) as platform,
  coalesce(claims.activity_date, named.activity_date) as activity_date
from {{ ref('claim_reconciliation') }} as claims
full outer join named
  on
    claims.activity_date = named.activity_date and claims.platform = named.platform
    and claims.channel = named.channel and claims.currency = named.currency
where
  coalesce(claims.difference_count, 0) <> coalesce(named.order_count, 0)
  or coalesce(claims.difference_revenue, 0) <> coalesce(named.revenue, 0)
