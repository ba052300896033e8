{{ config(materialized=kept_table(), kept_by='order_id', kept_from=['order_lines']) }}
{% call keys_that_changed() %}
select order_id from {{ changes_of('order_lines') }}
{% endcall -%}
-- what an order holds of each category
select
  order_id,
  category,
  sum(quantity) as item_count,
  sum(net_quantity) as kept_item_count,
  sum(line_total) as line_total,
  sum(net_line_total) as net_line_total
from {{ rows_of('order_lines', 'order_id') }}
group by order_id, category
