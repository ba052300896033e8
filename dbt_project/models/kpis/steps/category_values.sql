{{ config(
  materialized=kept_table(), kept_by='customer_id', kept_from=['dated_orders', 'order_baskets'], kept_log=false
) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('dated_orders') }}
union all
select customer_id from {{ ref('dated_orders') }}
where order_id in (select order_id from {{ changes_of('order_baskets') }})
{% endcall -%}
-- what a buyer has kept of each category
select
  baskets.category,
  orders.customer_id,
  orders.currency,
  count(*) as kept_order_count,
  sum(baskets.net_line_total) as lifetime_value
from {{ ref('order_baskets') }} as baskets
inner join {{ rows_of('dated_orders', 'customer_id') }} as orders on baskets.order_id = orders.order_id
where orders.customer_id is not null and not orders.is_cancelled
group by baskets.category, orders.customer_id, orders.currency
