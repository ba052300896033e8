{{ config(materialized=kept_table(), kept_by='row') }}
select
  line.id as checkout_line_id,
  checkouts.checkout_id,
  line.product.id as product_id,
  line.sku as sku,
  line.title as title,
  line.quantity as quantity
from {{ ref('stg_shopify__abandoned_checkouts') }} as checkouts
{{ unnest_list('checkouts.line_items', 'line') }}
