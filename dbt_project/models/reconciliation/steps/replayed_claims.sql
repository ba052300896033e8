-- what each platform must claim by its own rule, replayed over the shop's orders and touches: the whole order for its last
-- click within its window, whatever came between, of what was bought on the site
with pairs as (
  select
    touches.platform,
    touches.channel,
    touches.claim_date,
    touches.touch_id,
    touches.next_order_id = orders.order_id and touches.is_within_lookback as is_in_journey,
    orders.order_id,
    row_number() over (
      partition by touches.platform, orders.order_id order by touches.touched_at desc, touches.touch_id desc
    ) as newest
  from {{ ref('platform_touches') }} as touches
  inner join {{ ref('orders') }} as orders
    on
      touches.customer_id = orders.customer_id
      and touches.touched_at <= orders.ordered_at
      and {{ epoch_seconds('orders.ordered_at') }} < touches.claimed_until
  where orders.source_name = 'web' and orders.order_total > 0 and orders.ordered_at < {{ as_of() }}
)

select
  platform,
  channel,
  claim_date,
  order_id,
  is_in_journey,
  count(*) over (partition by order_id) as platform_count
from pairs
where newest = 1
