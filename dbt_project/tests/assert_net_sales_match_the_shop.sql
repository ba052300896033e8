{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}
-- line totals of an order before discounts on the whole of it cannot be far from its subtotal; a doubled or missing line
-- is. One cent a line is rounding.
select
  orders.order_id,
  orders.subtotal,
  sum(lines.line_total) as line_total
from {{ ref('orders') }} as orders
inner join {{ ref('order_lines') }} as lines on orders.order_id = lines.order_id
group by orders.order_id, orders.subtotal
having abs(sum(lines.line_total) - orders.subtotal) > 0.01 * count(*)
