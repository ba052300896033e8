with versions as (
  {{ list_of_newest_orders('refunds') }}
)

select
  refund.id as refund_id,
  versions.order_id,
  refund.createdAt as refunded_at,
  {{ money('refund.totalRefundedSet.shopMoney.amount') }} as refund_amount
from versions
{{ unnest_list('versions.refunds', 'refund') }}
