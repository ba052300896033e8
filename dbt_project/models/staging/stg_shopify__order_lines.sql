select
  line.id as order_line_id,
  orders.order_id,
  line.product.id as product_id,
  line.variant.id as variant_id,
  line.sku as sku,
  line.title as title,
  line.quantity as quantity,
  coalesce(line.currentQuantity, line.quantity) as current_quantity,
  {{ money('line.originalUnitPriceSet.shopMoney.amount') }} as original_unit_price,
  {{ money('line.discountedUnitPriceSet.shopMoney.amount') }} as discounted_unit_price
from {{ ref('stg_shopify__orders') }} as orders
{{ unnest_list('orders.line_items', 'line') }}
