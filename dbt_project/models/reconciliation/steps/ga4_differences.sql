-- why GA4's purchases of a day and channel are not the shop's orders of that day and channel, purchase by purchase. An
-- event counts on its own day in its own visit's channel, an order on its day in the channel of its last touch.
with rows_found as (
  select
    *,
    case when is_cancelled then 0 else 1 end as kept_count,
    purchase_date = order_date and purchase_channel = order_channel as is_same_cell,
    case
      when not has_session then 'consent_missing' when purchase_date <> order_date then 'other_day' else 'other_channel'
    end as shift_reason
  from {{ ref('purchase_reconciliation') }}
),

counted as (
  select * from rows_found
  where finding in ('matched', 'different_amount', 'late')
),

differences as (
  select
    order_date as activity_date, order_channel as channel, currency, reason, -kept_count as order_count,
    -net_total as revenue
  from rows_found
  where finding in ('offline', 'missing')
  union all
  select
    purchase_date, purchase_channel, currency,
    case when finding = 'double' then 'claimed_twice' else reason end, 1, purchase_revenue
  from rows_found
  where finding in ('double', 'unknown_order')
  union all
  select
    purchase_date, purchase_channel, currency, shift_reason, 1, order_total
  from counted
  where not is_same_cell
  union all
  select
    order_date, order_channel, currency, shift_reason, -1, -order_total
  from counted
  where not is_same_cell
  union all
  select
    purchase_date, purchase_channel, currency, 'different_amount', 0, purchase_revenue - order_total
  from counted
  where purchase_revenue <> order_total
  union all
  select
    order_date, order_channel, currency, 'cancelled_or_refunded', 1 - kept_count, order_total - net_total
  from counted
  where order_total <> net_total or is_cancelled
)

select
  activity_date,
  'ga4' as platform,
  channel,
  currency,
  reason,
  sum(order_count) as order_count,
  sum(revenue) as revenue
from differences
group by activity_date, channel, currency, reason
