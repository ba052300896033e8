{{ config(materialized=kept_table(), kept_by='order_id', kept_files=['raw_shopify.orders']) }}
{% call keys_that_changed() %}
select id as order_id from {{ new_rows('raw_shopify', 'orders') }}
{% endcall -%}
with versions as (
  {{ newest_version(raw_rows_of('raw_shopify', 'orders', 'id'), 'id', 'updatedAt') }}
)

select
  id as order_id,
  name as order_name,
  customer.id as shopify_customer_id,
  {{ normalise_email('email') }} as email,
  email as email_as_given,
  createdAt as created_at,
  processedAt as processed_at,
  updatedAt as updated_at,
  cancelledAt as cancelled_at,
  cancelReason as cancel_reason,
  coalesce(test, false) as is_test,
  displayFinancialStatus as financial_status,
  displayFulfillmentStatus as fulfillment_status,
  coalesce(totalPriceSet.shopMoney.currencyCode, currencyCode) as currency,
  customerAcceptsMarketing as accepts_marketing,
  sourceName as source_name,
  {{ list_text('discountCodes') }} as discount_codes,
  {{ money('totalPriceSet.shopMoney.amount') }} as order_total,
  {{ money('subtotalPriceSet.shopMoney.amount') }} as subtotal,
  {{ money('totalDiscountsSet.shopMoney.amount') }} as discount_total,
  {{ money('totalTaxSet.shopMoney.amount') }} as tax_total,
  {{ money('totalShippingPriceSet.shopMoney.amount') }} as shipping_total,
  {{ money('totalRefundedSet.shopMoney.amount') }} as refunded_total,
  is_deleted,
  _landed_at as landed_at,
  _row_hash as row_hash
from versions
