{{ config(meta={'dagster': {'ref': {'name': 'attributed_orders'}}}) }}
-- in every attribution model an order is handed out whole: its credit is one, its revenue what the shop kept
with credits as (
  select
    attribution_model,
    order_id,
    sum(credit) as credit,
    sum(credited_revenue) as credited_revenue
  from {{ ref('attributed_orders') }}
  group by attribution_model, order_id
)

select
  credits.attribution_model,
  credits.order_id
from {{ ref('orders') }} as orders
inner join credits on orders.order_id = credits.order_id
where credits.credit <> 1 or credits.credited_revenue <> orders.net_total
