-- what each tool claims for a day and what the orders show for it
with sides as (
  select
    purchase_date as activity_date, 'ga4' as platform, purchase_channel as channel, currency,
    count(*) as claimed_count, sum(purchase_revenue) as claimed_revenue, 0 as shown_count, {{ money('0') }} as shown_revenue
  from {{ ref('purchase_reconciliation') }}
  where event_id is not null
  group by purchase_date, purchase_channel, currency
  union all
  select
    order_date, 'ga4', order_channel, currency,
    0, 0, sum(case when is_cancelled then 0 else 1 end), sum(net_total)
  from {{ ref('purchase_reconciliation') }}
  where finding not in ('double', 'unknown_order')
  group by order_date, order_channel, currency
  union all
  select
    activity_date, platform, {{ channel_of_platform('platform') }}, currency,
    sum(claimed_conversion_count), sum(claimed_value), 0, 0
  from {{ ref('ad_performance') }}
  group by activity_date, platform, currency
  union all
  select
    {{ shop_date('sent_at') }}, 'mailchimp', 'email', currency,
    sum(claimed_order_count), sum(claimed_revenue), 0, 0
  from {{ ref('email_campaigns') }}
  group by {{ shop_date('sent_at') }}, currency
  union all
  select
    shown.claim_date, shown.platform, shown.channel, orders.currency,
    0, 0, sum(case when orders.is_cancelled then 0 else 1 end), sum(orders.net_total)
  from {{ ref('shown_claims') }} as shown
  inner join {{ ref('orders') }} as orders on shown.order_id = orders.order_id
  group by shown.claim_date, shown.platform, shown.channel, orders.currency
)

select
  activity_date,
  platform,
  channel,
  currency,
  cast(sum(claimed_count) as decimal(18, 4)) as claimed_count,
  {{ money('sum(claimed_revenue)') }} as claimed_revenue,
  cast(sum(shown_count) as decimal(18, 4)) as shown_count,
  {{ money('sum(shown_revenue)') }} as shown_revenue
from sides
group by activity_date, platform, channel, currency
