{{ config(materialized=kept_table(), kept_by='order_id', kept_from=['stg_shopify__orders']) }}
{% call keys_that_changed() %}
select order_id from {{ changes_of('stg_shopify__orders') }}
{% endcall -%}
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
