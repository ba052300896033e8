{{ config(materialized=kept_table(), kept_by='event_id') }}
-- purchases that lost their id beside the orders nobody counted: the same amount within ten minutes, each the other's nearest
with lost as (
  select * from {{ ref('ga4_purchases') }}
  where order_id is null and transaction_id is null
),

uncounted as (
  select orders.*
  from {{ ref('orders') }} as orders
  left join {{ ref('ga4_purchases') }} as purchases on orders.order_id = purchases.order_id
  where purchases.order_id is null and orders.ordered_at < {{ as_of() }}
),

pairs as (
  select
    lost.event_id,
    uncounted.order_id,
    abs({{ epoch_seconds('lost.purchased_at') }} - {{ epoch_seconds('uncounted.ordered_at') }}) as seconds_apart
  from lost
  inner join uncounted on lost.purchase_revenue = uncounted.order_total
),

ranked as (
  select
    *,
    row_number() over (partition by event_id order by seconds_apart asc, order_id asc) as order_rank,
    row_number() over (partition by order_id order by seconds_apart asc, event_id asc) as event_rank
  from pairs
  where seconds_apart <= 600
)

select
  event_id,
  order_id
from ranked
where order_rank = 1 and event_rank = 1
