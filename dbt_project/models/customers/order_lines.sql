{{ config(
  kept_by='order_id', kept_from=['stg_shopify__order_lines', 'orders', 'stg_shopify__products', 'refused_records']
) }}
{% call keys_that_changed() %}
select order_id from {{ changes_of('stg_shopify__order_lines') }}
union all
select order_id from {{ changes_of('orders') }}
union all
select order_id from {{ ref('stg_shopify__order_lines') }}
where
  product_id in (select product_id from {{ changes_of('stg_shopify__products') }})
  or order_line_id in (select record_id from {{ changes_of('refused_records') }} where stream = 'shopify.order_lines')
{% endcall -%}
with refused as (
  select record_id
  from {{ ref('refused_records') }}
  where stream = 'shopify.order_lines' and is_excluded
)

select
  lines.order_line_id,
  lines.order_id,
  orders.customer_id,
  orders.ordered_at,
  lines.product_id,
  lines.sku,
  lines.title as product_title,
  coalesce(products.category, 'uncategorised') as category,
  lines.quantity,
  lines.current_quantity,
  -- what a vendor's error cannot turn into a purchase of less than nothing or of more than was ordered
  case when orders.is_cancelled then 0 else least(greatest(lines.current_quantity, 0), lines.quantity) end as net_quantity,
  lines.original_unit_price,
  lines.discounted_unit_price,
  {{ money('lines.discounted_unit_price * lines.quantity') }} as line_total,
  {{ money(
    'case when orders.is_cancelled then 0 '
    ~ 'else lines.discounted_unit_price * least(greatest(lines.current_quantity, 0), lines.quantity) end'
  ) }} as net_line_total,
  orders.currency
from {{ rows_of('stg_shopify__order_lines', 'order_id') }} as lines
inner join {{ rows_of('orders', 'order_id') }} as orders on lines.order_id = orders.order_id
left join {{ ref('stg_shopify__products') }} as products on lines.product_id = products.product_id
left join refused on lines.order_line_id = refused.record_id
where refused.record_id is null
