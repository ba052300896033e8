{{ config(meta={'dagster': {'ref': {'name': 'attributed_orders'}}}) }}
-- in every attribution model an order is handed out whole: its credit is one, its revenue what the shop kept
{%- set names = ['first', 'last', 'linear', 'position', 'time_decay', 'markov'] %}
with credits as (
  select
    order_id,
    -- one group an order, not one a model: most of this test's time
    {% for name in names -%}
    {% set of_model = "filter (where attribution_model = '" ~ name ~ "')" -%}
    sum(credit) {{ of_model }} as {{ name }}_credit,
    sum(credited_revenue) {{ of_model }} as {{ name }}_revenue,
    {% endfor -%}
    sum(case when attribution_model in ('{{ names | join("', '") }}') then 0 else 1 end) as unnamed_count
  from {{ ref('attributed_orders') }}
  group by order_id
)

select credits.order_id
from {{ ref('orders') }} as orders
inner join credits on orders.order_id = credits.order_id
where
  credits.unnamed_count > 0
  {% for name in names -%}
  or coalesce(credits.{{ name }}_credit, 0) <> 1 or coalesce(credits.{{ name }}_revenue, -1) <> orders.net_total
  {% endfor %}
