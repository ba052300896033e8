{% set counts = [
  'order_count', 'kept_order_count', 'new_customer_count', 'impression_count', 'click_count'
] -%}
{% set mail_counts = [
  'session_count', 'purchase_session_count', 'sent_count', 'bounced_count', 'opened_count', 'clicked_count',
  'unsubscribed_count'
] -%}
with activity as (
  select * from {{ ref('campaign_activity') }}
),

-- from the first day anything happened to the campaign to the last
lives as (
  select
    channel,
    campaign,
    min(activity_date) as first_day,
    max(activity_date) as last_day
  from activity
  group by channel, campaign
),

days as (
  select
    days.activity_date,
    days.currency,
    lives.channel,
    lives.campaign
  from lives
  inner join {{ ref('shop_days') }} as days on days.activity_date between lives.first_day and lives.last_day
),

filled as (
  select
    days.activity_date,
    days.channel,
    days.campaign,
    days.currency,
    {% for name in counts -%}
    {{ counted('own.' ~ name) }} as {{ name }},
    {% endfor -%}
    {% for name in mail_counts -%}
    {{ counted('everywhere.' ~ name) }} as {{ name }},
    {% endfor -%}
    {{ summed('own.gross_sales') }} as gross_sales,
    {{ summed('own.net_sales') }} as net_sales,
    {{ summed('own.spend') }} as spend
  from days
  left join activity as own
    on
      days.activity_date = own.activity_date and days.channel = own.channel and days.campaign = own.campaign
      and days.currency = own.currency
  -- visits and mails have no currency
  left join activity as everywhere
    on
      days.activity_date = everywhere.activity_date and days.channel = everywhere.channel
      and days.campaign = everywhere.campaign and everywhere.currency is null
)

select
  activity_date,
  channel,
  campaign,
  currency,
  session_count,
  purchase_session_count,
  {{ ratio('purchase_session_count', 'session_count') }} as conversion_rate,
  order_count,
  kept_order_count,
  gross_sales,
  net_sales,
  {{ ratio('net_sales', 'kept_order_count') }} as average_order_value,
  new_customer_count,
  impression_count,
  click_count,
  spend,
  {{ ratio('spend', 'new_customer_count') }} as acquisition_cost,
  {{ ratio('net_sales', 'spend') }} as return_on_ad_spend,
  sent_count,
  bounced_count,
  opened_count,
  clicked_count,
  unsubscribed_count
from filled
