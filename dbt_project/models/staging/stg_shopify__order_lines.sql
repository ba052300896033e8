{{ config(materialized=kept_table(), kept_by='order_id', kept_from=['stg_shopify__orders']) }}
{% call keys_that_changed() %}
select order_id from {{ changes_of('stg_shopify__orders') }}
{% endcall -%}
with versions as (
  {{ list_of_newest_orders('lineItems') }}
)

select
  line.id as order_line_id,
  versions.order_id,
  line.product.id as product_id,
  line.variant.id as variant_id,
  line.sku as sku,
  line.title as title,
  line.quantity as quantity,
  coalesce(line.currentQuantity, line.quantity) as current_quantity,
  {{ money('line.originalUnitPriceSet.shopMoney.amount') }} as original_unit_price,
  {{ money('line.discountedUnitPriceSet.shopMoney.amount') }} as discounted_unit_price
from versions
{{ unnest_list('versions.lineItems', 'line') }}
