-- every order up to the as-of time as the end of a journey; one that belongs to nobody is a journey of its own
select
  order_id,
  coalesce(customer_id, 'order.' || order_id) as visitor_id,
  customer_id,
  ordered_at,
  is_cancelled,
  currency,
  net_total,
  row_number() over (partition by coalesce(customer_id, 'order.' || order_id) order by ordered_at asc, order_id asc)
    as journey_number
from {{ ref('orders') }}
where ordered_at < {{ as_of() }}
