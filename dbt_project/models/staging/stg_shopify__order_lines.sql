-- straight from raw, for the versions that won: sorting orders with their baskets inside took three times as long
with versions as (
  select
    raw_orders.id as order_id,
    raw_orders.lineItems
  from {{ source('raw_shopify', 'orders') }} as raw_orders
  inner join {{ ref('stg_shopify__orders') }} as orders
    on
      raw_orders.id = orders.order_id
      and raw_orders._row_hash = orders.row_hash
      and raw_orders._landed_at = orders.landed_at
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
