{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}
-- line totals of an order before discounts on the whole of it cannot be far from its subtotal; a doubled or missing line
-- is. One cent a line is rounding.
with lines as (
  select
    order_id,
    sum(line_total) as line_total,
    count(*) as line_count
  from {{ ref('order_lines') }}
  group by order_id
)

select
  orders.order_id,
  orders.subtotal,
  lines.line_total
from {{ ref('orders') }} as orders
inner join lines on orders.order_id = lines.order_id
where abs(lines.line_total - orders.subtotal) > 0.01 * lines.line_count
