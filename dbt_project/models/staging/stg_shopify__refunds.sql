select
  refund.id as refund_id,
  orders.order_id,
  refund.createdAt as refunded_at,
  {{ money('refund.totalRefundedSet.shopMoney.amount') }} as refund_amount
from {{ ref('stg_shopify__orders') }} as orders
{{ unnest_list('orders.refunds', 'refund') }}
