{{ config(materialized=kept_table(), kept_by='order_date', kept_from=['dated_orders', 'order_baskets'], kept_log=false) }}
{% call keys_that_changed() %}
select order_date from {{ changes_of('dated_orders') }}
union all
select order_date from {{ ref('dated_orders') }}
where order_id in (select order_id from {{ changes_of('order_baskets') }})
{% endcall -%}
-- what was sold of each category on each day on which it was
select
  orders.order_date,
  orders.currency,
  baskets.category,
  count(*) as order_count,
  sum(case when orders.is_cancelled then 0 else 1 end) as kept_order_count,
  count(distinct case when not orders.is_cancelled then orders.customer_id end) as customer_count,
  sum(baskets.item_count) as item_count,
  sum(baskets.kept_item_count) as kept_item_count,
  sum(baskets.line_total) as gross_sales,
  sum(case when orders.is_cancelled then baskets.line_total else 0 end) as cancelled_sales,
  sum(case when orders.is_cancelled then 0 else baskets.line_total - baskets.net_line_total end) as returned_sales,
  sum(baskets.net_line_total) as net_sales
from {{ ref('order_baskets') }} as baskets
inner join {{ rows_of('dated_orders', 'order_date') }} as orders on baskets.order_id = orders.order_id
group by orders.order_date, orders.currency, baskets.category
