{{ config(materialized=kept_table(), kept_by='customer_id', kept_from=['order_lines']) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('order_lines') }}
{% endcall -%}
-- a customer's days with a category: what breadth and category features are counted from
select
  customer_id,
  category,
  ordered_at,
  order_id,
  sum(quantity) as item_count,
  {{ money('sum(case when currency = ' ~ shop_currency() ~ ' then line_total else 0 end)') }} as spend
from {{ rows_of('order_lines', 'customer_id') }}
where customer_id is not null
group by customer_id, category, ordered_at, order_id
