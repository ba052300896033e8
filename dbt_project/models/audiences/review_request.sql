-- the newest order arrived one to two weeks ago and was kept in full: which of its products to ask about
-- an order from before the window cannot be the newest in it
with orders as (
  select
    *,
    row_number() over (partition by customer_id order by ordered_at desc, order_id asc) as order_rank
  from {{ ref('orders') }}
  where
    customer_id is not null
    and ordered_at < {{ as_of() }}
    and ordered_at >= {{ days_before(as_of(), var('journey_arrival_days') + 14) }}
),

due as (
  select * from orders
  where
    order_rank = 1
    and fulfillment_status = 'FULFILLED'
    and not is_cancelled
    and refunded_total = 0
    and ordered_at < {{ days_before(as_of(), var('journey_arrival_days')) }}
),

products as (
  select
    lines.order_id,
    lines.product_title,
    row_number() over (partition by lines.order_id order by lines.line_total desc, lines.order_line_id asc) as line_rank
  from {{ ref('order_lines') }} as lines
  inner join due on lines.order_id = due.order_id
)

select
  due.customer_id,
  due.order_id,
  due.order_name,
  due.ordered_at,
  products.product_title
from due
inner join products on due.order_id = products.order_id and products.line_rank = 1
