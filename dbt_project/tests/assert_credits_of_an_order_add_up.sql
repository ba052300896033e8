{{ config(meta={'dagster': {'ref': {'name': 'attributed_orders'}}}) }}
-- in every attribution model an order is handed out whole: its credit is one, its revenue what the shop kept
select
  credits.attribution_model,
  orders.order_id
from {{ ref('orders') }} as orders
inner join {{ ref('attributed_orders') }} as credits on orders.order_id = credits.order_id
group by credits.attribution_model, orders.order_id, orders.net_total
having sum(credits.credit) <> 1 or sum(credits.credited_revenue) <> orders.net_total
