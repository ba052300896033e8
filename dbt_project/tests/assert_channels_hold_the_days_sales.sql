{{ config(meta={'dagster': {'ref': {'name': 'daily_channel_results'}}}) }}
-- a day's orders are the same whether they are counted whole or channel by channel
with by_channel as (
  select
    activity_date,
    currency,
    sum(order_count) as order_count,
    sum(net_sales) as net_sales
  from {{ ref('daily_channel_results') }}
  group by activity_date, currency
)

select
  days.activity_date,
  days.currency
from {{ ref('daily_sales') }} as days
left join by_channel on days.activity_date = by_channel.activity_date and days.currency = by_channel.currency
where days.order_count <> coalesce(by_channel.order_count, -1) or days.net_sales <> coalesce(by_channel.net_sales, -1)
