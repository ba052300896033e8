-- straight from raw, for the versions that won: sorting orders with their baskets inside took three times as long
with versions as (
  select
    raw_orders.id as order_id,
    raw_orders.refunds
  from {{ source('raw_shopify', 'orders') }} as raw_orders
  inner join {{ ref('stg_shopify__orders') }} as orders
    on
      raw_orders.id = orders.order_id
      and raw_orders._row_hash = orders.row_hash
      and raw_orders._landed_at = orders.landed_at
)

select
  refund.id as refund_id,
  versions.order_id,
  refund.createdAt as refunded_at,
  {{ money('refund.totalRefundedSet.shopMoney.amount') }} as refund_amount
from versions
{{ unnest_list('versions.refunds', 'refund') }}
